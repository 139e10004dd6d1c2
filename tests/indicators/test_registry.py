"""What is computed, under which names, and what a person may ask for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.errors import BadSetting
from sparktrends.indicators import EXTRAS, METRICS, Kernel
from sparktrends.indicators.registry import FAMILIES, asked_for

CONTRACT = [
    "return", "log_return", "volatility_20", "volatility_ewma", "sma_20", "sma_50", "sma_200", "ema_12", "ema_20",
    "ema_26", "ema_50", "ema_200", "rsi_14", "macd", "macd_signal", "macd_hist", "bb_upper", "bb_middle",
    "bb_lower", "atr_14", "adx_14", "stoch_k", "stoch_d", "obv", "mfi_14", "roc_10", "vwap_session",
    "volume_sma_20", "volume_ratio", "volume_z",
]  # fmt: skip


def test_the_metrics_are_those_of_the_contract_in_its_order() -> None:
    assert [name for indicator in METRICS for name in indicator.names] == CONTRACT


def test_no_name_is_given_twice() -> None:
    families = [make(7) for make in FAMILIES.values()]
    names = [name for indicator in (*METRICS, *EXTRAS, *families) for name in indicator.names]
    assert len(names) == len(set(names))


def test_names_can_be_used_as_columns_and_keys() -> None:
    families = [make(7) for make in FAMILIES.values()]
    for indicator in (*METRICS, *EXTRAS, *families):
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in indicator.names)


def test_a_setting_becomes_extra_outputs(kernel: Kernel) -> None:
    assert kernel.extra_names[-2:] == ("sma_10", "wma_30")
    assert kernel.columns == (*kernel.names, *kernel.extra_names, "warm")


def test_what_is_there_already_is_not_computed_twice() -> None:
    only = Kernel({"sma": [20, 10, 10]}, metrics=METRICS[4:5], extras=())
    assert only.names == ("sma_20",)
    assert only.extra_names == ("sma_10",)


@pytest.mark.parametrize(
    "setting",
    [{"smaa": [10]}, {"sma": 10}, {"sma": "10"}, {"sma": [1]}, {"sma": [1001]}, {"sma": [True]}, {"sma": [10.0]},
     {"sma": ["10"]}, {"sma": [-5]}, {"sma": [None]}, {"sma": {"n": 10}}, {"ema": list(range(2, 80))}],
)  # fmt: skip
def test_nonsense_is_refused_with_a_hint(setting: Any) -> None:
    with pytest.raises(BadSetting) as caught:
        asked_for(setting)
    assert caught.value.hint


@settings(deadline=None)  # the first call may compile
@given(st.dictionaries(st.sampled_from(sorted(FAMILIES)), st.lists(st.integers(2, 1000), max_size=4)))
def test_whatever_is_allowed_has_as_many_indicators_as_windows(windows: dict[str, list[int]]) -> None:
    assert len(asked_for(windows)) == sum(map(len, windows.values()))
