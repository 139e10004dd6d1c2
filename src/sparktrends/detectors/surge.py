"""A high or low far from the close before: may speak while the bar still forms."""

from __future__ import annotations

import math

from sparktrends.detectors import rarity
from sparktrends.detectors.base import CLOSE, COUNT, HIGH, LOW, SESSION, Detector, Row, Verdict, compiled
from sparktrends.detectors.price_move import DAY, learn_move, least_scale, reference

SPAN = 2
MOVE, TRACK = 8, 8
BEGAN, RUN = 12, 13
"""State after that of the move and the tracker: where the present move began, and which way it goes (0: none)."""


@compiled
def excursion(state: Row, bar: Row) -> float:
    """The larger way, signed, from the reference price to the bar's high or low, as a logarithm."""
    before = reference(state, bar)
    up = math.log(bar[HIGH] / before)
    down = math.log(before / bar[LOW])
    return up if up >= down else -down


@compiled
def whole(state: Row, bar: Row, floor: float) -> float:
    """The excursion; where it carries on, by `KNEE` scales or more, what the bars before it did, all of the way since
    that began: a move that goes on is one move, wherever the minutes cut it."""
    way = excursion(state, bar)
    enough = rarity.KNEE * max(state[TRACK + rarity.SPREAD], floor)
    if way * state[RUN] <= enough or state[DAY] != bar[SESSION]:
        return way
    return math.log(bar[HIGH] / state[BEGAN]) if way > 0 else math.log(bar[LOW] / state[BEGAN])


@compiled
def follow(state: Row, bar: Row, floor: float) -> None:
    """Whether the close went on, or began, a move of `KNEE` scales or more, and where that began."""
    before = reference(state, bar)
    way = math.log(bar[CLOSE] / before) / max(state[TRACK + rarity.SPREAD], floor)
    side = 1.0 if way > rarity.KNEE else -1.0 if way < -rarity.KNEE else 0.0
    if side == 0 or side != state[RUN] or state[DAY] != bar[SESSION]:
        state[BEGAN] = before
    state[RUN] = side


@compiled
def _score(p: Row, state: Row, bar: Row, _seen: Row) -> Verdict:
    floor = least_scale(p, state)
    way = whole(state, bar, floor)
    z = rarity.distance(state, TRACK, way, floor)
    score = math.copysign(rarity.rarity(state, TRACK, z), z)
    return score, way, 0.0, max(state[TRACK + rarity.SPREAD], floor)


@compiled
def learn_as(p: Row, state: Row, bar: Row, seen: Row, fresh: bool) -> None:
    """Take the bar in; ``fresh`` false: the tail has learned from its event already."""
    floor = least_scale(p, state)
    if state[COUNT] == 0:
        rarity.begin(state, TRACK, 0.0, p[3])
    # The bar alone: all of the way would teach each of its bars again with those that follow.
    z = rarity.distance(state, TRACK, excursion(state, bar), floor)
    follow(state, bar, floor)
    rarity.absorb(state, TRACK, z, floor, rarity.weight_of(state[COUNT], p[SPAN]), False, True, fresh)
    learn_move(p, state, bar, seen)


@compiled
def _learn(p: Row, state: Row, bar: Row, seen: Row) -> None:
    learn_as(p, state, bar, seen, True)


class Surge(Detector):
    """How rare the distance from the previous close to the bar's high or low is: the forming-bar detector.

    Where bar after bar goes the same way, the distance is that from the close before the first of them. High and low
    only move outwards while a bar forms, so the score of a direction only grows: it fires as soon as the move is
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
    size = 14
    defaults = {"threshold": 4.2, "warm": 100, "span": 60, "floor": 1e-4}  # noqa: RUF012
    measure = "log distance from the close before the move began to the bar's high or low"
    forming = True
    score = staticmethod(_score)
    learn = staticmethod(_learn)
