"""Asking within the quota: each answer untouched, refusals once, what does not fit left for the next run."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from batch.world import Waits, fetcher, provider
from loopback import http_server
from net.contended import Contended
from sparktrends.batch.fetch import Fetcher, Outcome, Provider
from sparktrends.batch.plan import Call
from sparktrends.batch.reading import read_payload
from sparktrends.bus.codec import encode_payload
from sparktrends.net import AddressGuard, Backoff, Http, JsonFile, Planner
from sparktrends.sources import make_source
from sparktrends.sources.base import Allowance, What
from sparktrends.store.payloads import StoredPayload
from sparktrends.telemetry import system_clock

DAY = date(2026, 11, 20)
GOOD = b'{"c": 10.10, "t": 1795100000, "pc": 9}'


def call(symbol: str, what: What = "quote", endpoint: str = "quote") -> Call:
    return Call(DAY, "finnhub~sim", what, endpoint, "1m", (symbol,))


def asked(made: Provider, calls: list[Call], waits: Waits | None = None) -> list[Outcome]:
    return list(fetcher(waits or Waits()).run([(made, calls)], {}))


def test_an_answer_is_kept_as_it_came_with_what_was_asked() -> None:
    with http_server(lambda *_: (200, {}, GOOD)) as (url, _):
        (outcome,) = asked(provider("finnhub", url, key="tiger-canary"), [call("AAPL")])
    (payload,) = outcome.payloads
    assert outcome.state == "done"
    record = encode_payload(payload)
    assert b'"payload":' + GOOD in record
    request = json.loads(record)["request"]
    assert request["symbols"] == ["AAPL"]
    assert request["what"] == "quote"
    assert b"tiger" not in record


def test_our_key_is_taken_out_of_an_answer_that_repeats_it() -> None:
    body = json.dumps({"Error Message": "Invalid API call with tiger-canary"}).encode()
    with http_server(lambda *_: (200, {}, body)) as (url, _):
        made = provider("alpha_vantage", url, key="tiger-canary")
        asking = Call(DAY, "alpha_vantage~sim", "company", "OVERVIEW", "1m", ("AAPL",))
        (outcome,) = asked(made, [asking])
    assert outcome.state == "refused"
    assert b"tiger" not in encode_payload(outcome.payloads[0])


def test_a_page_of_html_is_kept_as_text() -> None:
    with http_server(lambda *_: (200, {}, b"<html>sorry</html>")) as (url, _):
        (outcome,) = asked(provider("finnhub", url, key="key-of-test"), [call("AAPL")])
    assert outcome.state == "failed"
    assert json.loads(encode_payload(outcome.payloads[0]))["payload"] == "<html>sorry</html>"


def test_a_symbol_that_was_refused_in_a_batch_is_told_with_the_answers_of_the_others() -> None:
    bar = {"datetime": "2026-11-19", "open": "1", "high": "2", "low": "1", "close": "2", "volume": "5"}
    good = {"meta": {"symbol": "AAPL", "interval": "1day", "exchange_timezone": "America/New_York"}, "values": [bar]}
    bad = {"code": 404, "message": "no such symbol", "status": "error"}
    body = json.dumps({"AAPL": good, "NOSUCH": bad}).encode()
    with http_server(lambda *_: (200, {}, body)) as (url, paths):
        asking = Call(DAY, "twelve_data~sim", "bars", "time_series", "1d", ("AAPL", "NOSUCH"))
        (outcome,) = asked(provider("twelve_data", url, key="key-of-test"), [asking])
    assert (outcome.state, len(paths), len(outcome.payloads)) == ("done", 1, 1)
    assert (outcome.reason or "").startswith("NOSUCH refused: ")


LACKS = json.dumps({"error": "You don't have access to this resource."}).encode()


def test_what_the_plan_lacks_for_two_symbols_is_not_asked_for_a_third() -> None:
    with http_server(lambda *_: (403, {}, LACKS)) as (url, paths):
        found = asked(provider("finnhub", url, key="key-of-test"), [call(s) for s in ("AAPL", "MSFT", "NVDA")])
    assert [o.state for o in found] == ["refused"] * 3
    assert len(paths) == 2
    assert not any(o.payloads for o in found)


@pytest.mark.parametrize("order", [("SAP.DE", "AAPL", "SHEL.L", "MSFT"), ("AAPL", "SAP.DE", "SHEL.L", "MSFT")])
def test_symbols_that_the_plan_lacks_keep_no_others_from_their_answers(order: tuple[str, ...]) -> None:
    with http_server(lambda path, _: (403, {}, LACKS) if "." in path else (200, {}, GOOD)) as (url, paths):
        found = asked(provider("finnhub", url, key="key-of-test"), [call(symbol) for symbol in order])
    assert [o.state for o in found] == ["refused" if "." in symbol else "done" for symbol in order]
    assert len(paths) == 4


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("finnhub", 401, {"error": "Please use an API key."}),
        ("alpha_vantage", 200, {"Error Message": "the parameter apikey is invalid or missing."}),
        ("yahoo", 401, {"chart": {"result": None, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}}}),
        ("binance", 451, {"code": 0, "msg": "Service unavailable from a restricted location"}),
    ],
)
def test_a_key_or_an_address_that_is_refused_is_asked_with_again_by_the_next_run(
    name: str, status: int, words: object
) -> None:
    with http_server(lambda *_: (status, {}, json.dumps(words).encode())) as (url, paths):
        made = provider(name, url, key="" if name in ("yahoo", "binance") else "key-of-test")
        endpoint = made.source.endpoint("bars").name
        pairs = ("BTC/USDT", "ETH/USDT") if name == "binance" else ("AAPL", "MSFT")
        found = asked(made, [Call(DAY, f"{name}~sim", "bars", endpoint, "1d", (symbol,)) for symbol in pairs])
    assert [o.state for o in found] == ["failed", "failed"]
    # An address may be refused one symbol alone, a key never.
    assert len(paths) == (1 if made.key else 2)


def test_what_does_not_fit_into_the_quota_waits_for_the_next_run() -> None:
    with http_server(lambda *_: (200, {}, GOOD)) as (url, paths):
        made = provider("finnhub", url, key="key-of-test", units=2, window=86_400)
        found = asked(made, [call(s) for s in ("AAPL", "MSFT", "TSLA", "SPY")])
    assert [o.state for o in found] == ["done", "done", "waiting", "waiting"]
    assert len(paths) == 2
    assert "quota" in str(found[2].reason)


def test_pages_before_one_that_has_to_wait_are_kept() -> None:
    mention = {"ticker": "AAPL", "ticker_sentiment_score": "0.2"}
    story = {"title": "Apple", "time_published": "20261120T080000", "overall_sentiment_score": 0.1}
    full = json.dumps({"feed": [{**story, "ticker_sentiment": [mention]}] * 1000}).encode()
    with http_server(lambda *_: (200, {}, full)) as (url, paths):
        made = provider("alpha_vantage", url, key="key-of-test", units=1, window=86_400)
        asking = Call(DAY, "alpha_vantage~sim", "news", "NEWS_SENTIMENT", "1m", ("AAPL", "MSFT"))
        (outcome,) = asked(made, [asking])
    assert (outcome.state, len(outcome.payloads), len(paths)) == ("waiting", 1, 1)


def test_news_without_end_cost_two_calls_of_alpha_vantage_and_that_there_are_more_is_told() -> None:
    mention = {"ticker": "AAPL", "ticker_sentiment_score": "0.2"}
    hours = iter(range(23, 0, -1))

    def full(*_: object) -> tuple[int, dict[str, str], bytes]:
        at = f"20261120T{next(hours):02}0000"
        story = {"title": "Apple", "time_published": at, "overall_sentiment_score": 0.1, "ticker_sentiment": [mention]}
        return 200, {}, json.dumps({"feed": [story] * 1000}).encode()

    with http_server(full) as (url, paths):
        made = provider("alpha_vantage", url, key="key-of-test", units=20, window=86_400)
        asking = Call(DAY, "alpha_vantage~sim", "news", "NEWS_SENTIMENT", "1m", ("AAPL", "MSFT"))
        (outcome,) = asked(made, [asking])
    assert (outcome.state, len(outcome.payloads), len(paths)) == ("done", 2, 2)
    assert outcome.reason == "only the newest 2 pages are asked for"


def test_a_provider_that_says_stop_for_today_is_asked_no_more() -> None:
    words = json.dumps({"Information": "our standard API rate limit is 25 requests per day."}).encode()
    with http_server(lambda *_: (200, {}, words)) as (url, paths):
        made = provider("alpha_vantage", url, key="key-of-test")
        calls = [Call(DAY, "alpha_vantage~sim", "company", "OVERVIEW", "1m", (s,)) for s in ("AAPL", "MSFT")]
        found = asked(made, calls)
    assert [o.state for o in found] == ["waiting", "waiting"]
    assert len(paths) == 1


@pytest.mark.parametrize("name", ["finnhub", "twelve_data", "alpha_vantage", "yahoo", "binance"])
def test_a_gateway_that_says_too_many_is_asked_three_times_and_not_for_each_call(name: str) -> None:
    now = [system_clock()]

    def wait(seconds: float) -> None:
        now[0] += int(seconds * 1_000_000) + 1

    with http_server(lambda *_: (429, {}, b"<html>Too Many Requests</html>")) as (url, paths):
        made = provider(name, url, key="" if name in ("yahoo", "binance") else "key-of-test")
        made = replace(made, planner=Planner(make_source(name).allowances, lambda: now[0]))
        asking = fetcher(Waits())
        asking.wait = wait
        endpoint = made.source.endpoint("bars").name
        pairs = ("BTC/USDT", "ETH/USDT") if name == "binance" else ("AAPL", "MSFT")
        calls = [Call(DAY, f"{name}~sim", "bars", endpoint, "1d", (symbol,)) for symbol in pairs]
        found = list(asking.run([(made, calls)], {}))
    assert [o.state for o in found] == ["waiting", "waiting"]
    assert len(paths) == 3


def test_a_turn_that_another_process_took_is_no_failed_try(tmp_path: Path) -> None:
    now, window, file = [system_clock()], [Allowance(1, 60)], JsonFile(tmp_path / "quota.json")
    other = Planner(window, lambda: now[0], file)
    made = provider("finnhub", "", key="key-of-test")

    def wait(seconds: float) -> None:
        now[0] += int(seconds * 1_000_000) + 1

    with http_server(lambda *_: (200, {}, GOOD)) as (url, paths):
        source = make_source("finnhub", rest=url, suffix="~sim")
        planner = Planner(window, lambda: now[0], Contended(file, [other.spend] * 3))
        fetching = fetcher(Waits())
        fetching.wait = wait
        (outcome,) = fetching.run([(replace(made, source=source, planner=planner), [call("AAPL")])], {})
    assert (outcome.state, len(paths)) == ("done", 1)


def test_an_outage_is_tried_three_times_and_then_left_for_the_next_run() -> None:
    waits = Waits()
    with http_server(lambda *_: (503, {}, b"")) as (url, paths):
        (outcome,) = asked(provider("finnhub", url, key="key-of-test"), [call("AAPL")], waits)
    assert outcome.state == "failed"
    assert len(paths) == 3
    assert len(waits.slept) >= 2


def test_one_source_that_fails_does_not_keep_another_from_its_work() -> None:
    with http_server(lambda *_: (503, {}, b"")) as (down, _), http_server(lambda *_: (200, {}, GOOD)) as (up, _):
        work = [
            (provider("yahoo", down), [Call(DAY, "yahoo~sim", "bars", "chart", "1d", ("AAPL",))]),
            (provider("finnhub", up, key="key-of-test"), [call("AAPL")]),
        ]
        found = {o.call.source: o.state for o in fetcher(Waits()).run(work, {})}
    assert found == {"yahoo~sim": "failed", "finnhub~sim": "done"}


def test_who_stops_listening_stops_the_calls() -> None:
    with http_server(lambda *_: (200, {}, GOOD)) as (url, paths):
        made = provider("finnhub", url, key="key-of-test", units=1, window=100)
        asking = Fetcher(Http(system_clock, AddressGuard(["127.0.0.1"])), Backoff(random.Random(2), print))
        began = time.monotonic()
        running = asking.run([(made, [call(s) for s in ("AAPL", "MSFT", "TSLA")])], {})
        assert next(running).state == "done"
        running.close()  # type: ignore[attr-defined]
    assert len(paths) == 1
    assert time.monotonic() - began < 50


def test_a_fault_of_ours_is_raised_and_ends_the_run() -> None:
    with http_server(lambda *_: (200, {}, GOOD)) as (url, _):
        made = provider("finnhub", url, key="key-of-test")
        broken = Call(DAY, "finnhub~sim", "news", "company-news", "1m", ())
        object.__setattr__(broken, "symbols", None)
        with pytest.raises(TypeError):
            asked(made, [broken])


@pytest.mark.parametrize("told", [len(GOOD) // 2, len(GOOD)])
def test_an_answer_that_was_cut_is_asked_for_again_and_never_data(told: int) -> None:
    """Cut where it was written, its length said right; or on the way, when less comes than was announced."""
    with http_server(lambda *_: (200, {"Content-Length": str(told)}, GOOD[: len(GOOD) // 2])) as (url, paths):
        (outcome,) = asked(provider("finnhub", url, key="key-of-test"), [call("AAPL")], Waits())
    assert outcome.state == "failed"
    if told == len(GOOD):
        assert (len(paths), outcome.payloads) == (3, ())
    else:
        (kept,) = outcome.payloads
        assert (len(paths), kept.payload) == (1, GOOD[: len(GOOD) // 2].decode())
        stored = StoredPayload(1, kept.source, kept.endpoint, 0, json.dumps(kept.request), json.dumps(kept.payload))
        assert read_payload(stored).outcome == "not_json"
