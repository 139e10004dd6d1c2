"""Readers that must miss no change: what comes next for each, how far it has come, and what nobody needs any more.

A reader's cursor names the last commit of a shard that it has dealt with. It moves when the reader says so, so what
comes after it is read again after an accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sparktrends.store.connect import Cursor

_COMMITS = 500


@dataclass(frozen=True, slots=True)
class Page:
    """Some commits of a shard after a cursor, up to ``last``: each changed bar (series, interval, start in µs) and
    each changed signal once."""

    shard: str
    last: int
    bars: tuple[tuple[int, str, int], ...]
    signals: tuple[str, ...]


def shards_followed(cursor: Cursor, own: str) -> list[str]:
    """The shards whose changes the process of shard ``own`` (``k/n``) deals with: its own, and the first of a layout
    also those that no process of this layout writes (repair, backfill, what an older layout left)."""
    part, parts = own.split("/")
    if part != "1":
        return [own]
    cursor.execute("SELECT shard FROM core.shards WHERE shard NOT LIKE %s ORDER BY shard", (f"%/{parts}",))
    return [own, *(str(row[0]) for row in cursor.fetchall())]


def next_page(cursor: Cursor, reader: str, shard: str, keys: int) -> Page | None:
    """The next commits for a reader, with about ``keys`` changes at most (but a whole commit); None when it is at
    the end."""
    cursor.execute(_NEXT, {"reader": reader, "shard": shard, "keys": keys, "commits": _COMMITS})
    found = cursor.fetchall()
    if not found:
        return None
    changed = (zip(series, intervals, starts, strict=True) for _, series, intervals, starts, _ in found)
    bars = dict.fromkeys(chain.from_iterable(changed))
    signals = dict.fromkeys(chain.from_iterable(names for *_, names in found))
    return Page(shard, found[-1][0], tuple(bars), tuple(signals))


_NEXT = """
WITH c AS (
    SELECT c.*, sum(cardinality(c.series) + cardinality(c.signals)) OVER (ORDER BY c.commit) AS keys
    FROM core.changes c WHERE c.shard = %(shard)s AND c.commit > coalesce(
        (SELECT k.commit FROM core.cursors k WHERE k.reader = %(reader)s AND k.shard = %(shard)s), 0)
    ORDER BY c.commit LIMIT %(commits)s)
SELECT commit, series, intervals, starts, signals FROM c
WHERE keys <= %(keys)s OR commit = (SELECT min(commit) FROM c) ORDER BY commit
"""


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


def move_cursor(cursor: Cursor, reader: str, page: Page) -> None:
    """Say that a reader has dealt with a page. A cursor never goes back."""
    cursor.execute(
        "INSERT INTO core.cursors AS k (reader, shard, commit) VALUES (%s, %s, %s) "
        "ON CONFLICT (reader, shard) DO UPDATE SET commit = greatest(k.commit, excluded.commit)",
        (reader, page.shard, page.last),
    )


def prune(cursor: Cursor, shards: Sequence[str], older_than: int) -> int:
    """Delete changes of these shards from before ``older_than`` (µs UTC) that every reader with a cursor there has
    dealt with; returns how many."""
    cursor.execute(
        "DELETE FROM core.changes c WHERE c.shard = ANY(%s) AND c.at < core.at(%s) AND c.commit <= "
        "coalesce((SELECT min(k.commit) FROM core.cursors k WHERE k.shard = c.shard), c.commit)",
        (list(shards), older_than),
    )
    return cursor.rowcount
