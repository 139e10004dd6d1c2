"""Prices at which a series has turned before: support below it, resistance above."""

from __future__ import annotations

import math

from sparktrends.detectors.base import CLOSE, HIGH, LOW, Detector, Row, Verdict, compiled

NEAR, SWING = 2, 3
WAY, EXTREME, CLOCK, LEVELS = 1, 2, 3, 4
"""State: which way the price swings (+1, −1, 0: not known yet), how far that has come, turns so far, the levels."""
PRICE, TURNS, LAST, SIDE = range(4)
"""A level: its price, how often the price has turned there, at which turn last, and its side: +1 below the price
(support), −1 above (resistance), 0 until the price has been far from it since it was touched."""
LEVEL, MOST = 4, 8


@compiled
def reaches(bar: Row, price: float, band: float) -> bool:
    """Whether the bar was within ``band`` of a price."""
    return bar[LOW] <= price + band and bar[HIGH] >= price - band


@compiled
def touched(p: Row, state: Row, bar: Row, seen: Row) -> int:
    """The level that the bar comes to and closes on its own side of, most turns first; −1 without one."""
    band, best = p[NEAR] * seen[0], -1
    for at in range(LEVELS, LEVELS + MOST * LEVEL, LEVEL):
        price, side = state[at + PRICE], state[at + SIDE]
        below = side > 0 and bar[LOW] <= price + band and bar[CLOSE] >= price - band
        above = side < 0 and bar[HIGH] >= price - band and bar[CLOSE] <= price + band
        if (below or above) and (best < 0 or state[at + TURNS] > state[best + TURNS]):
            best = at
    return best


@compiled
def turned(p: Row, state: Row, bar: Row, seen: Row) -> float:
    """The price at which a swing ended, now that the close has come ``swing`` ATR back from it; 0 while it goes on."""
    back = p[SWING] * seen[0]
    if state[WAY] > 0 and bar[CLOSE] <= state[EXTREME] - back:
        return state[EXTREME]
    if state[WAY] < 0 and bar[CLOSE] >= state[EXTREME] + back:
        return state[EXTREME]
    return 0.0


@compiled
def remember(p: Row, state: Row, price: float, side: float, seen: Row) -> None:
    """One turn more at the level near ``price``, or a new level in the place of the one that turned longest ago."""
    band, place, oldest = p[NEAR] * seen[0], -1, LEVELS
    for at in range(LEVELS, LEVELS + MOST * LEVEL, LEVEL):
        if state[at + TURNS] > 0 and abs(state[at + PRICE] - price) <= band:
            place = at
        if state[at + LAST] < state[oldest + LAST]:
            oldest = at
    if place < 0:
        place = oldest
        state[place + PRICE], state[place + TURNS], state[place + SIDE] = price, 0.0, side
    state[place + TURNS] += 1.0
    state[place + PRICE] += (price - state[place + PRICE]) / state[place + TURNS]
    state[place + LAST] = state[CLOCK]


@compiled
def _score(p: Row, state: Row, bar: Row, seen: Row) -> Verdict:
    at = touched(p, state, bar, seen)
    if at < 0:
        return 0.0, bar[CLOSE], math.nan, p[NEAR] * seen[0]
    return state[at + SIDE] * state[at + TURNS], bar[CLOSE], state[at + PRICE], p[NEAR] * seen[0]


@compiled
def _learn(p: Row, state: Row, bar: Row, seen: Row) -> None:
    # Not `<= 0`: NaN, while the range is not warm, fails every comparison.
    if not seen[0] > 0:
        return
    far, band = p[SWING] * seen[0], p[NEAR] * seen[0]
    for at in range(LEVELS, LEVELS + MOST * LEVEL, LEVEL):
        apart = bar[CLOSE] - state[at + PRICE]
        if abs(apart) >= far:
            state[at + SIDE] = math.copysign(1.0, apart)
        elif state[at + SIDE] * apart < 0 or reaches(bar, state[at + PRICE], band):
            state[at + SIDE] = 0.0
    if state[WAY] == 0:
        state[WAY], state[EXTREME] = 1.0, bar[HIGH]
    price = turned(p, state, bar, seen)
    if price > 0:
        state[WAY] = -state[WAY]
        if state[CLOCK] > 0:  # the first extreme may be no more than where the series began
            remember(p, state, price, state[WAY], seen)
        state[CLOCK] += 1.0
        state[EXTREME] = bar[HIGH] if state[WAY] > 0 else bar[LOW]
    else:
        state[EXTREME] = max(state[EXTREME], bar[HIGH]) if state[WAY] > 0 else min(state[EXTREME], bar[LOW])


class LevelTouch(Detector):
    """The price comes back to a level at which it has turned ``threshold`` times, and holds there.

    A turn is the end of a swing: the close has come ``swing`` ATR back from the extreme. Turns within ``near`` ATR of
    each other are one level; the eight that turned last are remembered. A bar touches a level when it comes within
    ``near`` ATR and does not close beyond, after the close was ``swing`` ATR away. The score is the number of turns
    there, positive at support (the price came from above), negative at resistance.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors, SCORE
    >>> close = np.concatenate([np.linspace(a, b, 10) for a, b in zip([110, 100] * 3, [100, 110] * 3)])
    >>> bars = np.tile(close[:, None], (1, 8))
    >>> one = Detectors(("atr_14",), chosen=("level_touch",))
    >>> scores = one.run(one.new(1)[0], bars, np.ones((60, 1)))[1:, 0, SCORE]
    >>> [(int(bar) + 1, int(scores[bar])) for bar in np.flatnonzero(np.abs(scores) >= 2)]
    [(49, 2), (59, -2)]
    """

    name = "level_touch"
    kind = "pattern"
    size = LEVELS + MOST * LEVEL
    reads = ("atr_14",)
    defaults = {"threshold": 2, "warm": 1, "near": 0.25, "swing": 5}  # noqa: RUF012
    measure = "the close; baseline is the level, scale how near to it counts as there"
    score = staticmethod(_score)
    learn = staticmethod(_learn)
