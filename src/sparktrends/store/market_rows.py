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


def moves(
    cursor: Cursor, series: Sequence[int], since: int, until: int, lull: int
) -> Iterator[tuple[int, list[Moved]]]:
    """Minute by minute (µs UTC) in [since, until), the moves of those of these series whose bar before began no more
    than ``lull`` (µs) earlier."""
    cursor.execute(_MOVES, {"series": list(series), "since": since, "until": until, "lull": lull})
    for start, found in groupby(cursor, key=lambda row: row[0]):
        yield start, [Moved(*row[1:]) for row in found]


def events(cursor: Cursor, market: tuple[str, str], since: int, until: int) -> dict[int, int]:
    """The stored minutes in [since, until) in which a market (source, exchange) moved, each with that with which its
    event began (starts, µs UTC)."""
    words = {"source": market[0], "exchange": market[1], "since": since, "until": until}
    cursor.execute(_EVENTS, words)
    return dict(cursor.fetchall())


def replace(
    cursor: Cursor,
    market: tuple[str, str],
    since: int,
    until: int,
    together: Sequence[Mapping[str, Any]],
    alone: Sequence[Mapping[str, Any]],
    now: int,
) -> None:
    """Make these the findings of a market (source, exchange) in [since, until), µs UTC. What is found again keeps the
    time at which it was first found."""
    words = {"source": market[0], "exchange": market[1], "since": since, "until": until, "now": now}
    cursor.execute(_GONE_TOGETHER, {**words, "starts": [row["start"] for row in together]})
    keys = [(row["series"], row["start"]) for row in alone]
    cursor.execute(_GONE_ALONE, {**words, "series": [k[0] for k in keys], "starts": [k[1] for k in keys]})
    cursor.execute(_TOGETHER, {**words, "rows": json.dumps(list(together))})
    cursor.execute(_ALONE, {**words, "rows": json.dumps(list(alone))})


def end_alerts(
    cursor: Cursor, rule: str, market: tuple[str, str], since: int, until: int, judged: Sequence[int], quiet: int
) -> None:
    """The alerts of a market that last at ``since`` or later are over at the end of the first ``judged`` minute that
    starts ``quiet`` or more after the last move of their event; those without one in [since, until) last on (µs)."""
    words = {"rule": rule, "subject": " ".join(market), "source": market[0], "exchange": market[1], "since": since}
    cursor.execute(_END, {**words, "until": until, "judged": list(judged), "quiet": quiet, "length": MINUTE})


_EVENTS = """
SELECT (extract(epoch FROM start) * 1000000)::bigint, (extract(epoch FROM event) * 1000000)::bigint
FROM core.market_moves WHERE source = %(source)s AND exchange = %(exchange)s
  AND start >= core.at(%(since)s) AND start < core.at(%(until)s)
"""
# An alert of before there were events (0145) may have no move: its own minute is the last.
_END = """
WITH lasting AS (
    SELECT id, (
        SELECT coalesce(max(m.start), a.start) + %(quiet)s * interval '1 microsecond' FROM core.market_moves m
        WHERE m.source = %(source)s AND m.exchange = %(exchange)s AND m.event = a.start
          AND m.start >= a.start AND m.start < core.at(%(until)s)) AS calm
    FROM core.alerts a
    WHERE rule = %(rule)s AND subject = %(subject)s AND status IN ('firing', 'resolved')
      AND start < core.at(%(until)s) AND (resolved_at IS NULL OR resolved_at > core.at(%(since)s))
), ends AS (
    SELECT id, (SELECT core.at(min(j) + %(length)s) FROM unnest(%(judged)s::bigint[]) AS j WHERE core.at(j) >= calm)
        AS until
    FROM lasting
)
UPDATE core.alerts a SET status = CASE WHEN e.until IS NULL THEN 'firing' ELSE 'resolved' END, resolved_at = e.until
FROM ends e WHERE a.id = e.id AND a.resolved_at IS DISTINCT FROM e.until
"""
# The bar before is looked up by key, one by one: joined, the months of all series would be read.
_MOVES = """
SELECT (extract(epoch FROM m.start) * 1000000)::bigint, m.series, m.log_return, m.volatility_ewma
FROM core.metrics m
WHERE m.series = ANY(%(series)s) AND m.interval = '1m' AND m.start >= core.at(%(since)s)
  AND m.start < core.at(%(until)s) AND m.final AND m.warm
  AND m.log_return IS NOT NULL AND m.volatility_ewma IS NOT NULL
  AND (SELECT true FROM core.metrics p WHERE p.series = m.series AND p.interval = '1m' AND p.start < m.start
       AND p.start >= m.start - %(lull)s * interval '1 microsecond' LIMIT 1)
ORDER BY m.start, m.series
"""
_GONE_TOGETHER = """
DELETE FROM core.market_moves WHERE source = %(source)s AND exchange = %(exchange)s
  AND start >= core.at(%(since)s) AND start < core.at(%(until)s)
  AND (extract(epoch FROM start) * 1000000)::bigint <> ALL(%(starts)s)
"""
_GONE_ALONE = """
DELETE FROM core.peer_moves p WHERE source = %(source)s AND exchange = %(exchange)s
  AND start >= core.at(%(since)s) AND start < core.at(%(until)s)
  AND NOT EXISTS (SELECT FROM unnest(%(series)s::integer[], %(starts)s::bigint[]) AS k(series, start)
    WHERE k.series = p.series AND core.at(k.start) = p.start)
"""
_TOGETHER = """
INSERT INTO core.market_moves AS m
    (source, exchange, start, event, direction, median, log_return, members, up, down, found_at)
SELECT %(source)s, %(exchange)s, core.at(g.start), core.at(g.event),
       CASE WHEN g.median > 0 THEN 'up' ELSE 'down' END, g.median, g.log_return, g.members, g.up, g.down,
       core.at(%(now)s)
FROM jsonb_to_recordset(%(rows)s::jsonb) AS g(
    start bigint, event bigint, median float8, log_return float8, members integer, up integer, down integer)
ON CONFLICT (source, exchange, start) DO UPDATE SET (event, direction, median, log_return, members, up, down)
    = (excluded.event, excluded.direction, excluded.median, excluded.log_return, excluded.members, excluded.up,
       excluded.down)
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
