"""Deviations and channels: their order, and bars that contradict themselves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.indicators import Indicator, trial
from sparktrends.indicators.volatility import (
    Atr,
    Bollinger,
    Donchian,
    EwmaVolatility,
    GarmanKlass,
    Keltner,
    Parkinson,
    Volatility,
)

closes = st.lists(st.floats(1e-3, 1e6), min_size=8, max_size=20)


@settings(deadline=None)  # the first call may compile
@given(closes)
def test_channels_stand_in_order(close: list[float]) -> None:
    upper, middle, lower = (values[-1] for values in trial(Bollinger(5), close=close).values())
    assert upper >= middle >= lower
    assert middle == pytest.approx((upper + lower) / 2, abs=1e-6)
    top, bottom = (values[-1] for values in trial(Donchian(5), close=close).values())
    assert top == max(close[-5:])
    assert bottom == min(close[-5:])


@settings(deadline=None)  # the first call may compile
@given(closes)
def test_keltner_is_as_wide_as_four_true_ranges(close: list[float]) -> None:
    upper, lower = (values[-1] for values in trial(Keltner(5, 3, 2.0), close=close).values())
    assert upper - lower == pytest.approx(4 * trial(Atr(3), close=close)["atr_3"][-1], abs=1e-6)


@pytest.mark.parametrize("indicator", [Volatility(3), EwmaVolatility(0.94), Atr(3), Parkinson(3), GarmanKlass(3)])
def test_a_flat_price_has_none(indicator: Indicator) -> None:
    (values,) = trial(indicator, close=[0.1] * 6).values()
    assert values[-1] == 0.0


@pytest.mark.parametrize("indicator", [Volatility(3), EwmaVolatility(0.94), Parkinson(3), GarmanKlass(3)])
@settings(deadline=None)  # the first call may compile
@given(closes, st.floats(1e-9, 1e9))
def test_the_scale_of_the_price_does_not_matter(indicator: Indicator, close: list[float], scale: float) -> None:
    (values,) = trial(indicator, close=close).values()
    (scaled,) = trial(indicator, close=[c * scale for c in close]).values()
    assert scaled[-1] == pytest.approx(values[-1], rel=1e-6, abs=1e-9)


def test_a_gap_is_part_of_the_true_range() -> None:
    assert trial(Atr(1), high=[2, 9], low=[1, 8], close=[2, 8])["atr_1"][-1] == 7.0


def test_a_bar_that_contradicts_itself_counts_as_no_volatility() -> None:
    assert trial(GarmanKlass(1), open=[1], high=[1.1], low=[1], close=[3])["garman_klass_1"] == [0.0]


def test_the_first_square_seeds_the_average() -> None:
    (values,) = trial(EwmaVolatility(0.94), close=[1.0, math.e]).values()
    assert values[-1] == pytest.approx(1.0)
