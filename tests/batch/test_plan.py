"""Which calls a day needs, and for which time."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from sparktrends.batch.plan import (
    BACKFILL_DAYS,
    Call,
    Stored,
    calls_of,
    chosen_symbols,
    day_of,
    day_start,
    stretches,
    weights,
)
from sparktrends.model import DAY, HOUR
from sparktrends.sources import PROVIDERS, make_source
from sparktrends.sources.base import Ask
from sparktrends.sources.calls import daily_calls

TODAY = date(2026, 11, 21)
YESTERDAY = TODAY - timedelta(days=1)


def bars_call(symbol: str = "AAPL") -> Call:
    return Call(YESTERDAY, "yahoo", "bars", "chart", "1d", (symbol,))


def test_each_symbol_of_a_question_is_a_call_unless_the_provider_takes_several() -> None:
    yahoo, twelve = make_source("yahoo"), make_source("twelve_data")
    daily = Ask("bars", ("AAPL", "MSFT", "BTC/USD"), "1d")
    assert [c.symbols for c in calls_of(yahoo, [daily], YESTERDAY, TODAY)] == [("AAPL",), ("MSFT",), ("BTC/USD",)]
    assert [c.symbols for c in calls_of(twelve, [daily], YESTERDAY, TODAY)] == [("AAPL", "MSFT", "BTC/USD")]


def test_what_holds_only_now_is_not_asked_for_the_past() -> None:
    source = make_source("finnhub")
    asks = daily_calls(source)
    assert {c.what for c in calls_of(source, asks, YESTERDAY, TODAY)} == {"news", "company", "quote"}
    assert {c.what for c in calls_of(source, asks, TODAY - timedelta(days=2), TODAY)} == {"news"}


def test_bars_of_a_day_that_the_provider_no_longer_has_are_not_asked_for() -> None:
    yahoo, asks = make_source("yahoo"), [Ask("bars", ("AAPL",), interval) for interval in ("1m", "1d")]
    assert [c.interval for c in calls_of(yahoo, asks, TODAY - timedelta(days=7), TODAY)] == ["1m", "1d"]
    assert [c.interval for c in calls_of(yahoo, asks, TODAY - timedelta(days=8), TODAY)] == ["1d"]


def test_a_new_symbol_is_asked_for_with_its_history_and_a_known_one_for_what_is_new() -> None:
    source, call = make_source("yahoo"), bars_call()
    (first,) = call.requests(source, {})
    assert first.ask.start == day_start(YESTERDAY) - BACKFILL_DAYS * DAY
    assert first.ask.end == day_start(TODAY)
    known = {"AAPL": Stored(270, day_start(YESTERDAY) - DAY)}
    (again,) = call.requests(source, known)
    assert day_start(YESTERDAY) - 10 * DAY < again.ask.start < day_start(YESTERDAY)


def test_a_past_day_is_asked_for_even_when_newer_ones_are_stored() -> None:
    (request,) = bars_call().requests(make_source("yahoo"), {"AAPL": Stored(300, day_start(YESTERDAY) + 30 * DAY)})
    assert request.ask.start < day_start(YESTERDAY) < request.ask.end


def test_news_of_a_stock_are_asked_for_since_the_close_before() -> None:
    # A Monday that is filled by itself has the weekend's news too.
    monday = Call(date(2026, 11, 16), "finnhub", "news", "company-news", "1m", ("AAPL",))
    (request,) = monday.requests(make_source("finnhub"), {})
    assert request.ask.start == day_start(date(2026, 11, 13)) + 21 * HOUR
    assert request.ask.end == day_start(date(2026, 11, 17))
    crypto = Call(date(2026, 11, 16), "alpha_vantage", "news", "NEWS_SENTIMENT", "1m", ("BTC/USD",))
    (request,) = crypto.requests(make_source("alpha_vantage"), {})
    assert request.ask.start == day_start(date(2026, 11, 16))


def test_a_call_is_the_same_whatever_is_stored() -> None:
    assert bars_call().id == bars_call().id != bars_call("MSFT").id


def test_named_symbols_go_to_the_questions_of_their_kind() -> None:
    source = make_source("alpha_vantage")
    assert chosen_symbols(source, ("AAPL",), ["IBM", "BTC/USD"]) == ("IBM",)
    assert chosen_symbols(source, ("BTC/USD", "ETH/USD"), ["IBM", "SOL/USD"]) == ("SOL/USD",)
    asks = daily_calls(source)
    calls = calls_of(source, asks, YESTERDAY, TODAY, ["IBM"])
    assert {(c.what, c.symbols) for c in calls} == {("news", ("IBM",)), ("bars", ("IBM",)), ("company", ("IBM",))}


def test_a_symbol_that_a_source_cannot_have_is_left_out() -> None:
    source = make_source("binance")
    assert calls_of(source, daily_calls(source), YESTERDAY, TODAY, ["AAPL"]) == []


def test_the_units_of_a_batch_are_counted_by_symbol() -> None:
    source = make_source("twelve_data")
    symbols = tuple(f"S{n}" for n in range(11))
    calls = calls_of(source, [Ask("bars", symbols, "1d")], YESTERDAY, TODAY)
    assert weights(calls, source, {}) == [8, 3]


def test_days_and_times_fit() -> None:
    assert day_of(day_start(YESTERDAY)) == YESTERDAY == day_of(day_start(TODAY) - 1)


def test_a_backfill_is_cut_into_pieces_that_are_questions_of_their_own() -> None:
    calls = stretches(make_source("yahoo"), ["AAPL", "MSFT"], "1d", date(2024, 1, 1), date(2025, 6, 30), TODAY)
    assert [(c.symbols, c.day, c.until) for c in calls] == [
        (("AAPL",), date(2024, 1, 1), date(2024, 12, 31)),
        (("MSFT",), date(2024, 1, 1), date(2024, 12, 31)),
        (("AAPL",), date(2025, 1, 1), date(2025, 6, 30)),
        (("MSFT",), date(2025, 1, 1), date(2025, 6, 30)),
    ]
    assert len({c.id for c in calls}) == 4
    (request,) = calls[0].requests(make_source("yahoo"), {})
    assert (request.ask.start, request.ask.end) == (day_start(date(2024, 1, 1)), day_start(date(2025, 1, 1)))


@pytest.mark.parametrize("interval", ["1m", "1d"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_backfill_asks_no_question_twice_and_for_no_day_that_is_gone(provider: str, interval: str) -> None:
    source = make_source(provider)
    symbols = ["BTC/USDT", "ETH/USDT"] if provider == "binance" else ["AAPL", "MSFT"]
    calls = stretches(source, symbols, interval, TODAY - timedelta(days=3650), YESTERDAY, TODAY)
    asked = [(r.path, tuple(sorted(r.params.items()))) for call in calls for r in call.requests(source, {})]
    assert len(set(asked)) == len(asked) > 0
    reach = source.reach_of(symbols[0], interval)
    for call in calls:
        begin = call.requests(source, {})[0].ask.start
        assert begin == day_start(call.day) or (reach and day_start(TODAY) - begin == reach - DAY)
        assert not reach or day_start(TODAY) - begin < reach
    assert {call.until for call in calls} >= {YESTERDAY}
    later = stretches(source, symbols, interval, TODAY - timedelta(days=3650), YESTERDAY, TODAY + timedelta(days=1))
    assert {(c.day, c.id) for c in later} <= {(c.day, c.id) for c in calls}, (
        "the same words a day later are no new questions"
    )


def test_a_backfill_asks_alpha_vantage_once_for_what_each_answer_holds() -> None:
    source, first = make_source("alpha_vantage"), date(2016, 1, 1)
    calls = stretches(source, ["AAPL", "BTC/USD"], "1d", first, YESTERDAY, TODAY)
    assert [c.symbols for c in calls] == [("BTC/USD",), ("AAPL",)]
    assert stretches(source, ["AAPL"], "1d", date(2024, 3, 4), date(2024, 3, 8), TODAY) == []
    asks = [Ask("bars", ("AAPL", "BTC/USD"), "1d")]
    assert [c.symbols for c in calls_of(source, asks, date(2024, 3, 4), TODAY)] == [("BTC/USD",)]
