"""Alpha Vantage: few calls, errors by their words, both shapes of crypto."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from sparktrends.errors import AccessDenied, NotFound, NotInPlan, RateLimited, SparkTrendsError, Unavailable
from sparktrends.model import DAY, CorporateAction, NewsItem, ProviderBar
from sparktrends.sources.alpha_vantage import AlphaVantage
from sparktrends.sources.base import Ask, Reply, Usage
from sparktrends.sources.reading import read_recorded

SOURCE = AlphaVantage()
DAILY = Ask("bars", ("AAPL",), "1d")
RECEIVED = 20_000 * DAY + DAY // 2


def answer(body: object, ask: Ask = DAILY, function: str = "") -> list[object]:
    request = next(r for r in SOURCE.requests(ask) if function in ("", r.endpoint))
    return list(SOURCE.parse_rest(request, Reply(200, json.dumps(body).encode(), RECEIVED)).events)


def series(stamp: str, zone: str, row: dict[str, str]) -> object:
    name = "Time Series (5min)" if " " in stamp else "Time Series (Daily)"
    return {"Meta Data": {"6. Time Zone": zone}, name: {stamp: row}}


ROW = {"1. open": "5", "2. high": "6", "3. low": "4", "4. close": "5", "5. volume": "1"}


@pytest.mark.parametrize(("stamp", "utc"), [("2024-07-01 09:30:00", "13:30"), ("2024-12-02 09:30:00", "14:30")])
def test_exchange_time_becomes_utc(stamp: str, utc: str) -> None:
    (bar,) = answer(series(stamp, "US/Eastern", ROW), Ask("bars", ("AAPL",), "5m"))
    assert isinstance(bar, ProviderBar)
    minutes = bar.start % DAY // 60_000_000
    assert f"{minutes // 60}:{minutes % 60}" == utc


def test_a_daily_bar_carries_its_day_whatever_the_zone() -> None:
    (bar,) = answer(series("2024-07-01", "US/Eastern", ROW))
    assert isinstance(bar, ProviderBar)
    assert bar.start % DAY == 0


def test_of_two_currencies_the_markets_own_is_taken() -> None:
    fields = enumerate(("open", "high", "low", "close"), 1)
    both = (("a", "EUR", "7300"), ("b", "USD", "8100"))
    row = {f"{n}{letter}. {field} ({market})": value for n, field in fields for letter, market, value in both}
    row |= {"5. volume": "1", "6. market cap (USD)": "9"}
    body = {"Meta Data": {}, "Time Series (Digital Currency Daily)": {"2019-11-20": row}}
    (bar,) = answer(body, Ask("bars", ("BTC/EUR",), "1d"))
    assert isinstance(bar, ProviderBar)
    assert (bar.open, bar.close) == (Decimal(7300), Decimal(7300))


@pytest.mark.parametrize(
    ("key", "words", "error"),
    [
        ("Error Message", "the parameter apikey is invalid or missing. Please claim", AccessDenied),
        ("Information", "This is a premium endpoint. You may subscribe", NotInPlan),
        ("Information", "The outputsize=full parameter value is a premium feature for the X endpoint.", NotInPlan),
        (
            "Information",
            "spreading out your free API requests more sparingly, 25 requests per day, premium endpoints",
            RateLimited,
        ),
        ("Note", "Our standard API call frequency is 5 calls per minute. premium", RateLimited),
        ("Error Message", "Invalid API call. Please retry", NotFound),
        ("Information", "Invalid inputs. Please refer to the API documentation", NotFound),
        ("Information", "The **demo** API key is for demo purposes only.", AccessDenied),
        ("Information", "Something never seen before", Unavailable),
    ],
)
def test_words_decide(key: str, words: str, error: type[SparkTrendsError]) -> None:
    with pytest.raises(error):
        answer({key: words})


def test_data_beside_a_note_is_data() -> None:
    body = series("2024-07-01", "US/Eastern", ROW)
    assert isinstance(body, dict)
    assert len(answer(body | {"Information": "requests per day"})) == 1


def test_the_days_end_is_waited_for_and_told_to_the_planner() -> None:
    reply = Reply(200, b'{"Information":"our standard API rate limit is 25 requests per day."}', RECEIVED)
    assert SOURCE.usage(reply) == (Usage(86_400, blocked=43_200.0),)


def test_news_of_many_symbols_is_one_call_and_only_stories_about_them_are_kept() -> None:
    def story(ticker: str) -> dict[str, object]:
        mention = {"ticker": ticker, "ticker_sentiment_score": "0.25", "relevance_score": "1"}
        return {"title": ticker, "url": f"https://x/{ticker}", "time_published": "20241121T143000",
                "overall_sentiment_score": "0.1", "ticker_sentiment": [mention]}  # fmt: skip

    ask = Ask("news", ("AAPL", "BTC/USD"), start=19_000 * DAY, end=19_001 * DAY)
    assert len(SOURCE.requests(ask)) == 1
    found = answer({"feed": [story("AAPL"), story("TSLA"), story("CRYPTO:BTC"), story("FOREX:USD")]}, ask)
    assert [(s.symbols, dict(s.symbol_scores)) for s in found if isinstance(s, NewsItem)] == [
        (("AAPL",), {"AAPL": 0.25}),
        (("BTC/USD",), {"BTC/USD": 0.25}),
    ]
    assert SOURCE.requests(Ask("news", ("BTC/USD",)))[0].params["tickers"] == "CRYPTO:BTC"


def test_a_recorded_answer_with_news_is_read_whole_whoever_was_asked_for() -> None:
    def story(*tickers: str) -> dict[str, object]:
        mentions = [{"ticker": ticker, "ticker_sentiment_score": "0.25"} for ticker in tickers]
        return {"title": tickers[0], "url": f"https://x/{tickers[0]}", "time_published": "20241121T143000",
                "overall_sentiment_score": "0.1", "ticker_sentiment": mentions}  # fmt: skip

    body = json.dumps({"feed": [story("TSLA"), story("MSFT", "CRYPTO:BTC"), 7]}).encode()
    found = list(read_recorded(SOURCE, body, "AAPL", RECEIVED))
    assert [item.symbols for item in found if isinstance(item, NewsItem)] == [("TSLA",), ("MSFT", "BTC/USD")]
    assert len(found) == 3


def test_stories_of_a_coin_are_kept_for_whichever_of_its_pairs_was_asked_for() -> None:
    feed = [
        {"title": coin, "time_published": "20241121T143000", "overall_sentiment_score": 0.1,
         "ticker_sentiment": [{"ticker": f"CRYPTO:{coin}", "ticker_sentiment_score": 0.5}]}
        for coin in ("BTC", "ETH")
    ]  # fmt: skip
    found = answer({"feed": feed}, Ask("news", ("BTC/USDT", "SOL/USDT")))
    assert [dict(s.symbol_scores) for s in found if isinstance(s, NewsItem)] == [{"BTC/USD": 0.5, "BTC/USDT": 0.5}]
    both = answer({"feed": feed}, Ask("news", ("BTC/USD", "BTC/EUR", "ETH/BTC")))
    assert [s.symbols for s in both if isinstance(s, NewsItem)] == [("BTC/USD", "BTC/EUR"), ("ETH/USD", "ETH/BTC")]


def test_stories_of_a_currency_are_kept_for_the_rates_that_were_asked_for() -> None:
    assert [SOURCE.requests(Ask("news", (s,)))[0].params["tickers"] for s in ("EUR/USD", "USD/JPY")] == [
        "FOREX:EUR",
        "FOREX:JPY",
    ]
    feed = [
        {"title": code, "time_published": "20241121T143000", "overall_sentiment_score": 0.1,
         "ticker_sentiment": [{"ticker": f"FOREX:{code}", "ticker_sentiment_score": 0.5}]}
        for code in ("EUR", "JPY", "USD")
    ]  # fmt: skip
    found = answer({"feed": feed}, Ask("news", ("EUR/USD", "EUR/GBP", "USD/JPY")))
    assert [s.symbols for s in found if isinstance(s, NewsItem)] == [("EUR/USD", "EUR/GBP"), ("USD/JPY",)]
    # A coin of that name is no currency.
    coin = {**feed[0], "ticker_sentiment": [{"ticker": "CRYPTO:EUR", "ticker_sentiment_score": 0.5}]}
    assert answer({"feed": [coin]}, Ask("news", ("EUR/USD",))) == []


def page(newest: datetime, count: int, apart_s: int = 1) -> bytes:
    """Stories about AAPL, newest first."""
    times = [newest - timedelta(seconds=n * apart_s) for n in range(count)]
    mention = {"ticker": "AAPL", "ticker_sentiment_score": "0.1"}
    rows = [
        {"title": f"T{at}", "url": f"https://n.example/{at:%H%M%S}", "time_published": f"{at:%Y%m%dT%H%M%S}",
         "ticker_sentiment": [mention], "overall_sentiment_score": 0.1, "overall_sentiment_label": "Neutral"}
        for at in times
    ]  # fmt: skip
    return json.dumps({"feed": rows}).encode()


def test_a_full_page_of_news_is_continued_from_its_oldest_minute() -> None:
    newest = datetime(2024, 11, 21, 23, 59, 30, tzinfo=UTC)
    midnight = 20_048 * DAY
    request = SOURCE.requests(Ask("news", ("AAPL", "MSFT"), start=midnight, end=midnight + DAY))[0]
    first = SOURCE.parse_rest(request, Reply(200, page(newest, 1000, 60), 0))
    assert len(first.events) == 1000
    assert first.next is not None
    # The oldest is of 07:20:30.
    assert first.next.params == {**request.params, "time_to": "20241121T0721"}
    rest = SOURCE.parse_rest(first.next, Reply(200, page(newest - timedelta(minutes=999), 441, 60), 0))
    assert rest.next is None


def test_a_full_page_that_leads_nowhere_is_the_last() -> None:
    newest = datetime(2024, 11, 21, 12, 0, 0, tzinfo=UTC)
    request = SOURCE.requests(Ask("news", ("AAPL",), start=20_048 * DAY, end=20_050 * DAY))[0]
    again = request
    for _ in range(2):
        found = SOURCE.parse_rest(again, Reply(200, page(newest, 1000, 0), 0)).next
        again = found or again
    assert found is None
    unread = json.dumps({"feed": [{"time_published": "?"}] * 1000}).encode()
    assert SOURCE.parse_rest(request, Reply(200, unread, 0)).next is None
    last = json.dumps({"feed": [{"time_published": "99991231T235959"}, 5] * 500}).encode()
    assert SOURCE.parse_rest(request, Reply(200, last, 0)).next is None


def test_a_time_without_news_is_an_answer_and_costs_no_second_call() -> None:
    said = "No articles found. Please adjust the time range or refer to the API documentation and try again."
    assert answer({"Information": said}, Ask("news", ("AAPL",))) == []


def test_a_splits_answer_is_told_from_dividends_by_the_request() -> None:
    ask = Ask("actions", ("IBM",))
    (split,) = answer({"data": [{"effective_date": "1999-05-27", "split_factor": "2.0"}]}, ask, "SPLITS")
    (dividend,) = answer({"data": [{"ex_dividend_date": "2024-11-12", "amount": "1.67"}]}, ask, "DIVIDENDS")
    assert isinstance(split, CorporateAction)
    assert isinstance(dividend, CorporateAction)
    assert (split.kind, split.value, dividend.kind, dividend.value) == ("split", 2, "dividend", Decimal("1.67"))
