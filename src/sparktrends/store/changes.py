"""What commits changed, as a reader follows it: positions, pages of changes, and a connection that is told of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparktrends.store.connect import Connection, Cursor, connect, translated
from sparktrends.store.save import CHANNEL

Heads = Mapping[str, int]
"""Shard → number of a commit."""


@dataclass(frozen=True, slots=True)
class Change:
    """One commit of one shard: keys of the bars (series, interval, start in µs) and ids of signals that changed."""

    shard: str
    commit: int
    at: int
    bars: tuple[tuple[int, str, int], ...]
    signals: tuple[str, ...]


def heads(cursor: Cursor) -> dict[str, int]:
    """The newest commit of every shard."""
    cursor.execute("SELECT shard, commit FROM market.shards ORDER BY shard")
    return {shard: int(commit) for shard, commit in cursor}


def series_names(cursor: Cursor) -> dict[int, tuple[str, str]]:
    """(source, symbol) of every series, by its key."""
    cursor.execute("SELECT series, source, symbol FROM market.series")
    return {series: (source, symbol) for series, source, symbol in cursor}


def changes_after(cursor: Cursor, known: Heads, limit: int = 50) -> list[Change]:
    """Commits behind ``known`` (a shard it lacks: from the first), at most ``limit`` a shard, in the order of time.

    Within a shard they come in their order, each one more than the last; a step wider than one means that older
    ones are kept no longer.
    """
    return heads_and_changes(cursor, known, limit)[1]


def heads_and_changes(cursor: Cursor, known: Heads, limit: int = 50) -> tuple[dict[str, int], list[Change]]:
    """`heads` and `changes_after` in one question, of one moment."""
    cursor.execute(_AFTER, {"shards": list(known), "commits": list(known.values()), "limit": limit})
    found, changes = dict[str, int](), list[Change]()
    for shard, head, commit, at, series, intervals, starts, signals in cursor:
        found[shard] = int(head)
        if commit is not None:
            bars = tuple(zip(series, intervals, starts, strict=True))
            changes.append(Change(shard, commit, at, bars, tuple(signals)))
    return found, changes


_AFTER = """
SELECT h.shard, h.commit, c.commit, (extract(epoch FROM c.at) * 1000000)::bigint, c.series, c.intervals, c.starts,
    c.signals
FROM market.shards h
LEFT JOIN unnest(%(shards)s::text[], %(commits)s::bigint[]) AS k(shard, commit) ON k.shard = h.shard
LEFT JOIN LATERAL (
    SELECT * FROM market.changes c WHERE c.shard = h.shard AND c.commit > coalesce(k.commit, 0)
    ORDER BY c.commit LIMIT %(limit)s) c ON true
ORDER BY c.at, h.shard, c.commit
"""


def bars_at(cursor: Cursor, keys: Sequence[tuple[int, str, int]]) -> list[dict[str, Any]]:
    """The bars at these keys as they show now: an event tells the newest state of its key."""
    if not keys:
        return []
    series, intervals, starts = zip(*keys, strict=True)
    cursor.execute(_BARS, {"series": list(series), "intervals": list(intervals), "starts": list(starts)})
    return _rows(cursor)


_BARS = """
SELECT b.source, b.symbol, b.interval, b.start, trim_scale(b.open)::text AS open, trim_scale(b.high)::text AS high,
    trim_scale(b.low)::text AS low, trim_scale(b.close)::text AS close, trim_scale(b.volume)::text AS volume,
    trim_scale(b.turnover)::text AS turnover, trim_scale(b.vwap)::text AS vwap, b.trades, b.state, b.revision,
    b.reason, b.origin, b.updated_at
FROM unnest(%(series)s::integer[], %(intervals)s::text[], %(starts)s::bigint[]) AS k(series, interval, start)
CROSS JOIN LATERAL (
    SELECT * FROM market.bars v WHERE v.series = k.series AND v.interval = k.interval
      AND v.start = timestamptz '1970-01-01 00:00:00+00' + k.start * interval '1 microsecond') b
"""


def signals_of(cursor: Cursor, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The signals with these ids, retracted ones too; ``detail`` as JSON text."""
    if not ids:
        return []
    cursor.execute(
        "SELECT id, source, symbol, interval, start, kind, name, direction, score, severity, detail::text, "
        "detected_at, retracted_at FROM market.signals WHERE id = ANY(%s) ORDER BY start, id",
        (list(ids),),
    )
    return _rows(cursor)


def _rows(cursor: Cursor) -> list[dict[str, Any]]:
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


class Ear:
    """A connection that hears of commits; made anew after each error. One thread uses it."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: Connection | None = None

    def wait(self, timeout_s: float) -> None:
        """Return when somebody has committed, or when the time is over; raises Unavailable.

        Nothing is lost between calls: what was told meanwhile ends the next wait at once.
        """
        connection = self._connected()
        with translated():
            for _ in connection.notifies(timeout=timeout_s, stop_after=1):
                pass

    def close(self) -> None:
        """Close the connection; the next wait opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            # Autocommit: inside a transaction PostgreSQL tells a session nothing.
            self._connection = connect(self._conninfo, autocommit=True, application="ear")
            with translated():
                self._connection.execute(f'LISTEN "{CHANNEL}"'.encode())
        return self._connection
