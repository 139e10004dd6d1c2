"""What volume profiles are made of, and the profiles: on a cursor in a transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from sparktrends.store.connect import Cursor


class Minute(NamedTuple):
    """What was traded in a final minute (``start`` µs UTC), and the mean price of it."""

    start: int
    price: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Row:
    """The profile of one session of a series; ``opens`` and ``closes`` µs UTC."""

    series: int
    opens: int
    closes: int
    step: Decimal
    low: Decimal
    volumes: Sequence[Decimal]
    control: int
    value_first: int
    value_last: int
    minutes: int


def series_traded(cursor: Cursor, start: int, end: int) -> list[tuple[int, str, str]]:
    """Id, source and symbol of every series that has a minute in [start, end), µs UTC."""
    cursor.execute(_SERIES, {"start": start, "end": end})
    return [(series, source, symbol) for series, source, symbol in cursor]


def minutes(cursor: Cursor, series: int, start: int, end: int) -> Iterator[Minute]:
    """The final minutes in [start, end) that people see, oldest first. Where a provider tells no turnover the mean
    price is (high + low + close) / 3, as in the metrics."""
    cursor.execute(_MINUTES, {"series": series, "start": start, "end": end})
    for row in cursor:
        yield Minute(*row)


def save(cursor: Cursor, day: date, rows: Sequence[Row]) -> None:
    """Make these the profiles of their series on the day; those that say the same as before stay untouched."""
    given = [{name: getattr(row, name) for name in Row.__slots__} for row in rows]
    cursor.execute(_SAVE, {"day": day, "rows": json.dumps(given, default=str)})


_SERIES = """
SELECT s.id, s.source, s.symbol FROM core.series s WHERE
    EXISTS (SELECT FROM core.bars b WHERE b.series = s.id AND b.interval = '1m'
        AND b.start >= core.at(%(start)s) AND b.start < core.at(%(end)s))
    OR EXISTS (SELECT FROM core.provider_bars p WHERE p.series = s.id AND p.interval = '1m'
        AND p.start >= core.at(%(start)s) AND p.start < core.at(%(end)s))
ORDER BY s.source, s.symbol
"""
_MINUTES = """
SELECT (extract(epoch FROM b.start) * 1000000)::bigint, coalesce(b.vwap, (b.high + b.low + b.close) / 3), b.volume
FROM market.bars b
WHERE b.series = %(series)s AND b.interval = '1m' AND b.start >= core.at(%(start)s) AND b.start < core.at(%(end)s)
  AND b.state <> 'forming' AND b.volume > 0 AND b.close IS NOT NULL
ORDER BY b.start
"""
_SAVE = """
INSERT INTO core.volume_profiles AS p
    (series, day, opens, closes, step, low, volumes, control, value_first, value_last, minutes, updated_at)
SELECT g.series, %(day)s, core.at(g.opens), core.at(g.closes), g.step, g.low, g.volumes, g.control, g.value_first,
       g.value_last, g.minutes, now()
FROM jsonb_to_recordset(%(rows)s::jsonb) AS g(
    series integer, opens bigint, closes bigint, step numeric, low numeric, volumes numeric[], control integer,
    value_first integer, value_last integer, minutes integer)
ON CONFLICT (series, day) DO UPDATE SET
    (opens, closes, step, low, volumes, control, value_first, value_last, minutes, updated_at)
    = (excluded.opens, excluded.closes, excluded.step, excluded.low, excluded.volumes, excluded.control,
       excluded.value_first, excluded.value_last, excluded.minutes, excluded.updated_at)
WHERE (p.opens, p.closes, p.step, p.low, p.volumes, p.minutes)
    IS DISTINCT FROM (excluded.opens, excluded.closes, excluded.step, excluded.low, excluded.volumes, excluded.minutes)
"""
