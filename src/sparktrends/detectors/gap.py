"""A session that opens far from where the last one closed."""

from __future__ import annotations

import math

from sparktrends.detectors import rarity
from sparktrends.detectors.base import CLOSE, COUNT, OPEN, SESSION, Detector, Row, Verdict, compiled

NIGHTS, BARS, FLOOR = 2, 3, 4
TRACK, LAST, DAY, OPENINGS, VARIANCE = 1, 5, 6, 7, 8
VARIANCE_WEIGHT = 1 / 60


@compiled
def opens(state: Row, bar: Row) -> bool:
    """Whether this bar begins a session that is not the first."""
    return state[COUNT] > 0 and state[DAY] != bar[SESSION]


@compiled
def least_scale(p: Row, state: Row) -> float:
    """Until some nights are known, a night is as wide as ``bars`` bars of trading."""
    return max(p[FLOOR], math.sqrt(state[VARIANCE] * p[BARS])) if state[OPENINGS] < p[NIGHTS] else p[FLOOR]


@compiled
def _score(p: Row, state: Row, bar: Row, _seen: Row) -> Verdict:
    if not opens(state, bar):
        return 0.0, math.nan, math.nan, math.nan
    jump = math.log(bar[OPEN] / state[LAST])
    floor = least_scale(p, state)
    z = rarity.distance(state, TRACK, jump, floor)
    return math.copysign(rarity.rarity(state, TRACK, z), z), jump, 0.0, max(state[TRACK + rarity.SPREAD], floor)


@compiled
def _learn(p: Row, state: Row, bar: Row, _seen: Row) -> None:
    if state[COUNT] == 0:
        rarity.begin(state, TRACK, 0.0, p[FLOOR])
    elif opens(state, bar):
        floor = least_scale(p, state)
        z = rarity.distance(state, TRACK, math.log(bar[OPEN] / state[LAST]), floor)
        rarity.absorb(state, TRACK, z, floor, rarity.weight_of(state[OPENINGS], p[NIGHTS]), False, True)
        state[OPENINGS] += 1.0
    move = math.log(bar[CLOSE] / bar[OPEN])
    state[VARIANCE] += VARIANCE_WEIGHT * (move * move - state[VARIANCE])
    state[LAST] = bar[CLOSE]
    state[DAY] = bar[SESSION]


class Gap(Detector):
    """How rare the step from the last close of a session to the first open of the next is.

    Judged among such steps, not among bars: the threshold of 2.5 is one false alarm in 316 sessions. Before
    ``nights`` of them are known, a night is taken to be as wide as ``bars`` bars of trading, 150: about the share
    of a stock's variance that falls outside its session. ``floor`` is the least width, ten basis points.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors
    >>> bars = np.tile([100, 100.02, 99.99, 100.01, 5, 0, 0, 0], (150, 1)); bars[100:, :4] *= 0.93; bars[100:, 6] = 1
    >>> one = Detectors((), chosen=("gap",))
    >>> found = one.run(one.new(1)[0], bars, np.empty((150, 0)))
    >>> [(s.start, s.direction) for s in one.signals([("x", "A", "1m", i) for i in range(150)], found)]
    [(100, 'down')]
    """

    name = "gap"
    size = 9
    defaults = {"threshold": 2.5, "warm": 60, "nights": 20, "bars": 150, "floor": 1e-3}  # noqa: RUF012
    measure = "log of the session's first open over the last close before it"
    score = staticmethod(_score)
    learn = staticmethod(_learn)
