from __future__ import annotations

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.bars.numbers import Number, decimal_of, integer_of, units_of, vwap_of
from sparktrends.errors import BadRecord

ONE = 10**18


def reason(text: str) -> str:
    with pytest.raises(BadRecord) as caught:
        units_of(text, "price")
    return caught.value.reason


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("1", ONE), ("-1.5", -15 * 10**17), ("0", 0), ("-0", 0), ("0e999999999", 0), ("1e-18", 1),
        ("0.5e1", 5 * ONE), ("1E+2", 100 * ONE), ("1.50000000000000000000000", 15 * 10**17),
        ("99999999999999999999.999999999999999999", 10**38 - 1), ("100e-3", 10**17), ("0." + "0" * 17 + "1", 1),
        ("1000000000000000000000e-2", 10 * ONE * ONE),
    ],
)  # fmt: skip
def test_numbers_keep_every_digit(text, units):
    assert units_of(text, "price") == units


@pytest.mark.parametrize(
    "text", ["", "+1", "01", "1.", ".5", " 1", "1 ", "1_0", "٣", "NaN", "Infinity", "0x1", "1e", "1\n"]
)
def test_other_text_is_no_number(text):
    assert reason(text) == "bad_price"


@pytest.mark.parametrize(
    "text", ["100000000000000000000", "1e20", "1e-19", "0.0000000000000000001", "1e999999999", "1e-999999999", "9" * 39]
)
def test_more_digits_than_are_kept_are_refused(text):
    assert reason(text) == "too_many_digits"


@pytest.mark.parametrize("text", ["1e" + "9" * 900_000, "1" * 900_000, "1." + "3" * 900_000, "-1e-" + "9" * 900_000])
def test_hostile_numbers_cost_nothing(text):
    begin = time.process_time()
    assert reason(text) == "too_many_digits"
    assert time.process_time() - begin < 1.0


@given(st.decimals(min_value=-(10**20) + 1, max_value=10**20 - 1, places=18, allow_nan=False))
def test_decimals_survive_the_way_there_and_back(value):
    assert decimal_of(units_of(format(value, "f"), "price")) == value


@given(st.integers(-(10**40), 10**40), st.integers(0, 36))
def test_units_become_exactly_their_decimal(units, places):
    assert (
        decimal_of(units, places).as_integer_ratio()
        == Decimal((int(units < 0), tuple(map(int, str(abs(units)))), -places)).as_integer_ratio()
    )


@given(st.integers(0, 10**50), st.integers(1, 10**40))
def test_vwap_is_rounded_half_away_from_zero(turnover, volume):
    vwap = vwap_of(turnover, volume)
    assert vwap is not None
    assert -volume < 2 * (vwap * volume - turnover) <= volume


@pytest.mark.parametrize("value", ["5", True, None, 5, Number("1.0"), Number("1e3"), Number("1" * 21)])
def test_only_json_integers_are_integers(value):
    with pytest.raises(BadRecord):
        integer_of(value, "ts")


def test_integers_may_have_a_sign():
    assert (integer_of(Number("-12"), "ts"), integer_of(Number("-0"), "ts")) == (-12, 0)
