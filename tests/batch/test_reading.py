"""Payloads to values: recorded ones completely, errors as errors, and what other producers wrote."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from batch.world import NOW, finnhub_story, news_request
from sparktrends.batch.reading import FLATTENED, Reading, read_payload
from sparktrends.sources import PROVIDERS
from sparktrends.store.payloads import StoredPayload


def read(source: str, request: dict[str, Any], payload: Any) -> Reading:
    return read_payload(StoredPayload(1, source, "call", NOW, json.dumps(request), json.dumps(payload)))


def split_chart(*closes: float) -> dict[str, Any]:
    """The chart of days up to 2024-11-21, when the share was split 10:1 and paid a dividend."""
    opened = 1_732_199_400
    stamps = [opened - 86_400 * n for n in reversed(range(len(closes)))]
    quote = {name: list(closes) for name in ("open", "high", "low", "close", "volume")}
    events = {
        "splits": {"1": {"date": opened, "numerator": 10, "denominator": 1, "splitRatio": "10:1"}},
        "dividends": {"2": {"date": opened, "amount": 0.25}},
    }
    meta = {"exchangeTimezoneName": "America/New_York", "dataGranularity": "1d"}
    made = {"meta": meta, "timestamp": stamps, "indicators": {"quote": [quote]}, "events": events}
    return {"chart": {"result": [made], "error": None}}


@pytest.mark.parametrize("request_", [{"symbol": "AAPL"}, {"what": "bars", "symbols": ["AAPL"], "interval": "1d"}])
def test_a_chart_of_days_holds_bars_splits_and_dividends(request_: dict[str, Any]) -> None:
    reading = read("yahoo", request_, split_chart(10, 11))
    assert (reading.outcome, len(reading.bars), reading.rejects) == (FLATTENED, 2, [])
    assert [(action.kind, action.value) for action in reading.actions] == [
        ("split", Decimal(10)),
        ("dividend", Decimal("0.25")),
    ]


def recorded(file: Path) -> Any:
    text = file.read_text()
    return json.loads(text) if text.lstrip().startswith("{") else text


RECORDED = {
    "global_quote": ("bars", 1),
    "mock_company_overview": ("companies", 1),
    "mock_crypto_currencies": ("prices", 923),
    "mock_time_series": ("bars", 100),
    "mock_time_series_extended": ("bars", 11_190),
    "symbol_search": ("companies", 10),
}


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_recorded_payloads_flatten_completely(name: str, shared_data: Path) -> None:
    symbol = "BTC/CNY" if "crypto" in name else "IBM"
    reading = read("alpha_vantage", {"symbol": symbol}, recorded(shared_data / "payloads" / name))
    kind, count = RECORDED[name]
    assert reading.outcome == "flattened"
    assert len(getattr(reading, kind)) == count
    assert reading.rejects == []


def test_every_payload_of_the_table_above_was_recorded(shared_data: Path) -> None:
    assert {file.name for file in (shared_data / "payloads").iterdir()} >= RECORDED.keys()


@pytest.mark.parametrize(
    ("source", "request_", "payload", "outcome"),
    [
        ("alpha_vantage", {"symbol": "A"}, {"Information": "rate limit is 25 requests per day"}, "rate_limited"),
        ("alpha_vantage", {"symbol": "A"}, {"Information": "the parameter apikey is invalid"}, "access_denied"),
        ("alpha_vantage", {"symbol": "A"}, {"Error Message": "Invalid API call."}, "not_found"),
        ("alpha_vantage", {"symbol": "A"}, {}, "not_found"),
        ("finnhub", news_request("A"), {"error": "API limit reached."}, "rate_limited"),
        ("finnhub", news_request("A"), "<html>502</html>", "not_json"),
        ("twelve_data", {"symbol": "A"}, {"code": 404, "message": "symbol not found", "status": "error"}, "not_found"),
        ("binance", {"symbol": "BTC/USDT"}, {"code": -1121, "msg": "Invalid symbol."}, "not_found"),
        ("nobody", {}, [], "unknown_source"),
    ],
)
def test_an_error_is_never_data(source: str, request_: dict[str, Any], payload: Any, outcome: str) -> None:
    reading = read(source, request_, payload)
    assert reading.outcome == outcome
    assert not any((reading.news, reading.bars, reading.companies, reading.prices, reading.actions))
    assert len(reading.rejects) == 1


PAYLOADS = Path(__file__).resolve().parent.parent / "payloads"
ERRORS = sorted(
    (
        *PAYLOADS.glob("*/rest/error_*.json"),
        *PAYLOADS.glob("*/rest/empty.json"),
        *PAYLOADS.glob("*/rest/*_unknown.json"),
    )
)


@pytest.mark.parametrize("file", ERRORS, ids=lambda file: f"{file.parent.parent.name}-{file.stem}")
@pytest.mark.parametrize("told", [True, False], ids=["request", "symbol"])
def test_no_recorded_error_is_data(file: Path, told: bool) -> None:
    """Whether the request is known, as our own fetch stores it, or nothing but the symbol, as of other producers."""
    call = json.loads(file.read_text("utf-8"))
    request = {**call["ask"], "status": call["status"]} if told else {"symbol": call["ask"]["symbols"][0]}
    payload = call["body"] if "body" in call else call["text"]
    reading = read(file.parent.parent.name, request, payload)
    assert reading.outcome != FLATTENED
    assert not any((reading.news, reading.bars, reading.companies, reading.prices, reading.actions))
    assert [reject.reason for reject in reading.rejects] == [reading.outcome]


def test_every_provider_has_recorded_errors() -> None:
    assert {file.parent.parent.name for file in ERRORS} == PROVIDERS.keys()


def test_a_bad_row_is_set_aside_and_the_others_are_kept() -> None:
    rows = [finnhub_story(1, "Good"), finnhub_story(2, " "), {"id": "x"}]
    reading = read("finnhub", news_request("AAPL"), rows)
    assert [item.headline for item in reading.news] == ["Good"]
    assert [reject.reason for reject in reading.rejects] == ["bad_headline", "bad_headline"]


def test_stories_of_a_coin_are_read_for_the_pair_that_was_asked_for() -> None:
    mention = {"ticker": "CRYPTO:BTC", "ticker_sentiment_score": "0.2"}
    story = {"title": "Bitcoin", "time_published": "20261121T080000", "overall_sentiment_score": 0.1}
    request = {"what": "news", "symbols": ["BTC/USDT", "ETH/USDT"], "interval": "1m", "start": 0, "end": 0}
    reading = read("alpha_vantage", request, {"feed": [{**story, "ticker_sentiment": [mention]}]})
    assert [item.symbols for item in reading.news] == [("BTC/USD", "BTC/USDT")]


def test_unknown_fields_are_counted_and_missing_ones_named() -> None:
    rows = [finnhub_story(n, "h", mood="up") for n in range(3)]
    del rows[0]["summary"]
    reading = read("finnhub", news_request("AAPL"), rows)
    assert reading.unknown == {"image": 3, "mood": 3}
    assert reading.missing == {"summary": 1}


def test_digits_are_kept() -> None:
    price = "97123.450000000000000001"
    start = NOW // 1000 - NOW // 1000 % 86_400_000 - 86_400_000
    row = [start, price, price, price, price, "2.10", start + 86_399_999, "3", 4, "1", "1", "0"]
    reading = read("binance~sim", {"symbol": "BTC/USDT"}, [row])
    assert reading.bars[0].close == Decimal(price)
    assert reading.bars[0].source == "binance~sim"


def test_the_request_says_whose_answer_it_is() -> None:
    request = {"what": "news", "symbols": ["MSFT"], "interval": "1m", "start": 1, "end": 2, "status": 200}
    assert read("finnhub", request, [finnhub_story(1, "h")]).news[0].symbols == ("MSFT",)


def test_a_request_that_makes_no_sense_is_an_outcome() -> None:
    assert read("finnhub", {"what": "bars", "symbols": [], "interval": "1d"}, {}).outcome == "bad_request"
    assert read("finnhub", {"what": "bars", "symbols": ["A"], "interval": "7w"}, {}).outcome == "bad_request"
