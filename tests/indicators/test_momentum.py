"""Oscillators: their bounds, and what they say when nothing moves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.indicators import Indicator, trial
from sparktrends.indicators.momentum import Adx, Cci, LogReturn, Return, Roc, Rsi, Stochastic, WilliamsR

spans = st.lists(st.tuples(st.floats(1, 1e6), st.floats(0, 1), st.floats(0, 1)), min_size=20, max_size=30)


def _columns(rows: list[tuple[float, float, float]]) -> dict[str, list[float]]:
    high = [top for top, _, _ in rows]
    low = [top * (1 - 0.5 * depth) for top, depth, _ in rows]
    return {
        "high": high,
        "low": low,
        "close": [b + (t - b) * at for t, b, (_, _, at) in zip(high, low, rows, strict=True)],
    }


@pytest.mark.parametrize(
    ("indicator", "least", "greatest"),
    [(Rsi(5), 0, 100), (Adx(5), 0, 100), (Stochastic(5, 3, 3), 0, 100), (WilliamsR(5), -100, 0)],
)
@settings(deadline=None)  # the first call may compile
@given(rows=spans)
def test_an_oscillator_keeps_to_its_scale(
    indicator: Indicator, least: float, greatest: float, rows: list[tuple[float, float, float]]
) -> None:
    for values in trial(indicator, **_columns(rows)).values():
        assert all(least - 1e-9 <= value <= greatest + 1e-9 for value in values[indicator.warmup - 1 :])


@pytest.mark.parametrize(
    "indicator", [Rsi(3), Adx(3), Stochastic(3, 2, 2), WilliamsR(3), Cci(3), Roc(3), Return(), LogReturn()]
)
def test_nothing_moving_is_zero(indicator: Indicator) -> None:
    for values in trial(indicator, close=[0.1] * 12).values():
        assert values[indicator.warmup - 1 :] == [0.0] * (13 - indicator.warmup)


@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e15])
def test_the_scale_of_the_price_does_not_matter(scale: float) -> None:
    close = [1.0, 2.0, 1.5, 1.75, 1.25, 2.0]
    assert trial(Rsi(3), close=[c * scale for c in close])["rsi_3"][-1] == pytest.approx(
        trial(Rsi(3), close=close)["rsi_3"][-1]
    )


def test_one_way_up_is_a_hundred() -> None:
    rising = [float(n) for n in range(1, 12)]
    assert trial(Rsi(3), close=rising)["rsi_3"][-1] == 100.0
    assert trial(Adx(3), close=rising)["adx_3"][-1] == 100.0


def test_a_bar_without_direction_leaves_adx_as_it_was() -> None:
    rising = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    values = trial(Adx(3), close=[*rising, 7.0])["adx_3"]
    assert values[-1] == values[-2]
