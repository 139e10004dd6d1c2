"""Averages that cross: golden and death cross, and the MACD with its signal line."""

from __future__ import annotations

from sparktrends.detectors.base import Detector, Row, Verdict, compiled
from sparktrends.detectors.side import SIDE, crossing, new_side

BAND = 2


@compiled
def _score_averages(p: Row, state: Row, _bar: Row, seen: Row) -> Verdict:
    apart, band = seen[0] - seen[1], p[BAND] * seen[2]
    return crossing(state, apart, band), apart, 0.0, band


@compiled
def _learn_averages(p: Row, state: Row, _bar: Row, seen: Row) -> None:
    state[SIDE] = new_side(state, seen[0] - seen[1], p[BAND] * seen[2])


class AverageCross(Detector):
    """The 50-bar average crosses that of 200 bars: golden cross (up), death cross (down).

    Counts once they are ``band`` average true ranges (ATR 14) apart on the other side, a tenth: closer, they have
    met, not crossed. The score is +1 or −1 at that bar.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors, SCORE
    >>> one = Detectors(("sma_50", "sma_200", "atr_14"), chosen=("average_cross",))
    >>> seen = np.array([[99.0, 100.0, 1.0], [100.05, 100.0, 1.0], [100.2, 100.0, 1.0]])
    >>> one.run(one.new(1)[0], np.ones((3, 8)), seen)[:, 0, SCORE].tolist()
    [nan, 0.0, 1.0]
    """

    name = "average_cross"
    kind = "trend"
    size = 2
    reads = ("sma_50", "sma_200", "atr_14")
    defaults = {"threshold": 1, "warm": 1, "band": 0.1}  # noqa: RUF012
    measure = "SMA 50 less SMA 200, in price"
    score = staticmethod(_score_averages)
    learn = staticmethod(_learn_averages)


@compiled
def _score_macd(p: Row, state: Row, _bar: Row, seen: Row) -> Verdict:
    band = p[BAND] * seen[1]
    return crossing(state, seen[0], band), seen[0], 0.0, band


@compiled
def _learn_macd(p: Row, state: Row, _bar: Row, seen: Row) -> None:
    state[SIDE] = new_side(state, seen[0], p[BAND] * seen[1])


class MacdCross(Detector):
    """The MACD (12, 26) crosses its signal line (9) by ``band`` average true ranges: a quarter, because on minutes it
    crosses by less all day long.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors, SCORE
    >>> one = Detectors(("macd_hist", "atr_14"), chosen=("macd_cross",))
    >>> one.run(one.new(1)[0], np.ones((3, 8)), np.array([[1.0, 1], [-0.1, 1], [-0.3, 1]]))[:, 0, SCORE].tolist()
    [nan, 0.0, -1.0]
    """

    name = "macd_cross"
    kind = "trend"
    size = 2
    reads = ("macd_hist", "atr_14")
    defaults = {"threshold": 1, "warm": 1, "band": 0.25}  # noqa: RUF012
    measure = "MACD less its signal line, in price"
    score = staticmethod(_score_macd)
    learn = staticmethod(_learn_macd)
