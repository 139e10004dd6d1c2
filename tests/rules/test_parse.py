"""Expressions: what is taken, what is refused, and at which character."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.errors import BadSetting
from sparktrends.rules import Names, nodes
from sparktrends.rules.parse import MAX_DEPTH, MAX_LENGTH, BadExpression, parse

NAMES = Names(("rsi_14", "sma_20"), {"anomaly.move": 4.0, "anomaly.spike": 4.0, "trend.move": 1.0})

GOOD = [
    "close > 5",
    "close > 5 and rsi_14 < 30 or not volume >= 1e6",
    "(close - open) / open > .02",
    "-close * 2 < -10",
    "abs(close / prev(close) - 1) > 0.03",
    "min(open, close, low) < max(sma_20, 10)",
    "crosses_above(close, sma_20)",
    "anomaly.move.score > 5",
    'signal("move")',
    "signal('anomaly.move', 'down') and not signal('trend')",
    "prev(prev(close)) < close",
    "close>5and rsi_14<3",
]
BAD = [
    ("", "ends too early", 0),
    ("close >", "ends too early", 7),
    ("rsi14 > 70", "did you mean rsi_14", 0),
    ("close > 5 and vollume > 1", "did you mean volume", 14),
    ("anomaly.mov.score > 5", "did you mean anomaly.move.score", 0),
    ("close", "where a condition is wanted", 0),
    ("close and open", "where a condition is wanted", 0),
    ("(close > 5) + 1 > 2", "a condition where a number is wanted", 1),
    ("1 < close < 5", "one comparison at a time", 10),
    ("close > 5 ; close", "means nothing here", 10),
    ("close = 5", "means nothing here", 6),
    ("close > 5 5", "did not expect '5'", 10),
    ("foo(close) > 5", "unknown function foo", 0),
    ("absolute(close) > 5", "unknown function absolute", 0),
    ("abs(close, open) > 5", "abs takes 1 values, not 2", 0),
    ("max(close) > 5", "max takes 2 to 20", 0),
    ("close > 1e999", "too large", 8),
    ("close / (3 * 0) > 1", "divides by zero", 9),
    ("close / (sma_20 -sma_20) > 1", "divides by zero", 9),
    ("signal(close)", "write signal", 0),
    ("signal('moves')", "did you mean", 0),
    ("signal('move', 'left')", "direction is up or down", 0),
    ("abs('close') > 1", "is text", 4),
    ("signal('move') > 3", "a condition where a number is wanted", 0),
    ("__import__('os') > 1", "unknown function", 0),
    ("close.__class__ > 1", "unknown name", 0),
]
CONSTANT = [
    ("1 > 0", "always true: both sides are numbers"),
    ("close - close > 0", "never true: both sides are numbers"),
    ("prev(close) / prev( close ) > 2", "never true: both sides are numbers"),
    ("rsi_14 > 170", "never true: rsi_14 lies from 0 to 100"),
    ("rsi_14 >= 0", "always"),
    ("close < 0", "never"),
    ("close > 5 and volume < 0", "never"),
    ("rsi_14 / 2 > 60", "never"),
    ("anomaly.move.score > 1000", "never"),
    ("abs(close - open) < 0", "never"),
    ("max(rsi_14, 100) == 200", "never"),
    ("3 != 3", "never"),
    ("prev(rsi_14) > 101", "never"),
]


@pytest.mark.parametrize("text", GOOD)
def test_good_expressions_are_taken(text):
    tree, _ = parse(text, NAMES)
    assert isinstance(tree, nodes.Test)


@pytest.mark.parametrize(("text", "message", "at"), BAD)
def test_bad_ones_are_refused_where_they_are_bad(text, message, at):
    with pytest.raises(BadExpression, match=message.replace("(", r"\(")) as caught:
        parse(text, NAMES)
    assert caught.value.at == at


@pytest.mark.parametrize(("text", "message"), CONSTANT)
def test_what_can_never_change_is_refused(text, message):
    with pytest.raises(BadExpression, match=message):
        parse(text, NAMES)


@pytest.mark.parametrize(
    "text", ["rsi_14 > 100 - 1", "close <= 0.0001", "rsi_14 == 100", "1 / volume > 2", "sma_20 > 1e300"]
)
def test_what_may_happen_once_is_taken(text):
    parse(text, NAMES)


@pytest.mark.parametrize("part", ["(", "not ", "- ", "abs("])
def test_deep_nesting_is_refused_without_a_stack_overflow(part):
    text = part * (MAX_LENGTH // len(part) - 10) + "close"
    with pytest.raises(BadSetting):
        parse(text, NAMES)


def test_nesting_up_to_the_limit_is_taken():
    text = "-" * (MAX_DEPTH - 3) + "anomaly.move.score > 5"
    parse(text, NAMES)
    with pytest.raises(BadExpression, match="nested deeper"):
        parse("-" * (MAX_DEPTH + 1) + text, NAMES)


def test_long_chains_are_flat_not_deep():
    parse("+".join(["1"] * 900) + "> volume", NAMES)
    parse(" or ".join(["close > 5"] * 150), NAMES)


def test_length_is_limited():
    with pytest.raises(BadExpression, match="longer than"):
        parse("close > 5" + " " * MAX_LENGTH, NAMES)


@pytest.mark.parametrize(
    ("text", "columns"), [("move", {0, 2}), ("anomaly", {0, 1}), ("anomaly.spike", {1}), ("trend.move", {2})]
)
def test_a_signal_may_be_named_by_kind_by_name_or_by_both(text, columns):
    tree, _ = parse(f"signal('{text}')", NAMES)
    assert {column for column, _ in tree.columns} == columns


def test_slots_are_numbered_in_order():
    _, remembered = parse("prev(close) > prev(open) and crosses_above(close, sma_20)", NAMES, 3)
    assert [node.slot for node in remembered] == [3, 4, 5, 6]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="close rsi_14()<>=!+-*/.,'\"5eandortprvsigl\n\t{}[]é\0", max_size=60))
def test_any_text_is_taken_or_refused_properly(text):
    fault = None
    try:
        parse(text, NAMES)
    except BadExpression as error:
        fault = error
    assert fault is None or 0 <= fault.at <= len(text)
