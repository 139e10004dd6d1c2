"""Rules over a year of minutes of many stocks, from a real database to the finished report."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from sparktrends.alerts.backtest import backtest
from sparktrends.alerts.backtest_report import report
from sparktrends.model import DAY, MINUTE
from sparktrends.ops.analysing import chains_of
from sparktrends.ops.bench.lab import NOWHERE, lab
from sparktrends.ops.histories import from_store
from sparktrends.ops.settings import Settings
from sparktrends.store.connect import Connection, connect

SOURCE = "bench~sim"
START = 1_704_153_600_000_000  # 2024-01-02, UTC
OPEN = 14 * 60 + 30
MINUTES = 390
_PATIENCE_S = 600.0


def run(settings: Settings, symbols: int, days: int) -> dict[str, Any]:
    """Fill a database with ``days`` sessions of 390 minutes of each symbol, then try the rules in use on all of it.

    ``seconds`` is what the command needs from its first query to the report; compiling and filling are before it.
    """
    chains = chains_of(settings)
    for chain in chains:
        chain.prepared()
    with lab(settings, NOWHERE) as place, connect(place.dsn, timeout_s=_PATIENCE_S, autocommit=True) as connection:
        begin = time.monotonic()
        span = _fill(connection, symbols, days)
        filled = time.monotonic()
        outcome = backtest(chains, from_store(connection), *span)
        found = report(outcome, *span)
        seconds = time.monotonic() - filled
    return {
        "seconds": round(seconds, 2),
        "bars_per_s": round(found["bars"] / seconds),
        "bars": found["bars"],
        "symbols": symbols,
        "alerts": found["alerts"],
        "filling_s": round(filled - begin, 1),
    }


def _fill(connection: Connection, symbols: int, days: int) -> tuple[int, int]:
    starts = np.concatenate([START + day * DAY + (OPEN + np.arange(MINUTES)) * MINUTE for day in range(days)])
    for month in sorted({str(np.datetime64(int(start), "us").astype("datetime64[M]")) for start in starts}):
        connection.execute("SELECT core.ensure_month('bars', %s::date)", (f"{month}-01",))
    for number in range(symbols):
        name = f"S{number:03}"
        connection.execute("INSERT INTO core.series (source, symbol) VALUES (%s, %s)", (SOURCE, name))
        with connection.cursor().copy(_COPY) as copy:
            copy.write(_text(number + 1, starts))
    connection.execute("ANALYZE core.bars")
    return int(starts[0]), int(starts[-1]) + MINUTE


def _text(series: int, starts: np.ndarray[Any, np.dtype[np.int64]]) -> str:
    """A random walk in cents with a jump now and then, as rows of COPY."""
    rng = np.random.default_rng(series)
    moves = rng.standard_t(4, len(starts)) * 0.0004
    closes = 100 * np.exp(np.cumsum(moves))
    opens = np.concatenate([[100.0], closes[:-1]])
    volumes = rng.lognormal(6, 0.7, len(starts)).round()
    times = np.array(starts, dtype="datetime64[us]").astype(str)
    lines = (
        f"{series}\t1m\t{at}Z\t{o:.2f}\t{max(o, c) + 0.01:.2f}\t{min(o, c) - 0.01:.2f}\t{c:.2f}\t{v:.0f}\t{v * c:.2f}"
        for at, o, c, v in zip(times, opens.tolist(), closes.tolist(), volumes.tolist(), strict=True)
    )
    return "".join(f"{line}\t9\t0\t1\tfinal\t2024-01-01Z\n" for line in lines)


_COPY = """
COPY core.bars (series, interval, start, open, high, low, close, volume, turnover, trades, after_final, statuses, state,
    updated_at) FROM STDIN
"""
