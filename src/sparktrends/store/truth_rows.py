"""What `batch truth` writes, on a cursor in a transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date

from sparktrends.store.connect import Cursor


@dataclass(frozen=True, slots=True)
class TruthRow:
    """One day of one series; columns as in `market.truth`, ``worst_at`` in µs UTC."""

    series: int
    day: date
    against: str | None
    minutes: int
    compared: int
    equal: int
    error_bp: float | None
    worst_bp: float | None
    worst_at: int | None
    contradictions: int
    coverage: float | None
    missing: Mapping[str, int]
    partial: Mapping[str, int]


def provided(cursor: Cursor, symbol: str, start: int, end: int) -> dict[str, dict[int, tuple[float, ...]]]:
    """By source, the closed bars (open, high, low, close, volume) of minutes in [start, end) of a symbol, by start."""
    cursor.execute(
        "SELECT s.source, (extract(epoch FROM p.start) * 1000000)::bigint, p.open::float8, p.high::float8, "
        "p.low::float8, p.close::float8, p.volume::float8 FROM core.provider_bars p "
        "JOIN core.series s ON s.id = p.series WHERE s.symbol = %s AND p.interval = '1m' AND p.adjustment = 'raw' "
        "AND p.closed AND p.start >= core.at(%s) AND p.start < core.at(%s)",
        (symbol, start, end),
    )
    found: dict[str, dict[int, tuple[float, ...]]] = {}
    for source, at, *prices in cursor:
        found.setdefault(source, {})[at] = tuple(prices)
    return found


def save(cursor: Cursor, row: TruthRow, now: int) -> None:
    """Replace what is known of the series' day; a row that says the same stays untouched."""
    cursor.execute(
        _SAVE, {**asdict(row), "missing": json.dumps(row.missing), "partial": json.dumps(row.partial), "now": now}
    )


_SAVE = """
INSERT INTO core.truth AS t (series, day, against, minutes, compared, equal, error_bp, worst_bp, worst_at,
    contradictions, coverage, missing, partial, updated_at)
VALUES (%(series)s, %(day)s, %(against)s, %(minutes)s, %(compared)s, %(equal)s, %(error_bp)s, %(worst_bp)s,
    core.at(%(worst_at)s), %(contradictions)s, %(coverage)s, %(missing)s, %(partial)s, core.at(%(now)s))
ON CONFLICT (series, day) DO UPDATE SET against = excluded.against, minutes = excluded.minutes,
    compared = excluded.compared, equal = excluded.equal, error_bp = excluded.error_bp, worst_bp = excluded.worst_bp,
    worst_at = excluded.worst_at, contradictions = excluded.contradictions, coverage = excluded.coverage,
    missing = excluded.missing, partial = excluded.partial, updated_at = excluded.updated_at
WHERE (t.against, t.minutes, t.compared, t.equal, t.error_bp, t.worst_bp, t.worst_at, t.contradictions, t.coverage,
       t.missing, t.partial)
    IS DISTINCT FROM (excluded.against, excluded.minutes, excluded.compared, excluded.equal, excluded.error_bp,
       excluded.worst_bp, excluded.worst_at, excluded.contradictions, excluded.coverage, excluded.missing,
       excluded.partial)
"""
