"""The numbers themselves: against TA-Lib as recorded, TA-Lib as installed, and NumPy for what TA-Lib has not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import talib
from numpy.typing import NDArray

from sparktrends.indicators import Kernel

Floats = NDArray[np.float64]
FILES = [
    "bitstamp_btc_1m_from_ticks_20131125",
    "eqker_AAPL_1min",
    "eqker_AAPL_daily",
    "eqker_SPY_1min",
]
RECORDED = {
    "sma20": "sma_20", "ema20": "ema_20", "sma50": "sma_50", "ema50": "ema_50", "sma200": "sma_200",
    "ema200": "ema_200", "rsi14": "rsi_14", "macd": "macd", "macd_signal": "macd_signal", "macd_hist": "macd_hist",
    "bb_up": "bb_upper", "bb_mid": "bb_middle", "bb_lo": "bb_lower", "atr14": "atr_14", "obv": "obv",
    "mfi14": "mfi_14", "adx14": "adx_14", "stoch_k": "stoch_k", "stoch_d": "stoch_d", "willr14": "willr_14",
    "cci20": "cci_20",
}  # fmt: skip
OSCILLATORS = {"rsi_14", "mfi_14", "adx_14", "stoch_k", "stoch_d", "willr_14", "cci_20"}
"""Run over a fixed scale of about 100: near 0 the error is held against that scale, not against nothing."""


def _scale(name: str, close: Floats) -> float:
    return 100.0 if name in OSCILLATORS else float(np.median(close)) * 1e-3 if name.startswith("macd") else 0.0


@pytest.fixture(scope="module", params=FILES)
def table(request: pytest.FixtureRequest, shared_data: Path) -> pl.DataFrame:
    return pl.read_csv(shared_data / "indicators" / f"{request.param}.indicators.csv.gz", infer_schema_length=None)


@pytest.fixture(scope="module")
def prices(table: pl.DataFrame) -> dict[str, Floats]:
    return {n: table[n].cast(pl.Float64).to_numpy() for n in ("open", "high", "low", "close", "volume")}


@pytest.fixture(scope="module")
def ours(prices: dict[str, Floats], kernel: Kernel) -> dict[str, Floats]:
    close, volume = prices["close"], prices["volume"]
    days = np.arange(len(close)) // 390
    bars = np.column_stack([*prices.values(), close * volume, days, np.zeros_like(close)])
    out = kernel.run(kernel.new(1)[0], bars)
    return {name: out[:, n] for n, name in enumerate(kernel.columns)}


def _assert_equal(name: str, ours: Floats, theirs: Floats, scale: float, rel: float = 1e-9) -> None:
    assert np.array_equal(np.isnan(ours), np.isnan(theirs)), f"{name} begins elsewhere"
    known = ~np.isnan(theirs)
    error = np.abs(ours - theirs)[known] / np.maximum(np.abs(theirs[known]), max(scale, 1e-300))
    assert error.max() <= rel, f"{name} differs by {error.max():.1e}"


@pytest.mark.parametrize("recorded", RECORDED)
def test_equal_to_the_recorded_values_of_ta_lib(
    recorded: str, table: pl.DataFrame, ours: dict[str, Floats], prices: dict[str, Floats]
) -> None:
    name = RECORDED[recorded]
    theirs = table[recorded].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    # The file holds twelve digits: a difference of prices has lost those that the prices had before the point.
    _assert_equal(name, ours[name], theirs, _scale(name, prices["close"]))


def _talib(p: dict[str, Floats]) -> dict[str, Floats]:
    _, h, low, c, v = p.values()
    values = {f"sma_{n}": talib.SMA(c, n) for n in (10, 20, 50, 200)}
    values |= {f"ema_{n}": talib.EMA(c, n) for n in (12, 20, 26, 50, 200)}
    values |= dict(zip(("macd", "macd_signal", "macd_hist"), talib.MACD(c, 12, 26, 9), strict=True))
    values |= dict(zip(("bb_upper", "bb_middle", "bb_lower"), talib.BBANDS(c, 20, 2, 2), strict=True))
    values |= dict(zip(("stoch_k", "stoch_d"), talib.STOCH(h, low, c, 14, 3, 0, 3, 0), strict=True))
    values |= {"rsi_14": talib.RSI(c, 14), "atr_14": talib.ATR(h, low, c, 14), "adx_14": talib.ADX(h, low, c, 14)}
    values |= {"obv": talib.OBV(c, v), "mfi_14": talib.MFI(h, low, c, v, 14), "roc_10": talib.ROC(c, 10)}
    values |= {"cci_20": talib.CCI(h, low, c, 20), "willr_14": talib.WILLR(h, low, c, 14), "wma_30": talib.WMA(c, 30)}
    return values | {"dc_upper": talib.MAX(h, 20), "dc_lower": talib.MIN(low, 20)}


def test_equal_to_ta_lib_itself(ours: dict[str, Floats], prices: dict[str, Floats]) -> None:
    for name, theirs in _talib(prices).items():
        # A rate of change of 0 is exact in neither: hold it against a millionth of a percent.
        scale = 1e-4 if name == "roc_10" else _scale(name, prices["close"])
        _assert_equal(name, ours[name], theirs, scale)


def _rolling(values: Floats, n: int, figure: Callable[..., Floats]) -> Floats:
    windows = np.lib.stride_tricks.sliding_window_view(values, n)
    return np.concatenate([np.full(n - 1, np.nan), figure(windows, axis=1)])


def test_returns_and_their_volatility(ours: dict[str, Floats], prices: dict[str, Floats]) -> None:
    log_return = np.diff(np.log(prices["close"]), prepend=np.nan)
    _assert_equal("log_return", ours["log_return"], log_return, 1e-4)
    _assert_equal("return", ours["return"], np.expm1(log_return), 1e-4)
    expected = np.concatenate([[np.nan], _rolling(log_return[1:], 20, lambda w, axis: np.std(w, axis=axis, ddof=1))])
    _assert_equal("volatility_20", ours["volatility_20"], expected, 1e-6)
    s = np.full(len(log_return), np.nan)
    s[1] = log_return[1] ** 2
    for i in range(2, len(s)):
        s[i] = 0.94 * s[i - 1] + 0.06 * log_return[i] ** 2
    _assert_equal("volatility_ewma", ours["volatility_ewma"], np.sqrt(s), 1e-6)


def test_range_volatilities(ours: dict[str, Floats], prices: dict[str, Floats]) -> None:
    o, h, low, c, _ = prices.values()
    span, body = np.log(h / low) ** 2, np.log(c / o) ** 2
    _assert_equal("parkinson_20", ours["parkinson_20"], np.sqrt(_rolling(span, 20, np.mean) / (4 * np.log(2))), 1e-6)
    both = _rolling(0.5 * span - (2 * np.log(2) - 1) * body, 20, np.mean)
    _assert_equal("garman_klass_20", ours["garman_klass_20"], np.sqrt(both), 1e-6)


def test_volume_against_the_twenty_before(ours: dict[str, Floats], prices: dict[str, Floats]) -> None:
    volume = prices["volume"]
    usual = np.concatenate([[np.nan], _rolling(volume, 20, np.mean)[:-1]])
    spread = np.concatenate([[np.nan], _rolling(volume, 20, np.std)[:-1]])
    _assert_equal("volume_sma_20", ours["volume_sma_20"], usual, 0.0)
    _assert_equal("volume_ratio", ours["volume_ratio"], volume / usual, 0.0)
    _assert_equal("volume_z", ours["volume_z"], (volume - usual) / spread, 1e-3)


def test_keltner_and_the_session_vwap(ours: dict[str, Floats], prices: dict[str, Floats]) -> None:
    _, h, low, c, v = prices.values()
    middle, width = talib.EMA(c, 20), 2 * talib.ATR(h, low, c, 10)
    _assert_equal("kc_upper", ours["kc_upper"], middle + width, 0.0)
    _assert_equal("kc_lower", ours["kc_lower"], middle - width, 0.0)
    for first in range(0, len(c), 390):
        day = slice(first, first + 390)
        _assert_equal("vwap", ours["vwap_session"][day], np.cumsum(c[day] * v[day]) / np.cumsum(v[day]), 0.0)
