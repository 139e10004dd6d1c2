"""What an indicator is, and the arithmetic that all of them share.

An indicator is a class that declares its output names, its parameters, how many floats of its own it keeps, how
many bars it needs, which shared windows it reads, and one compiled function ``update``. The kernel lays all chosen
indicators out in one row of floats per series and compiles their updates into a single loop.

Bits matter more than the last nanosecond: no fast-math, no reassociation by the compiler. Window figures are
computed afresh from the window at each bar, in a fixed order, so they cannot drift however long a series runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
F = TypeVar("F", bound=Callable[..., Any])

FLAT = 1e-16
"""Movement below this share of the price is rounding: TA-Lib's absolute 1e-14, made free of the price's scale."""


def compiled(function: F) -> F:
    """Compile a scalar function with the one set of flags that every indicator uses, to be inlined by its caller.

    Division by zero gives inf or nan as in NumPy; indices are never checked, the conformance suite does that.
    """
    return cast(F, njit(fastmath=False, error_model="numpy", forceinline=True)(function))


class Bar(NamedTuple):
    """The bar an update sees: the row that came in, and what every second indicator would derive from it.

    ``number`` counts the bars of the series, this one included; ``previous`` the close before (on the first bar its
    own close, so nothing is infinite there). ``log_return``, ``log_range`` and ``log_body`` are the natural
    logarithms of close/previous, high/low and close/open; ``typical`` is (high + low + close) / 3.
    """

    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float
    session: float
    provider: float
    number: float
    previous: float
    typical: float
    log_return: float
    log_range: float
    log_body: float


class Past(NamedTuple):
    """The shared windows: the latest values of a field of `Bar`, oldest first, this bar's last.

    A window is as long as the longest any chosen indicator asks for, and is kept once.
    """

    close: Floats
    high: Floats
    low: Floats
    volume: Floats
    typical: Floats
    log_return: Floats
    log_range: Floats
    log_body: Floats


@dataclass(frozen=True, repr=False)
class Indicator:
    """A chosen indicator: what the kernel must know to give it room and to call it.

    ``names`` its outputs · ``params`` what ``update`` gets after the four standard arguments · ``warmup`` the number
    of bars at which its outputs begin (null before; a value ever after, unless its docstring says when it is
    undefined) · ``own`` floats of state of its own · ``past`` how much it reads of each shared window.

    ``update(bar, past, own, out, *params)`` is called for every bar from the first; it may change ``own``, only
    reads ``past``, and sets every element of ``out``. All floats start at zero. What it writes before its warm-up
    is hidden by the kernel.
    """

    names: tuple[str, ...]
    params: tuple[float, ...]
    warmup: int
    own: int = 0
    past: Mapping[str, int] = field(default_factory=dict)

    update: ClassVar[Callable[..., None]]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.params))})"


@compiled
def push(window: Floats, value: float) -> None:
    """Drop the oldest value of a window and put ``value`` at its end."""
    # Shifted, not a ring: 200 floats move in some 20 ns, and every reader finds the values in the order of time.
    last = len(window) - 1
    for i in range(last):
        window[i] = window[i + 1]
    window[last] = value


@compiled
def mean(window: Floats, n: int) -> float:
    """Mean of the latest ``n`` values.

    Summed as differences from the latest value, which makes the mean of equal values exactly that value: a
    deviation of a flat window is 0 and not the rounding error of a sum. Four running sums, always in this order.

    >>> mean(np.array([9.0, 0.1, 0.1, 0.1]), 3)
    0.1
    """
    end = len(window)
    base: float = window[end - 1]
    # Four sums at once keep the adder busy; the compiler may not do that by itself without changing bits.
    a = b = c = d = 0.0
    # Forwards, always: another order of adding gives other last bits.
    for i in range(end - n, end - 3, 4):
        a += window[i] - base
        b += window[i + 1] - base
        c += window[i + 2] - base
        d += window[i + 3] - base
    # What four does not divide goes to the first sum.
    for i in range(end - n % 4, end):
        a += window[i] - base
    return base + ((a + b) + (c + d)) / n


@compiled
def square(value: float) -> float:
    """The value times itself: a power function need not round the same everywhere, a product does."""
    return value * value


@compiled
def squares(window: Floats, n: int, centre: float) -> float:
    """Sum of the squared deviations of the latest ``n`` values from ``centre``.

    >>> squares(np.array([1.0, 2.0, 3.0]), 3, 2.0)
    2.0
    """
    end = len(window)
    a = b = c = d = 0.0
    for i in range(end - n, end - 3, 4):
        a += square(window[i] - centre)
        b += square(window[i + 1] - centre)
        c += square(window[i + 2] - centre)
        d += square(window[i + 3] - centre)
    for i in range(end - n % 4, end):
        a += square(window[i] - centre)
    return (a + b) + (c + d)


@compiled
def highest(window: Floats, n: int) -> float:
    """Largest of the latest ``n`` values.

    >>> highest(np.array([9.0, 1.0, 3.0, 2.0]), 3)
    3.0
    """
    end = len(window)
    best: float = window[end - 1]
    for i in range(end - n, end):
        best = max(best, window[i])
    return best


@compiled
def lowest(window: Floats, n: int) -> float:
    """Smallest of the latest ``n`` values.

    >>> lowest(np.array([0.5, 1.0, 3.0, 2.0]), 3)
    1.0
    """
    end = len(window)
    best: float = window[end - 1]
    for i in range(end - n, end):
        best = min(best, window[i])
    return best


@compiled
def exponential(average: float, value: float, k: float, n: int) -> float:
    """Next exponential average over ``n`` as TA-Lib has it, seeded with the mean of the first ``n`` values.

    ``k`` numbers the values from 1; up to ``n - 1`` what is returned is their sum so far.

    >>> exponential(3.0, 3.0, 3.0, 3), exponential(2.0, 4.0, 4.0, 3)
    (2.0, 3.0)
    """
    if k < n:
        return average + value
    if k == n:
        return (average + value) / n
    # Written as TA-Lib writes it: another arrangement rounds differently.
    return (value - average) * (2.0 / (n + 1)) + average


@compiled
def wilder(average: float, value: float, k: float, n: int) -> float:
    """Next average in Wilder's smoothing over ``n``; seeded and numbered like `exponential`, 0 at ``k`` = 0.

    >>> wilder(2.0, 5.0, 4.0, 3)
    3.0
    """
    # The first bar has no change and no true range of its own: the count begins with the second.
    if k < 1:
        return 0.0
    if k < n:
        return average + value
    if k == n:
        return (average + value) / n
    return (average * (n - 1) + value) / n


@compiled
def true_range(bar: Bar) -> float:
    """Wilder's true range: the largest of high − low and the distances of both from the previous close."""
    return max(bar.high, bar.previous) - min(bar.low, bar.previous)
