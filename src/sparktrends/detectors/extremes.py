"""Overbought and oversold: the relative strength index enters an extreme."""

from __future__ import annotations

from sparktrends.detectors.base import Detector, Row, Verdict, compiled
from sparktrends.detectors.side import SIDE

DISTANCE = 2
ARMED = 2
MIDDLE = 50.0


@compiled
def _score(p: Row, state: Row, _bar: Row, seen: Row) -> Verdict:
    away = seen[0] - MIDDLE
    score = 0.0
    if state[ARMED] > 0 and away >= p[DISTANCE] and state[SIDE] <= 0:
        score = 1.0
    elif state[ARMED] > 0 and away <= -p[DISTANCE] and state[SIDE] >= 0:
        score = -1.0
    return score, seen[0], MIDDLE, p[DISTANCE]


@compiled
def _learn(p: Row, state: Row, _bar: Row, seen: Row) -> None:
    away = seen[0] - MIDDLE
    if abs(away) >= p[DISTANCE]:
        state[SIDE] = 1.0 if away > 0 else -1.0
        return
    # The index of a price that never moved is 0: an extreme counts only where it was elsewhere before.
    if abs(away) < p[DISTANCE]:
        state[ARMED] = 1.0
    if away * state[SIDE] < 0:
        state[SIDE] = 0.0


class RsiExtreme(Detector):
    """RSI 14 reaches 50 ± ``distance`` (20: the usual 70 and 30); again only after it came back to 50.

    Up means overbought, down oversold.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors, SCORE
    >>> one = Detectors(("rsi_14",), chosen=("rsi_extreme",))
    >>> rsi = np.array([[50.0], [71], [69], [75], [48], [72]])
    >>> one.run(one.new(1)[0], np.ones((6, 8)), rsi)[1:, 0, SCORE].tolist()
    [1.0, 0.0, 0.0, 0.0, 1.0]
    """

    name = "rsi_extreme"
    kind = "pattern"
    size = 3
    reads = ("rsi_14",)
    defaults = {"threshold": 1, "warm": 1, "distance": 20}  # noqa: RUF012
    measure = "RSI 14"
    score = staticmethod(_score)
    learn = staticmethod(_learn)
