"""The mean of the returns has changed: many small moves one way, none of them remarkable alone."""

from __future__ import annotations

import math

from sparktrends.detectors import price_move, rarity
from sparktrends.detectors.base import CLOSE, THRESHOLD, Detector, Row, Verdict, compiled
from sparktrends.detectors.price_move import TRACK, least_scale, reference

SLACK = 4
UP, DOWN = 8, 9

learn_move = price_move.learn_move


@compiled
def standard(p: Row, state: Row, bar: Row) -> float:
    """The bar's log return in scales, winsorised, so that no single bar can make a change."""
    z = rarity.distance(state, TRACK, math.log(bar[CLOSE] / reference(state, bar)), least_scale(p, state))
    return min(max(z, -rarity.WINSOR), rarity.WINSOR)


@compiled
def _score(p: Row, state: Row, bar: Row, _seen: Row) -> Verdict:
    z = standard(p, state, bar)
    up = max(0.0, state[UP] + z - p[SLACK])
    down = max(0.0, state[DOWN] - z - p[SLACK])
    return (up if up >= down else -down), z, 0.0, 1.0


@compiled
def _learn(p: Row, state: Row, bar: Row, seen: Row) -> None:
    z = standard(p, state, bar)
    up = max(0.0, state[UP] + z - p[SLACK])
    down = max(0.0, state[DOWN] - z - p[SLACK])
    said = max(up, down) >= p[THRESHOLD]
    state[UP] = 0.0 if said else up
    state[DOWN] = 0.0 if said else down
    learn_move(p, state, bar, seen)


class ChangePoint(Detector):
    """Two-sided cumulative sum (Page, 1954) of standardised, winsorised log returns; the score is the larger sum.

    ``slack`` is half the shift in the mean, in scales, that it looks for: 0.5. With it, and a threshold of 15, chance
    reaches the threshold once in ten million independent Gaussian bars (Siegmund, 1985: exp(15 + 1.166)); volatility
    that comes in clusters makes that some thousand times as often. After a signal both sums begin anew.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors
    >>> close = 100 * np.exp(np.cumsum(np.append(np.tile([4e-4, -4e-4], 200), np.full(30, 6e-4))))
    >>> bars = np.column_stack([close, close, close, close, close * 0 + 5, close * 0, close * 0, close * 0])
    >>> one = Detectors((), chosen=("change_point",))
    >>> found = one.run(one.new(1)[0], bars, np.empty((430, 0)))
    >>> [(s.start, s.direction) for s in one.signals([("x", "A", "1m", i) for i in range(430)], found)]
    [(422, 'up')]
    """

    name = "change_point"
    size = 10
    defaults = {"threshold": 15, "warm": 300, "span": 240, "floor": 1e-4, "slack": 0.5}  # noqa: RUF012
    measure = "log return in its own scales, winsorised; the score is their cumulative sum"
    warning = 5.0
    critical = 15.0
    score = staticmethod(_score)
    learn = staticmethod(_learn)
