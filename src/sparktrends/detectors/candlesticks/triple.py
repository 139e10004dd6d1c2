"""Patterns of three candles. Each rule gives TA-Lib's value per bar: 100 up, −100 down, 0 not there."""

from __future__ import annotations

from sparktrends.detectors.candlesticks.candles import (
    Candles,
    Mask,
    Values,
    as_colored,
    down,
    falling,
    rising,
    up,
    within,
)

STAR = 0.3
"""How far the third body of a star must reach into the first."""


def two_crows(c: Candles, n: int) -> Values:
    """A long white body, a black one above it, a black one from inside the second into the first."""
    start = c.white[2] & c.long(2, n) & c.all_black(1, 0) & c.gap_up(1, 2)
    return down(start & falling(c.open[1], c.open[0], c.close[1]) & falling(c.close[2], c.close[0], c.open[2]))


def upside_gap_two_crows(c: Candles, n: int) -> Values:
    """A long white body, a small black one above it, a black one around that and still above the first."""
    start = c.white[2] & c.long(2, n) & c.all_black(1, 0) & ~c.long(1, n) & c.gap_up(1, 2)
    return down(start & (c.open[0] > c.open[1]) & falling(c.close[1], c.close[0], c.close[2]))


def three_inside(c: Candles, n: int) -> Values:
    """A small body inside a long one, then a candle that ends beyond the first."""
    inside = c.long(2, n) & ~c.long(1, n) & (c.top[1] < c.top[2]) & (c.bottom[1] > c.bottom[2])
    falls = c.white[2] & c.black[0] & (c.close[0] < c.open[2])
    rises = c.black[2] & c.white[0] & (c.close[0] > c.open[2])
    return as_colored(inside & (falls | rises), c.black[2])


def three_outside(c: Candles, _n: int) -> Values:
    """A body that covers the one before, then a close further on."""
    rises = c.white[1] & (c.close[1] > c.open[2]) & (c.open[1] < c.close[2]) & (c.close[0] > c.close[1])
    falls = c.black[1] & (c.open[1] > c.close[2]) & (c.close[1] < c.open[2]) & (c.close[0] < c.close[1])
    return as_colored(c.opposite(1, 2) & (rises | falls), c.white[1])


def three_stars_in_the_south(c: Candles, n: int) -> Values:
    """Three black candles, each smaller and higher at its low than the one before."""
    first = c.long(2, n) & (c.lower[2] > c.body[2])
    second = (c.body[1] < c.body[2]) & (c.open[1] > c.close[2]) & (c.open[1] <= c.high[2])
    second &= (c.low[1] < c.close[2]) & (c.low[1] >= c.low[2]) & (c.lower[1] > c.hair(1, n))
    third = c.short(0, n) & c.bare_bottom(0, n) & c.bare_top(0, n) & (c.low[0] > c.low[1]) & (c.high[0] < c.high[1])
    return up(c.all_black(2, 1, 0) & first & second & third)


def _rise(c: Candles) -> Mask:
    """Three white candles with higher closes."""
    return c.all_white(2, 1, 0) & rising(c.close[2], c.close[1], c.close[0])


def _opens_near(c: Candles, back: int, n: int) -> Mask:
    """A candle opens above the open before and hardly above the close before."""
    before = back + 1
    return (c.open[back] > c.open[before]) & (c.open[back] <= c.close[before] + c.near(before, n))


def three_white_soldiers(c: Candles, n: int) -> Values:
    """Three white candles without upper shadows, each opening in or near the body before, none much smaller."""
    bare = c.bare_top(2, n) & c.bare_top(1, n) & c.bare_top(0, n)
    steady = (c.body[1] > c.body[2] - c.far(2, n)) & (c.body[0] > c.body[1] - c.far(1, n)) & c.long(0, n)
    return up(_rise(c) & bare & _opens_near(c, 1, n) & _opens_near(c, 0, n) & steady)


def _weakens(c: Candles, n: int) -> Mask:
    smaller = c.body[0] < c.body[1]
    shaded = (c.upper[0] > c.short_shadow(0, n)) | (c.upper[1] > c.short_shadow(1, n))
    return (
        ((c.body[1] < c.body[2] - c.far(2, n)) & (c.body[0] < c.body[1] + c.near(1, n)))
        | (c.body[0] < c.body[1] - c.far(1, n))
        | (smaller & (c.body[1] < c.body[2]) & shaded)
        | (smaller & (c.upper[0] > c.body[0]))
    )


def advance_block(c: Candles, n: int) -> Values:
    """Three white candles that rise, each weaker than the one before."""
    start = c.long(2, n) & (c.upper[2] < c.short_shadow(2, n))
    return down(_rise(c) & _opens_near(c, 1, n) & _opens_near(c, 0, n) & start & _weakens(c, n))


def stalled_pattern(c: Candles, n: int) -> Values:
    """Two long white candles, then a small one at the end of the second."""
    rides = c.open[0] >= c.close[1] - c.body[0] - c.near(1, n)
    start = c.long(2, n) & c.long(1, n) & c.bare_top(1, n) & _opens_near(c, 1, n)
    return down(_rise(c) & start & c.short(0, n) & rides)


def identical_three_crows(c: Candles, n: int) -> Values:
    """Three black candles without lower shadows, each opening at the close before."""
    bare = c.bare_bottom(2, n) & c.bare_bottom(1, n) & c.bare_bottom(0, n)
    chained = within(c.open[1], c.close[2], c.equal(2, n)) & within(c.open[0], c.close[1], c.equal(1, n))
    return down(c.all_black(2, 1, 0) & bare & falling(c.close[2], c.close[1], c.close[0]) & chained)


def _evening(c: Candles, n: int) -> Mask:
    """A long white body, and a longer than usual black one deep into it."""
    deep = c.close[0] < c.close[2] - c.body[2] * STAR
    return c.white[2] & c.long(2, n) & c.black[0] & c.long(0, n) & deep


def _morning(c: Candles, n: int) -> Mask:
    """A long black body, and a longer than usual white one deep into it."""
    deep = c.close[0] > c.close[2] + c.body[2] * STAR
    return c.black[2] & c.long(2, n) & c.white[0] & c.long(0, n) & deep


def evening_star(c: Candles, n: int) -> Values:
    """A small body above a long white one, then a black one into that."""
    return down(_evening(c, n) & ~c.long(1, n) & c.gap_up(1, 2))


def evening_doji_star(c: Candles, n: int) -> Values:
    """A doji above a long white body, then a black one into that."""
    return down(_evening(c, n) & c.doji(1, n) & c.gap_up(1, 2))


def morning_star(c: Candles, n: int) -> Values:
    """A small body below a long black one, then a white one into that."""
    return up(_morning(c, n) & ~c.long(1, n) & c.gap_down(1, 2))


def morning_doji_star(c: Candles, n: int) -> Values:
    """A doji below a long black body, then a white one into that."""
    return up(_morning(c, n) & c.doji(1, n) & c.gap_down(1, 2))


def abandoned_baby(c: Candles, n: int) -> Values:
    """A star whose doji leaves a gap on both sides, shadows included."""
    falls = _evening(c, n) & c.jump_up(1, 2) & c.jump_down(0, 1)
    rises = _morning(c, n) & c.jump_down(1, 2) & c.jump_up(0, 1)
    return as_colored(c.doji(1, n) & (falls | rises), c.white[0])


def gap_side_side_white(c: Candles, n: int) -> Values:
    """Two white candles side by side beyond a gap."""
    rises = c.gap_up(1, 2) & c.gap_up(0, 2)
    falls = c.gap_down(1, 2) & c.gap_down(0, 2)
    alike = within(c.body[0], c.body[1], c.near(1, n)) & within(c.open[0], c.open[1], c.equal(1, n))
    return as_colored((rises | falls) & c.all_white(1, 0) & alike, rises)


def stick_sandwich(c: Candles, n: int) -> Values:
    """Two black candles that close at one price, and a white one between and above them."""
    colors = c.all_black(2, 0) & c.white[1]
    return up(colors & (c.low[1] > c.close[2]) & within(c.close[0], c.close[2], c.equal(2, n)))


def tasuki_gap(c: Candles, n: int) -> Values:
    """A gap, and a body of the opposite color, as long as the one beyond it, that fills the gap in part."""
    alike = abs(c.body[1] - c.body[0]) < c.near(1, n)
    inside = (c.open[0] < c.top[1]) & (c.open[0] > c.bottom[1])
    rises = c.gap_up(1, 2) & c.white[1] & (c.close[0] < c.open[1]) & (c.close[0] > c.top[2])
    falls = c.gap_down(1, 2) & c.black[1] & (c.close[0] > c.open[1]) & (c.close[0] < c.bottom[2])
    return as_colored((rises | falls) & c.opposite(0, 1) & inside & alike, c.white[1])


def tristar(c: Candles, n: int) -> Values:
    """Three dojis, the second beyond the others."""
    most = c.hair(2, n)
    dojis = (c.body[2] <= most) & (c.body[1] <= most) & (c.body[0] <= most)
    falls = c.gap_up(1, 2) & (c.top[0] < c.top[1])
    rises = c.gap_down(1, 2) & (c.bottom[0] > c.bottom[1])
    return as_colored(dojis & (falls | rises), rises)


def unique_three_river(c: Candles, n: int) -> Values:
    """A long black body, a black one inside it with a new low, and a small white one below that."""
    second = (c.close[1] > c.close[2]) & (c.open[1] <= c.open[2]) & (c.low[1] < c.low[2])
    return up(c.all_black(2, 1) & c.white[0] & c.long(2, n) & second & c.short(0, n) & (c.open[0] > c.low[1]))


def gap_three_methods(c: Candles, _n: int) -> Values:
    """A gap between two candles of one color, and one of the opposite color from body to body."""
    between = falling(c.top[1], c.open[0], c.bottom[1]) & falling(c.top[2], c.close[0], c.bottom[2])
    away = (c.white[2] & c.gap_up(1, 2)) | (c.black[2] & c.gap_down(1, 2))
    return as_colored(~c.opposite(1, 2) & c.opposite(0, 1) & between & away, c.white[2])
