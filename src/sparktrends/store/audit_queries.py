"""What the audit reads: everything stored of the log, streamed in the order of the log or of time.

Bars and states are read in one snapshot. Late trades and refused records can be read outside of it too: they lie by
offset, and where nothing is stored anew of the offsets that were read (`Snapshot.stored_of`) they are the snapshot's.

Prices and sums come as `Decimal` in units of 10**-18 (turnover 10**-36), times as microseconds UTC, so that the
audit compares with integers and nothing is rounded. A value with more digits than it may have stays a fraction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, LiteralString, NamedTuple

import psycopg

from sparktrends.store.connect import Connection, connect, translated

_ITEMS = 20_000
FIRST, LAST = -(1 << 63), (1 << 63) - 1
"""From the first offset that a row can have, and to the last."""
_TIMEOUT_S = 600.0

Row = tuple[Any, ...]

BAR_COLUMNS = (
    *("open", "high", "low", "close", "volume", "turnover", "vwap", "trades", "after_final", "statuses"),
    *("state", "reason", "open_ts", "open_partition", "open_offset", "close_ts", "close_partition", "close_offset"),
)
PROVIDER_COLUMNS = (
    *("open", "high", "low", "close", "volume", "turnover", "trades", "closed"),
    *("arrival", "log_partition", "log_offset"),
)
LATE_COLUMNS = ("source", "symbol", "ts", "arrival", "appended", "price", "size", "trade_id", "conditions")
QUARANTINE_COLUMNS = ("appended", "size", "sha256", "sha256 of payload")

# Nothing is rounded: 1e18 is a numeric constant in PostgreSQL, and numeric times numeric is exact.
_BARS = """
SELECT series, (extract(epoch FROM start) * 1000000)::bigint, open * 1e18, high * 1e18, low * 1e18, close * 1e18,
    volume * 1e18, turnover * 1e36, vwap * 1e18, trades, after_final, statuses, state, reason,
    open_ts, open_partition, open_offset, close_ts, close_partition, close_offset
FROM core.bars WHERE interval = %s AND start >= coalesce(core.at(%s), '-infinity') ORDER BY series, start
"""
# Bytewise, as Python orders the keys that these rows are merged with.
_PROVIDER_BARS = """
SELECT series, interval, (extract(epoch FROM start) * 1000000)::bigint, adjustment, open * 1e18, high * 1e18,
    low * 1e18, close * 1e18, volume * 1e18, turnover * 1e36, trades, closed, arrival, log_partition, log_offset
FROM core.provider_bars WHERE start >= coalesce(core.at(%s), '-infinity')
ORDER BY series, interval COLLATE "C", start, adjustment COLLATE "C"
"""
# Series by series: a statement for all would be ended where the table holds years.
_BARS_BEFORE = """
SELECT s.id, b.count, (extract(epoch FROM b.newest) * 1000000)::bigint FROM core.series s CROSS JOIN LATERAL (
    SELECT count(*), max(start) AS newest FROM core.bars
    WHERE series = s.id AND interval = %s AND start < core.at(%s)) b WHERE b.count > 0
"""
_PROVIDER_BARS_BEFORE = """
SELECT s.id, b.count FROM core.series s CROSS JOIN LATERAL (
    SELECT count(*) FROM core.provider_bars WHERE series = s.id AND start < core.at(%s)) b WHERE b.count > 0
"""
_LATE = """
SELECT l.log_offset, s.source, s.symbol, l.ts, l.arrival, l.appended, l.price * 1e18, l.size * 1e18, l.trade_id,
    l.conditions, l.folded_at IS NOT NULL
FROM core.late_trades l JOIN core.series s ON s.id = l.series
WHERE l.topic = %s AND l.topic_id = %s AND l.partition = %s AND l.log_offset >= %s AND l.log_offset < %s
ORDER BY l.log_offset LIMIT %s
"""
_QUARANTINE = """
SELECT log_offset, appended, size, sha256, sha256(payload) FROM core.quarantine
WHERE topic = %s AND topic_id = %s AND partition = %s AND log_offset >= %s AND log_offset < %s
ORDER BY log_offset LIMIT %s
"""
# None of these numbers ever falls and comes back to what it was: equal numbers are the same rows.
_STORED_OF = """
WITH place (topic, topic_id, partition, until) AS (VALUES (%s::text, %s::text, %s::integer, %s::bigint))
SELECT late, folded, refused, removed FROM place p,
LATERAL (SELECT count(*) AS late, count(folded_at) AS folded FROM core.late_trades r WHERE r.topic = p.topic
    AND r.topic_id = p.topic_id AND r.partition = p.partition AND r.log_offset < p.until) late_trades,
LATERAL (SELECT count(*) AS refused FROM core.quarantine r WHERE r.topic = p.topic
    AND r.topic_id = p.topic_id AND r.partition = p.partition AND r.log_offset < p.until) quarantine,
LATERAL (SELECT count(*) AS removed FROM core.repeats r WHERE r.topic = p.topic
    AND r.topic_id = p.topic_id AND r.partition = p.partition AND r.log_offset < p.until) repeats
"""
# The server may have limits for others, and what is read takes as long as it takes. Not every server knows all of them.
_NO_LIMITS = """
SELECT set_config(name, '0', false) FROM pg_settings
WHERE name IN ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')
"""
_STRAYS = """
SELECT kind, topic, topic_id, partition, restored, count(*) FROM (
    SELECT kind, topic, topic_id, partition, EXISTS (SELECT FROM core.restored a WHERE a.table_name = r.table_name
        AND a.month = date_trunc('month', core.at(r.appended) AT TIME ZONE 'UTC')::date) AS restored
    FROM (SELECT 'late trade' AS kind, 'late_trades' AS table_name, topic, topic_id, partition, appended
            FROM core.late_trades
        UNION ALL SELECT 'quarantine', 'quarantine', topic, topic_id, partition, appended FROM core.quarantine) AS r
    WHERE NOT EXISTS (SELECT FROM core.ledger l
        WHERE l.topic = r.topic AND l.topic_id = r.topic_id AND l.partition = r.partition)) AS strays
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
"""


class LedgerRow(NamedTuple):
    """One partition: where its records begin and end, what became of them, when the last ones were appended."""

    topic: str
    partition: int
    topic_id: str
    first_offset: int
    next_offset: int
    records: int
    trades: int
    prices: int
    heartbeats: int
    bars: int
    late: int
    quarantined: int
    appended: int | None


class GapRow(NamedTuple):
    """A part of the log that a person accepted as lost."""

    topic: str
    partition: int
    topic_id: str
    from_offset: int
    to_offset: int


class StateRow(NamedTuple):
    """A series, and where it stands; None where it has no state."""

    id: int
    source: str
    symbol: str
    clock: int | None
    first_minute: int | None
    last_minute: int | None


class SpanRow(NamedTuple):
    """A stored span without rows, microseconds."""

    series: int
    start: int
    end: int
    reason: str


class AuditDatabase:
    """Opens what is stored. ``conninfo`` must be of a role that reads the schema ``core``."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Everything as it was at one moment, whatever is written meanwhile; raises the errors of `store.connect`."""
        with self._connected() as connection:
            connection.autocommit = False
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield Snapshot(connection)

    @contextmanager
    def set_aside(self) -> Iterator[SetAside]:
        """Late trades and refused records as they are when each portion is read; holds no snapshot between portions."""
        with self._connected() as connection:
            yield SetAside(connection)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        connection = connect(self._conninfo, autocommit=True, timeout_s=_TIMEOUT_S, application="audit")
        try:
            with translated():
                connection.execute(_NO_LIMITS)
            yield connection
        finally:
            connection.close()


class SetAside:
    """The records of the log that are rows of their own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def late_trades(self, place: LedgerRow, since: int = FIRST, until: int = LAST) -> Iterator[Row]:
        """(offset, LATE_COLUMNS …, folded) of one partition by offset, of offsets in [since, until)."""
        return self._portions(_LATE, place, since, until)

    def quarantine(self, place: LedgerRow, since: int = FIRST, until: int = LAST) -> Iterator[Row]:
        """(offset, QUARANTINE_COLUMNS …) of one partition by offset, of offsets in [since, until)."""
        return self._portions(_QUARANTINE, place, since, until)

    def _portions(self, sql: LiteralString, place: LedgerRow, since: int, until: int) -> Iterator[Row]:
        rows: list[Row] | None = None
        while rows is None or len(rows) == _ITEMS:
            values = (place.topic, place.topic_id, place.partition, since, until, _ITEMS)
            with translated():
                rows = self._connection.execute(sql, values, binary=True).fetchall()
            yield from rows
            since = rows[-1][0] + 1 if rows else until

    def _all(self, sql: LiteralString, values: Sequence[Any] = ()) -> list[Row]:
        with translated():
            return self._connection.execute(sql, values or None).fetchall()


class Snapshot(SetAside):
    """One repeatable-read transaction. The first call fixes the moment."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._cursors = 0

    def ledger(self) -> list[LedgerRow]:
        """All partitions that bars are made of, in order; loaders of other topics have ledger rows of their own."""
        found = self._all(
            "SELECT topic, partition, topic_id, first_offset, next_offset, records, trades, prices, heartbeats, bars, "
            "late, quarantined, (extract(epoch FROM appended_at) * 1000000)::bigint "
            "FROM core.ledger WHERE topic IN ('raw.trades', 'raw.bars') ORDER BY topic, partition"
        )
        return [LedgerRow(*row) for row in found]

    def accepted_gaps(self) -> list[GapRow]:
        """Every gap that was accepted, in order."""
        found = self._all(
            "SELECT topic, partition, topic_id, from_offset, to_offset FROM core.log_gaps ORDER BY 1, 2, 3, 4"
        )
        return [GapRow(*row) for row in found]

    def states(self) -> list[StateRow]:
        """Every series, by id."""
        found = self._all(
            "SELECT s.id, s.source, s.symbol, t.clock, t.first_minute, t.last_minute "
            "FROM core.series s LEFT JOIN core.series_state t ON t.series = s.id ORDER BY s.id"
        )
        return [StateRow(*row) for row in found]

    def spans(self) -> list[SpanRow]:
        """Every span, by series and start."""
        found = self._all(
            "SELECT series, (extract(epoch FROM from_at) * 1000000)::bigint, "
            "(extract(epoch FROM to_at) * 1000000)::bigint, reason FROM core.gaps ORDER BY 1, 2, 4"
        )
        return [SpanRow(*row) for row in found]

    def strays(self) -> list[tuple[str, str, str, int, bool, int]]:
        """Late trades and quarantined records of partitions the ledger does not know: kind, place, whether rows of
        their month came out of an archive, how many."""
        return self._all(_STRAYS)

    def repeats(self) -> set[tuple[str, int, int]]:
        """(topic, partition, offset) of the records that repair left out because they repeat an id."""
        found = self._all(
            "SELECT r.topic, r.partition, r.log_offset FROM core.repeats r JOIN core.ledger l "
            "ON l.topic = r.topic AND l.partition = r.partition AND l.topic_id = r.topic_id"
        )
        return {(topic, partition, offset) for topic, partition, offset in found}

    def archived(self) -> set[tuple[str, str, date]]:
        """(table, interval, first day of the month) of what retention took out and nobody put back."""
        found = self._all("SELECT table_name, interval, month FROM core.archived")
        return {(table, interval, month) for table, interval, month in found}

    def restored(self) -> set[tuple[str, str, date]]:
        """(table, interval, first day of the month) of what has rows that came out of an archive."""
        found = self._all("SELECT table_name, interval, month FROM core.restored")
        return {(table, interval, month) for table, interval, month in found}

    def stored_of(self, place: LedgerRow) -> Row:
        """What is stored of one partition's records before the ledger row's end: how many late trades, of them folded
        by repair, refused records, and repeats that repair left out."""
        (found,) = self._all(_STORED_OF, (place.topic, place.topic_id, place.partition, place.next_offset))
        return found

    def bars(self, interval: str, since: int | None) -> Iterator[Row]:
        """(series, start, BAR_COLUMNS …) of the stored bars of an interval that begin at ``since`` (None: all of them)
        or later, by series and start."""
        return self._streamed(_BARS, (interval, since))

    def provider_bars(self, since: int | None) -> Iterator[Row]:
        """(series, interval, start, adjustment, PROVIDER_COLUMNS …) of those that begin at ``since`` (None: all of
        them) or later, by these four (bytewise)."""
        return self._streamed(_PROVIDER_BARS, (since,))

    def bars_before(self, interval: str, until: int) -> Iterator[Row]:
        """(series, how many, start of the newest) of the bars of an interval that begin before ``until``."""
        return self._streamed(_BARS_BEFORE, (interval, until), portion=1)

    def provider_bars_before(self, until: int) -> Iterator[Row]:
        """(series, how many) of the provider bars that begin before ``until``."""
        return self._streamed(_PROVIDER_BARS_BEFORE, (until,), portion=1)

    def _streamed(self, sql: LiteralString, values: Sequence[Any], portion: int = _ITEMS) -> Iterator[Row]:
        """Rows in portions: millions of them need no more memory than thousands. Each portion may take `_TIMEOUT_S`."""
        self._cursors += 1
        with translated(), self._connection.cursor(name=f"audit_{self._cursors}") as cursor:
            cursor.itersize = portion
            cursor.execute(sql, values, binary=True)
            yield from cursor
