"""The one transaction of a micro-batch: ledger, bars, states, late ledger, quarantine and changes, or nothing.

Rows travel by binary COPY into temporary tables and from there by ``INSERT … ON CONFLICT``, because JDBC and COPY
know no upsert. The ledger decides: a batch that does not begin exactly where it stands is refused, so whatever
Spark believes to have done, no record is folded twice and none is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import LiteralString

from psycopg import Error
from psycopg.errors import LockNotAvailable

from sparktrends.errors import Fenced, LogGap
from sparktrends.model import Bar, OffsetRange, PartialBar, PartitionCounts, SeriesState, Span, State
from sparktrends.store import rows
from sparktrends.store.connect import Connection, Cursor, connect, translate, translated

SeriesKey = tuple[str, str]
"""(source, symbol)"""
Place = tuple[str, int]
"""(topic, partition)"""
_LOCK_PATIENCE_S = 2
# A batch that ends long silences writes 50,000 rows a statement: seconds, but more on a busy machine. What was cut off
# would be tried again, and be as long again.
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Request:
    """The stored minutes of a series that a batch must see: some starts, and everything from ``since`` on."""

    series: int
    starts: tuple[int, ...]
    since: int


class Writer:
    """The only connection that writes bars, for one shard. Holds its locks as long as it lives: that of the shard, and
    those of the partitions that it reads.

    Raises Fenced when another writer has one of them: the sign of a second process, or of one not quite dead yet.
    """

    def __init__(
        self,
        conninfo: str,
        shard: str = "1/1",
        prepared: Sequence[LiteralString] = (),
        places: Iterable[Place] = (),
    ) -> None:
        """``prepared`` are statements for each new connection beside the writer's own: temporary tables.

        ``places`` are what the shard reads: 1/1 and 1/2 are two shards, and some partitions belong to both.
        """
        self._conninfo = conninfo
        # In order: of two writers that want the same ones, none waits for the other while that waits for it.
        self._places = sorted(places)
        self._prepared = (rows.TEMPORARY_TABLES, *prepared)
        self.shard = shard
        self._connection: Connection | None = None
        self._months: set[tuple[str, int, int]] = set()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction; commits when the block ends, leaves nothing behind when it raises.

        A connection that broke is opened anew on the next call; raises the errors of `store.connect`.
        """
        connection = self._connected()
        try:
            with translated(), connection.transaction(), connection.cursor() as cursor:
                yield Transaction(cursor, self.shard, self._months)
        except BaseException:
            # A month made in a transaction that was rolled back is not there.
            self._months.clear()
            if connection.broken:
                self.close()
            raise

    def close(self) -> None:
        """Give the lock back and close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> Connection:
        if self._connection is None:
            # The locks are the session's: whoever loses the connection has lost them, and has to win them again.
            connection = connect(
                self._conninfo, autocommit=True, timeout_s=_TIMEOUT_S, application=f"writer {self.shard}"
            )
            try:
                _take_locks(connection, self.shard, self._places)
                with translated():
                    for statement in self._prepared:
                        connection.execute(statement)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection


def _take_locks(connection: Connection, shard: str, places: Sequence[Place]) -> None:
    if not _taken(connection, "SELECT pg_advisory_lock(hashtext('shard'), hashtext(%s))", (shard,)):
        raise Fenced(f"another process writes shard {shard}", hint="stop it first; `sparktrends status` names it")
    for topic, partition in places:
        if not _taken(connection, "SELECT pg_advisory_lock(hashtext(%s), %s::integer)", (topic, partition)):
            what = f"{topic}[{partition}] is read by {_reader(connection, shard, (topic, partition))}"
            raise Fenced(what, hint="streams that run together take shares of one N, such as 1/2 and 2/2")


def _taken(connection: Connection, statement: LiteralString, key: tuple[str | int, ...]) -> bool:
    """Whether a lock was won; the server needs a moment to notice that a process before us has died."""
    try:
        with connection.transaction():
            # The transaction is for this limit alone, which ends with it; the lock is the session's and stays.
            connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{_LOCK_PATIENCE_S}s",))
            connection.execute(statement, key)
    except LockNotAvailable:
        return False
    except Error as error:
        raise translate(error) from error
    return True


def _reader(connection: Connection, shard: str, place: Place) -> str:
    """Who has a partition, by the ledger: who has only just begun does not stand there yet."""
    with translated():
        found = connection.execute(
            "SELECT shard FROM core.ledger WHERE (topic, partition) = (%s, %s)", place
        ).fetchone()
    return f"shard {found[0]}" if found and found[0] != shard else "another process"


class Transaction:
    """What can be done inside one transaction of a `Writer`, in this order."""

    def __init__(self, cursor: Cursor, shard: str, months: set[tuple[str, int, int]]) -> None:
        self.cursor = cursor
        self.shard = shard
        self._months = months

    def claim(self, ranges: Sequence[OffsetRange]) -> bool:
        """Lock the ledger of these ranges; False when all of them were committed before (a repeated batch).

        Raises LogGap when a range does not begin where the ledger stands, or belongs to another topic.
        """
        ledger = self._ledger(ranges)
        # Ranges without records end where they begin: a batch of nothing else is no repeated one.
        if all(ledger[r.topic, r.partition] == (r.topic_id, r.end) for r in ranges) and any(
            r.end > r.start for r in ranges
        ):
            return False
        for r in ranges:
            stands = ledger[r.topic, r.partition]
            if stands != (r.topic_id, r.start):
                raise LogGap(
                    f"{r.topic}[{r.partition}]: the batch begins at {r.start} of {r.topic_id}, "
                    f"the ledger stands at {stands[1]} of {stands[0]}"
                )
        return True

    def _ledger(self, ranges: Sequence[OffsetRange]) -> dict[tuple[str, int], tuple[str, int]]:
        found = self.cursor.execute(
            "SELECT topic, partition, topic_id, next_offset FROM core.ledger WHERE shard = %s "
            "ORDER BY topic, partition FOR UPDATE",
            (self.shard,),
        ).fetchall()
        ledger = {(topic, partition): (topic_id, offset) for topic, partition, topic_id, offset in found}
        missing = [f"{r.topic}[{r.partition}]" for r in ranges if (r.topic, r.partition) not in ledger]
        if missing:
            raise LogGap(f"the ledger of shard {self.shard} knows nothing of {', '.join(missing)}")
        return ledger

    def lock_series(self, keys: Iterable[SeriesKey]) -> dict[SeriesKey, SeriesState]:
        """Lock the states of these series, in order of id, and make the series that are new."""
        sources, symbols = zip(*sorted(keys), strict=True) if keys else ((), ())
        found = self._lock(sources, symbols)
        if len(found) < len(sources):
            self.cursor.execute(rows.NEW_SERIES, (list(sources), list(symbols)))
            self.cursor.execute(rows.NEW_STATES, (list(sources), list(symbols)))
            found = self._lock(sources, symbols)
        return found

    def _lock(self, sources: Sequence[str], symbols: Sequence[str]) -> dict[SeriesKey, SeriesState]:
        self.cursor.execute(rows.LOCK_STATES, (list(sources), list(symbols)))
        return {(source, symbol): SeriesState(*state) for source, symbol, *state in self.cursor.fetchall()}

    def bars(self, requests: Sequence[Request]) -> dict[int, dict[int, PartialBar]]:
        """The stored folds of each requested series by start."""
        found: dict[int, dict[int, PartialBar]] = {request.series: {} for request in requests}
        series = [r.series for r in requests for _ in r.starts]
        starts = [start for r in requests for start in r.starts]
        self.cursor.execute(rows.SELECT_BARS, (series, starts), binary=True)
        for row in self.cursor:
            found[row[0]][row[1]] = rows.partial_bar(row)
        open_since = [(r.series, r.since) for r in requests]
        self.cursor.execute(
            rows.SELECT_OPEN_BARS,
            ([series for series, _ in open_since], [since for _, since in open_since]),
            binary=True,
        )
        for row in self.cursor:
            found[row[0]][row[1]] = rows.partial_bar(row)
        return found

    def forming_longer(
        self, since: Mapping[int, int], intervals: Sequence[str]
    ) -> dict[tuple[int, str], dict[int, PartialBar]]:
        """The longer bars of each series, from a start on, that are not final, by (series, interval)."""
        found: dict[tuple[int, str], dict[int, PartialBar]] = {}
        if since:
            wanted = (list(since), list(since.values()), list(intervals))
            self.cursor.execute(rows.SELECT_LONGER_BARS, wanted, binary=True)
            for row in self.cursor:
                found.setdefault((row[0], row[-1]), {})[row[1]] = rows.partial_bar(row)
        return found

    def final_minutes(self, stretches: Sequence[tuple[int, int, int]]) -> dict[int, list[Bar]]:
        """The final minutes of series in half-open stretches (series, from, to), oldest first."""
        found: dict[int, list[Bar]] = {}
        if stretches:
            columns = [list(column) for column in zip(*stretches, strict=True)]
            self.cursor.execute(rows.SELECT_FINAL_MINUTES, columns, binary=True)
            for row in self.cursor:
                found.setdefault(row[0], []).append(Bar(rows.partial_bar(row), State(row[-2]), row[-1]))
        return found

    def spans(self, needed: Mapping[int, tuple[int, int]]) -> dict[int, list[Span]]:
        """The spans of each series that touch the stretch of time given with it."""
        found: dict[int, list[Span]] = {series: [] for series in needed}
        if needed:
            self.cursor.execute(
                rows.SELECT_SPANS, (list(needed), [a for a, _ in needed.values()], [b for _, b in needed.values()])
            )
            for series, start, end, reason in self.cursor.fetchall():
                found[series].append(Span(start, end, reason))
        return found

    def advance_ledger(self, ranges: Sequence[OffsetRange], counts: Sequence[PartitionCounts]) -> None:
        """Move the ledger to the end of these ranges and add what became of their records."""
        by_partition = {(c.topic, c.partition): c for c in counts}
        for r in ranges:
            c = by_partition.get((r.topic, r.partition), PartitionCounts(r.topic, r.partition))
            self.cursor.execute(
                rows.ADVANCE_LEDGER,
                (r.end, c.records, c.trades, c.prices, c.heartbeats, c.bars, c.late, c.quarantined, c.newest or None)
                + (r.topic, r.partition),
            )

    def ensure_months(self, table: str, starts: Iterable[int]) -> None:
        """Make the monthly partitions of ``core.<table>`` that these starts (microseconds) need."""
        for year, month in {rows.month_of(start) for start in starts}:
            if (table, year, month) not in self._months:
                self.cursor.execute("SELECT core.ensure_month(%s, make_date(%s, %s, 1))", (table, year, month))
                self._months.add((table, year, month))

    def next_commit(self) -> int:
        """The number of this commit of the shard: each one more than the last."""
        self.cursor.execute(rows.NEXT_COMMIT, (self.shard,))
        row = self.cursor.fetchone()
        assert row is not None
        return int(row[0])
