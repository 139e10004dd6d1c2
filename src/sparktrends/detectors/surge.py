"""A high or low far from the close before: may speak while the bar still forms."""

from __future__ import annotations

import math

from sparktrends.detectors import rarity
from sparktrends.detectors.base import COUNT, HIGH, LOW, Detector, Row, Verdict, compiled
from sparktrends.detectors.price_move import _learn as learn_move
from sparktrends.detectors.price_move import least_scale, reference

SPAN = 2
MOVE, TRACK = 8, 8


@compiled
def excursion(state: Row, bar: Row) -> float:
    """The larger way, signed, from the reference price to the bar's high or low, as a logarithm."""
    before = reference(state, bar)
    up = math.log(bar[HIGH] / before)
    down = math.log(before / bar[LOW])
    return up if up >= down else -down


@compiled
def _score(p: Row, state: Row, bar: Row, _seen: Row) -> Verdict:
    way = excursion(state, bar)
    floor = least_scale(p, state)
    z = rarity.distance(state, TRACK, way, floor)
    score = math.copysign(rarity.rarity(state, TRACK, z), z)
    return score, way, 0.0, max(state[TRACK + rarity.SPREAD], floor)


@compiled
def _learn(p: Row, state: Row, bar: Row, _seen: Row) -> None:
    floor = least_scale(p, state)
    if state[COUNT] == 0:
        rarity.begin(state, TRACK, 0.0, p[3])
    z = rarity.distance(state, TRACK, excursion(state, bar), floor)
    rarity.absorb(state, TRACK, z, floor, rarity.weight_of(state[COUNT], p[SPAN]), False, True)
    learn_move(p, state, bar, _seen)


class Surge(Detector):
    """How rare the distance from the previous close to the bar's high or low is: the forming-bar detector.

    High and low only move outwards while a bar forms, so its score only grows: it fires as soon as the move is
    there. Its final verdict is the same function of the final bar. Direction is that of the larger excursion; when
    the bar ends with the other one larger, the early signal does not stand and is retracted.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors, SCORE
    >>> bars = np.tile([100, 100.02, 99.99, 100, 5, 0, 0, 0], (151, 1)); bars[150, 1] = 104.0
    >>> one = Detectors((), chosen=("surge",))
    >>> bool(one.run(one.new(1)[0], bars, np.empty((151, 0)))[150, 0, SCORE] > 4.2)
    True
    """

    name = "surge"
    size = 12
    defaults = {"threshold": 4.2, "warm": 100, "span": 60, "floor": 1e-4}  # noqa: RUF012
    measure = "log distance from the previous close to the bar's high or low"
    forming = True
    score = staticmethod(_score)
    learn = staticmethod(_learn)
