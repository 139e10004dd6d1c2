"""The shared arithmetic against NumPy, and where rounding must not show."""

from __future__ import annotations

import doctest
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.indicators import base
from sparktrends.indicators.moving import Macd

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40).map(np.array)


def test_the_examples_run() -> None:
    result = doctest.testmod(base)
    assert result.attempted >= 6
    assert result.failed == 0


@settings(deadline=None)  # the first call may compile
@given(values, st.data())
def test_window_figures_are_those_of_numpy(window: np.ndarray, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(window)))
    latest = window[-n:]
    assert base.mean(window, n) == pytest.approx(np.mean(latest), rel=1e-9, abs=1e-6)
    assert base.squares(window, n, 1.5) == pytest.approx(np.sum((latest - 1.5) ** 2), rel=1e-12)
    assert (base.highest(window, n), base.lowest(window, n)) == (latest.max(), latest.min())


@settings(deadline=None)  # the first call may compile
@given(st.floats(1e-18, 1e20), st.integers(1, 40))
def test_equal_values_have_no_deviation_at_all(value: float, n: int) -> None:
    window = np.full(40, value)
    assert base.mean(window, n) == value
    assert base.squares(window, n, base.mean(window, n)) == 0.0


@settings(deadline=None)  # the first call may compile
@given(values)
def test_push_keeps_the_latest_in_order(window: np.ndarray) -> None:
    expected = [*window[1:], 7.0]
    base.push(window, 7.0)
    assert window.tolist() == expected


@pytest.mark.parametrize("average", [base.exponential, base.wilder])
def test_averages_are_seeded_with_the_mean(average: base.F) -> None:
    given_values = [3.0, 1.0, 8.0, 5.0]
    state = 0.0
    for k, value in enumerate(given_values, start=1):
        state = average(state, value, float(k), 4)
    assert state == statistics.fmean(given_values)


def test_wilder_ignores_what_stands_before_the_first_value() -> None:
    assert base.wilder(5.0, 9.0, 0.0, 3) == 0.0


def test_an_indicator_shows_its_parameters() -> None:
    assert repr(Macd(12, 26, 9)) == "Macd(12, 26, 9)"
