"""Far more volume than usual, and the price stays where it was."""

from __future__ import annotations

import math

from sparktrends.detectors.base import HIGH, LOW, Detector, Row, Verdict, compiled
from sparktrends.detectors.shock import PRICE, learn_parts, surge_score, volume_score

STILL = 8


@compiled
def _score(p: Row, state: Row, bar: Row, seen: Row) -> Verdict:
    _, _, _, scale = surge_score(p[:4], state[:PRICE], bar, seen)
    score, size, centre, width = volume_score(p[4:8], state[PRICE:], bar, seen)
    still = math.log(bar[HIGH] / bar[LOW]) <= p[STILL] * scale
    return (score if still else 0.0), size, centre, width


@compiled
def _learn(p: Row, state: Row, bar: Row, seen: Row) -> None:
    learn_parts(p, state, bar, seen, True)


class Divergence(Detector):
    """Volume and price disagree: volume as rare as for a spike, in a bar no wider than ``still`` usual moves.

    Somebody large is taking the other side, which often comes before a move. One usual move is the scale of the
    bar's excursions, so a bar that spans one is a quiet bar. It cannot speak while a bar forms: the width may grow.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors, SCORE
    >>> bars = np.tile([100, 100.05, 99.95, 100, 5, 0, 0, 0], (151, 1)); bars[150, [1, 2, 4]] = 100.01, 99.99, 200.0
    >>> one = Detectors((), chosen=("divergence",))
    >>> bool(one.run(one.new(1)[0], bars, np.empty((151, 0)))[150, 0, SCORE] > 4.2)
    True
    """

    name = "divergence"
    size = PRICE + 5
    defaults = {  # noqa: RUF012
        "threshold": 4.2,
        "warm": 100,
        "span": 60,
        "floor": 1e-4,
        "volume_threshold": 4.2,
        "volume_warm": 100,
        "volume_span": 60,
        "volume_floor": 0.25,
        "still": 1.0,
    }
    measure = "natural logarithm of the bar's volume, in a bar that hardly moved"
    directed = False
    score = staticmethod(_score)
    learn = staticmethod(_learn)
