"""Price and volume unusual in the same bar: each alone would not have been said."""

from __future__ import annotations

import math

from sparktrends.detectors import surge, volume_spike
from sparktrends.detectors.base import COUNT, WARM, Detector, Row, Verdict, compiled
from sparktrends.detectors.rarity import MOST_SCORE, RATE_MEMORY, TAIL_MEMORY

# The parts find their own floats at the same places, so each gets its own stretch: price first, then volume.
PRICE = 14
BEYOND, EXCESS = PRICE + 5, PRICE + 6
"""State after the parts': the share of bars whose evidence passes the knee, and by how much they do on average."""
KNEE = 2.0
LEAST_BEYOND, PRIOR_BEYOND = 0.02, 0.05
LEAST_EXCESS, PRIOR_EXCESS, MOST_EXCESS = 0.5, 0.6, 2.0

surge_score, surge_learn = surge._score, surge._learn
volume_score, volume_learn = volume_spike._score, volume_spike._learn


@compiled
def evidence(p: Row, state: Row, bar: Row, seen: Row) -> tuple[float, float, float]:
    """Sum of both scores, with the direction of the price; the excursion and its scale."""
    price, way, _, scale = surge_score(p[:4], state[:PRICE], bar, seen)
    volume = volume_score(p[4:8], state[PRICE:], bar, seen)[0]
    return math.copysign(abs(price) + volume, price), way, scale


@compiled
def _score(p: Row, state: Row, bar: Row, seen: Row) -> Verdict:
    total, way, scale = evidence(p, state, bar, seen)
    past = (abs(total) - KNEE) / (max(state[EXCESS], LEAST_EXCESS) * math.log(10.0))
    usual = -math.log10(max(state[BEYOND], LEAST_BEYOND))
    score = min(usual + past, MOST_SCORE) if past > 0 else usual * abs(total) / KNEE
    return math.copysign(score, total), way, 0.0, scale


@compiled
def learn_parts(p: Row, state: Row, bar: Row, seen: Row) -> None:
    """What `Surge` and `VolumeSpike` learn."""
    surge_learn(p[:4], state[:PRICE], bar, seen)
    volume_learn(p[4:8], state[PRICE:], bar, seen)
    state[PRICE] = state[COUNT] + 1.0


@compiled
def _learn(p: Row, state: Row, bar: Row, seen: Row) -> None:
    if state[COUNT] == 0:
        state[BEYOND], state[EXCESS] = PRIOR_BEYOND, PRIOR_EXCESS
    elif state[COUNT] >= p[WARM] / 2:
        # The parts say little that is true of their first bars.
        past = abs(evidence(p, state, bar, seen)[0]) - KNEE
        state[BEYOND] += RATE_MEMORY * ((1.0 if past > 0 else 0.0) - state[BEYOND])
        if past > 0:
            state[EXCESS] += TAIL_MEMORY * (min(past, MOST_EXCESS) - state[EXCESS])
    learn_parts(p, state, bar, seen)


class Shock(Detector):
    """How rare the bar's excursion and its volume are together: the combined score.

    The evidence is the sum of the scores of `Surge` and `VolumeSpike`. Were the two independent, it would pass
    2 in one bar of twenty, and then by half on average; in most series volume comes with moves, so both figures
    are learned, and the score is −log10 of the chance they give: an exponential tail. It grows in both parts, and
    high, low and volume move one way only while a bar forms, so it may speak early. The last four parameters are
    those of the volume.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors, SCORE
    >>> bars = np.tile([100, 100.02, 99.99, 100, 5, 0, 0, 0], (151, 1)); bars[150, [1, 4]] = 100.12, 18.0
    >>> few = Detectors((), chosen=("surge", "volume_spike", "shock"))
    >>> (few.run(few.new(1)[0], bars, np.empty((151, 0)))[150, :, SCORE] > 4.2).tolist()
    [False, False, True]
    """

    name = "shock"
    size = PRICE + 7
    defaults = {  # noqa: RUF012
        "threshold": 4.2,
        "warm": 100,
        "span": 60,
        "floor": 1e-4,
        "volume_threshold": 4.2,
        "volume_warm": 100,
        "volume_span": 60,
        "volume_floor": 0.25,
    }
    measure = "log distance from the previous close to the bar's high or low, judged with the volume"
    forming = True
    score = staticmethod(_score)
    learn = staticmethod(_learn)
