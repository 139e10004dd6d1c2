"""On the way to several percent within minutes, on more volume than usual: a pump, or the dump after it."""

from __future__ import annotations

import math

from sparktrends.detectors import rarity, shock, volume_spike
from sparktrends.detectors.base import COUNT, THRESHOLD, VOLUME, WARM, Detector, Row, Verdict, compiled

PACE = 8
SINCE = shock.Shock.size
"""State after a shock's: bars since it spoke last."""
WINDOW = 5.0

shock_score, shock_learn = shock._score, shock._learn


@compiled
def busy(state: Row, bar: Row) -> bool:
    """Whether the bar has more volume than its series usually has."""
    return bar[VOLUME] > 0 and math.log(bar[VOLUME]) > state[shock.PRICE + volume_spike.TRACK + rarity.CENTRE]


@compiled
def _score(p: Row, state: Row, bar: Row, seen: Row) -> Verdict:
    score, way, baseline, scale = shock_score(p, state, bar, seen)
    if abs(way) < p[PACE] or state[SINCE] < WINDOW or not busy(state, bar):
        score = 0.0
    return score, way, baseline, scale


@compiled
def _learn(p: Row, state: Row, bar: Row, seen: Row) -> None:
    if state[COUNT] == 0:
        state[SINCE] = WINDOW
    said = state[COUNT] >= p[WARM] and abs(_score(p, state, bar, seen)[0]) >= p[THRESHOLD]
    state[SINCE] = 0.0 if said else state[SINCE] + 1.0
    shock_learn(p, state, bar, seen)


class Pump(Detector):
    """A `Shock` that is on its way to three percent within five minutes, on more volume than is usual.

    ``pace`` is a fifth of that, ln(1.03) / 5: how far the price must be from where the move began, already in its
    first minute. With these two conditions the score of a shock may be lower than one that has to stand for itself:
    the threshold of 3.16 is log10(1440), once a day, and in most series that seldom comes with such a move. After it
    spoke it is silent for five bars. High, low and volume move one way while a bar forms, so it may speak early.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors
    >>> bars = np.tile([100, 100.02, 99.99, 100, 5, 0, 0, 0], (151, 1)); bars[150, [1, 4]] = 100.65, 12.0
    >>> one = Detectors((), chosen=("pump",))
    >>> found = one.run(one.new(1)[0], bars, np.empty((151, 0)))
    >>> [(s.start, s.direction) for s in one.signals([("x", "A", "1m", i) for i in range(151)], found)]
    [(150, 'up')]
    """

    name = "pump"
    size = SINCE + 1
    defaults = {**shock.Shock.defaults, "threshold": 3.16, "pace": math.log(1.03) / 5}  # noqa: RUF012
    measure = "log distance from the close before the move began to the bar's high or low"
    forming = True
    joins = ("surge", "volume_spike")
    score = staticmethod(_score)
    learn = staticmethod(_learn)
