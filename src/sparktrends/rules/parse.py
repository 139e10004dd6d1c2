"""Text to a typed tree: every name known, every type right, nothing that can never hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from sparktrends.errors import BadSetting
from sparktrends.rules import nodes
from sparktrends.rules.names import Names, Place, Range, suggestion
from sparktrends.rules.nodes import Node, Test, Value

MAX_LENGTH = 2000
"""Longest expression, in characters."""
MAX_DEPTH = 50
"""Deepest nesting."""

_CROSSES = {"crosses_above": ("<=", ">"), "crosses_below": (">=", "<")}
_ARITY = {"abs": (1, 1), "min": (2, 20), "max": (2, 20), "prev": (1, 1), **dict.fromkeys(_CROSSES, (2, 2))}
FUNCTIONS = (*_ARITY, "signal")
# Of two sides that are the same text: what one may write by mistake, and would never fire.
_OF_THE_SAME: Mapping[str, Range] = {"-": (0.0, 0.0), "/": (1.0, 1.0)}
_DIRECTIONS = {"up": 1, "down": -1}


class BadExpression(BadSetting):
    """What is wrong with an expression, and at which character (from 0)."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


@cache
def _grammar() -> Lark:
    text = files("sparktrends.rules").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def parse(text: str, names: Names, first_slot: int = 0) -> tuple[Test, list[nodes.Previous]]:
    """The tree of a condition and the values it must remember, in order of their memory slots.

    ``first_slot`` numbers the first of them. Raises `BadExpression`.

    >>> tree, remembered = parse("rsi_14 > 70 and prev(close) < close", Names(("rsi_14",)))
    >>> [part.text for part in tree.parts], len(remembered)
    (['rsi_14 > 70', 'prev(close) < close'], 1)
    """
    if len(text) > MAX_LENGTH:
        raise BadExpression(f"longer than {MAX_LENGTH} characters", MAX_LENGTH)
    tree = _tree(text)
    _check_depth(tree)
    builder = _Builder(text, names, first_slot)
    condition = builder.test(tree.children[0])
    _check_moves(condition)
    return condition, builder.remembered


def _tree(text: str) -> Tree[Token]:
    try:
        return _grammar().parse(text)
    except UnexpectedCharacters as error:
        at: int = getattr(error, "pos_in_stream", 0)
        raise BadExpression(f"the character {text[at]!r} means nothing here", at) from None
    except UnexpectedToken as error:
        if error.token.type == "$END":
            raise BadExpression("the expression ends too early", len(text)) from None
        raise BadExpression(f"did not expect {str(error.token)!r} here", error.token.start_pos or 0) from None


def _check_depth(tree: Tree[Token]) -> None:
    """Without recursion, since it guards the recursion of all that follows."""
    waiting: list[tuple[Tree[Token], int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise BadExpression(f"nested deeper than {MAX_DEPTH}", node.meta.start_pos)
        waiting.extend((child, depth + 1) for child in node.children if isinstance(child, Tree))


def _check_moves(condition: Test) -> None:
    for node in condition.walk():
        if isinstance(node, nodes.Comparison) and (outcome := nodes.constant(node)) is not None:
            word = "always" if outcome else "never"
            raise BadExpression(f"'{node.text}' is {word} true: {_ranges(node)}", node.at)


def _ranges(node: nodes.Comparison) -> str:
    sides = [side for side in (node.left, node.right) if side.range[0] != side.range[1]]
    return (
        " and ".join(f"{s.text} lies from {s.range[0]:g} to {s.range[1]:g}" for s in sides) or "both sides are numbers"
    )


def _words(node: Node) -> str:
    return "".join(node.text.split())


class _Builder:
    """Turns lark's tree into ours; one method per rule of the grammar."""

    def __init__(self, text: str, names: Names, first_slot: int) -> None:
        self._whole = text
        self._names = names
        self._first = first_slot
        self.remembered: list[nodes.Previous] = []

    def test(self, tree: Any) -> Test:
        """A part that must hold or not."""
        node = self._build(tree)
        if not isinstance(node, Test):
            raise BadExpression(
                f"'{node.text}' is a number where a condition is wanted: compare it with something", node.at
            )
        return node

    def value(self, tree: Any) -> Value:
        """A part that must be a number."""
        node = self._build(tree)
        if not isinstance(node, Value):
            raise BadExpression(f"'{node.text}' is a condition where a number is wanted", node.at)
        return node

    def _build(self, tree: Any) -> Node:
        source = self._source(tree)
        build: Callable[[Any, tuple[str, int]], Node] = getattr(self, f"_{tree.data}")
        return build(tree, source)

    def _source(self, tree: Any) -> tuple[str, int]:
        start, end = tree.meta.start_pos, tree.meta.end_pos
        return self._whole[start:end], start

    def _either(self, tree: Any, source: tuple[str, int]) -> Node:
        return nodes.Logic(*source, "or", tuple(self.test(child) for child in tree.children))

    def _both(self, tree: Any, source: tuple[str, int]) -> Node:
        return nodes.Logic(*source, "and", tuple(self.test(child) for child in tree.children))

    def _denial(self, tree: Any, source: tuple[str, int]) -> Node:
        return nodes.Logic(*source, "not", (self.test(tree.children[0]),))

    def _comparison(self, tree: Any, source: tuple[str, int]) -> Node:
        if len(tree.children) > 3:
            raise BadExpression("one comparison at a time: write 'a < b and b < c'", tree.children[3].start_pos)
        left, operator, right = tree.children
        return nodes.Comparison(*source, str(operator), self.value(left), self.value(right))

    def _sum(self, tree: Any, source: tuple[str, int]) -> Node:
        """Also products: value, operator, value, operator … taken from the left."""
        values = tuple(self.value(child) for child in tree.children[::2])
        operators = tuple(str(token) for token in tree.children[1::2])
        lies = values[0].range
        for operator, value in zip(operators, values[1:], strict=True):
            if operator == "/" and value.range == (0, 0):
                raise BadExpression(f"'{source[0]}' divides by zero: it is never known", value.at)
            lies = nodes.range_of(operator, [lies, value.range])
        if len(values) == 2 and _words(values[0]) == _words(values[1]):
            lies = _OF_THE_SAME.get(operators[0], lies)
        return nodes.Arithmetic(*source, lies, operators, values)

    _product = _sum

    def _negation(self, tree: Any, source: tuple[str, int]) -> Node:
        return self._arithmetic(source, "neg", (self.value(tree.children[0]),))

    def _arithmetic(self, source: tuple[str, int], operator: str, arguments: tuple[Value, ...]) -> Value:
        lies = nodes.range_of(operator, [argument.range for argument in arguments])
        return nodes.Arithmetic(*source, lies, (operator,), arguments)

    def _number(self, tree: Any, source: tuple[str, int]) -> Node:
        value = float(tree.children[0])
        if not math.isfinite(value):
            raise BadExpression(f"{source[0]} is too large a number", source[1])
        return nodes.Number(*source, (value, value), value)

    def _path(self, tree: Any, source: tuple[str, int]) -> Node:
        name = ".".join(tree.children)
        place = self._names.find(name)
        if place is None:
            raise BadExpression(f"unknown name {name}{suggestion(name, self._names.all())}", source[1])
        return self._column(source, name, place)

    def _column(self, source: tuple[str, int], name: str, place: Place) -> Node:
        return nodes.Column(*source, place.range, name, place.table, place.column)

    def _text(self, _: Any, source: tuple[str, int]) -> Node:
        raise BadExpression(f"{source[0]} is text: only signal() takes that", source[1])

    def _call(self, tree: Any, source: tuple[str, int]) -> Node:
        name, arguments = str(tree.children[0]), tree.children[1:]
        if name == "signal":
            return self._signal(source, arguments)
        if name not in _ARITY:
            raise BadExpression(f"unknown function {name}{suggestion(name, FUNCTIONS)}", source[1])
        least, most = _ARITY[name]
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            raise BadExpression(f"{name} takes {wanted} values, not {len(arguments)}", source[1])
        values = tuple(self.value(argument) for argument in arguments)
        if name in _CROSSES:
            return self._crosses(source, name, values)
        return self._previous(source, values[0]) if name == "prev" else self._arithmetic(source, name, values)

    def _previous(self, source: tuple[str, int], argument: Value) -> nodes.Previous:
        node = nodes.Previous(*source, argument.range, argument, self._first + len(self.remembered))
        self.remembered.append(node)
        return node

    def _crosses(self, source: tuple[str, int], name: str, values: tuple[Value, ...]) -> Node:
        """``crosses_above(a, b)`` is ``prev(a) <= prev(b) and a > b``."""
        before, now = _CROSSES[name]
        old = [self._previous((f"prev({v.text})", v.at), v) for v in values]
        return nodes.Logic(
            *source,
            "and",
            (nodes.Comparison(*source, before, old[0], old[1]), nodes.Comparison(*source, now, values[0], values[1])),
        )

    def _signal(self, source: tuple[str, int], arguments: Sequence[Any]) -> Node:
        if not 1 <= len(arguments) <= 2 or any(getattr(a, "data", "") != "text" for a in arguments):
            raise BadExpression('write signal("name") or signal("name", "up")', source[1])
        words = [str(argument.children[0])[1:-1] for argument in arguments]
        columns = self._names.signals(words[0])
        if not columns:
            near = suggestion(words[0], [part for name in self._names.thresholds for part in (name, *name.split("."))])
            raise BadExpression(f"unknown signal {words[0]!r}{near}", source[1])
        if len(words) == 2 and words[1] not in _DIRECTIONS:
            raise BadExpression(f"direction is up or down, not {words[1]!r}", source[1])
        return nodes.Signals(*source, tuple(columns), _DIRECTIONS[words[1]] if len(words) == 2 else 0)
