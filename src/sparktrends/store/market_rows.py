"""What the second step reads and writes: moves of all series of a market at a minute, and what was found there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from sparktrends.model import MINUTE
from sparktrends.store.connect import Cursor

_LOCK = 0x53_54_4D_4D  # one step at a time, whoever takes it


class Moved(NamedTuple):
    """The metrics of a final, warm bar."""

    series: int
    log_return: float
    volatility: float


def take_turn(cursor: Cursor) -> None:
    """Wait until nobody else steps; until the transaction ends nobody else does."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


def all_shards(cursor: Cursor) -> list[str]:
    """Every shard that has ever committed."""
    cursor.execute("SELECT shard FROM core.shards ORDER BY shard")
    return [str(row[0]) for row in cursor.fetchall()]


def all_series(cursor: Cursor) -> dict[int, tuple[str, str]]:
    """Source and symbol of every series, by id."""
    cursor.execute("SELECT id, source, symbol FROM core.series")
    return {series: (source, symbol) for series, source, symbol in cursor.fetchall()}


def newest(cursor: Cursor, series: Sequence[int]) -> int:
    """The newest minute (µs UTC) in which one of these series was heard of; 0 when none ever was."""
    cursor.execute("SELECT max(last_minute) FROM core.series_state WHERE series = ANY(%s)", (list(series),))
    (row,) = cursor.fetchall()
    return int(row[0] or 0)


def moves(cursor: Cursor, series: Sequence[int], since: int, until: int) -> Iterator[tuple[int, list[Moved]]]:
    """Minute by minute (µs UTC) in [since, until), the moves of these series."""
    cursor.execute(_MOVES, {"series": list(series), "since": since, "until": until})
    for start, found in groupby(cursor, key=lambda row: row[0]):
        yield start, [Moved(*row[1:]) for row in found]


def replace(
    cursor: Cursor,
    market: tuple[str, str],
    since: int,
    until: int,
    together: Sequence[Mapping[str, Any]],
    alone: Sequence[Mapping[str, Any]],
    now: int,
) -> tuple[list[int], list[int]]:
    """Make these the findings of a market (source, exchange) in [since, until), µs UTC; the starts of market moves that
    are new, and of those that are no more. What is found again stays as it is."""
    words = {"source": market[0], "exchange": market[1], "since": since, "until": until, "now": now}
    cursor.execute(_GONE_TOGETHER, {**words, "starts": [row["start"] for row in together]})
    gone = [int(start) for (start,) in cursor.fetchall()]
    keys = [(row["series"], row["start"]) for row in alone]
    cursor.execute(_GONE_ALONE, {**words, "series": [k[0] for k in keys], "starts": [k[1] for k in keys]})
    cursor.execute(_TOGETHER, {**words, "rows": json.dumps(list(together))})
    new = [int(start) for start, made in cursor.fetchall() if made]
    cursor.execute(_ALONE, {**words, "rows": json.dumps(list(alone))})
    return new, gone


def end_alerts(cursor: Cursor, rule: str, subject: str, since: int, until: int, calm: Sequence[int]) -> None:
    """The alerts of a market that last at ``since`` or later are over at the end of the first ``calm`` minute after
    theirs; those without one in [since, until) last on (µs UTC)."""
    words = {"rule": rule, "subject": subject, "since": since, "until": until, "calm": list(calm), "length": MINUTE}
    cursor.execute(_END, words)


_END = """
WITH lasting AS (
    SELECT id, (
        SELECT core.at(min(c) + %(length)s) FROM unnest(%(calm)s::bigint[]) AS c WHERE core.at(c) > start) AS until
    FROM core.alerts
    WHERE rule = %(rule)s AND subject = %(subject)s AND status IN ('firing', 'resolved')
      AND start < core.at(%(until)s) AND (resolved_at IS NULL OR resolved_at > core.at(%(since)s))
)
UPDATE core.alerts a SET status = CASE WHEN l.until IS NULL THEN 'firing' ELSE 'resolved' END, resolved_at = l.until
FROM lasting l WHERE a.id = l.id AND a.resolved_at IS DISTINCT FROM l.until
"""
_MOVES = """
SELECT (extract(epoch FROM m.start) * 1000000)::bigint, m.series, m.log_return, m.volatility_ewma
FROM core.metrics m
WHERE m.series = ANY(%(series)s) AND m.interval = '1m' AND m.start >= core.at(%(since)s)
  AND m.start < core.at(%(until)s) AND m.final AND m.warm
  AND m.log_return IS NOT NULL AND m.volatility_ewma IS NOT NULL
ORDER BY m.start, m.series
"""
_GONE_TOGETHER = """
DELETE FROM core.market_moves WHERE source = %(source)s AND exchange = %(exchange)s
  AND start >= core.at(%(since)s) AND start < core.at(%(until)s)
  AND (extract(epoch FROM start) * 1000000)::bigint <> ALL(%(starts)s)
RETURNING (extract(epoch FROM start) * 1000000)::bigint
"""
_GONE_ALONE = """
DELETE FROM core.peer_moves p WHERE source = %(source)s AND exchange = %(exchange)s
  AND start >= core.at(%(since)s) AND start < core.at(%(until)s)
  AND NOT EXISTS (SELECT FROM unnest(%(series)s::integer[], %(starts)s::bigint[]) AS k(series, start)
    WHERE k.series = p.series AND core.at(k.start) = p.start)
"""
# xmax = 0 says that a row was inserted, not updated.
_TOGETHER = """
INSERT INTO core.market_moves AS m
    (source, exchange, start, direction, median, log_return, members, up, down, found_at)
SELECT %(source)s, %(exchange)s, core.at(g.start), CASE WHEN g.median > 0 THEN 'up' ELSE 'down' END, g.median,
       g.log_return, g.members, g.up, g.down, core.at(%(now)s)
FROM jsonb_to_recordset(%(rows)s::jsonb) AS g(
    start bigint, median float8, log_return float8, members integer, up integer, down integer)
ON CONFLICT (source, exchange, start) DO UPDATE SET
    (direction, median, log_return, members, up, down)
    = (excluded.direction, excluded.median, excluded.log_return, excluded.members, excluded.up, excluded.down)
RETURNING (extract(epoch FROM start) * 1000000)::bigint, xmax = 0
"""
_ALONE = """
INSERT INTO core.peer_moves AS p
    (series, start, source, exchange, log_return, move, median, apart, members, found_at)
SELECT g.series, core.at(g.start), %(source)s, %(exchange)s, g.log_return, g.move, g.median, g.apart, g.members,
       core.at(%(now)s)
FROM jsonb_to_recordset(%(rows)s::jsonb) AS g(
    series integer, start bigint, log_return float8, move float8, median float8, apart float8, members integer)
ON CONFLICT (series, start) DO UPDATE SET (log_return, move, median, apart, members)
    = (excluded.log_return, excluded.move, excluded.median, excluded.apart, excluded.members)
"""
