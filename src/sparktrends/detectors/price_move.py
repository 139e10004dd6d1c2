"""A close that moved further than this series lately moves."""

from __future__ import annotations

import math

from sparktrends.detectors import rarity, session_shape
from sparktrends.detectors.base import CLOSE, COUNT, OPEN, SESSION, Detector, Row, Verdict, compiled

SPAN, FLOOR = 2, 3
TRACK, LAST, DAY, TICK = 1, 5, 6, 7
SHAPE = 8


@compiled
def reference(state: Row, bar: Row) -> float:
    """The price to compare with: the close before, or the bar's own open when a session begins (a gap is another)."""
    if state[COUNT] > 0 and state[DAY] == bar[SESSION]:
        return state[LAST]
    return bar[OPEN]


@compiled
def least_scale(p: Row, state: Row) -> float:
    """The larger of ``floor`` and one step of the price grid, as far as that is known."""
    return max(p[FLOOR], state[TICK] / state[LAST]) if state[COUNT] > 0 else p[FLOOR]


@compiled
def within(state: Row, bar: Row) -> bool:
    """Whether the bar is of the session of the last one."""
    return state[COUNT] > 0 and state[DAY] == bar[SESSION]


@compiled
def _score(p: Row, state: Row, bar: Row, _seen: Row) -> Verdict:
    move = math.log(bar[CLOSE] / reference(state, bar))
    usual = session_shape.factor(state, SHAPE, within(state, bar))
    floor = least_scale(p, state) / usual
    z = rarity.distance(state, TRACK, move / usual, floor)
    score = math.copysign(rarity.rarity(state, TRACK, z), z)
    return score, move, state[TRACK], max(state[TRACK + rarity.SPREAD], floor) * usual


@compiled
def _learn(p: Row, state: Row, bar: Row, _seen: Row) -> None:
    same = within(state, bar)
    usual = session_shape.factor(state, SHAPE, same)
    width = max(state[TRACK + rarity.SPREAD], least_scale(p, state) / usual) * usual
    size = min(abs(math.log(bar[CLOSE] / reference(state, bar))), rarity.WINSOR * width)
    count = state[COUNT]
    learn_as(p, state, bar, usual)
    session_shape.absorb(state, SHAPE, count, size, same)


@compiled
def learn_move(p: Row, state: Row, bar: Row, _seen: Row) -> None:
    """The first `SHAPE` floats, for a detector that does not look at the time of the day."""
    learn_as(p, state, bar, 1.0)


@compiled
def learn_as(p: Row, state: Row, bar: Row, usual: float) -> None:
    """The bar's move, in a part of the session where moves are ``usual`` times as large; and the last close, the
    session and the price grid."""
    before = reference(state, bar)
    if state[COUNT] == 0:
        rarity.begin(state, TRACK, 0.0, p[FLOOR])
    floor = least_scale(p, state) / usual
    z = rarity.distance(state, TRACK, math.log(bar[CLOSE] / before) / usual, floor)
    rarity.absorb(state, TRACK, z, floor, rarity.weight_of(state[COUNT], p[SPAN]), False, True)
    step = abs(bar[CLOSE] - before)
    if step > 0 and (state[TICK] == 0 or step < state[TICK]):
        state[TICK] = step
    state[LAST] = bar[CLOSE]
    state[DAY] = bar[SESSION]


class PriceMove(Detector):
    """How rare the log return of a bar is against the series' own recent volatility and tails.

    ``span`` is the memory of the volatility in bars. ``floor`` is the least volatility believed in: 0.0001, one
    basis point, because the spread alone moves the close of any liquid market by that much. The price grid (the
    smallest step seen) is a floor too. The first bar of a session is measured from its own open. Volatility is that of
    the part of the session: how much wilder or calmer than the whole each is, is learned (`session_shape`).

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors
    >>> close = 100 * np.exp(np.cumsum(np.append(np.tile([2e-4, -2e-4], 100), 0.01)))
    >>> bars = np.column_stack([close, close, close, close, close * 0 + 5, close * 0, close * 0, close * 0])
    >>> one = Detectors((), chosen=("price_move",))
    >>> found = one.run(one.new(1)[0], bars, np.empty((len(bars), 0)))
    >>> [signal.direction for signal in one.signals([("x", "A", "1m", i) for i in range(len(bars))], found)]
    ['up']
    """

    name = "price_move"
    size = SHAPE + session_shape.SHAPE
    defaults = {"threshold": 4.2, "warm": 100, "span": 60, "floor": 1e-4}  # noqa: RUF012
    measure = "log return of the bar"
    score = staticmethod(_score)
    learn = staticmethod(_learn)
