"""What volume does: sessions, flows, and where there is nothing to measure by."""

from __future__ import annotations

import math

import pytest

from sparktrends.indicators import trial
from sparktrends.indicators.volume import Mfi, Obv, VolumeNorm, VwapSession


def test_vwap_begins_anew_with_the_session() -> None:
    values = trial(VwapSession(), close=[10, 20, 90, 30], volume=[1, 1, 1, 1], session=[7, 7, 8, 7])["vwap_session"]
    assert values == [10.0, 15.0, 90.0, 30.0]


def test_a_session_may_be_numbered_zero() -> None:
    assert trial(VwapSession(), close=[10, 20], session=[0, 0])["vwap_session"] == [10.0, 15.0]


def test_a_providers_bar_counts_by_its_typical_price() -> None:
    bars = {"high": [4, 4], "low": [1, 1], "close": [1, 1], "volume": [2, 2], "turnover": [math.nan, 6]}
    assert trial(VwapSession(), **bars, provider=[1, 0])["vwap_session"] == [2.0, 2.5]


def test_vwap_is_undefined_until_the_session_has_volume() -> None:
    values = trial(VwapSession(), close=[5, 6], volume=[0, 3])["vwap_session"]
    assert values == pytest.approx([math.nan, 6.0], nan_ok=True)


def test_an_unchanged_close_leaves_obv() -> None:
    assert trial(Obv(), close=[5, 5, 4], volume=[0, 9, 2])["obv"] == [0.0, 0.0, -2.0]


@pytest.mark.parametrize("price", [1e-12, 1.0, 1e12])
def test_money_flow_does_not_depend_on_the_scale_of_the_price(price: float) -> None:
    values = trial(Mfi(2), close=[price, 2 * price, price], volume=[1, 3, 2])["mfi_2"]
    assert values[-1] == pytest.approx(75.0)


def test_typical_prices_that_differ_by_rounding_are_equal() -> None:
    bars = {"high": [0.3, 0.1, 0.3], "low": [0.2, 0.2, 0.1], "close": [0.1, 0.3, 0.2]}
    assert len({(h + low + c) / 3.0 for h, low, c in zip(*bars.values(), strict=True)}) > 1
    assert trial(Mfi(2), open=[0.2] * 3, **bars)["mfi_2"][-1] == 0.0


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ([2, 4, 6], [3.0, 2.0, 3.0]),
        ([3, 3, 6], [3.0, 2.0, math.nan]),
        ([0, 0, 6], [0.0, math.nan, math.nan]),
        ([2, 4, 0], [3.0, 0.0, -3.0]),
    ],
)
def test_volume_against_those_before_it(volume: list[float], expected: list[float]) -> None:
    last = [values[-1] for values in trial(VolumeNorm(2), close=[1, 1, 1], volume=volume).values()]
    assert last == pytest.approx(expected, nan_ok=True)
