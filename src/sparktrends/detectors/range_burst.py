"""A bar with a far wider range than usual."""

from __future__ import annotations

import math

from sparktrends.detectors import rarity
from sparktrends.detectors.base import COUNT, HIGH, LOW, Detector, Row, Verdict, compiled

SPAN, LEAST, FLOOR = 2, 3, 4
TRACK = 1


@compiled
def log_range(p: Row, bar: Row) -> float:
    """ln of the bar's range ln(high/low), which is taken to be ``least`` when it is less."""
    return math.log(max(math.log(bar[HIGH] / bar[LOW]), p[LEAST]))


@compiled
def _score(p: Row, state: Row, bar: Row, _seen: Row) -> Verdict:
    size = log_range(p, bar)
    z = rarity.distance(state, TRACK, size, p[FLOOR])
    score = rarity.rarity(state, TRACK, z) if z > 0 else 0.0
    return score, size, state[TRACK], max(state[TRACK + rarity.SPREAD], p[FLOOR])


@compiled
def _learn(p: Row, state: Row, bar: Row, _seen: Row) -> None:
    size = log_range(p, bar)
    if state[COUNT] == 0:
        rarity.begin(state, TRACK, size, p[FLOOR])
    z = rarity.distance(state, TRACK, size, p[FLOOR])
    rarity.absorb(state, TRACK, z, p[FLOOR], rarity.weight_of(state[COUNT], p[SPAN]), True, False)


class RangeBurst(Detector):
    """How rare the width of a bar (high to low) is: fights between buyers and sellers that a close does not show.

    High and low only move apart while a bar forms, so it may speak early. ``least`` is the width that counts as
    none, one basis point; ``floor`` the least scale, 0.25: widths that differ by a quarter are the same width.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors, SCORE
    >>> bars = np.tile([100, 100.05, 99.95, 100, 5, 0, 0, 0], (151, 1)); bars[150, 1:3] = 102.0, 98.0
    >>> one = Detectors((), chosen=("range_burst",))
    >>> bool(one.run(one.new(1)[0], bars, np.empty((151, 0)))[150, 0, SCORE] > 4.2)
    True
    """

    name = "range_burst"
    size = 5
    defaults = {"threshold": 4.2, "warm": 100, "span": 60, "least": 1e-4, "floor": 0.25}  # noqa: RUF012
    measure = "natural logarithm of ln(high / low)"
    forming = True
    directed = False
    score = staticmethod(_score)
    learn = staticmethod(_learn)
