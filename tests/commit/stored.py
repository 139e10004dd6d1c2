"""What is stored in the end, bit for bit: by the pipeline, and as the same chain makes it of the bars that show."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import numpy as np

from commit.world import rows
from sparktrends.analysis.chain import Chain
from sparktrends.analysis.work import Work
from sparktrends.commit import Sessions
from sparktrends.store.analysis_rows import METRIC_NAMES

BARS = """
SELECT source, symbol, interval, start, open, high, low, close, volume, turnover, vwap, trades, state, revision, reason,
    origin, adjustment FROM market.bars_all ORDER BY source, symbol, interval, start, origin, adjustment
"""
METRICS = """
SELECT source, symbol, interval, start, {}, warm, revision, extra FROM market.metrics WHERE final ORDER BY 1, 2, 3, 4
"""
# A bar that still forms may have signals already: they are for those who look now.
SIGNALS = """
SELECT g.id, g.interval, g.start, g.kind, g.name, g.direction, g.score, g.severity, g.detail FROM market.signals g
JOIN market.bars b USING (source, symbol, interval, start)
WHERE g.retracted_at IS NULL AND b.state <> 'forming' ORDER BY 1
"""
ALERTS = """
SELECT id, interval, status, (extract(epoch FROM resolved_at) * 1000000)::bigint FROM core.alerts
WHERE status <> 'retracted' ORDER BY 1
"""
GAPS = "SELECT source, symbol, from_at, to_at, reason FROM market.gaps ORDER BY 1, 2, 3, 5"
STATES = """
SELECT source, symbol, clock, first_minute, last_minute
FROM core.series_state JOIN core.series s ON s.id = series ORDER BY 1, 2
"""
LEDGER = "SELECT topic, partition, next_offset, records, trades, late FROM core.ledger ORDER BY 1, 2"


def bits(value: object) -> object:
    """A float by its bits: -0.0 is not 0.0."""
    return struct.pack("<d", value) if isinstance(value, float) else value


def everything(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every settled thing, without the times of writing."""
    found = {"bars": rows(dsn, BARS), "metrics": metrics(dsn), "signals": signals(dsn)}
    found |= {"alerts": rows(dsn, ALERTS), "gaps": rows(dsn, GAPS), "states": rows(dsn, STATES)}
    found["late"] = rows(dsn, "SELECT topic, partition, log_offset FROM core.late_trades ORDER BY 1, 2, 3")
    found["ledger"] = rows(dsn, LEDGER)
    return found


def metrics(dsn: str) -> list[tuple[Any, ...]]:
    """Final metrics: series, interval, start, named values as bits, warm, revision, extra as bits."""
    names = ", ".join(f'"{name}"' for name in METRIC_NAMES)
    found = rows(dsn, METRICS.format(names))
    return [(*map(bits, row[:-1]), _extra(row[-1].items())) for row in found]


def signals(dsn: str) -> list[tuple[Any, ...]]:
    """Standing signals of final bars."""
    return [tuple(map(bits, row)) for row in rows(dsn, SIGNALS)]


def expect_as_recomputed(dsn: str, chain: Chain) -> None:
    """What is stored of the chain's interval is what it makes of the bars that show."""
    stored = everything(dsn)
    made, found, alerts = recomputed(dsn, chain)
    assert [row for row in stored["metrics"] if row[2] == chain.interval] == made
    assert {row[0] for row in stored["signals"] if row[1] == chain.interval and row[3] != "feed"} == found
    assert {row[0]: row[3] for row in stored["alerts"] if row[1] == chain.interval} == alerts
    assert all((row[2] == "resolved") == (row[3] is not None) for row in stored["alerts"])


def recomputed(dsn: str, chain: Chain) -> tuple[list[tuple[Any, ...]], set[str], dict[str, int | None]]:
    """Metrics (as `metrics`), ids of signals, and ids of alerts with when they ended (µs UTC), of the bars that people
    see, in one go."""
    shown = rows(
        dsn,
        "SELECT source, symbol, (extract(epoch FROM start) * 1000000)::bigint, start, revision, open::float8, "
        "high::float8, low::float8, close::float8, volume::float8, coalesce(turnover, 0)::float8, "
        "(origin = 'provider')::integer::float8 FROM market.bars "
        "WHERE state <> 'forming' AND open IS NOT NULL AND interval = %s ORDER BY 1, 2, 3",
        chain.interval,
    )
    session_of = Sessions(chain.interval)
    made: list[tuple[Any, ...]] = []
    found: set[str] = set()
    alerts: dict[str, int | None] = {}
    for key, of_series in groupby(shown, lambda row: row[:2]):
        bars = list(of_series)
        table = np.array([(*bar[5:11], session_of(key, bar[2]), bar[11]) for bar in bars])
        done = chain.advance([Work(key, chain.new(), -1, tuple(bar[2] for bar in bars), table)])[0]
        made += [_row(chain, bar, done.metrics[j].tolist()) for j, bar in enumerate(bars)]
        found |= {signal.id for signal in done.signals}
        alerts |= {alert.id: None for alert in done.alerts} | {end.id: end.at for end in done.resolutions}
    return made, found, alerts


def _row(chain: Chain, bar: tuple[Any, ...], values: list[float]) -> tuple[Any, ...]:
    named = len(METRIC_NAMES)
    plain = [bits(v) if np.isfinite(v) else None for v in values[:named]]
    pairs = zip(chain.kernel.extra_names, values[named:-1], strict=True)
    extra = _extra((name, v) for name, v in pairs if np.isfinite(v))
    return (*bar[:2], chain.interval, bar[3], *plain, bool(values[-1]), bar[4], extra)


def _extra(items: Iterable[tuple[str, float]]) -> dict[str, object]:
    """JSON knows no -0.0, and writes 1.0 as 1."""
    return {name: bits(float(v) + 0.0) for name, v in items}
