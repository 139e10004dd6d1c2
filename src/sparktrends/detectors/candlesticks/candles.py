"""The candles of many bars at once, as patterns see them: their parts, and what counts as long, short or near.

Everything is an array with one element per bar; ``back`` counts candles from the newest, 0. Lengths and factors are
TA-Lib's default settings; ``n`` is the look-back of the pattern that asks (see `window`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from itertools import pairwise
from typing import Any, TypeVar, cast

import numpy as np

from sparktrends.detectors.base import Floats
from sparktrends.detectors.candlesticks.window import BODY, KEPT, NEAR, SHADOWS, SHOWN, SHOWN_HIKKAKES, SHOWN_SUMS, SPAN

Mask = Any
"""Booleans, one per bar: NumPy's stubs lose the type at every ``&``."""
Values = Any
"""TA-Lib's figures, int16: as small as they fit, they are made for 61 patterns and every bar."""
F = TypeVar("F", bound=Callable[..., Any])
UP, DOWN = np.int16(100), np.int16(-100)
_PLACES = {kept: SHOWN_SUMS + place for place, kept in enumerate(KEPT)}


def _once(method: F) -> F:
    """Remember what a question was answered: a dozen patterns ask whether the candle before was long."""

    @wraps(method)
    def remembered(self: Candles, *args: Any) -> Any:
        key = (method.__name__, args)
        if key not in self.answers:
            self.answers[key] = method(self, *args)
        return self.answers[key]

    return cast(F, remembered)


class Candles:
    """``open``, ``high``, ``low``, ``close``, ``top`` and ``bottom`` of the body, its length ``body``, the shadows
    ``upper`` and ``lower``, and whether it is ``white`` or ``black``: each a list by ``back``."""

    def __init__(self, shown: Floats) -> None:
        self._shown = shown
        self.answers: dict[Any, Any] = {}
        backs = range(SHOWN)
        self.open, self.high, self.low, self.close = ([shown[4 * back + i] for back in backs] for i in range(4))
        self.top = [np.maximum(self.open[back], self.close[back]) for back in backs]
        self.bottom = [np.minimum(self.open[back], self.close[back]) for back in backs]
        self.body = [self.top[back] - self.bottom[back] for back in backs]
        self.upper = [self.high[back] - self.top[back] for back in backs]
        self.lower = [self.bottom[back] - self.low[back] for back in backs]
        self.white = [self.close[back] >= self.open[back] for back in backs]
        self.black = [~white for white in self.white]
        self.hikkakes = shown[SHOWN_HIKKAKES : SHOWN_HIKKAKES + 2].astype(np.int16)

    @_once
    def average(self, measure: int, back: int, n: int, period: float = 10.0) -> Floats:
        """The mean of a measure over the candles before ``back``."""
        sums: Floats = self._shown[_PLACES[measure, n, back]]
        return sums / period

    @_once
    def long(self, back: int, n: int) -> Mask:
        """A body longer than the ten before it are on average."""
        return self.body[back] > self.average(BODY, back, n)

    @_once
    def short(self, back: int, n: int) -> Mask:
        """A body shorter than the ten before it are on average."""
        return self.body[back] < self.average(BODY, back, n)

    @_once
    def hair(self, back: int, n: int) -> Floats:
        """A tenth of the average span: what counts as no body, or no shadow."""
        return 0.1 * self.average(SPAN, back, n)

    @_once
    def doji(self, back: int, n: int) -> Mask:
        """No body to speak of."""
        return self.body[back] <= self.hair(back, n)

    @_once
    def bare_top(self, back: int, n: int) -> Mask:
        """No upper shadow to speak of."""
        return self.upper[back] < self.hair(back, n)

    @_once
    def bare_bottom(self, back: int, n: int) -> Mask:
        """No lower shadow to speak of."""
        return self.lower[back] < self.hair(back, n)

    def bare_end(self, back: int, n: int) -> Mask:
        """No shadow where the candle closed."""
        return (self.white[back] & self.bare_top(back, n)) | (self.black[back] & self.bare_bottom(back, n))

    @_once
    def bare_start(self, back: int, n: int) -> Mask:
        """No shadow where the candle opened."""
        return (self.white[back] & self.bare_bottom(back, n)) | (self.black[back] & self.bare_top(back, n))

    @_once
    def short_shadow(self, back: int, n: int) -> Floats:
        """Half the average of both shadows together."""
        return self.average(SHADOWS, back, n) / 2.0

    @_once
    def equal(self, back: int, n: int) -> Floats:
        """Distance within which two prices count as one: a twentieth of the average span of five candles."""
        return 0.05 * self.average(NEAR, back, n, 5.0)

    @_once
    def near(self, back: int, n: int) -> Floats:
        """A small distance: a fifth of the average span of five candles."""
        return 0.2 * self.average(NEAR, back, n, 5.0)

    def far(self, back: int, n: int) -> Floats:
        """A large distance: three fifths of the average span of five candles."""
        return 0.6 * self.average(NEAR, back, n, 5.0)

    @_once
    def gap_up(self, later: int, earlier: int) -> Mask:
        """The later body lies above the earlier one."""
        return self.bottom[later] > self.top[earlier]

    @_once
    def gap_down(self, later: int, earlier: int) -> Mask:
        """The later body lies below the earlier one."""
        return self.top[later] < self.bottom[earlier]

    def jump_up(self, later: int, earlier: int) -> Mask:
        """The later candle, shadows included, lies above the earlier one."""
        return self.low[later] > self.high[earlier]

    def jump_down(self, later: int, earlier: int) -> Mask:
        """The later candle, shadows included, lies below the earlier one."""
        return self.high[later] < self.low[earlier]

    @_once
    def opposite(self, later: int, earlier: int) -> Mask:
        """The two have different colors."""
        return self.white[later] != self.white[earlier]

    @_once
    def all_white(self, *backs: int) -> Mask:
        """All of these closed at or above their open."""
        return np.logical_and.reduce([self.white[back] for back in backs])

    @_once
    def all_black(self, *backs: int) -> Mask:
        """All of these closed below their open."""
        return np.logical_and.reduce([self.black[back] for back in backs])


def within(price: Floats, other: Floats, reach: Floats) -> Mask:
    """A price lies within ``reach`` of another, both ends included."""
    # Not |a − b| <= reach: that rounds differently.
    return (price <= other + reach) & (price >= other - reach)


def falling(*values: Floats) -> Mask:
    """Each is less than the one before."""
    return np.logical_and.reduce([a > b for a, b in pairwise(values)])


def rising(*values: Floats) -> Mask:
    """Each is more than the one before."""
    return falling(*reversed(values))


def up(found: Mask) -> Values:
    """TA-Lib's value of a pattern that bodes a rise."""
    return found * UP


def down(found: Mask) -> Values:
    """TA-Lib's value of a pattern that bodes a fall."""
    return found * DOWN


def as_colored(found: Mask, white: Mask) -> Values:
    """Up where ``white``, else down."""
    return found * np.where(white, UP, DOWN)
