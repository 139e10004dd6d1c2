"""The kernel: steps series of bars through all chosen indicators at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sparktrends.errors import IntegrityError
from sparktrends.indicators.base import Floats, Indicator
from sparktrends.indicators.compiling import DEFAULT_CACHE, Drive, compile_loop, interpret
from sparktrends.indicators.layout import BAR_COLUMNS, Layout
from sparktrends.indicators.registry import EXTRAS, METRICS, asked_for

WARM = "warm"
"""The last output: 1 when every column of ``market.metrics`` has begun, else 0; what is in ``extra`` does not count."""


class Kernel:
    """All chosen indicators as one compiled loop. Holds no series: state is rows of floats that the caller keeps.

    ``step``, ``run`` and ``peek`` go through the same compiled code, bar by bar and row by row: the same bars give
    the same bits however they are cut into calls and whatever other series are in the batch. A row without a bar
    (a price that is NaN, infinite or not above 0) leaves its state alone and gives NaN. Outputs are NaN while not
    warm or where an indicator says it is undefined.

    ``extra`` are windows a person asked for (``{"sma": [10, 100]}``, BadSetting for nonsense), added to the default
    extras unless they are there already. ``cache`` is a folder for compiled code, None for none. A kernel may be
    used by several threads at once; the loop lets go of the interpreter lock.

    >>> kernel = Kernel({"sma": [10]})
    >>> kernel.names[:3], kernel.extra_names[-1], kernel.columns[-1]
    (('return', 'log_return', 'volatility_20'), 'sma_10', 'warm')
    """

    def __init__(
        self,
        extra: Mapping[str, Sequence[int]] | None = None,
        *,
        metrics: Sequence[Indicator] = METRICS,
        extras: Sequence[Indicator] = EXTRAS,
        cache: Path | None = DEFAULT_CACHE,
    ) -> None:
        # By name, so that a window asked for that is there anyway is not computed twice.
        chosen = {i.names: i for i in (*metrics, *extras, *asked_for(extra or {}))}
        layout = Layout(tuple(chosen.values()), counted=len(metrics))
        named = sum(len(i.names) for i in metrics)
        self.names: tuple[str, ...] = layout.names[:named]
        """The outputs that are columns of ``market.metrics``, in its order."""
        self.extra_names: tuple[str, ...] = layout.names[named:]
        """The outputs that go to its column ``extra``."""
        self.columns: tuple[str, ...] = (*layout.names, WARM)
        """All outputs, in order: named, extra, warm."""
        self.size: int = layout.size
        """Floats of state per series."""
        self.version: str = layout.version
        """Names the meaning of a state row; a stored row of another version must be recomputed, not used."""
        self.warmup: int = layout.warmup
        """The number of bars at which a series is warm."""
        self._layout, self._cache = layout, cache

    def prepare(self) -> None:
        """Load or compile the loop now; otherwise the first step does. Who only asks for names never waits for it."""
        _ = self._drive

    @cached_property
    def _drive(self) -> Drive:
        return compile_loop(self._layout, self._cache)

    def new(self, n: int) -> Floats:
        """State of ``n`` series that have seen nothing, shape (n, size)."""
        state: Floats = np.zeros((n, self.size))
        return state

    def step(self, state: Floats, bars: Floats) -> Floats:
        """Step ``n`` series by one bar each: ``state`` (n, size) changes in place; returns (n, outputs).

        Raises IntegrityError for arrays of another shape or layout.
        """
        return self._call(state, self._bars(bars)[:, None, :], keep=True)[:, 0]

    def peek(self, state: Floats, bars: Floats) -> Floats:
        """What `step` would return, with ``state`` left alone."""
        return self._call(state, self._bars(bars)[:, None, :], keep=False)[:, 0]

    def run(self, state: Floats, bars: Floats) -> Floats:
        """Step one series over ``m`` bars, oldest first: ``state`` (size,) changes in place; returns (m, outputs)."""
        return self._call(state[None], self._bars(bars)[None], keep=True)[0, :]

    def _call(self, state: Floats, bars: Floats, *, keep: bool) -> Floats:
        # Checked once a call, because compiled code checks no index.
        fits = state.shape == (len(bars), self.size) and state.dtype == np.float64 and state.flags.c_contiguous
        if not fits:
            raise IntegrityError(f"kernel state {state.shape} {state.dtype} is not {(len(bars), self.size)} float64")
        if not state.flags.writeable:
            if keep:
                raise IntegrityError("kernel state is read-only: copy it before stepping")
            state = state.copy()  # what came straight from a database buffer may still be peeked
        # One scratch row per call, not per kernel: calls from several threads must not meet.
        out: Floats = np.empty((*bars.shape[:2], len(self.columns)))
        self._drive(state, bars, out, np.empty(self.size), keep)
        return out

    def _bars(self, bars: Floats) -> Floats:
        if bars.ndim != 2 or bars.shape[1] != len(BAR_COLUMNS):
            raise IntegrityError(f"bars of shape {bars.shape}: one row per bar of {', '.join(BAR_COLUMNS)}")
        # The compiled signature wants rows one behind the other; a copy is made only where they are not.
        return np.ascontiguousarray(bars, dtype=np.float64)


def trial(indicator: Indicator, **columns: Sequence[float]) -> dict[str, list[float]]:
    """One indicator over a few bars, run by Python itself: for examples and for looking at one closely.

    Columns are those of a bar; ``close`` is needed, other prices default to it, volume to 1, turnover to
    close · volume, session and provider to 0. Returns the outputs by name.
    """
    given: dict[str, Any] = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    close = given["close"]
    volume = given.get("volume", np.ones_like(close))
    defaults = {"volume": volume, "turnover": close * volume, "session": close * 0, "provider": close * 0}
    bars = np.column_stack([given.get(name, defaults.get(name, close)) for name in BAR_COLUMNS])
    layout = Layout((indicator,), counted=1)
    out = np.empty((1, len(bars), len(layout.names) + 1))
    interpret(layout)(np.zeros((1, layout.size)), bars[None], out, np.empty(layout.size), True)
    return {name: out[0, :, n].tolist() for n, name in enumerate(layout.names)}
