"""Patterns of four and five candles. Each rule gives TA-Lib's value per bar: 100 up, −100 down, 0 not there."""

from __future__ import annotations

import numpy as np

from sparktrends.detectors.candlesticks.candles import Candles, Mask, Values, as_colored, down, falling, rising, up

HOLD = 0.5
"""How far the small candles of a mat hold may reach into the first."""


def three_black_crows(c: Candles, n: int) -> Values:
    """After a white candle three black ones without lower shadows, each from the body before to a lower close."""
    bare = c.bare_bottom(2, n) & c.bare_bottom(1, n) & c.bare_bottom(0, n)
    opens = falling(c.open[2], c.open[1], c.close[2]) & falling(c.open[1], c.open[0], c.close[1])
    closes = falling(c.high[3], c.close[2], c.close[1], c.close[0])
    return down(c.white[3] & c.all_black(2, 1, 0) & bare & opens & closes)


def _opens_in(c: Candles, back: int, n: int) -> Mask:
    """A candle opens in the body before, or near it."""
    before = back + 1
    reach = c.near(before, n)
    return (c.open[back] >= c.bottom[before] - reach) & (c.open[back] <= c.top[before] + reach)


def three_line_strike(c: Candles, n: int) -> Values:
    """Three candles one way, and a fourth that takes all of it back."""
    rises = c.all_white(3, 2, 1) & c.black[0] & rising(c.close[3], c.close[2], c.close[1], c.open[0])
    falls = c.all_black(3, 2, 1) & c.white[0] & falling(c.close[3], c.close[2], c.close[1], c.open[0])
    struck = (rises & (c.close[0] < c.open[3])) | (falls & (c.close[0] > c.open[3]))
    return as_colored(struck & _opens_in(c, 2, n) & _opens_in(c, 1, n), c.white[1])


def breakaway(c: Candles, n: int) -> Values:
    """A long body, a gap, two more candles the same way, and one back into the gap."""
    rises = c.all_white(4, 3, 1) & c.black[0] & c.gap_up(3, 4) & falling(c.open[3], c.close[0], c.close[4])
    rises &= rising(c.high[3], c.high[2], c.high[1]) & rising(c.low[3], c.low[2], c.low[1])
    falls = c.all_black(4, 3, 1) & c.white[0] & c.gap_down(3, 4) & rising(c.open[3], c.close[0], c.close[4])
    falls &= falling(c.high[3], c.high[2], c.high[1]) & falling(c.low[3], c.low[2], c.low[1])
    return as_colored(c.long(4, n) & (rises | falls), c.white[0])


def concealing_baby_swallow(c: Candles, n: int) -> Values:
    """Two black marubozu, a black candle below with a shadow up into them, and one that covers it whole."""
    bare = c.bare_bottom(3, n) & c.bare_top(3, n) & c.bare_bottom(2, n) & c.bare_top(2, n)
    third = c.gap_down(1, 2) & (c.upper[1] > c.hair(1, n)) & (c.high[1] > c.close[2])
    return up(c.all_black(3, 2, 1, 0) & bare & third & (c.high[0] > c.high[1]) & (c.low[0] < c.low[1]))


def ladder_bottom(c: Candles, n: int) -> Values:
    """Three falling black candles, a black one with an upper shadow, and a white one above it."""
    falls = falling(c.open[4], c.open[3], c.open[2]) & falling(c.close[4], c.close[3], c.close[2])
    turns = (c.upper[1] > c.hair(1, n)) & (c.open[0] > c.open[1]) & (c.close[0] > c.high[1])
    return up(c.all_black(4, 3, 2, 1) & c.white[0] & falls & turns)


def mat_hold(c: Candles, n: int) -> Values:
    """A long white body, three small ones that fall from above and hold within it, and a new high."""
    start = c.long(4, n) & c.white[4] & c.black[3] & c.white[0] & c.gap_up(3, 4)
    small = c.short(3, n) & c.short(2, n) & c.short(1, n)
    floor = c.close[4] - c.body[4] * HOLD
    held = falling(c.close[4], c.bottom[2], floor) & falling(c.close[4], c.bottom[1], floor)
    ends = (c.open[0] > c.close[1]) & (c.close[0] > np.maximum(np.maximum(c.high[3], c.high[2]), c.high[1]))
    return up(start & small & held & falling(c.open[3], c.top[2], c.top[1]) & ends)


def _touches(c: Candles, back: int) -> Mask:
    """A body lies at least partly within the span of the first of five candles."""
    return (c.bottom[back] < c.high[4]) & (c.top[back] > c.low[4])


def three_methods(c: Candles, n: int) -> Values:
    """A long body, three small ones against it and within its span, and a long one further on."""
    sizes = c.long(4, n) & c.short(3, n) & c.short(2, n) & c.short(1, n) & c.long(0, n)
    rests = _touches(c, 3) & _touches(c, 2) & _touches(c, 1)
    rises = c.all_white(4, 0) & c.all_black(3, 2, 1) & falling(c.close[3], c.close[2], c.close[1])
    rises &= (c.open[0] > c.close[1]) & (c.close[0] > c.close[4])
    falls = c.all_black(4, 0) & c.all_white(3, 2, 1) & rising(c.close[3], c.close[2], c.close[1])
    falls &= (c.open[0] < c.close[1]) & (c.close[0] < c.close[4])
    return as_colored(sizes & rests & (rises | falls), c.white[4])


def hikkake(c: Candles, _n: int) -> Values:
    """A candle inside the one before, a move out of it, and within three candles the close back beyond it (±200)."""
    return c.hikkakes[0]


def hikkake_modified(c: Candles, _n: int) -> Values:
    """A hikkake whose inside candle lies in another that closed near the end which the move left by (±200 too)."""
    return c.hikkakes[1]
