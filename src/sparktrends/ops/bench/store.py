"""The store under years of minutes: months out to Parquet and in again, and one day out of many million bars."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sparktrends.batch.retention import restore, retain
from sparktrends.errors import IntegrityError
from sparktrends.ops.bench.lab import NOWHERE, lab
from sparktrends.ops.bench.report import percentile
from sparktrends.ops.settings import Settings
from sparktrends.store.connect import connect
from sparktrends.store.session import Session

_FIRST = datetime(2024, 1, 1, tzinfo=UTC)
_LATER = date(2100, 1, 1)
_TIMEOUT_S = 3600.0
_TABLES = ("bars", "provider_bars", "metrics")
_COLD = 20
"""Connections that ask one thing each."""
# One minute in a hundred is cut, and a provider's bar stands in: that is what the view has to look up.
_BARS = """
INSERT INTO core.bars (series, interval, start, open, high, low, close, volume, turnover, vwap, trades, after_final,
    statuses, state, reason, open_ts, open_partition, open_offset, close_ts, close_partition, close_offset, updated_at)
SELECT s.id, '1m', m.start, p, p + 0.05, p - 0.05, p + 0.01, 3.25, 3.25 * p, p, 17, 0, 1, 'final',
    CASE WHEN n %% 100 = 0 THEN 'feed_stale' END, n, 0, n, n, 0, n, now()
FROM core.series s, LATERAL (
    SELECT m AS start, extract(epoch FROM m)::bigint / 60 AS n,
           round((100 + 10 * sin(extract(epoch FROM m) / 43200))::numeric, 2) AS p
    FROM generate_series(%(begin)s::timestamptz, %(last)s, interval '1 minute') m) m
WHERE s.source = 'bench~sim'
"""
_PROVIDER = """
INSERT INTO core.provider_bars (series, interval, start, adjustment, open, high, low, close, volume, turnover, trades,
    closed, arrival, log_partition, log_offset, updated_at)
SELECT b.series, b.interval, b.start, 'raw', b.open, b.high, b.low, b.close, 4.5, 4.5 * b.close, 20, true, 0, 0, 0,
    now()
FROM core.bars b WHERE b.start >= %(begin)s AND b.start <= %(last)s AND b.reason IS NOT NULL
"""
_DAY = """
SELECT start, open, high, low, close, volume, origin FROM market.bars
WHERE source = 'bench~sim' AND symbol = %s AND interval = '1m' AND start >= %s AND start < %s ORDER BY start
"""


@dataclass(frozen=True, slots=True)
class Size:
    """``moved`` bars go to Parquet and back; then there are ``bars``, of which ``days`` random days are asked for."""

    moved: int
    bars: int
    days: int
    symbols: int

    def minutes(self, bars: int) -> int:
        """How many each symbol has of so many bars."""
        return bars // self.symbols


def run(settings: Settings, size: Size) -> dict[str, Any]:
    """The figures, from a database of its own; days are asked for as people do, by the reader's account."""
    with lab(settings, external=NOWHERE) as found:
        return measure(found.dsn, found.reader_dsn, found.home.path / "archive", size)


def measure(owner: str, reader: str, folder: Path, size: Size) -> dict[str, Any]:
    """The figures of an empty, migrated database; raises IntegrityError when rows are lost on the way."""
    figures: dict[str, Any] = {"moved": size.moved}
    with closing(Session(owner, "bench", _TIMEOUT_S)) as session:
        with session.transaction() as cursor:
            cursor.execute(
                "INSERT INTO core.series (source, symbol) SELECT 'bench~sim', 'S' || n FROM generate_series(1, %s) n",
                (size.symbols,),
            )
        _fill(session, 0, size.minutes(size.moved))
        with _timed(figures, "archive_s"):
            moved = retain(session, folder, {"1m": 1}, _LATER, lambda: _LATER)
            out = sum(month.rows for month in moved if month.table == "bars")
        with _timed(figures, "restore_s"):
            back = sum(month.rows for month in restore(session, folder) if month.table == "bars")
        if not out == back == size.moved:
            raise IntegrityError(f"of {size.moved} bars {out} were archived and {back} restored")
        figures["restored_per_s"] = round(size.moved / max(figures["restore_s"], 0.1))
        with _timed(figures, "fill_s"):
            _fill(session, size.minutes(size.moved), size.minutes(size.bars))
        with session.transaction() as cursor:
            cursor.execute("ANALYZE core.series, core.bars, core.provider_bars")
    return figures | {"bars": size.bars, "symbols": size.symbols} | _ask(reader, size)


def _fill(session: Session, begin: int, end: int) -> None:
    """The minutes [begin, end) of every symbol, a transaction for each month: what is made in it needs no log."""
    since, until = _FIRST + timedelta(minutes=begin), _FIRST + timedelta(minutes=end)
    while since < until:
        after = min((since.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1), until)
        stretch = {"begin": since, "last": after - timedelta(minutes=1)}
        with session.transaction() as cursor:
            for table in _TABLES:
                cursor.execute("SELECT core.ensure_month(%s, %s)", (table, since.date().replace(day=1)))
            cursor.execute(_BARS, stretch)
            cursor.execute(_PROVIDER, stretch)
        since = after


def _ask(reader: str, size: Size) -> dict[str, Any]:
    """Days of one symbol, each another: asked for first by connections that know nothing yet, as `psql` does."""
    dice = random.Random(7)
    whole = size.minutes(size.bars) // 1440
    asked = [(f"S{dice.randint(1, size.symbols)}", dice.randrange(whole)) for _ in range(_COLD + size.days)]
    cold = []
    for symbol, day in asked[:_COLD]:
        with closing(_connected(reader)) as connection:
            cold.append(_took(connection, symbol, day))
    with closing(_connected(reader)) as connection:
        warm = [_took(connection, symbol, day) for symbol, day in asked[_COLD:]]
    return {
        "days": size.days,
        "cold_p50_ms": round(percentile(cold, 0.5), 1),
        "cold_worst_ms": round(max(cold), 1),
        "p50_ms": round(percentile(warm, 0.5), 1),
        "p95_ms": round(percentile(warm, 0.95), 1),
        "worst_ms": round(max(warm), 1),
    }


def _connected(reader: str) -> Any:
    return connect(reader, autocommit=True, timeout_s=60, application="bench")


def _took(connection: Any, symbol: str, day: int) -> float:
    since = _FIRST + timedelta(days=day)
    begin = time.perf_counter()
    rows = connection.execute(_DAY, (symbol, since, since + timedelta(days=1))).fetchall()
    took = 1000 * (time.perf_counter() - begin)
    if len(rows) != 1440 or sum(row[-1] == "provider" for row in rows) not in (14, 15):
        raise IntegrityError(f"a day has {len(rows)} minutes")
    return took


@contextmanager
def _timed(figures: dict[str, Any], name: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    figures[name] = round(time.perf_counter() - begin, 1)
