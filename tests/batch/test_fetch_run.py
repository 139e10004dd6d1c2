"""The fetch job over days: what was done is not done again, and what could not be done is made up for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pytest

from batch.world import NOW, Log, Waits, ask_rows, fetcher, provider
from loopback import Answerer, http_server
from sparktrends.batch.fetch import Outcome
from sparktrends.batch.fetch_run import Job, costs, fetch, fetch_stretches
from sparktrends.batch.plan import day_of, stretches
from sparktrends.sources.base import Ask
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
    symbols: Sequence[str] | None = None,
) -> list[Outcome]:  # fmt: skip
    session = Session(dsn, "test", 30)
    try:
        with http_server(answerer) as (url, _):
            made = provider("finnhub", url, key="key-of-test", units=units, window=86_400)
            return list(fetch(Job([(made, ASKS)], day, today, symbols), session, log, fetcher(Waits())))
    finally:
        session.close()


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


def test_a_backfill_goes_on_where_it_was_stopped(database: str) -> None:
    log, session = Log(), Session(database, "test", 30)
    asked: list[str] = []

    def flaky(path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        asked.append(path)
        return (503, {}, b"") if "MSFT" in path and len(asked) < 8 else (200, {}, b'{"s": "no_data"}')

    with http_server(flaky) as (url, _):
        made = provider("finnhub", url, key="key-of-test")
        calls = stretches(made.source, ["AAPL", "MSFT"], "1d", date(2024, 1, 1), date(2025, 12, 31))
        first = list(fetch_stretches(made, calls, session, log, fetcher(Waits())))
        done = len(log.records)
        second = list(fetch_stretches(made, calls, session, log, fetcher(Waits())))
        third = list(fetch_stretches(made, calls, session, log, fetcher(Waits())))
    session.close()
    assert sum(o.state == "done" for o in first) == done
    assert done < len(calls)
    assert {o.call.symbols for o in second} == {("MSFT",)}
    assert {o.state for o in second} == {"done"}
    assert third == []
    assert len(log.records) == len(calls)
