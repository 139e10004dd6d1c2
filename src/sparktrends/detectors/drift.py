"""A slow, steady move: the mean return of the last hours is not zero."""

from __future__ import annotations

import math

from sparktrends.detectors.base import THRESHOLD, Detector, Row, Verdict, compiled
from sparktrends.detectors.change_point import learn_move, standard

MEMORY = 4
MEAN, SIDE = 8, 9


@compiled
def strength(p: Row, mean: float) -> float:
    """The mean in its own standard deviations, were the returns independent: that of an exponential mean."""
    return mean * math.sqrt(2.0 * p[MEMORY] - 1.0)


@compiled
def next_mean(p: Row, state: Row, bar: Row) -> float:
    """The exponential mean of standardised returns with this bar in it."""
    return state[MEAN] + (standard(p, state, bar) - state[MEAN]) / p[MEMORY]


@compiled
def _score(p: Row, state: Row, bar: Row, _seen: Row) -> Verdict:
    mean = next_mean(p, state, bar)
    found = strength(p, mean)
    # Said once: what is beyond the threshold already stays just below it until it has come back half way.
    if found * state[SIDE] > 0 and abs(found) >= p[THRESHOLD]:
        found = math.copysign(0.999 * p[THRESHOLD], found)
    return found, mean, 0.0, 1.0 / math.sqrt(2.0 * p[MEMORY] - 1.0)


@compiled
def _learn(p: Row, state: Row, bar: Row, seen: Row) -> None:
    mean = next_mean(p, state, bar)
    found = strength(p, mean)
    if abs(found) >= p[THRESHOLD]:
        state[SIDE] = math.copysign(1.0, found)
    elif abs(found) < p[THRESHOLD] / 2:
        state[SIDE] = 0.0
    state[MEAN] = mean
    learn_move(p, state, bar, seen)


class Drift(Detector):
    """The exponential mean of standardised returns over ``memory`` bars, in standard deviations.

    Speaks once when it passes the threshold and again only after it came back half way or turned. Five deviations:
    the mean over two hours is nearly Gaussian whatever the returns are, and five are one in two million.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors
    >>> steps = np.tile([5e-4, -5e-4], 300); steps[400:] += 3e-4
    >>> close = 100 * np.exp(np.cumsum(steps))
    >>> bars = np.column_stack([close, close, close, close, close * 0 + 5, close * 0, close * 0, close * 0])
    >>> one = Detectors((), chosen=("drift",))
    >>> found = one.run(one.new(1)[0], bars, np.empty((600, 0)))
    >>> [s.direction for s in one.signals([("x", "A", "1m", i) for i in range(600)], found)]
    ['up']
    """

    name = "drift"
    size = 10
    defaults = {"threshold": 5, "warm": 300, "span": 480, "floor": 1e-4, "memory": 120}  # noqa: RUF012
    measure = "exponential mean of the log returns in their own scales"
    score = staticmethod(_score)
    learn = staticmethod(_learn)
