"""The kernel alone, one core: bars a second through every output, one step of 5,000 series, and talipp beside it.

``talipp_ratio`` is the same indicators on the same bars, those that talipp has (it is no dependency of the product:
without it that part is left out);
``talipp_ratio_all`` lets the kernel compute everything else as well. ``start_s`` is what a new process waits for
imports and a kernel, with compiled code on disk and without.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparktrends.errors import IntegrityError
from sparktrends.indicators import EXTRAS, METRICS, Kernel

Floats = NDArray[np.float64]
RUN_BARS, SERIES, TALIPP_BARS = 500_000, 5_000, 10_000
START = (
    "import sys; from pathlib import Path; from sparktrends.indicators import Kernel; "
    "Kernel(cache=Path(sys.argv[1])).prepare()"
)

EQUAL = ("sma_200", "ema_200", "rsi_14", "atr_14", "roc_10")
"""Figures whose last values must agree, or the comparison compares nothing."""


def walk(m: int, seed: int = 1) -> Floats:
    """``m`` plausible bars of one session."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.001, m)))
    start = close * (1 + rng.normal(0, 0.001, m))
    high = np.maximum(start, close) * (1 + rng.random(m) * 0.001)
    low = np.minimum(start, close) * (1 - rng.random(m) * 0.001)
    volume = rng.lognormal(3, 1, m)
    return np.column_stack([start, high, low, close, volume, close * volume, np.zeros(m), np.zeros(m)])


def best(work: Callable[[], object], times: int = 5) -> float:
    """The shortest of several runs, seconds."""
    spans = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        spans.append(time.perf_counter() - begin)
    return min(spans)


def run_rate(kernel: Kernel, bars: Floats) -> float:
    """Bars a second over one long series, in calls of 10,000 bars as a backfill makes them."""
    parts = np.array_split(bars, max(1, len(bars) // 10_000))

    def work() -> None:
        state = kernel.new(1)[0]
        for part in parts:
            kernel.run(state, part)

    return len(bars) / best(work)


def over_closes() -> dict[str, Any]:
    """talipp's indicators over closes, by the kernel's first output for the same thing."""
    from talipp import indicators as ta

    return {
        **{f"sma_{n}": ta.SMA(n) for n in (20, 50, 200)},
        **{f"ema_{n}": ta.EMA(n) for n in (12, 20, 26, 50, 200)},
        "rsi_14": ta.RSI(14),
        "macd": ta.MACD(12, 26, 9),
        "bb_upper": ta.BB(20, 2),
        "roc_10": ta.ROC(10),
    }


def over_bars() -> dict[str, Any]:
    """Those over whole bars."""
    from talipp import indicators as ta

    return {
        "atr_14": ta.ATR(14),
        "adx_14": ta.ADX(14, 14),
        "stoch_k": ta.Stoch(14, 3),
        "obv": ta.OBV(),
        "vwap_session": ta.VWAP(),
        "cci_20": ta.CCI(20),
        "willr_14": ta.Williams(14),
        "kc_upper": ta.KeltnerChannels(20, 10, 2, 2),
        "dc_upper": ta.DonchianChannels(20),
    }


def talipp_rate(bars: Floats) -> tuple[float, dict[str, float]]:
    """Bars a second of talipp fed bar by bar, and the last values of `EQUAL`."""
    from talipp.ohlcv import OHLCV

    rows = [OHLCV(*row) for row in bars[:, :5].tolist()]
    closes = bars[:, 3].tolist()
    of_closes, of_bars = over_closes(), over_bars()
    begin = time.perf_counter()
    for row, close in zip(rows, closes, strict=True):
        for indicator in of_closes.values():
            indicator.add(close)
        for indicator in of_bars.values():
            indicator.add(row)
    span = time.perf_counter() - begin
    return len(bars) / span, {name: (of_closes | of_bars)[name][-1] for name in EQUAL}


def same_indicators() -> Kernel:
    """A kernel of what talipp has too, and nothing else."""
    wanted = {*over_closes(), *over_bars()}
    return Kernel(metrics=[i for i in (*METRICS, *EXTRAS) if i.names[0] in wanted], extras=())


def talipp_ratios(kernel: Kernel) -> dict[str, float]:
    """How many times faster; raises IntegrityError when the two do not compute the same."""
    bars = walk(TALIPP_BARS)
    theirs, last = talipp_rate(bars)
    out = kernel.run(kernel.new(1)[0], bars)[-1]
    for name, value in last.items():
        if not np.isclose(out[kernel.columns.index(name)], value, rtol=1e-6):
            raise IntegrityError(f"{name}: talipp says {value}, the kernel {out[kernel.columns.index(name)]}")
    long = walk(RUN_BARS)
    return {
        "talipp_bars_per_s": round(theirs),
        "talipp_ratio": round(run_rate(same_indicators(), long) / theirs, 1),
        "talipp_ratio_all": round(run_rate(kernel, long) / theirs, 1),
    }


def steps(kernel: Kernel) -> dict[str, float]:
    """Milliseconds for one bar of each of 5,000 warm series."""
    bars = walk(SERIES)
    state = kernel.new(SERIES)
    for _ in range(kernel.warmup):
        kernel.step(state, bars)
    span = best(lambda: kernel.step(state, bars), 20)
    peek = best(lambda: kernel.peek(state, bars), 20)
    return {
        "step_5000_ms": round(span * 1e3, 2),
        "peek_5000_ms": round(peek * 1e3, 2),
        "step_bars_per_s": round(SERIES / span),
    }


def starts() -> dict[str, float]:
    """Seconds a new process needs to a kernel that is ready: nothing on disk, then what the first left there."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", START, str(Path(folder) / "cache")]
        cold, warm = (best(lambda: subprocess.run(command, check=True), 1) for _ in range(2))
    return {"cold_start_s": round(cold, 2), "warm_start_s": round(warm, 2)}


def run() -> dict[str, Any]:
    """The figures."""
    kernel = Kernel()
    return {
        "bars_per_s": round(run_rate(kernel, walk(RUN_BARS))),
        "outputs": len(kernel.columns),
        "state_floats": kernel.size,
        **steps(kernel),
        **(talipp_ratios(kernel) if find_spec("talipp") else {}),
        **starts(),
    }
