"""How indicators share a row of state, and what its version stands for."""

from __future__ import annotations

import math
import sys
from types import ModuleType

import numpy as np
import pytest

from sparktrends.indicators import layout as room
from sparktrends.indicators.layout import Layout, derive, usable
from sparktrends.indicators.momentum import Rsi, Stochastic
from sparktrends.indicators.moving import Ema, Sma
from sparktrends.indicators.volatility import Donchian

ROW = np.array([10.0, 12.0, 9.0, 11.0, 5.0, 50.0, 1.0, 0.0])


def test_a_window_is_kept_once_at_its_greatest_length() -> None:
    layout = Layout((Sma(20), Sma(50), Stochastic(14, 3, 3), Donchian(20)), counted=4)
    assert {name: n for name, n in layout.windows.items() if n} == {"close": 50, "high": 20, "low": 20}
    assert layout.size == 2 + 50 + 20 + 20 + 6


def test_only_counted_indicators_decide_about_warmth() -> None:
    assert Layout((Sma(20), Sma(50), Sma(300)), counted=2).warmup == 50


@pytest.mark.parametrize("other", [(Sma(21),), (Ema(20),), (Sma(20), Rsi(14)), ()])
def test_another_choice_is_another_version(other: tuple[Sma, ...]) -> None:
    assert Layout((Sma(20),), 1).version != Layout(other, 1).version


def test_the_same_choice_is_the_same_layout() -> None:
    assert Layout((Sma(20),), 1) == Layout((Sma(20),), 1)
    assert hash(Layout((Sma(20),), 1)) == hash(Layout((Sma(20),), 1))


def _code(monkeypatch: pytest.MonkeyPatch, source: str) -> str:
    monkeypatch.setitem(sys.modules, "planted", ModuleType("planted"))
    monkeypatch.setattr(room.inspect, "getsource", lambda _: source)
    return room.code_of.__wrapped__("planted")


def test_code_decides_about_the_version_and_prose_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    code = _code(monkeypatch, 'def f(x):\n    """One."""\n    return x + 1  # why\n')
    assert code == _code(monkeypatch, 'def f(x):\n    """Two."""\n\n    return x + 1\n')
    assert code != _code(monkeypatch, 'def f(x):\n    """One."""\n    return x + 2\n')


@pytest.mark.parametrize("column", range(5))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
def test_a_row_that_is_no_bar_is_not_usable(column: int, value: float) -> None:
    row = ROW.copy()
    row[column] = value
    assert usable(ROW)
    assert not usable(row)


def test_zero_is_a_volume_but_not_a_price() -> None:
    assert usable(np.where(np.arange(8) == 4, 0.0, ROW))
    assert not usable(np.where(np.arange(8) == 3, 0.0, ROW))


def test_the_first_bar_is_its_own_past() -> None:
    first, second = derive(ROW, 1.0, 0.0), derive(ROW, 2.0, 22.0)
    assert (first.previous, first.log_return) == (11.0, 0.0)
    assert (second.previous, second.log_return) == (22.0, math.log(0.5))
    assert second.typical == (12.0 + 9.0 + 11.0) / 3.0
