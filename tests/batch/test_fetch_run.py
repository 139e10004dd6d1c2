"""The fetch job over days: what was done is not done again, and what could not be done is made up for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta

import pytest

from batch.test_tag import add_prices
from batch.world import NOW, Log, Waits, ask_rows, fetcher, provider
from loopback import Answerer, http_server
from sparktrends.batch.fetch import Outcome
from sparktrends.batch.fetch_run import Job, costs, costs_of_all, fetch, fetch_stretches, stored_days
from sparktrends.batch.plan import day_of, stretches
from sparktrends.sources.base import Ask
from sparktrends.store import daily_calls
from sparktrends.store.connect import connect
from sparktrends.store.session import Session

pytestmark = pytest.mark.e2e
TODAY = day_of(NOW)
YESTERDAY = TODAY - timedelta(days=1)
QUOTE = b'{"c": 10.10, "t": 1795100000, "pc": 9}'
ASKS = [Ask("news", ("AAPL", "MSFT")), Ask("quote", ("AAPL",))]
STATES = "SELECT day, what, state FROM market.daily_calls ORDER BY day, what, call"


def answer(path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, b"[]" if "news" in path else QUOTE


def run(
    dsn: str, log: Log, answerer: Answerer = answer, *, day: date = YESTERDAY, today: date = TODAY, units: int = 1000,
    symbols: Sequence[str] | None = None, asks: Sequence[Ask] = ASKS, again: bool = False,
) -> list[Outcome]:  # fmt: skip
    session = Session(dsn, "test", 30)
    try:
        with http_server(answerer) as (url, _):
            made = provider("finnhub", url, key="key-of-test", units=units, window=86_400)
            return list(fetch(Job([(made, asks)], day, today, symbols, again), session, log, fetcher(Waits())))
    finally:
        session.close()


def refused(dsn: str) -> int:
    with connect(dsn) as connection, connection.cursor() as cursor:
        return daily_calls.refused(cursor, ["finnhub~sim"], YESTERDAY)


def test_a_day_is_asked_for_once(database: str) -> None:
    log = Log()
    assert [o.state for o in run(database, log)] == ["done"] * 3
    assert len(log.values("raw.payloads")) == 3
    assert run(database, log) == []
    assert ask_rows(database, STATES) == [(YESTERDAY, "news", "done")] * 2 + [(YESTERDAY, "quote", "done")]


def test_what_the_quota_did_not_let_through_comes_with_the_next_day(database: str) -> None:
    log = Log()
    assert sorted(o.state for o in run(database, log, units=1)) == ["done", "waiting", "waiting"]
    tomorrow = TODAY + timedelta(days=1)
    found = run(database, log, day=TODAY, today=tomorrow)
    assert {o.state for o in found} == {"done"}
    # The quote of two days ago is of no use any more; its news are.
    told = ask_rows(database, "SELECT day, what, state FROM market.daily_calls WHERE state <> 'done'")
    assert told in ([], [(YESTERDAY, "quote", "refused")])
    assert len(log.values("raw.payloads")) == len(found) + 1


def test_a_provider_that_was_down_is_asked_again(database: str) -> None:
    log = Log()
    assert {o.state for o in run(database, log, lambda *_: (503, {}, b""))} == {"failed"}
    assert log.records == []
    assert {o.state for o in run(database, log)} == {"done"}


def test_a_day_is_completed_once_its_key_is_put_right(database: str) -> None:
    log = Log()
    found = run(database, log, lambda *_: (401, {}, b'{"error": "Please use an API key."}'))
    assert {o.state for o in found} == {"failed"}
    assert {o.state for o in run(database, log)} == {"done"}


def test_what_was_refused_for_good_is_asked_for_when_somebody_says_again(database: str) -> None:
    log, words = Log(), b'{"error": "You don\'t have access to this resource."}'
    assert {o.state for o in run(database, log, lambda *_: (403, {}, words))} == {"refused"}
    assert run(database, log) == []
    assert refused(database) == 3
    assert {o.call.symbols for o in run(database, log, symbols=["MSFT"], again=True)} == {("MSFT",)}
    assert [(o.call.symbols, o.state) for o in run(database, log, again=True)] == [(("AAPL",), "done")] * 2
    assert run(database, log, again=True) == []
    assert refused(database) == 0


def test_only_what_was_named_is_asked_for(database: str) -> None:
    log = Log()
    run(database, log, lambda *_: (503, {}, b""))
    found = run(database, log, symbols=["MSFT"])
    assert {o.call.symbols for o in found} == {("MSFT",)}


def test_the_cost_is_told_without_a_call(database: str) -> None:
    session = Session(database, "test", 30)
    with http_server(answer) as (url, paths):
        made = provider("finnhub", url, key="key-of-test", units=2, window=86_400)
        (cost,) = costs(Job([(made, ASKS)], YESTERDAY, TODAY), session)
    session.close()
    assert paths == []
    assert (cost.symbols, cost.requests, cost.units) == (("AAPL", "MSFT"), 3, 3)
    assert cost.seconds >= 86_400
    assert ask_rows(database, STATES) == []


def test_the_cost_is_of_what_was_not_asked_and_of_what_waits_from_the_days_before(database: str) -> None:
    log, tomorrow = Log(), TODAY + timedelta(days=1)
    assert sorted(o.state for o in run(database, log, units=2)) == ["done", "done", "waiting"]
    before = ask_rows(database, STATES)
    session = Session(database, "test", 30)
    made = provider("finnhub", "http://127.0.0.1:9", key="key-of-test")
    (left,) = costs(Job([(made, ASKS)], YESTERDAY, TODAY), session)
    (everything,) = costs_of_all(Job([(made, ASKS)], YESTERDAY, TODAY), session)
    (next_day,) = costs(Job([(made, ASKS)], TODAY, tomorrow), session)
    session.close()
    assert (left.requests, everything.requests) == (1, 3)
    # Nothing of it was written down, and the day after asks for what was told.
    assert ask_rows(database, STATES) == before
    assert next_day.requests == len(run(database, log, day=TODAY, today=tomorrow))


def test_a_backfill_goes_on_where_it_was_stopped(database: str) -> None:
    log, session = Log(), Session(database, "test", 30)
    asked: list[str] = []

    def flaky(path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        asked.append(path)
        return (503, {}, b"") if "MSFT" in path and len(asked) < 8 else (200, {}, b'{"s": "no_data"}')

    with http_server(flaky) as (url, _):
        made = provider("finnhub", url, key="key-of-test")
        calls = stretches(made.source, ["AAPL", "MSFT"], "1d", date(2024, 1, 1), date(2025, 12, 31), TODAY)
        first = list(fetch_stretches(made, calls, session, log, fetcher(Waits()), TODAY))
        done = len(log.records)
        second = list(fetch_stretches(made, calls, session, log, fetcher(Waits()), TODAY))
        third = list(fetch_stretches(made, calls, session, log, fetcher(Waits()), TODAY))
    session.close()
    assert sum(o.state == "done" for o in first) == done
    assert done < len(calls)
    assert {o.call.symbols for o in second} == {("MSFT",)}
    assert {o.state for o in second} == {"done"}
    assert third == []
    assert len(log.records) == len(calls)


def test_a_backfill_beyond_the_providers_reach_goes_on_the_next_day(database: str) -> None:
    log, session = Log(), Session(database, "test", 30)
    asked: list[str] = []
    bars = {
        "Time Series (Daily)": {},
        "Meta Data": {"1. Information": "", "2. Symbol": "AAPL", "5. Time Zone": "US/Eastern"},
    }

    def spent(path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        asked.append(path)
        if len(asked) == 2:
            return 200, {}, json.dumps({"Information": "our standard API rate limit is 25 requests per day"}).encode()
        return 200, {}, json.dumps(bars).encode()

    with http_server(spent) as (url, _):
        made = provider("alpha_vantage", url, key="key-of-test")
        states = []
        for today in (TODAY, TODAY + timedelta(days=1)):
            first = TODAY - timedelta(days=300)
            calls = stretches(made.source, ["AAPL", "MSFT"], "1d", first, TODAY - timedelta(days=1), today)
            outcomes = list(fetch_stretches(made, calls, session, log, fetcher(Waits()), today))
            states.append([(o.call.symbols, o.state) for o in outcomes])
            made = provider("alpha_vantage", url, key="key-of-test")  # whose quota is there again
    session.close()
    assert states == [[(("AAPL",), "done"), (("MSFT",), "waiting")], [(("MSFT",), "done")]]


def test_a_day_that_was_asked_for_while_it_lasted_is_asked_for_again_when_it_is_over(database: str) -> None:
    log, tomorrow = Log(), TODAY + timedelta(days=1)
    assert len(run(database, log, day=TODAY)) == 3
    early = ask_rows(database, "SELECT DISTINCT state, reason FROM market.daily_calls")
    assert early == [("done", "asked before the day was over")]
    assert run(database, log, day=TODAY) == []  # as long as it lasts, once is enough
    again = run(database, log, day=TODAY, today=tomorrow)
    assert sorted(o.call.what for o in again) == ["news", "news"]  # the quote is another day's by now
    assert run(database, log, day=TODAY, today=tomorrow) == []


def test_a_backfill_up_to_a_day_that_lasts_asks_for_its_end_again(database: str) -> None:
    log, session = Log(), Session(database, "test", 30)
    with http_server(lambda *_: (200, {}, b'{"s": "no_data"}')) as (url, _):
        made = provider("finnhub", url, key="key-of-test")
        calls = stretches(made.source, ["AAPL"], "1d", date(2025, 1, 1), TODAY, TODAY)
        found = [
            [o.call.day for o in fetch_stretches(made, calls, session, log, fetcher(Waits()), today)]
            for today in (TODAY, TODAY + timedelta(days=1), TODAY + timedelta(days=1))
        ]
    session.close()
    assert found == [[call.day for call in calls], [calls[-1].day], []]


def test_a_backfill_asks_for_what_was_refused_when_somebody_says_again(database: str) -> None:
    session, refusal = Session(database, "test", 30), b'{"error": "You don\'t have access to this resource."}'
    answers = [(403, {}, refusal), (200, {}, b'{"s": "no_data"}')]
    with http_server(lambda *_: answers.pop(0)) as (url, _):
        made = provider("finnhub", url, key="key-of-test")
        calls = stretches(made.source, ["AAPL"], "1d", date(2025, 1, 1), date(2025, 2, 1), TODAY)
        states = [
            [o.state for o in fetch_stretches(made, calls, session, Log(), fetcher(Waits()), TODAY, again=again)]
            for again in (False, False, True)
        ]
    session.close()
    assert states == [["refused"], [], ["done"]]


def test_a_day_long_ago_is_asked_for_with_the_history_before_it(database: str) -> None:
    add_prices(database, "finnhub~sim", "AAPL", [1.0] * 300)
    session, past = Session(database, "test", 30), YESTERDAY - timedelta(days=900)
    job = [Ask("bars", ("AAPL",), "1d")]
    made = provider("finnhub", "http://127.0.0.1:9", key="key-of-test")
    now = stored_days(Job([(made, job)], YESTERDAY, TODAY), session)["finnhub~sim"]
    then = stored_days(Job([(made, job)], past, TODAY), session)["finnhub~sim"]
    session.close()
    assert now["AAPL"].days == 300
    assert then == {}


def bars_and_news(path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, b"[]" if "news" in path else b'{"s": "no_data"}'


def test_a_quota_that_never_suffices_brings_the_news_of_each_day_and_buys_no_bars_twice(database: str) -> None:
    asks = [Ask("bars", ("AAPL", "MSFT", "NVDA", "TSLA"), "1d"), Ask("news", ("AAPL",))]
    asked: list[tuple[date, str, str]] = []
    for n in range(8):
        day = YESTERDAY + timedelta(days=n)
        today = day + timedelta(days=1)
        found = run(database, Log(), bars_and_news, day=day, today=today, units=3, asks=asks)
        done = [(o.call.day, o.call.what, o.call.symbols[0]) for o in found if o.state == "done"]
        assert (day, "news", "AAPL") in done
        assert {at for at, *_ in done} == {day}
        asked += done
    assert sorted(symbol for _, what, symbol in asked if what == "bars") == sorted(("AAPL", "MSFT", "NVDA", "TSLA") * 4)


def test_bars_of_a_day_answer_what_waits_of_the_days_before_and_the_cost_says_so(database: str) -> None:
    asks, tomorrow = [Ask("bars", ("AAPL", "MSFT"), "1d")], TODAY + timedelta(days=1)
    assert {o.state for o in run(database, Log(), lambda *_: (503, {}, b""), asks=asks)} == {"failed"}
    session = Session(database, "test", 30)
    made = provider("finnhub", "http://127.0.0.1:9", key="key-of-test")
    (cost,) = costs(Job([(made, asks)], TODAY, tomorrow), session)
    session.close()
    found = run(database, Log(), bars_and_news, day=TODAY, today=tomorrow, asks=asks)
    assert [o.call.day for o in found] == [TODAY] * 2
    assert cost.requests == 2
    assert ask_rows(database, "SELECT DISTINCT state FROM market.daily_calls") == [("done",)]


def test_a_quota_that_never_suffices_leaves_each_symbol_out_in_turn(database: str) -> None:
    asks = [Ask("quote", ("AAPL", "MSFT", "NVDA"))]
    asked = []
    for n in range(6):
        day = YESTERDAY + timedelta(days=n)
        found = run(database, Log(), day=day, today=day + timedelta(days=1), units=1, asks=asks)
        asked += [o.call.symbols[0] for o in found if o.state == "done"]
    # Today's one may still be made tomorrow: each is answered as often as the others.
    assert sorted(asked) == ["AAPL", "AAPL", "MSFT", "MSFT", "NVDA", "NVDA"]
