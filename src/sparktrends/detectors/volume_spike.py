"""A bar with far more volume than usual."""

from __future__ import annotations

import math

from sparktrends.detectors import rarity
from sparktrends.detectors.base import COUNT, VOLUME, Detector, Row, Verdict, compiled

SPAN, FLOOR = 2, 3
TRACK = 1


@compiled
def _score(p: Row, state: Row, bar: Row, _seen: Row) -> Verdict:
    if not bar[VOLUME] > 0:
        return 0.0, math.nan, state[TRACK], state[TRACK + rarity.SPREAD]
    size = math.log(bar[VOLUME])
    z = rarity.distance(state, TRACK, size, p[FLOOR])
    score = rarity.rarity(state, TRACK, z) if z > 0 else 0.0
    return score, size, state[TRACK], max(state[TRACK + rarity.SPREAD], p[FLOOR])


@compiled
def learn_as(state: Row, bar: Row, span: float, floor: float, fresh: bool) -> None:
    """Take the bar in; ``fresh`` false: the tail has learned from its event already."""
    size = math.log(bar[VOLUME]) if bar[VOLUME] > 0 else state[TRACK]
    if state[COUNT] == 0:
        rarity.begin(state, TRACK, size, floor)
    z = rarity.distance(state, TRACK, size, floor)
    rarity.absorb(state, TRACK, z, floor, rarity.weight_of(state[COUNT], span), True, False, fresh)


@compiled
def _learn(p: Row, state: Row, bar: Row, _seen: Row) -> None:
    learn_as(state, bar, p[SPAN], p[FLOOR], True)


class VolumeSpike(Detector):
    """How rare the logarithm of a bar's volume is; only more than usual counts.

    Volume can only grow while a bar forms, so it may speak early. ``span`` is the memory of centre and scale in
    bars; ``floor`` the least scale, 0.25: volumes that differ by a quarter are the same volume. A bar without volume
    (a price seen without a trade) teaches nothing.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors, SCORE
    >>> bars = np.ones((151, 8)); bars[150, 4] = 30.0
    >>> one = Detectors((), chosen=("volume_spike",))
    >>> bool(one.run(one.new(1)[0], bars, np.empty((151, 0)))[150, 0, SCORE] > 4.2)
    True
    """

    name = "volume_spike"
    size = 5
    defaults = {"threshold": 4.2, "warm": 100, "span": 60, "floor": 0.25}  # noqa: RUF012
    measure = "natural logarithm of the bar's volume"
    forming = True
    directed = False
    score = staticmethod(_score)
    learn = staticmethod(_learn)
