"""Patterns of one candle. Each rule gives TA-Lib's value per bar: 100 up, −100 down, 0 not there."""

from __future__ import annotations

from sparktrends.detectors.base import Floats
from sparktrends.detectors.candlesticks.candles import Candles, Mask, Values, as_colored, up


def belt_hold(c: Candles, n: int) -> Values:
    """A long body that starts at the candle's end."""
    return as_colored(c.long(0, n) & c.bare_start(0, n), c.white[0])


def closing_marubozu(c: Candles, n: int) -> Values:
    """A long body that ends at the candle's end."""
    return as_colored(c.long(0, n) & c.bare_end(0, n), c.white[0])


def marubozu(c: Candles, n: int) -> Values:
    """A long body without shadows."""
    return as_colored(c.long(0, n) & c.bare_top(0, n) & c.bare_bottom(0, n), c.white[0])


def doji(c: Candles, n: int) -> Values:
    """No body."""
    return up(c.doji(0, n))


def dragonfly_doji(c: Candles, n: int) -> Values:
    """No body, and only a lower shadow."""
    return up(c.doji(0, n) & c.bare_top(0, n) & (c.lower[0] > c.hair(0, n)))


def gravestone_doji(c: Candles, n: int) -> Values:
    """No body, and only an upper shadow."""
    return up(c.doji(0, n) & c.bare_bottom(0, n) & (c.upper[0] > c.hair(0, n)))


def long_legged_doji(c: Candles, n: int) -> Values:
    """No body, and a shadow longer than it."""
    return up(c.doji(0, n) & ((c.lower[0] > c.body[0]) | (c.upper[0] > c.body[0])))


def rickshaw_man(c: Candles, n: int) -> Values:
    """No body, two longer shadows, and the body near the middle."""
    middle, reach = c.low[0] + (c.high[0] - c.low[0]) / 2.0, c.near(0, n)
    central = (c.bottom[0] <= middle + reach) & (c.top[0] >= middle - reach)
    return up(c.doji(0, n) & (c.lower[0] > c.body[0]) & (c.upper[0] > c.body[0]) & central)


def takuri(c: Candles, n: int) -> Values:
    """A dragonfly doji with a very long lower shadow."""
    return up(c.doji(0, n) & c.bare_top(0, n) & (c.lower[0] > 2.0 * c.body[0]))


def _between(c: Candles, length: Floats) -> Mask:
    return (c.upper[0] > length) & (c.lower[0] > length)


def high_wave(c: Candles, n: int) -> Values:
    """A short body between two very long shadows."""
    return as_colored(c.short(0, n) & _between(c, 2.0 * c.body[0]), c.white[0])


def spinning_top(c: Candles, n: int) -> Values:
    """A short body between two longer shadows."""
    return as_colored(c.short(0, n) & _between(c, c.body[0]), c.white[0])


def _short_shadows(c: Candles, n: int) -> Mask:
    most = c.short_shadow(0, n)
    return (c.upper[0] < most) & (c.lower[0] < most)


def long_line(c: Candles, n: int) -> Values:
    """A long body with short shadows."""
    return as_colored(c.long(0, n) & _short_shadows(c, n), c.white[0])


def short_line(c: Candles, n: int) -> Values:
    """A short body with short shadows."""
    return as_colored(c.short(0, n) & _short_shadows(c, n), c.white[0])
