"""The typed tree of an expression, and what its values can be.

Every node knows the text it came from and the range its value lies in: that is how a comparison that can never
hold is found before it silently does nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from sparktrends.rules.names import EVERYTHING, Range


@dataclass(frozen=True)
class Node:
    """A part of an expression: its text, where it starts (characters from 0), its children."""

    text: str
    at: int

    @property
    def parts(self) -> tuple[Node, ...]:
        """The nodes it is made of."""
        return ()

    def walk(self) -> Iterator[Node]:
        """This node and all below, children in order."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True)
class Value(Node):
    """A node that yields a number in ``range``."""

    range: Range


@dataclass(frozen=True)
class Number(Value):
    """A number as written."""

    value: float


@dataclass(frozen=True)
class Column(Value):
    """A column of ``bars``, ``metrics``, ``news`` or ``scores``."""

    name: str
    table: str
    column: int


@dataclass(frozen=True)
class Arithmetic(Value):
    """Values joined from the left by one operator fewer (+ - * /), or given to one of abs, min, max, neg.

    A long sum is one flat node: depth is bounded by the brackets a person wrote.
    """

    operators: tuple[str, ...]
    arguments: tuple[Value, ...]

    @property
    def parts(self) -> tuple[Node, ...]:
        return self.arguments


@dataclass(frozen=True)
class Previous(Value):
    """The value of ``argument`` at the bar before; remembered in memory slot ``slot``."""

    argument: Value
    slot: int

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.argument,)


@dataclass(frozen=True)
class Test(Node):
    """A node that holds, does not hold, or is unknown."""


@dataclass(frozen=True)
class Comparison(Test):
    """``left operator right``; unknown when either side is NaN."""

    operator: str
    left: Value
    right: Value

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.left, self.right)


@dataclass(frozen=True)
class Signals(Test):
    """Whether any of these detectors makes a signal: (score column, threshold) pairs; direction +1, −1, or 0: any."""

    columns: tuple[tuple[int, float], ...]
    direction: int


@dataclass(frozen=True)
class Logic(Test):
    """``operator`` is and, or, not."""

    operator: str
    arguments: tuple[Test, ...]

    @property
    def parts(self) -> tuple[Node, ...]:
        return self.arguments


def constant(comparison: Comparison) -> bool | None:
    """True or False when the ranges of both sides leave no other outcome (NaN apart), else None."""
    (a, b), (c, d) = comparison.left.range, comparison.right.range
    match comparison.operator:
        case ">":
            return True if a > d else False if b <= c else None
        case ">=":
            return True if a >= d else False if b < c else None
        case "<":
            return True if b < c else False if a >= d else None
        case "<=":
            return True if b <= c else False if a > d else None
    apart, same = b < c or a > d, a == b == c == d
    if not apart and not same:
        return None
    return same if comparison.operator == "==" else apart


def range_of(operator: str, ranges: list[Range]) -> Range:
    """The range of an arithmetic node; anything not bounded for sure is `EVERYTHING`.

    >>> range_of("*", [(0.0, 100.0), (2.0, 2.0)])
    (0.0, 200.0)
    """
    (a, b), (c, d) = ranges[0], ranges[-1]
    match operator:
        case "neg":
            ends = [-a, -b]
        case "abs":
            ends = [abs(a), abs(b), *([0.0] if a <= 0 <= b else [])]
        case "min":
            ends = [min(r[0] for r in ranges), min(r[1] for r in ranges)]
        case "max":
            ends = [max(r[0] for r in ranges), max(r[1] for r in ranges)]
        case "+":
            ends = [a + c, b + d]
        case "-":
            ends = [a - d, b - c]
        case "*":
            ends = [a * c, a * d, b * c, b * d]
        case _:
            ends = [a / c, a / d, b / c, b / d] if c > 0 or d < 0 else []
    if not ends or any(math.isnan(end) for end in ends):
        return EVERYTHING
    return min(ends), max(ends)
