"""All 61 patterns, stepped over many series at once."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from sparktrends.detectors.base import Floats
from sparktrends.detectors.candlesticks import candles, longer, pair, registry, single, triple, window
from sparktrends.detectors.candlesticks.candles import Candles, Values
from sparktrends.detectors.candlesticks.registry import PATTERNS
from sparktrends.detectors.candlesticks.window import ROWS, SHOWN_NUMBER, SIZE, compiled_drive
from sparktrends.detectors.feed import Key
from sparktrends.errors import BadSetting, IntegrityError
from sparktrends.indicators.layout import code_of, usable
from sparktrends.model import INTERVALS, Signal

SAID_AT = ("1h", "1d")
"""Intervals at whose bars a pattern is a signal unless settings say otherwise (decision 0009)."""
PLAIN = 100.0
"""TA-Lib's figure for a pattern. As a score that is 1; 2 is a confirmed one, 0.8 one whose bodies share an end."""
THRESHOLD = 0.8
_LONGEST = max(pattern.lookback for pattern in PATTERNS)
# Some 500 operations on arrays cost the same for one bar as for a thousand, and memory must stay bounded.
_STRETCH = 8192


class Candlesticks:
    """The 61 patterns of TA-Lib over rows of bars; the same values as TA-Lib over the whole series.

    State is ``float64[n, size]``, one row per series and interval, zeros for a new one: the last 15 candles and some
    sums, however long the series is. ``said_at`` are the intervals at which a pattern becomes a signal; scores are
    there at all of them. Raises `BadSetting` for an interval that does not exist.
    """

    columns: tuple[str, ...] = tuple(f"pattern.{pattern.name}" for pattern in PATTERNS)
    size: int = SIZE

    def __init__(self, said_at: Collection[str] = SAID_AT) -> None:
        for interval in said_at:
            if interval not in INTERVALS:
                raise BadSetting(f"candlesticks at {interval!r}", hint=f"intervals are {', '.join(INTERVALS)}")
        self.said_at = frozenset(said_at)

    @property
    def thresholds(self) -> dict[str, float]:
        """The score from which each column is a pattern."""
        return dict.fromkeys(self.columns, THRESHOLD)

    @cached_property
    def fingerprint(self) -> str:
        """Changes whenever stored state stops meaning the same."""
        modules = (candles, longer, pair, registry, single, triple, window)
        text = "".join(code_of(module.__name__) for module in modules) + inspect.getsource(usable)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def new(self, n: int) -> Floats:
        """State of ``n`` series that have seen nothing."""
        return np.zeros((n, self.size))

    def prepare(self) -> None:
        """Load or compile what a step needs."""
        compiled_drive()

    def step(self, state: Floats, bars: Floats) -> Floats:
        """One final bar for each of n series: the scores ``[n, 61]``; learns in place. Raises `IntegrityError`.

        A row that holds no bar scores 0 and teaches nothing. A forming bar is never asked: it may yet undo any of it.
        """
        return self._drive(np.arange(len(bars)), state, bars)

    def run(self, state: Floats, bars: Floats) -> Floats:
        """m bars of one series in order, ``state`` being its row: the same bits as m steps."""
        return self._drive(np.zeros(len(bars), dtype=np.int64), state[None, :], bars)

    def _drive(self, rows: Any, state: Floats, bars: Floats) -> Floats:
        if state.shape[1] != self.size or not state.flags.c_contiguous:
            raise IntegrityError(f"state of {state.shape[1]} floats a series: candlesticks keep {self.size}")
        bars = np.ascontiguousarray(bars, dtype=np.float64)
        scores = np.empty((len(bars), len(PATTERNS)))
        for first in range(0, len(bars), _STRETCH):
            part = slice(first, first + _STRETCH)
            shown = np.empty((ROWS, len(rows[part])))
            compiled_drive()(rows[part], state, bars[part], shown)
            np.divide(_values(shown).T, PLAIN, out=scores[part])
        return scores

    def signals(self, keys: Sequence[Key], scores: Floats) -> list[Signal]:
        """The signals among scores, in order of rows; ``keys[j]`` says what row j is. All are of severity ``info``."""
        rows, columns = np.nonzero(np.abs(scores) >= THRESHOLD)
        return [_signal(keys[j], c, float(scores[j, c])) for j, c in zip(rows.tolist(), columns.tolist(), strict=True)]


def _values(shown: Floats) -> Values:
    """TA-Lib's value of every pattern (rows) for every bar (columns)."""
    seen, numbers = Candles(shown), shown[SHOWN_NUMBER]
    values = np.stack([pattern.rule(seen, pattern.lookback) for pattern in PATTERNS])
    if len(numbers) and numbers.min() < _LONGEST:
        values[numbers < np.array([[pattern.lookback] for pattern in PATTERNS])] = 0.0
    return values


def _signal(key: Key, column: int, score: float) -> Signal:
    pattern = PATTERNS[column]
    direction = "none" if not pattern.directed else "up" if score > 0 else "down"
    measure = (pattern.rule.__doc__ or "").strip()
    detail = {"score": score, "threshold": THRESHOLD, "measure": measure, "talib": pattern.talib}
    return Signal(*key, "pattern", pattern.name, direction, score, "info", detail)
