"""Patterns of two candles. Each rule gives TA-Lib's value per bar: 100 up, −100 down, ±80 where bodies only touch."""

from __future__ import annotations

import numpy as np

from sparktrends.detectors.candlesticks.candles import UP, Candles, Mask, Values, as_colored, down, up, within

HALF = 0.5
SHARED = np.int16(80)
"""TA-Lib's figure where two bodies share an end."""


def _turns_white(c: Candles, n: int) -> Mask:
    """A white candle that opens below a long black one."""
    return c.black[1] & c.long(1, n) & c.white[0] & (c.open[0] < c.low[1])


def counterattack(c: Candles, n: int) -> Values:
    """Two long bodies of opposite color that close at one price."""
    level = within(c.close[0], c.close[1], c.equal(1, n))
    return as_colored(c.opposite(0, 1) & c.long(1, n) & c.long(0, n) & level, c.white[0])


def dark_cloud_cover(c: Candles, n: int) -> Values:
    """A long white body, then a black one from above its high to below its middle."""
    deep = (c.close[0] > c.open[1]) & (c.close[0] < c.close[1] - c.body[1] * HALF)
    return down(c.white[1] & c.long(1, n) & c.black[0] & (c.open[0] > c.high[1]) & deep)


def doji_star(c: Candles, n: int) -> Values:
    """A long body, then a doji beyond it."""
    away = (c.white[1] & c.gap_up(0, 1)) | (c.black[1] & c.gap_down(0, 1))
    return as_colored(c.long(1, n) & c.doji(0, n) & away, c.black[1])


def _by_cover(values: Values, c: Candles, outer: int, inner: int) -> Values:
    """Values where a body lies within another, 80 for 100 where they share one end, 0 where it does not."""
    over, under = c.top[outer] - c.top[inner], c.bottom[inner] - c.bottom[outer]
    shared = np.where((over >= 0) & (under >= 0), values // UP * SHARED, 0)
    return np.where((over > 0) & (under > 0), values, shared)


def engulfing(c: Candles, _n: int) -> Values:
    """A body that covers the one before, of the opposite color."""
    same = (c.top[0] == c.top[1]) & (c.bottom[0] == c.bottom[1])
    return _by_cover(as_colored(c.opposite(0, 1) & ~same, c.white[0]), c, 0, 1)


def harami(c: Candles, n: int) -> Values:
    """A small body inside the long one before."""
    return _by_cover(as_colored(c.long(1, n) & ~c.long(0, n), c.black[1]), c, 1, 0)


def harami_cross(c: Candles, n: int) -> Values:
    """A doji inside the long body before."""
    return _by_cover(as_colored(c.long(1, n) & c.doji(0, n), c.black[1]), c, 1, 0)


def _on_a_stick(c: Candles, n: int) -> Mask:
    """A short body above a longer shadow."""
    return c.short(0, n) & (c.lower[0] > c.body[0]) & c.bare_top(0, n)


def hammer(c: Candles, n: int) -> Values:
    """A short body with a long lower shadow, at or below the low before."""
    return up(_on_a_stick(c, n) & (c.bottom[0] <= c.low[1] + c.near(1, n)))


def hanging_man(c: Candles, n: int) -> Values:
    """A short body with a long lower shadow, at or above the high before."""
    return down(_on_a_stick(c, n) & (c.bottom[0] >= c.high[1] - c.near(1, n)))


def _below_a_stick(c: Candles, n: int) -> Mask:
    """A short body below a longer shadow."""
    return c.short(0, n) & (c.upper[0] > c.body[0]) & c.bare_bottom(0, n)


def inverted_hammer(c: Candles, n: int) -> Values:
    """A short body with a long upper shadow, below the body before."""
    return up(_below_a_stick(c, n) & c.gap_down(0, 1))


def shooting_star(c: Candles, n: int) -> Values:
    """A short body with a long upper shadow, above the body before."""
    return down(_below_a_stick(c, n) & c.gap_up(0, 1))


def homing_pigeon(c: Candles, n: int) -> Values:
    """A small black body inside a long black one."""
    inside = (c.open[0] < c.open[1]) & (c.close[0] > c.close[1])
    return up(c.all_black(1, 0) & c.long(1, n) & ~c.long(0, n) & inside)


def in_neck(c: Candles, n: int) -> Values:
    """After a long black body a white one from below that just reaches into it."""
    return down(_turns_white(c, n) & (c.close[0] <= c.close[1] + c.equal(1, n)) & (c.close[0] >= c.close[1]))


def on_neck(c: Candles, n: int) -> Values:
    """After a long black body a white one from below that closes at its low."""
    return down(_turns_white(c, n) & within(c.close[0], c.low[1], c.equal(1, n)))


def thrusting(c: Candles, n: int) -> Values:
    """After a long black body a white one from below that closes in its lower half."""
    low_half = (c.close[0] > c.close[1] + c.equal(1, n)) & (c.close[0] <= c.close[1] + c.body[1] * HALF)
    return down(_turns_white(c, n) & low_half)


def piercing(c: Candles, n: int) -> Values:
    """After a long black body a long white one from below that closes in its upper half."""
    high_half = (c.close[0] < c.open[1]) & (c.close[0] > c.close[1] + c.body[1] * HALF)
    return up(_turns_white(c, n) & c.long(0, n) & high_half)


def _bare(c: Candles, back: int, n: int) -> Mask:
    return c.long(back, n) & c.bare_top(back, n) & c.bare_bottom(back, n)


def _kicks(c: Candles, n: int) -> Mask:
    away = (c.black[1] & c.jump_up(0, 1)) | (c.white[1] & c.jump_down(0, 1))
    return c.opposite(0, 1) & _bare(c, 1, n) & _bare(c, 0, n) & away


def kicking(c: Candles, n: int) -> Values:
    """Two marubozu of opposite color with a gap between them; the second gives the direction."""
    return as_colored(_kicks(c, n), c.white[0])


def kicking_by_length(c: Candles, n: int) -> Values:
    """Two marubozu of opposite color with a gap between them; the longer gives the direction."""
    return as_colored(_kicks(c, n), np.where(c.body[0] > c.body[1], c.white[0], c.white[1]))


def matching_low(c: Candles, n: int) -> Values:
    """Two black candles that close at one price."""
    return up(c.all_black(1, 0) & within(c.close[0], c.close[1], c.equal(1, n)))


def separating_lines(c: Candles, n: int) -> Values:
    """Two candles of opposite color that open at one price, the second a belt hold."""
    level = within(c.open[0], c.open[1], c.equal(1, n))
    return as_colored(c.opposite(0, 1) & level & c.long(0, n) & c.bare_start(0, n), c.white[0])
