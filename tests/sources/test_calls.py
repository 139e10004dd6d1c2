"""The daily calls: defaults that fit the plans, files that people edit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparktrends.errors import BadFile
from sparktrends.sources import PROVIDERS, make_source
from sparktrends.sources.calls import daily_calls

STOCKS = {"TSLA", "MSFT", "GOOGL", "AAPL", "AMZN", "NVDA", "JPM", "SPY"}
GOOD = {"endpoint": "/quote", "function": "quote", "symbols": ["AAPL"]}


def cost(provider: str) -> int:
    source = make_source(provider)
    return sum(request.weight for ask in daily_calls(source) for request in source.requests(ask))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_has_calls_and_they_fit_into_its_day(provider: str) -> None:
    day = [a.units for a in make_source(provider).allowances if a.window == 86_400]
    assert 0 < cost(provider) <= min([*day, 10_000])


def test_alpha_vantage_costs_at_most_20_calls_a_day() -> None:
    assert cost("alpha_vantage") <= 20


def test_the_defaults_hold_the_eight_stocks_and_three_coins() -> None:
    asked = {symbol for ask in daily_calls(make_source("yahoo")) for symbol in ask.symbols}
    assert asked == STOCKS | {"BTC/USD", "ETH/USD", "SOL/USD"}


def test_a_file_of_ones_own_replaces_the_default(tmp_path: Path) -> None:
    (tmp_path / "finnhub.json").write_text(json.dumps({"calls": [GOOD]}))
    assert [ask.symbols for ask in daily_calls(make_source("finnhub"), tmp_path)] == [("AAPL",)]
    assert len(daily_calls(make_source("yahoo"), tmp_path)) == 2


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"calls": 5}', '{"calls": [5]}', json.dumps({"calls": [GOOD | {"colour": "red"}]}),
     json.dumps({"calls": [GOOD | {"function": "nothing"}]}), json.dumps({"calls": [GOOD | {"symbols": []}]}),
     json.dumps({"calls": [GOOD | {"interval": "7m"}]}), "\x00",
     json.dumps({"calls": [GOOD | {"symbols": ["no such"]}]})],
)  # fmt: skip
def test_a_bad_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "finnhub.json").write_text(content)
    with pytest.raises(BadFile, match=r"finnhub\.json"):
        daily_calls(make_source("finnhub"), tmp_path)
