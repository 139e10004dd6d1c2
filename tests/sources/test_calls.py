"""The daily calls: defaults that fit the plans, files that people edit."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest

from sparktrends.batch.plan import Call, calls_of
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


def calls_in(folder: Path, provider: str, call: dict[str, object]) -> list[Call]:
    """The calls of a day that a file with that one entry leads to."""
    (folder / f"{provider}.json").write_text(json.dumps({"source": provider, "calls": [call]}))
    source = make_source(provider)
    return calls_of(source, daily_calls(source, folder), date(2026, 11, 20), date(2026, 11, 21))


PLACES = [(p, e.name, e.path) for p in PROVIDERS for e in make_source(p).endpoints if e.what != "trades"]


@pytest.mark.parametrize(("provider", "function", "path"), dict.fromkeys(PLACES))
def test_every_call_that_a_provider_has_can_be_written_and_nothing_else_is_asked(
    tmp_path: Path, provider: str, function: str, path: str
) -> None:
    made = []
    for symbol in ("AAPL", "BTC/USDT"):
        for interval in ("1m", "1d"):
            entry = {"endpoint": path, "function": function, "interval": interval, "symbols": [symbol]}
            try:
                made += [[call.endpoint for call in calls_in(tmp_path, provider, entry)]]
            except BadFile:
                continue
    assert made
    assert all(endpoints == [function] for endpoints in made)


BARS = {"endpoint": "/query", "symbols": ["AAPL"]}


@pytest.mark.parametrize(
    ("entry", "said"),
    [({"function": "TIME_SERIES_DAILY"}, "call 1: needs an interval"),
     ({"function": "TIME_SERIES_DAILY", "interval": "5m"}, "TIME_SERIES_DAILY is not for AAPL of 5m"),
     ({"function": "TIME_SERIES_DAILY", "interval": "1d", "symbols": ["AAPL", "BTC/USD"]}, "not for BTC/USD of 1d"),
     ({"function": "TIME_SERIES_INTRADAY", "interval": "1d"}, "TIME_SERIES_INTRADAY is not for AAPL of 1d"),
     ({"function": "DIGITAL_CURRENCY_DAILY", "interval": "1d"}, "DIGITAL_CURRENCY_DAILY is not for AAPL of 1d"),
     ({"function": "TIME_SERIES_DAILY", "interval": ["1d"]}, "needs an interval"),
     ({"function": ["SPLITS"]}, "alpha_vantage has no"),
     ({"function": "OVERVIEW", "symbols": [7203]}, "needs symbols"),
     ({"function": "OVERVIEW", "symbols": "AAPL"}, "needs symbols")],
)  # fmt: skip
def test_what_would_be_asked_otherwise_is_refused_before_it_costs_a_call(
    tmp_path: Path, entry: dict[str, object], said: str
) -> None:
    with pytest.raises(BadFile, match=re.escape(said)):
        calls_in(tmp_path, "alpha_vantage", BARS | entry)


def test_a_file_of_another_source_is_named(tmp_path: Path) -> None:
    (tmp_path / "yahoo.json").write_text('{"source": "binance", "calls": []}')
    with pytest.raises(BadFile, match=r"yahoo\.json: is of another source"):
        daily_calls(make_source("yahoo"), tmp_path)


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
