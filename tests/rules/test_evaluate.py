"""Evaluation: three outcomes, defined arithmetic, the same bits for every shape."""

from __future__ import annotations

import operator
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.rules import Names
from sparktrends.rules.evaluate import Rows, outcome_of, value_of
from sparktrends.rules.parse import parse

NAMES = Names(("a", "b"), {"anomaly.move": 4.0})
ODD = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e308, -1e308, 5e-324, 1.0, -2.5]


def outcome(text, a=1.0, b=1.0, score=np.nan):
    tree, _ = parse(text, NAMES)
    rows = Rows(np.ones((1, 8)), np.array([[a, b]]), np.array([[score]]), lambda _, now: np.full_like(now, np.nan))
    with np.errstate(all="ignore"):
        yes, no = outcome_of(tree, rows)
    return True if yes[0] else False if no[0] else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a > b", None),
        ("a != b", None),
        ("a == a", None),
        ("not a > b", None),
        ("a > b or b > 0", True),
        ("a > b or b < 0", None),
        ("a > b and b > 0", None),
        ("a > b and b < 0", False),
        ("not (a > b and b < 0)", True),
        ("abs(a) > 0.5", None),
        ("min(a, b) < 5", None),
        ("prev(b) > 0.5", None),
        ("signal('move')", None),
        ("not signal('move')", None),
        ("a + 1 > b", None),
    ],
)
def test_what_is_not_known_is_neither_true_nor_false(text, expected):
    assert outcome(text, a=np.nan) is expected


@pytest.mark.parametrize(
    "text", ["b / a > 0", "b / a <= 0", "not b / a > 0", "a / (a + 0) == 1", "0 / a < 1", "b / (a * 2) != 3"]
)
def test_division_by_zero_is_not_known(text):
    assert outcome(text, a=0.0) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a - b - 1 == 5", True),
        ("a / b / 2 == 2", True),
        ("a + b * 2 == 12", True),
        ("-a + b == -6", True),
        ("(a + b) * 2 == 20", True),
        ("not a > b and b > 100", False),
        ("a > 1 or b > 100 and b > 200", True),
        ("max(a, b, 9) == 9", True),
        ("abs(b - a) == 6", True),
    ],
)
def test_operators_bind_as_in_arithmetic(text, expected):
    assert outcome(text, a=8.0, b=2.0) is expected


@pytest.mark.parametrize(
    ("score", "expected"), [(4.0, (True, True, False)), (-5.0, (True, False, True)), (3.9, (False, False, False))]
)
def test_a_signal_is_a_score_at_its_threshold(score, expected):
    texts = ("signal('move')", "signal('move', 'up')", "signal('anomaly.move', 'down')")
    assert tuple(outcome(text, score=score) for text in texts) == expected


numbers = st.one_of(st.sampled_from(ODD), st.floats(-1e6, 1e6))
trees = st.recursive(
    st.sampled_from(["a", "b", "2", "0.5"]),
    lambda part: st.one_of(
        st.tuples(part, st.sampled_from("+-*/"), part).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        part.map(lambda t: f"abs({t})"),
        st.tuples(part, part).map(lambda t: f"min({t[0]}, {t[1]})"),
        part.map(lambda t: f"(-{t})"),
    ),
    max_leaves=8,
)


def plainly(text, a, b):
    """The same by Python's own floats: the independent way."""

    class Number(float):
        def __truediv__(self, other):
            return Number(float(self) / float(other)) if other != 0 else Number("nan")

        def __neg__(self):
            return Number(-float(self))

        def __add__(self, other):
            return Number(float(self) + float(other))

        def __sub__(self, other):
            return Number(float(self) - float(other))

        def __mul__(self, other):
            return Number(float(self) * float(other))

    def least(x, y):
        return Number("nan") if x != x or y != y else Number(min(float(x), float(y)))

    names = {"a": Number(a), "b": Number(b), "abs": lambda x: Number(abs(float(x))), "min": least}
    return float(eval(text.replace("0.5", "H").replace("2", "T"), names | {"H": Number(0.5), "T": Number(2)}))


@settings(max_examples=200, deadline=None)
@given(trees, numbers, numbers)
def test_arithmetic_is_that_of_floats_and_nothing_ever_warns(text, a, b):
    tree, _ = parse(f"{text} > a or a > b", NAMES)
    rows = Rows(np.ones((3, 8)), np.tile([a, b], (3, 1)), np.ones((3, 1)), lambda _, now: now)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error")
        values = value_of(tree.parts[0].left, rows)
    expected = plainly(text, a, b)
    assert len({value.tobytes() for value in values}) == 1 or np.isnan(values).all()
    assert values[0] == expected or (np.isnan(values[0]) and np.isnan(expected))


@given(numbers, numbers, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
def test_a_comparison_holds_or_does_not_unless_a_side_is_nan(a, b, sign):
    known = not (np.isnan(a) or np.isnan(b))
    compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}
    expected = a != b if sign == "!=" else compare[sign](a, b)
    assert outcome(f"a {sign} b", a, b) is (bool(expected) if known else None)
