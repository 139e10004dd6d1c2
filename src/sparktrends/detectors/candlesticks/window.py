"""The last candles of every series, and the running sums that candlestick patterns compare them with. Compiled.

One row of floats per series: the number of candles seen, the last `DEPTH` candles (newest first; ``back`` counts from
0), the running sums, and what the two hikkakes wait for. The sums are TA-Lib's to the last bit: a pattern with
look-back n starts its sum for the candle ``back`` when candle n comes, oldest range first, and from then on adds the
difference of the newest range and the oldest. Prices lie on a grid, so a body and an average of bodies are often
equal, and then the order of rounding decides. Sums of different look-backs are therefore different floats.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from sparktrends.detectors import base
from sparktrends.detectors.base import CLOSE, COUNT, HIGH, LOW, OPEN, Row, compiled
from sparktrends.detectors.compiling import READ_TABLE, READ_TIMES, TABLE, compile_kept
from sparktrends.indicators import layout
from sparktrends.indicators.layout import usable

DEPTH = 15
"""Candles kept: four back, and ten for the average before the oldest of them."""
SHOWN = 5
"""The longest pattern, in candles."""
CANDLES = 1
SUMS = CANDLES + 4 * DEPTH

BODY, SPAN, SHADOWS, NEAR = range(4)
"""What is summed: bodies, high to low, and both shadows over ten candles; high to low over five."""
PERIODS = (10, 10, 10, 5)

_USED = {
    BODY: {10: (0,), 11: (0, 1), 12: (0, 1, 2), 14: (0, 1, 2, 3, 4)},
    SPAN: {10: (0,), 11: (0, 1), 12: (0, 1, 2), 13: (0, 1, 2, 3), 14: (1,)},
    SHADOWS: {10: (0,), 12: (0, 1, 2)},
    NEAR: {6: (1,), 7: (1, 2), 8: (2, 3), 10: (0,), 11: (1,), 12: (1, 2)},
}
KEPT = tuple((measure, n, back) for measure, of in _USED.items() for n, backs in of.items() for back in backs)
"""The sums: what is measured, look-back, and the candle that is compared with it."""
_KEPT = np.array(KEPT)
MODIFIED_SUM = SUMS + KEPT.index((NEAR, 7, 2))

PLAIN = SUMS + len(KEPT)
MODIFIED = PLAIN + 2
"""What the two hikkakes wait for: the value of the last one found, and how many candles ago it was."""
SIZE = MODIFIED + 2
WAIT = 3

# What `drive` shows of each bar, one row each: the candles, the sums, the values of the hikkakes, the candle's number.
SHOWN_SUMS = 4 * SHOWN
SHOWN_HIKKAKES = SHOWN_SUMS + len(KEPT)
SHOWN_NUMBER = SHOWN_HIKKAKES + 2
ROWS = SHOWN_NUMBER + 1


@compiled
def price(c: Row, back: int, column: int) -> float:
    """Open, high, low or close of a candle."""
    return c[CANDLES + 4 * back + column]


@compiled
def measured(c: Row, measure: int, back: int) -> float:
    """A candle's body, span or shadows."""
    start, end = price(c, back, OPEN), price(c, back, CLOSE)
    if measure == BODY:
        return abs(end - start)
    if measure == SHADOWS:
        return (price(c, back, HIGH) - max(start, end)) + (min(start, end) - price(c, back, LOW))
    return price(c, back, HIGH) - price(c, back, LOW)


@compiled
def push(c: Row, bar: Row) -> None:
    """Make a bar the newest candle."""
    for i in range(SUMS - 1, CANDLES + 3, -1):
        c[i] = c[i - 4]
    for i in range(4):
        c[CANDLES + i] = bar[i]


@compiled
def follow(c: Row) -> None:
    """Move every sum on to the candle that comes next."""
    coming = c[COUNT] + 1.0
    for j in range(len(_KEPT)):
        measure, n, back = _KEPT[j]
        period = PERIODS[measure]
        if coming == n:
            fresh = 0.0
            for i in range(back + period - 1, back - 1, -1):
                fresh += measured(c, measure, i)
            c[SUMS + j] = fresh
        elif coming > n:
            c[SUMS + j] += measured(c, measure, back) - measured(c, measure, back + period)


@compiled
def inside(c: Row, back: int) -> bool:
    """Whether a whole candle lies within the one before."""
    lower = price(c, back, HIGH) < price(c, back + 1, HIGH)
    return lower and price(c, back, LOW) > price(c, back + 1, LOW)


@compiled
def leaves(c: Row) -> float:
    """100 when the newest candle moved down as a whole, −100 when up: a hikkake bets against it."""
    up, down = price(c, 0, HIGH) - price(c, 1, HIGH), price(c, 1, LOW) - price(c, 0, LOW)
    if up < 0.0 and down > 0.0:
        return 100.0
    return -100.0 if up > 0.0 and down < 0.0 else 0.0


@compiled
def confirmed(c: Row, at: int) -> float:
    """Twice the value that waits when the newest candle closes back beyond the candle inside, else 0."""
    value, ago = c[at], int(c[at + 1]) + 1
    if value == 0.0 or ago > WAIT:
        return 0.0
    end = price(c, 0, CLOSE)
    beyond = end > price(c, ago + 1, HIGH) if value > 0.0 else end < price(c, ago + 1, LOW)
    return 2.0 * value if beyond else 0.0


@compiled
def hikkake(c: Row) -> float:
    """A candle inside the one before, a move out of it, and within three candles the close back beyond it (200)."""
    found = leaves(c) if inside(c, 1) else 0.0
    return found if found != 0.0 else confirmed(c, PLAIN)


@compiled
def hikkake_modified(c: Row) -> float:
    """A hikkake whose inside candle lies in another that closed near the end which the move left by."""
    found = leaves(c) if inside(c, 1) and inside(c, 2) else 0.0
    reach = 0.2 * (c[MODIFIED_SUM] / 5.0)
    if found > 0.0 and price(c, 2, CLOSE) > price(c, 2, LOW) + reach:
        found = 0.0
    if found < 0.0 and price(c, 2, CLOSE) < price(c, 2, HIGH) - reach:
        found = 0.0
    return found if found != 0.0 else confirmed(c, MODIFIED)


@compiled
def wait(c: Row, at: int, value: float) -> None:
    """Note what a hikkake found."""
    if abs(value) == 100.0:
        c[at], c[at + 1] = value, 0.0
    elif abs(value) == 200.0:
        c[at] = 0.0
    else:
        c[at + 1] += 1.0


@compiled
def drive(rows: Any, state: Any, bars: Any, shown: Any) -> None:
    """Step bar j of the series ``rows[j]``; ``shown[:, j]`` gets what the rules look at, a number of −1 for no bar."""
    for j in range(len(rows)):
        c = state[rows[j]]
        if not usable(bars[j]):
            shown[:, j] = 0.0
            shown[SHOWN_NUMBER, j] = -1.0
            continue
        push(c, bars[j])
        # TA-Lib begins to look for a hikkake three candles before it may report one.
        plain = hikkake(c) if c[COUNT] >= 2.0 else 0.0
        modified = hikkake_modified(c) if c[COUNT] >= 7.0 else 0.0
        for i in range(4 * SHOWN):
            shown[i, j] = c[CANDLES + i]
        for i in range(len(_KEPT)):
            shown[SHOWN_SUMS + i, j] = c[SUMS + i]
        shown[SHOWN_HIKKAKES, j], shown[SHOWN_HIKKAKES + 1, j] = plain, modified
        shown[SHOWN_NUMBER, j] = c[COUNT]
        wait(c, PLAIN, plain)
        wait(c, MODIFIED, modified)
        follow(c)
        c[COUNT] += 1.0


@cache
def compiled_drive() -> Callable[..., None]:
    """`drive`, compiled. Numba looks at this file alone to see whether what it kept is of today's code: what else goes
    into it is held."""
    code = hashlib.sha256("".join(map(inspect.getsource, (base, layout))).encode()).hexdigest()

    def door(rows: Any, state: Any, bars: Any, shown: Any) -> None:
        code  # noqa: B018
        drive(rows, state, bars, shown)

    return compile_kept(door, READ_TIMES, TABLE, READ_TABLE, TABLE)
