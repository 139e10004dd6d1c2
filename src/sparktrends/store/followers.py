"""Readers that must miss no change: what comes next for each, how far it has come, and what nobody needs any more.

A reader's cursor names the last commit of a shard that it has dealt with. It moves when the reader says so, so what
comes after it is read again after an accident. Changes are not kept for ever for a reader that stays away: it is told
that it `Missed` some, and reads in the tables what was changed since then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sparktrends.model import DAY, HOUR
from sparktrends.store.connect import Cursor

READ_FOR, WAITED_FOR = HOUR, DAY
"""How long (µs) changes are kept that every reader with a cursor has dealt with, and those that one has not."""
_COMMITS = 500
_CLOCKS = HOUR
"""Rows are dated by the database's clock while they are written, commits by the writer's: so far apart (µs) they may
be."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some commits of a shard after a cursor, up to ``last``, made at ``at`` (µs UTC): each changed bar (series,
    interval, start in µs) and each changed signal once."""

    shard: str
    last: int
    at: int
    bars: tuple[tuple[int, str, int], ...]
    signals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Missed:
    """Commits of a shard after a cursor, up to ``last``, that are kept no longer: what they changed stands in the
    tables, dated ``since`` (µs UTC) or later. To be dealt with at ``at``, as a page is at its own time."""

    shard: str
    last: int
    at: int
    since: int


@dataclass(frozen=True, slots=True)
class Away:
    """A reader that has not dealt with a shard's commits since ``since`` (µs UTC): so many ``commits`` by now."""

    reader: str
    shard: str
    since: int
    commits: int

    def words(self, now: int) -> str:
        """What is wrong, in a sentence."""
        ago = f"for {(now - self.since) // HOUR} h" if self.since else "yet"
        return f"reader {self.reader} has not followed shard {self.shard} {ago} ({self.commits:,} commits wait)"


def shards_followed(cursor: Cursor, own: str) -> list[str]:
    """The shards whose changes the process of shard ``own`` (``k/n``) deals with: its own, and the first of a layout
    also those that no process of this layout writes (repair, backfill, what an older layout left)."""
    part, parts = own.split("/")
    if part != "1":
        return [own]
    cursor.execute("SELECT shard FROM core.shards WHERE shard NOT LIKE %s ORDER BY shard", (f"%/{parts}",))
    return [own, *(str(row[0]) for row in cursor.fetchall())]


def next_page(cursor: Cursor, reader: str, shard: str, keys: int) -> Page | Missed | None:
    """The next commits for a reader, with about ``keys`` changes at most (but a whole commit); None when it is at
    the end. A reader without a cursor begins with what is kept."""
    cursor.execute(_NEXT, {"reader": reader, "shard": shard, "keys": keys, "commits": _COMMITS})
    found = cursor.fetchall()
    if not found:
        return _missed_all(cursor, reader, shard)
    first, (known, since) = found[0][2], found[0][:2]
    # Commits of a shard are numbered without a hole.
    if known is not None and first != known + 1:
        return Missed(shard, first - 1, found[0][3], since - _CLOCKS)
    changed = (zip(series, intervals, starts, strict=True) for *_, series, intervals, starts, _ in found)
    bars = dict.fromkeys(chain.from_iterable(changed))
    signals = dict.fromkeys(chain.from_iterable(names for *_, names in found))
    return Page(shard, found[-1][2], found[-1][3], tuple(bars), tuple(signals))


def _missed_all(cursor: Cursor, reader: str, shard: str) -> Missed | None:
    """What a reader missed of a shard of which no commit behind its cursor is kept."""
    cursor.execute(_BEHIND, {"reader": reader, "shard": shard})
    found = cursor.fetchone()
    return None if found is None else Missed(shard, found[0], found[1], found[2] - _CLOCKS)


_MICROS = "(extract(epoch FROM {}) * 1000000)::bigint"
_NEXT = f"""
WITH k AS (SELECT k.commit, k.at FROM core.cursors k WHERE k.reader = %(reader)s AND k.shard = %(shard)s), c AS (
    SELECT c.*, sum(cardinality(c.series) + cardinality(c.signals)) OVER (ORDER BY c.commit) AS keys
    FROM core.changes c WHERE c.shard = %(shard)s AND c.commit > coalesce((SELECT k.commit FROM k), 0)
    ORDER BY c.commit LIMIT %(commits)s)
SELECT (SELECT k.commit FROM k) AS known, (SELECT {_MICROS.format("k.at")} FROM k) AS since, c.commit,
    {_MICROS.format("c.at")}, c.series, c.intervals, c.starts, c.signals
FROM c WHERE c.keys <= %(keys)s OR c.commit = (SELECT min(f.commit) FROM c f) ORDER BY c.commit
"""  # noqa: S608 - only our own words
_BEHIND = f"""
SELECT h.commit, {_MICROS.format("h.updated_at")}, {_MICROS.format("k.at")}
FROM core.cursors k JOIN core.shards h ON h.shard = k.shard
WHERE k.reader = %(reader)s AND k.shard = %(shard)s AND h.commit > k.commit
  AND NOT EXISTS (SELECT FROM core.changes c WHERE c.shard = k.shard AND c.commit > k.commit)
"""  # noqa: S608 - only our own words


def changed_bars(cursor: Cursor, series: int, since: int) -> tuple[tuple[int, str, int], ...]:
    """The bars of a series (series, interval, start in µs) whose rows are dated ``since`` (µs UTC) or later."""
    cursor.execute(_CHANGED, {"series": series, "since": since})
    return tuple((series, interval, start) for interval, start in cursor)


def changed_signals(cursor: Cursor, series: int, first: int) -> tuple[str, ...]:
    """The signals of a series at ``first`` (µs UTC) or later, retracted ones too: a bar that changed may have changed
    each of them, and they are not dated."""
    words = "SELECT id FROM core.signals WHERE series = %s AND start >= core.at(%s) ORDER BY start, id"
    cursor.execute(words, (series, first))
    return tuple(str(row[0]) for row in cursor)


_CHANGED = f"""
SELECT interval, {_MICROS.format("start")} FROM market.bars
WHERE series = %(series)s AND updated_at >= core.at(%(since)s) ORDER BY interval, start
"""  # noqa: S608 - only our own words


def signals_with_revision(cursor: Cursor, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of `market.signals` with these ids, and ``revision``: that of the bar each one is about."""
    if not ids:
        return []
    cursor.execute(
        "SELECT g.id, s.source, s.symbol, g.interval, g.start, g.kind, g.name, g.direction, g.score, g.severity, "
        "g.detail, g.detected_at, g.retracted_at, coalesce(b.after_final, 0) AS revision "
        "FROM core.signals g JOIN core.series s ON s.id = g.series "
        "LEFT JOIN core.bars b ON b.series = g.series AND b.interval = g.interval AND b.start = g.start "
        "WHERE g.id = ANY(%s) ORDER BY g.start, g.id",
        (list(ids),),
    )
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def begin(cursor: Cursor, reader: str, shards: Sequence[str]) -> None:
    """Give a reader a cursor before the first commit of these shards where it has none: what it has not read is kept
    for it from now on."""
    cursor.execute(
        "INSERT INTO core.cursors (reader, shard, commit) SELECT %s, unnest(%s::text[]), 0 ON CONFLICT DO NOTHING",
        (reader, list(shards)),
    )


def move_cursor(cursor: Cursor, reader: str, done: Page | Missed) -> None:
    """Say that a reader has dealt with a page, or with what it missed. A cursor never goes back."""
    cursor.execute(
        "INSERT INTO core.cursors AS k (reader, shard, commit, at) VALUES (%s, %s, %s, core.at(%s)) "
        "ON CONFLICT (reader, shard) DO UPDATE SET commit = excluded.commit, at = excluded.at "
        "WHERE k.commit < excluded.commit",
        (reader, done.shard, done.last, done.at),
    )


def prune(cursor: Cursor, shards: Sequence[str], now: int) -> int:
    """Delete the changes of these shards that are older at ``now`` (µs UTC) than `READ_FOR` and dealt with by every
    reader with a cursor there, and all that are older than `WAITED_FOR`; returns how many."""
    words = {"shards": list(shards), "read": now - READ_FOR, "waited": now - WAITED_FOR}
    cursor.execute(_PRUNE, words)
    return cursor.rowcount


# Up to a commit, never by time alone: a clock that was set back would leave a hole that no reader sees.
_PRUNE = """
DELETE FROM core.changes c USING (
    SELECT s.shard,
        (SELECT max(w.commit) FROM core.changes w WHERE w.shard = s.shard AND w.at < core.at(%(waited)s)) AS waited,
        (SELECT max(r.commit) FROM core.changes r WHERE r.shard = s.shard AND r.at < core.at(%(read)s)) AS read,
        (SELECT min(k.commit) FROM core.cursors k WHERE k.shard = s.shard) AS dealt
    FROM unnest(%(shards)s::text[]) AS s(shard)) AS g
WHERE c.shard = g.shard AND (c.commit <= g.waited OR c.commit <= g.read AND c.commit <= coalesce(g.dealt, c.commit))
"""


def away(cursor: Cursor, before: int) -> list[Away]:
    """The readers that have not dealt with commits from before ``before`` (µs UTC)."""
    cursor.execute(_AWAY, {"before": before})
    return [Away(*row) for row in cursor]


# Since its oldest commit that waits; where that is kept no longer, since the last that was dealt with.
_AWAY = f"""
SELECT k.reader, k.shard, {_MICROS.format("w.since")}, h.commit - k.commit
FROM core.cursors k JOIN core.shards h ON h.shard = k.shard
LEFT JOIN LATERAL (SELECT c.commit, c.at FROM core.changes c WHERE c.shard = k.shard AND c.commit > k.commit
    ORDER BY c.commit LIMIT 1) f ON true
CROSS JOIN LATERAL (SELECT CASE WHEN f.commit = k.commit + 1 THEN f.at ELSE k.at END AS since) w
WHERE h.commit > k.commit AND w.since < core.at(%(before)s) ORDER BY k.reader, k.shard
"""  # noqa: S608 - only our own words
