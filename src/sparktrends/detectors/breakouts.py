"""Breakouts: from a Bollinger squeeze, and from a Donchian channel."""

from __future__ import annotations

from sparktrends.detectors.base import CLOSE, Detector, Row, Verdict, compiled
from sparktrends.detectors.side import SIDE

SPAN, TIGHT, WITHIN = 2, 3, 4
USUAL, SINCE, WARMED = 1, 2, 3


@compiled
def relative_width(seen: Row) -> float:
    """Width of the bands as a share of the middle; NaN while not warm."""
    return (seen[0] - seen[2]) / seen[1]


@compiled
def _score_squeeze(p: Row, state: Row, bar: Row, seen: Row) -> Verdict:
    score = 0.0
    if state[WARMED] >= p[SPAN] and state[SINCE] <= p[WITHIN]:
        score = 1.0 if bar[CLOSE] > seen[0] else -1.0 if bar[CLOSE] < seen[2] else 0.0
    return score, relative_width(seen), state[USUAL], state[USUAL] * p[TIGHT]


@compiled
def _learn_squeeze(p: Row, state: Row, bar: Row, seen: Row) -> None:
    width = relative_width(seen)
    # Not `width < 0`: NaN, while the bands are not warm, fails every comparison.
    if not width >= 0:
        return
    out = bar[CLOSE] > seen[0] or bar[CLOSE] < seen[2]
    squeezed = width < p[TIGHT] * state[USUAL] and state[WARMED] >= p[SPAN]
    # Once it has broken out, the squeeze is over and a second bar outside says nothing new.
    state[SINCE] = p[WITHIN] + 1.0 if out else 0.0 if squeezed else state[SINCE] + 1.0
    state[USUAL] += max(1.0 / (state[WARMED] + 1.0), 1.0 / p[SPAN]) * (width - state[USUAL])
    state[WARMED] += 1.0


class SqueezeBreakout(Detector):
    """The close leaves the Bollinger bands within ``within`` bars of a squeeze.

    A squeeze is a width (relative to the middle) below ``tight`` of its exponential mean over ``span`` bars: half,
    a fifth of a day of minutes.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors, SCORE
    >>> one = Detectors(("bb_upper", "bb_middle", "bb_lower"), chosen=("squeeze_breakout",))
    >>> seen = np.tile([104.0, 100.0, 96.0], (310, 1)); seen[305:] = [101.0, 100.0, 99.0]
    >>> bars = np.full((310, 8), 100.0); bars[308, 3] = 102.0
    >>> one.run(one.new(1)[0], bars, seen)[306:, 0, SCORE].tolist()
    [0.0, 0.0, 1.0, 0.0]
    """

    name = "squeeze_breakout"
    kind = "pattern"
    size = 4
    reads = ("bb_upper", "bb_middle", "bb_lower")
    defaults = {"threshold": 1, "warm": 1, "span": 300, "tight": 0.5, "within": 10}  # noqa: RUF012
    measure = "width of the Bollinger bands over their middle"
    score = staticmethod(_score_squeeze)
    learn = staticmethod(_learn_squeeze)


BAND = 2
UPPER, LOWER = 2, 3


@compiled
def breaks(p: Row, state: Row, bar: Row, seen: Row) -> float:
    """+1, −1, or 0: whether the close is beyond the channel of the bars before by ``band`` ATR."""
    if not state[UPPER] > 0:
        return 0.0
    if bar[CLOSE] > state[UPPER] + p[BAND] * seen[2]:
        return 1.0
    return -1.0 if bar[CLOSE] < state[LOWER] - p[BAND] * seen[2] else 0.0


@compiled
def _score_channel(p: Row, state: Row, bar: Row, seen: Row) -> Verdict:
    way = breaks(p, state, bar, seen)
    turned = way != 0 and way != state[SIDE]
    edge = state[UPPER] if way > 0 else state[LOWER]
    return (way if turned else 0.0), bar[CLOSE], edge, state[UPPER] - state[LOWER]


@compiled
def _learn_channel(p: Row, state: Row, bar: Row, seen: Row) -> None:
    way = breaks(p, state, bar, seen)
    if way != 0:
        state[SIDE] = way
    if seen[0] > 0 and seen[1] > 0:
        state[UPPER], state[LOWER] = seen[0], seen[1]


class ChannelBreakout(Detector):
    """The close leaves the Donchian channel of the bars before by ``band`` ATR, on the other side than last time.

    So a trend that makes new highs for hours is one breakout, and what turns it is the next.

    >>> import numpy as np
    >>> from sparktrends.detectors import Detectors, SCORE
    >>> one = Detectors(("dc_upper", "dc_lower", "atr_14"), chosen=("channel_breakout",))
    >>> seen = np.tile([101.0, 99.0, 0.5], (4, 1)); bars = np.full((4, 8), 100.0); bars[2:, 3] = 102.0, 103.0
    >>> one.run(one.new(1)[0], bars, seen)[1:, 0, SCORE].tolist()
    [0.0, 1.0, 0.0]
    """

    name = "channel_breakout"
    kind = "trend"
    size = 4
    reads = ("dc_upper", "dc_lower", "atr_14")
    defaults = {"threshold": 1, "warm": 1, "band": 0.25}  # noqa: RUF012
    measure = "the close; baseline is the edge it left, scale the channel's width"
    score = staticmethod(_score_channel)
    learn = staticmethod(_learn_channel)
