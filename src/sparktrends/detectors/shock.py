"""Price and volume unusual in the same bar: each alone would not have been said."""

from __future__ import annotations

import math

from sparktrends.detectors import surge, volume_spike
from sparktrends.detectors.base import COUNT, WARM, Detector, Row, Verdict, compiled
from sparktrends.detectors.rarity import MOST_SCORE, RATE_MEMORY, TAIL_MEMORY, bounded

# The parts find their own floats at the same places, so each gets its own stretch: price first, then volume.
PRICE = 14
BEYOND, EXCESS, SINCE = PRICE + 5, PRICE + 6, PRICE + 7
"""State after the parts': the share of bars whose evidence passes the knee, by how much they do on average, and bars
since the last that did."""
KNEE = 2.0
LEAST_BEYOND, PRIOR_BEYOND = 0.02, 0.05
LEAST_EXCESS, PRIOR_EXCESS = 1.0 / math.log(10.0), 0.6
"""The evidence cannot become rare faster than one score alone, which loses a factor of ten with each 1."""
MOST_VOLUME = 2.0
"""Volume confirms a move and does not make one: in many markets a bar in hundred has that much."""
EVENT = 5.0
"""Bars: what passes the knee so soon after another that did is of the same event."""

surge_score, surge_learn = surge._score, surge.learn_as
volume_score, volume_learn = volume_spike._score, volume_spike.learn_as


@compiled
def evidence(p: Row, state: Row, bar: Row, seen: Row) -> tuple[float, float, float]:
    """Sum of both scores, with the direction of the price; the excursion and its scale."""
    price, way, _, scale = surge_score(p[:4], state[:PRICE], bar, seen)
    volume = volume_score(p[4:8], state[PRICE:], bar, seen)[0]
    return math.copysign(abs(price) + min(volume, MOST_VOLUME), price), way, scale


@compiled
def _score(p: Row, state: Row, bar: Row, seen: Row) -> Verdict:
    total, way, scale = evidence(p, state, bar, seen)
    past = (abs(total) - KNEE) / (max(state[EXCESS], LEAST_EXCESS) * math.log(10.0))
    usual = -math.log10(max(state[BEYOND], LEAST_BEYOND))
    score = min(usual + past, MOST_SCORE) if past > 0 else usual * abs(total) / KNEE
    return math.copysign(score, total), way, 0.0, scale


@compiled
def learn_parts(p: Row, state: Row, bar: Row, seen: Row, fresh: bool) -> None:
    """What `Surge` and `VolumeSpike` learn."""
    surge_learn(p[:4], state[:PRICE], bar, seen, fresh)
    volume_learn(state[PRICE:], bar, p[6], p[7], fresh)
    state[PRICE] = state[COUNT] + 1.0


@compiled
def _learn(p: Row, state: Row, bar: Row, seen: Row) -> None:
    if state[COUNT] == 0:
        state[BEYOND], state[EXCESS], state[SINCE] = PRIOR_BEYOND, PRIOR_EXCESS, EVENT
    fresh = state[SINCE] >= EVENT
    # The parts say little that is true of their first bars.
    if state[COUNT] >= p[WARM] / 2:
        past = abs(evidence(p, state, bar, seen)[0]) - KNEE
        if fresh:
            state[BEYOND] += RATE_MEMORY * ((1.0 if past > 0 else 0.0) - state[BEYOND])
        if fresh and past > 0:
            state[EXCESS] += TAIL_MEMORY * (bounded(past, state[EXCESS]) - state[EXCESS])
        state[SINCE] = 0.0 if past > 0 else state[SINCE] + 1.0
    learn_parts(p, state, bar, seen, fresh)


class Shock(Detector):
    """How rare the bar's excursion and its volume are together: the combined score.

    The evidence is the sum of the scores of `Surge` and `VolumeSpike`, of the latter at most 2. Were the two
    independent, it would pass 2 in one bar of twenty, and then by half on average; in most series volume comes with
    moves, so both figures are learned, and the score is −log10 of the chance they give: an exponential tail. It grows
    in both parts, and high, low and volume move one way only while a bar forms, so it may speak early.

    What passes 2 within five bars of another that did is of the same event: an event teaches the tails, of the sum and
    of its parts, once. Else a pump of five minutes would make the next one look usual (decision 0110). ``span`` is 17
    bars, the memory of `volatility_ewma`. The last four parameters are those of the volume.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors, SCORE
    >>> bars = np.tile([100, 100.02, 99.99, 100, 5, 0, 0, 0], (151, 1)); bars[150, [1, 4]] = 100.22, 18.0
    >>> few = Detectors((), chosen=("surge", "volume_spike", "shock"))
    >>> (few.run(few.new(1)[0], bars, np.empty((151, 0)))[150, :, SCORE] > 4.2).tolist()
    [False, False, True]
    """

    name = "shock"
    size = PRICE + 8
    defaults = {  # noqa: RUF012
        "threshold": 4.2,
        "warm": 100,
        "span": 17,
        "floor": 1e-4,
        "volume_threshold": 4.2,
        "volume_warm": 100,
        "volume_span": 60,
        "volume_floor": 0.25,
    }
    measure = "log distance from the previous close to the bar's high or low, judged with the volume"
    forming = True
    joins = ("surge", "volume_spike")
    score = staticmethod(_score)
    learn = staticmethod(_learn)
