"""Averages of the close: where they begin and what bounds them."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.indicators import Indicator, trial
from sparktrends.indicators.moving import Ema, Macd, Sma, Wma

closes = st.lists(st.floats(1e-6, 1e6), min_size=5, max_size=30)


@pytest.mark.parametrize("indicator", [Sma(5), Ema(5), Wma(5)])
@settings(deadline=None)  # the first call may compile
@given(closes)
def test_an_average_lies_between_the_extremes(indicator: Indicator, close: list[float]) -> None:
    for value in trial(indicator, close=close)[indicator.names[0]][4:]:
        assert min(close) * (1 - 1e-9) <= value <= max(close) * (1 + 1e-9)


@settings(deadline=None)  # the first call may compile
@given(closes)
def test_the_window_of_a_plain_mean_forgets_what_has_left_it(close: list[float]) -> None:
    long, short = trial(Sma(5), close=[1e12, *close])["sma_5"], trial(Sma(5), close=close)["sma_5"]
    assert long[-1] == short[-1]


def test_both_averages_of_macd_begin_together() -> None:
    close = [float(n * n) for n in range(1, 12)]
    line = trial(Macd(3, 6, 2), close=close)["macd"]
    fast, slow = statistics.fmean(close[3:6]), statistics.fmean(close[:6])
    fast += (close[6] - fast) * 2 / 4
    slow += (close[6] - slow) * 2 / 7
    assert line[:6] == pytest.approx([math.nan] * 6, nan_ok=True)
    assert line[6] == pytest.approx(fast - slow)


def test_the_histogram_is_the_line_less_its_signal() -> None:
    out = trial(Macd(3, 6, 2), close=[5, 7, 6, 8, 9, 4, 5, 6, 7])
    for line, signal, difference in zip(*out.values(), strict=True):
        assert math.isnan(line) or difference == line - signal
