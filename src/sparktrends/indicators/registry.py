"""Which indicators there are: those of ``market.metrics``, those in ``extra``, and those a person may ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sparktrends.errors import BadSetting
from sparktrends.indicators.base import Indicator
from sparktrends.indicators.momentum import (
    Adx,
    Cci,
    LogReturn,
    Return,
    Roc,
    Rsi,
    Stochastic,
    WilliamsR,
)
from sparktrends.indicators.moving import Ema, Macd, Sma, Wma
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
from sparktrends.indicators.volume import Mfi, Obv, VolumeNorm, VwapSession

METRICS: tuple[Indicator, ...] = (
    Return(),
    LogReturn(),
    Volatility(20),
    EwmaVolatility(0.94),
    Sma(20),
    Sma(50),
    Sma(200),
    Ema(12),
    Ema(20),
    Ema(26),
    Ema(50),
    Ema(200),
    Rsi(14),
    Macd(12, 26, 9),
    Bollinger(20),
    Atr(14),
    Adx(14),
    Stochastic(14, 3, 3),
    Obv(),
    Mfi(14),
    Roc(10),
    VwapSession(),
    VolumeNorm(20),
)
"""The columns of ``market.metrics``, in its order (the public contract)."""

EXTRAS: tuple[Indicator, ...] = (
    Cci(20),
    WilliamsR(14),
    Keltner(20, 10, 2.0),
    Donchian(20),
    Parkinson(20),
    GarmanKlass(20),
)
"""What stands in the column ``extra`` unless somebody chooses otherwise."""

FAMILIES: Mapping[str, Callable[[int], Indicator]] = {
    "sma": Sma,
    "ema": Ema,
    "wma": Wma,
    "rsi": Rsi,
    "atr": Atr,
    "adx": Adx,
    "roc": Roc,
    "bb": Bollinger,
    "cci": Cci,
    "willr": WilliamsR,
    "mfi": Mfi,
    "volatility": Volatility,
    "parkinson": Parkinson,
    "garman_klass": GarmanKlass,
}
"""The names of the setting ``[indicators]``; each takes a list of windows, in bars."""

SHORTEST, LONGEST, MOST = 2, 1000, 64
"""The windows that a setting may name, in bars, and how many of them there may be in all."""


def asked_for(settings: Mapping[str, Sequence[int]]) -> tuple[Indicator, ...]:
    """The indicators that a setting like ``{"sma": [10, 100]}`` names, in its order.

    Raises BadSetting for an unknown family, something that is no list of windows, or too many.

    >>> asked_for({"sma": [10, 100], "rsi": [7]})
    (Sma(10), Sma(100), Rsi(7))
    """
    chosen = tuple(_family(name)(_window(name, n)) for name, windows in settings.items() for n in _list(name, windows))
    if len(chosen) > MOST:
        raise BadSetting(
            f"[indicators] asks for {len(chosen)} windows", hint=f"at most {MOST}, each costs time at every bar"
        )
    return chosen


def _family(name: str) -> Callable[[int], Indicator]:
    if name not in FAMILIES:
        raise BadSetting(f"[indicators] does not know {name!r}", hint=f"use one of {', '.join(FAMILIES)}")
    return FAMILIES[name]


def _list(name: str, windows: object) -> Sequence[object]:
    if not isinstance(windows, Sequence) or isinstance(windows, str):
        raise BadSetting(f"[indicators] {name} = {windows!r} is not a list", hint=f"write {name} = [10, 100]")
    return windows


def _window(name: str, value: object) -> int:
    # True is an int to Python and a mistake in a list of windows.
    if isinstance(value, bool) or not isinstance(value, int) or not SHORTEST <= value <= LONGEST:
        hint = f"a window is a whole number of bars from {SHORTEST} to {LONGEST}"
        raise BadSetting(f"[indicators] {name} holds {value!r}", hint=hint)
    return value
