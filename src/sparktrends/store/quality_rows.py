"""What quality is judged by, and its scores: reads and writes of `batch quality`, on a cursor in a transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from sparktrends.store.connect import Cursor


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """A series that has minutes: its first known one, and where its clock stands (µs UTC)."""

    id: int
    source: str
    symbol: str
    first: int
    clock: int


class MinuteRow(NamedTuple):
    """One stored minute: why it is not whole (empty: it is), the bar of our trades and the provider's closed one, and
    how many trades are in ours."""

    start: int
    reason: str
    own: tuple[float, ...] | None
    provider: tuple[float, ...] | None
    trades: int = 0


class RefusedRow(NamedTuple):
    """A record that was set aside, and its place in the log. ``source`` is the one whose parser refused it; "" of a
    record that the stream refused. ``appended`` in µs UTC."""

    topic: str
    partition: int
    offset: int
    source: str
    payload: bytes
    appended: int


@dataclass(frozen=True, slots=True)
class Score:
    """What is written of one series and day; ``worst`` are (start µs, score, points) of minutes below 100.

    ``coverage`` is the part of the volume that the source ``against`` has.
    """

    series: int
    day: date
    score: float
    minutes: int
    points: Mapping[str, float]
    faulty: Mapping[str, int]
    worst: Sequence[tuple[int, float, Mapping[str, float]]]
    coverage: float | None = None
    against: str = ""


def series_known(cursor: Cursor) -> list[SeriesRow]:
    """Every series with a minute, by source and symbol."""
    cursor.execute(
        "SELECT s.id, s.source, s.symbol, t.first_minute, t.clock FROM core.series s "
        "JOIN core.series_state t ON t.series = s.id WHERE t.first_minute IS NOT NULL ORDER BY s.source, s.symbol"
    )
    return [SeriesRow(*row) for row in cursor.fetchall()]


def judged(cursor: Cursor, day: date, since: int) -> set[int]:
    """The series whose day was judged at or after ``since`` (µs UTC)."""
    cursor.execute("SELECT series FROM core.quality WHERE day = %s AND updated_at >= core.at(%s)", (day, since))
    return {int(series) for (series,) in cursor}


def minutes(cursor: Cursor, series: int, start: int, end: int) -> Iterator[MinuteRow]:
    """The final minutes of [start, end), oldest first: ours, the provider's, or both."""
    cursor.execute(_MINUTES, {"series": series, "start": start, "end": end})
    for at, reason, trades, *prices in cursor:
        own, provider = (tuple(cells) if cells[0] is not None else None for cells in (prices[:5], prices[5:]))
        yield MinuteRow(at, reason, own, provider, trades)


# Each side is chosen before they are joined: a condition of a full join keeps what it refuses, beside nulls.
_MINUTES = """
SELECT (extract(epoch FROM coalesce(b.start, p.start)) * 1000000)::bigint, coalesce(b.reason, ''),
    coalesce(b.trades, 0), b.open::float8, b.high::float8, b.low::float8, b.close::float8, b.volume::float8,
    p.open::float8, p.high::float8, p.low::float8, p.close::float8, p.volume::float8
FROM (SELECT * FROM core.bars WHERE series = %(series)s AND interval = '1m' AND state <> 'forming'
        AND start >= core.at(%(start)s) AND start < core.at(%(end)s)) b
FULL JOIN (SELECT * FROM core.provider_bars WHERE series = %(series)s AND interval = '1m' AND adjustment = 'raw'
        AND closed AND start >= core.at(%(start)s) AND start < core.at(%(end)s)) p ON p.start = b.start
ORDER BY 1
"""


def closed_spans(cursor: Cursor, series: int, start: int, end: int) -> list[tuple[int, int]]:
    """[from, to) of the closed sessions that touch [start, end)."""
    cursor.execute(
        "SELECT (extract(epoch FROM from_at) * 1000000)::bigint, (extract(epoch FROM to_at) * 1000000)::bigint "
        "FROM core.gaps WHERE series = %s AND reason = 'closed' AND to_at > core.at(%s) AND from_at < core.at(%s)",
        (series, start, end),
    )
    return [(int(a), int(b)) for a, b in cursor.fetchall()]


def late(cursor: Cursor, start: int, end: int) -> list[tuple[str, str, int]]:
    """(source, symbol, event time) of every trade of [start, end) that came too late."""
    cursor.execute(
        "SELECT s.source, s.symbol, l.ts FROM core.late_trades l JOIN core.series s ON s.id = l.series "
        "WHERE l.ts >= %s AND l.ts < %s",
        (start, end),
    )
    return [(str(source), str(symbol), int(ts)) for source, symbol, ts in cursor.fetchall()]


def refused(cursor: Cursor, start: int, end: int) -> Iterator[RefusedRow]:
    """Every record that was set aside and appended within [start, end) (µs UTC)."""
    cursor.execute(
        "SELECT topic, partition, log_offset, coalesce(source, ''), payload, appended FROM core.quarantine "
        "WHERE appended >= %s AND appended < %s",
        (start, end),
    )
    for row in cursor:
        yield RefusedRow(*row)


def save(cursor: Cursor, score: Score, start: int, end: int, now: int) -> None:
    """Replace what is known of the series' day, whose minutes lie in [start, end)."""
    row: dict[str, Any] = {
        "series": score.series,
        "day": score.day,
        "score": score.score,
        "minutes": score.minutes,
        "points": json.dumps(score.points),
        "faulty": json.dumps(score.faulty),
        "coverage": score.coverage,
        "against": score.against or None,
        "now": now,
    }
    cursor.execute(_SAVE_DAY, row)
    cursor.execute(
        "DELETE FROM core.quality_minutes WHERE series = %s AND start >= core.at(%s) AND start < core.at(%s)",
        (score.series, start, end),
    )
    cursor.executemany(
        "INSERT INTO core.quality_minutes (series, start, score, points) VALUES (%s, core.at(%s), %s, %s)",
        [(score.series, at, points_left, json.dumps(points)) for at, points_left, points in score.worst],
    )


_SAVE_DAY = """
INSERT INTO core.quality AS q (series, day, score, minutes, points, faulty, coverage, against, updated_at)
VALUES (%(series)s, %(day)s, %(score)s, %(minutes)s, %(points)s, %(faulty)s, %(coverage)s, %(against)s,
    core.at(%(now)s))
ON CONFLICT (series, day) DO UPDATE SET score = excluded.score, minutes = excluded.minutes, points = excluded.points,
    faulty = excluded.faulty, coverage = excluded.coverage, against = excluded.against, updated_at = excluded.updated_at
WHERE (q.score, q.minutes, q.points, q.faulty, q.coverage, q.against)
    IS DISTINCT FROM
    (excluded.score, excluded.minutes, excluded.points, excluded.faulty, excluded.coverage, excluded.against)
    -- The same once more, and for the first time of a day that is over: `judged` goes by when that was.
    OR (q.updated_at < (q.day + 1)::timestamp AT TIME ZONE 'UTC'
        AND excluded.updated_at >= (q.day + 1)::timestamp AT TIME ZONE 'UTC')
"""


class PoorDay(NamedTuple):
    """A day of a series that scored low: when it was judged (µs UTC), and the points lost by check."""

    source: str
    symbol: str
    judged: int
    score: float
    points: Mapping[str, float]


def poor(cursor: Cursor, below: float, since: int) -> list[PoorDay]:
    """Series whose newest judged day scored less than ``below`` and was judged after ``since`` (µs UTC)."""
    cursor.execute(
        "SELECT s.source, s.symbol, (extract(epoch FROM q.updated_at) * 1000000)::bigint, q.score, q.points "
        "FROM core.quality q JOIN core.series s ON s.id = q.series "
        "WHERE q.updated_at > core.at(%s) AND q.score < %s "
        "AND q.day = (SELECT max(n.day) FROM core.quality n WHERE n.series = q.series) ORDER BY s.source, s.symbol",
        (since, below),
    )
    return [PoorDay(*row) for row in cursor.fetchall()]
