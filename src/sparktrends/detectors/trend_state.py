"""Up, down or sideways, and how strongly: said when it changes."""

from __future__ import annotations

from sparktrends.detectors.base import Detector, Row, Verdict, compiled
from sparktrends.detectors.side import SIDE

STRONG, WEAK = 2, 3


@compiled
def trend(p: Row, state: Row, seen: Row) -> float:
    """+1, −1 or 0 (sideways) after this bar; between ``weak`` and ``strong`` a trend goes on but none begins."""
    way = 1.0 if seen[1] > seen[2] else -1.0
    if not seen[0] >= p[WEAK]:
        return 0.0
    return way if seen[0] >= p[STRONG] or way == state[SIDE] else 0.0


@compiled
def _score(p: Row, state: Row, _bar: Row, seen: Row) -> Verdict:
    now = trend(p, state, seen)
    begins = now != 0 and now != state[SIDE]
    return (now * seen[0] / p[STRONG] if begins else 0.0), seen[0], p[STRONG], p[WEAK]


@compiled
def _learn(p: Row, state: Row, _bar: Row, seen: Row) -> None:
    state[SIDE] = trend(p, state, seen)


class TrendState(Detector):
    """A trend begins: ADX 14 reaches ``strong`` (25, as Wilder has it) and EMA 20 lies on one side of EMA 50.

    It lasts until ADX falls below ``weak`` (20) or the averages change sides. The score is ADX / ``strong`` with the
    sign of the trend, at the bar where it begins.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors, SCORE
    >>> one = Detectors(("adx_14", "ema_20", "ema_50"), chosen=("trend_state",))
    >>> seen = np.array([[10.0, 101, 100], [30, 101, 100], [22, 101, 100], [28, 101, 100], [28, 99, 100]])
    >>> one.run(one.new(1)[0], np.ones((5, 8)), seen)[1:, 0, SCORE].tolist()
    [1.2, 0.0, 0.0, -1.12]
    """

    name = "trend_state"
    kind = "trend"
    size = 2
    reads = ("adx_14", "ema_20", "ema_50")
    defaults = {"threshold": 1, "warm": 1, "strong": 25, "weak": 20}  # noqa: RUF012
    measure = "ADX 14; baseline and scale are where a trend begins and ends"
    warning = 1.0
    critical = 2.0
    score = staticmethod(_score)
    learn = staticmethod(_learn)
