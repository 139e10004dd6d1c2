"""The volume profile of a session: how much was traded at which price. Pure and exact.

Each minute's volume counts at the price that minute traded at on average (its vwap), so what is counted is what was
traded, to the last digit. The height of a level is the smallest of 1, 2, 5 times a power of ten with which the range of
the session is at most fifty levels high. The point of control is the level with the largest volume. The value area
begins there and takes in the larger of the levels next to it until it holds seventy per cent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from itertools import count

MOST_LEVELS = 50
VALUE_AREA = Decimal("0.7")
NARROWEST = Decimal("0.0001")
"""Least height of a level, as a share of the price: where a session saw one price only."""

# Sums of stored numerics (20 whole and 18 fractional digits) over a day keep every digit.
_EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class Profile:
    """Level i holds prices from ``low + i · step`` up to the next one. ``control`` is the number of the level with the
    largest volume; those from ``first`` to ``last`` are the value area."""

    step: Decimal
    low: Decimal
    volumes: tuple[Decimal, ...]
    control: int
    first: int
    last: int


def profile_of(minutes: Sequence[tuple[Decimal, Decimal]]) -> Profile | None:
    """The profile of (price, volume) of minutes; None where nothing was traded."""
    traded = [(price, volume) for price, volume in minutes if volume > 0]
    if not traded:
        return None
    with localcontext(_EXACT):
        lowest, highest = min(price for price, _ in traded), max(price for price, _ in traded)
        step = _step(lowest, highest)
        base = int(lowest // step)
        volumes = [Decimal(0)] * (int(highest // step) - base + 1)
        for price, volume in traded:
            volumes[int(price // step) - base] += volume
        # Of equal ones that which is nearest to the middle of the range.
        control = max(range(len(volumes)), key=lambda at: (volumes[at], -abs(2 * at - len(volumes) + 1)))
        first, last = value_area(volumes, control)
        return Profile(step, step * base, tuple(volumes), control, first, last)


def value_area(volumes: Sequence[Decimal], control: int) -> tuple[int, int]:
    """First and last level of the value area: the larger neighbour first, of equal ones the upper.

    >>> value_area([Decimal(n) for n in (1, 3, 10, 4, 2)], 2)
    (2, 3)
    """
    wanted = VALUE_AREA * sum(volumes)
    first = last = control
    held = volumes[control]
    while held < wanted:
        below = volumes[first - 1] if first > 0 else Decimal(-1)
        above = volumes[last + 1] if last + 1 < len(volumes) else Decimal(-1)
        if above >= below:
            last += 1
            held += above
        else:
            first -= 1
            held += below
    return first, last


def _step(lowest: Decimal, highest: Decimal) -> Decimal:
    least = max((highest - lowest) / MOST_LEVELS, highest * NARROWEST / MOST_LEVELS)
    power = least.adjusted()
    steps = (Decimal((0, (digit,), power + more)) for more in count() for digit in (1, 2, 5))
    return next(step for step in steps if step >= least)
