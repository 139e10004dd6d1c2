"""The store under years of minutes: months out to Parquet and in again, and one day out of many million bars."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sparktrends.batch.retention import restore, retain
from sparktrends.errors import IntegrityError
from sparktrends.ops.bench.lab import NOWHERE, lab
from sparktrends.ops.bench.report import percentile
from sparktrends.ops.settings import Settings
from sparktrends.store.connect import connect
from sparktrends.store.session import Session

_SERIES = 50
_FIRST = datetime(2024, 1, 1, tzinfo=UTC)
_LATER = date(2100, 1, 1)
_TIMEOUT_S = 3600.0
_FILL = """
INSERT INTO core.bars (series, interval, start, open, high, low, close, volume, turnover, vwap, trades, after_final,
    statuses, state, open_ts, open_partition, open_offset, close_ts, close_partition, close_offset, updated_at)
SELECT %(series)s, '1m', %(first)s + n * interval '1 minute', p, p + 0.05, p - 0.05, p + 0.01, 3.25, 3.25 * p, p, 17, 0,
    1, 'final', n, 0, n, n, 0, n, now()
FROM (SELECT n, round((100 + 10 * sin(n / 720.0))::numeric, 2) AS p
      FROM generate_series(%(begin)s::bigint, %(end)s::bigint - 1) AS n) minutes
"""
_DAY = """
SELECT start, open, high, low, close, volume FROM market.bars
WHERE source = 'bench~sim' AND symbol = %s AND interval = '1m' AND start >= %s AND start < %s ORDER BY start
"""


def run(settings: Settings, moved: int, bars: int, days: int) -> dict[str, Any]:
    """The figures: ``moved`` bars archived and restored, then ``days`` random days asked for out of ``bars``."""
    with lab(settings, external=NOWHERE) as found, closing(Session(found.dsn, "bench", _TIMEOUT_S)) as session:
        series = _make_series(session)
        _fill(session, series, 0, moved)
        figures: dict[str, Any] = {"moved": moved}
        with _timed(figures, "archive_s"):
            out = sum(m.rows for m in retain(session, found.home.path / "archive", {"1m": 1}, _LATER))
        with _timed(figures, "restore_s"):
            back = sum(m.rows for m in restore(session, found.home.path / "archive"))
        if not out == back == moved:
            raise IntegrityError(f"of {moved} bars {out} were archived and {back} restored")
        figures["restored_per_s"] = round(moved / figures["restore_s"])
        with _timed(figures, "fill_s"):
            _fill(session, series, moved // _SERIES, bars)
        with session.transaction() as cursor:
            cursor.execute("ANALYZE core.bars")
        return figures | {"bars": bars, "days": days} | _ask(found.dsn, bars // _SERIES, days)


def _make_series(session: Session) -> list[int]:
    with session.transaction() as cursor:
        cursor.execute(
            "INSERT INTO core.series (source, symbol) SELECT 'bench~sim', 'S' || n FROM generate_series(1, %s) n "
            "RETURNING id",
            (_SERIES,),
        )
        return [int(row[0]) for row in cursor.fetchall()]


def _fill(session: Session, series: list[int], begin: int, bars: int) -> None:
    """Minutes of every series from the ``begin``-th on, until there are ``bars`` in all."""
    end = bars // _SERIES
    starts = [_FIRST + timedelta(minutes=n) for n in (*range(begin, end, 1440), end - 1)]
    with session.transaction() as cursor:
        for month in sorted({start.date().replace(day=1) for start in starts}):
            cursor.execute("SELECT core.ensure_month('bars', %s)", (month,))
    for one in series:
        with session.transaction() as cursor:
            cursor.execute(_FILL, {"series": one, "first": _FIRST, "begin": begin, "end": end})


def _ask(dsn: str, minutes: int, days: int) -> dict[str, Any]:
    rng, taken = random.Random(7), []
    with closing(connect(dsn, timeout_s=60, application="bench")) as connection:
        for _ in range(days):
            day = _FIRST + timedelta(days=rng.randrange(minutes // 1440))
            begin = time.perf_counter()
            rows = connection.execute(_DAY, (f"S{rng.randint(1, _SERIES)}", day, day + timedelta(days=1))).fetchall()
            taken.append(1000 * (time.perf_counter() - begin))
            if len(rows) != 1440:
                raise IntegrityError(f"a day has {len(rows)} minutes")
    return {
        "first_ms": round(taken[0], 2),
        "median_ms": round(percentile(taken, 0.5), 2),
        "p95_ms": round(percentile(taken, 0.95), 2),
        "worst_ms": round(max(taken), 2),
    }


@contextmanager
def _timed(figures: dict[str, Any], name: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    figures[name] = round(time.perf_counter() - begin, 1)
