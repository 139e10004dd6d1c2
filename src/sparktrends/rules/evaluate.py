"""A tree over rows of numbers, all rows at once.

A condition has three outcomes: it holds, it does not, or nobody knows, because a figure in it is NaN (not warm, a
division by zero, no bar before). So a test yields two masks, ``yes`` and ``no``, and what is unknown is in neither:
``not`` swaps them, and a rule never fires because of what is not known. Nothing here raises.

Only + − × ÷, comparisons, abs, min and max are computed, each rounded once by IEEE 754: the bits of a row are the
same alone, among 5,000 series, or in a year of history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparktrends.rules import nodes
from sparktrends.rules.names import Place
from sparktrends.rules.nodes import Test, Value

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """What a tree is asked about: one row per bar in each table; ``news`` is None where nothing is known of them.

    ``previous(slot, now)`` returns what memory slot ``slot`` held at the bar before each row, given its values now.
    """

    bars: Floats
    metrics: Floats
    scores: Floats
    previous: Callable[[int, Floats], Floats]
    news: Floats | None = None

    def column(self, place: nodes.Column | Place) -> Floats:
        """The values of a column."""
        table: Floats | None = getattr(self, place.table)
        return np.full(len(self.bars), np.nan) if table is None else table[:, place.column]


def _divide(a: Floats, b: Floats) -> Floats:
    return np.where(b == 0, np.nan, a / b)


_JOIN: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": _divide,
}
_FUNCTIONS: Mapping[str, Callable[..., Floats]] = {
    "neg": np.negative,
    "abs": np.abs,
    "min": lambda *values: reduce(np.minimum, values),
    "max": lambda *values: reduce(np.maximum, values),
}
_COMPARE: Mapping[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    ">": (np.greater, np.less_equal),
    ">=": (np.greater_equal, np.less),
    "<": (np.less, np.greater_equal),
    "<=": (np.less_equal, np.greater),
    "==": (np.equal, lambda a, b: (a < b) | (a > b)),
    "!=": (lambda a, b: (a < b) | (a > b), np.equal),
}


def value_of(node: Value, rows: Rows) -> Floats:
    """The node's value per row; NaN where it is not known."""
    match node:
        case nodes.Number():
            return np.full(len(rows.bars), node.value)
        case nodes.Column():
            return rows.column(node)
        case nodes.Previous():
            return rows.previous(node.slot, value_of(node.argument, rows))
    assert isinstance(node, nodes.Arithmetic)
    result, *more = [value_of(argument, rows) for argument in node.arguments]
    if node.operators[0] in _FUNCTIONS:
        return _FUNCTIONS[node.operators[0]](result, *more)
    for operator, value in zip(node.operators, more, strict=True):
        result = _JOIN[operator](result, value)
    return result


def outcome_of(node: Test, rows: Rows) -> tuple[Mask, Mask]:
    """Where the node holds and where it does not."""
    match node:
        case nodes.Comparison():
            left, right = value_of(node.left, rows), value_of(node.right, rows)
            holds, fails = _COMPARE[node.operator]
            return holds(left, right), fails(left, right)
        case nodes.Signals():
            return _signals(node, rows)
        case nodes.Logic(operator="not"):
            yes, no = outcome_of(node.arguments[0], rows)
            return no, yes
    assert isinstance(node, nodes.Logic)
    sides = [outcome_of(argument, rows) for argument in node.arguments]
    every = np.logical_and.reduce([side[node.operator == "or"] for side in sides])
    some = np.logical_or.reduce([side[node.operator == "and"] for side in sides])
    return (every, some) if node.operator == "and" else (some, every)


def _signals(node: nodes.Signals, rows: Rows) -> tuple[Mask, Mask]:
    yes, no = np.zeros(len(rows.bars), bool), np.ones(len(rows.bars), bool)
    for column, threshold in node.columns:
        score = rows.scores[:, column]
        strength = np.abs(score) if node.direction == 0 else score * node.direction
        yes |= strength >= threshold
        no &= strength < threshold
    return yes, no
