"""Several percent within minutes on rising volume: a pump, or the dump after it."""

from __future__ import annotations

import math

from sparktrends.detectors import rarity, volume_spike
from sparktrends.detectors.base import COUNT, HIGH, LOW, THRESHOLD, Detector, Row, Verdict, compiled

SPAN, FLOOR, LEAST, BUSY = 2, 3, 4, 5
WINDOW = 5
TRACK, VOLUME, LOWS, HIGHS, SINCE = 1, 5, 10, 15, 20
"""State: how large moves over the window are · a volume spike's state · lows and highs of the window · bars since
it spoke last."""

volume_learn = volume_spike._learn


@compiled
def move(state: Row, bar: Row) -> float:
    """The larger of rise from the lowest low and fall from the highest high of the bars before, as a signed log."""
    low, high = state[LOWS], state[HIGHS]
    for i in range(1, WINDOW):
        low = min(low, state[LOWS + i])
        high = max(high, state[HIGHS + i])
    rise, fall = math.log(bar[HIGH] / low), math.log(high / bar[LOW])
    return rise if rise >= fall else -fall


@compiled
def _score(p: Row, state: Row, bar: Row, _seen: Row) -> Verdict:
    way = move(state, bar)
    scale = max(state[TRACK + rarity.SPREAD], p[FLOOR])
    if abs(way) < p[LEAST] or state[SINCE] < WINDOW or not bar[4] > 0:
        return 0.0, way, state[TRACK], scale
    busy = rarity.distance(state, VOLUME + 1, math.log(bar[4]), 0.25)
    z = rarity.distance(state, TRACK, abs(way), p[FLOOR])
    if busy < p[BUSY] or z < 0:
        return 0.0, way, state[TRACK], scale
    score = rarity.together(rarity.rarity(state, TRACK, z), rarity.rarity(state, VOLUME + 1, busy))
    return math.copysign(score, way), way, state[TRACK], scale


@compiled
def _learn(p: Row, state: Row, bar: Row, seen: Row) -> None:
    if state[COUNT] == 0:
        for i in range(WINDOW):
            state[LOWS + i], state[HIGHS + i] = bar[LOW], bar[HIGH]
        state[SINCE] = WINDOW
        rarity.begin(state, TRACK, abs(move(state, bar)), p[FLOOR])
    said = state[COUNT] >= p[1] and abs(_score(p, state, bar, seen)[0]) >= p[THRESHOLD]
    state[SINCE] = 0.0 if said else state[SINCE] + 1.0
    z = rarity.distance(state, TRACK, abs(move(state, bar)), p[FLOOR])
    rarity.absorb(state, TRACK, z, p[FLOOR], rarity.weight_of(state[COUNT], p[SPAN]), True, False)
    state[VOLUME] = state[COUNT]
    volume_learn(p[:4], state[VOLUME : VOLUME + 5], bar, seen)
    for i in range(WINDOW - 1):
        state[LOWS + i], state[HIGHS + i] = state[LOWS + i + 1], state[HIGHS + i + 1]
    state[LOWS + WINDOW - 1], state[HIGHS + WINDOW - 1] = bar[LOW], bar[HIGH]


class Pump(Detector):
    """How rare the way from the lowest low (or highest high) of the last five bars to this bar's high (low) is.

    Only ways of ``least`` (ln of 1.03: three percent) or more, in a bar whose volume lies ``busy`` scales above its
    usual, count; their score joins the rarity of the way with that of the volume by Fisher's method. After it spoke
    it is silent for five bars. High, low and volume move one way while a bar forms, so it may speak early.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors
    >>> bars = np.tile([100, 100.02, 99.99, 100, 5, 0, 0, 0], (151, 1)); bars[150, [1, 4]] = 104.0, 20.0
    >>> one = Detectors((), chosen=("pump",))
    >>> found = one.run(one.new(1)[0], bars, np.empty((151, 0)))
    >>> [(s.start, s.direction) for s in one.signals([("x", "A", "1m", i) for i in range(151)], found)]
    [(150, 'up')]
    """

    name = "pump"
    size = 21
    defaults = {  # noqa: RUF012
        "threshold": 4.2,
        "warm": 100,
        "span": 60,
        "floor": 2e-4,
        "least": math.log(1.03),
        "busy": 1.0,
    }
    measure = "log distance from the extreme of the last five bars to the bar's high or low"
    forming = True
    score = staticmethod(_score)
    learn = staticmethod(_learn)
