"""Binance: pages, exact gaps, the seam."""

from __future__ import annotations

import json

import pytest

from sparktrends.errors import BadSetting
from sparktrends.model import MINUTE, ProviderBar, Trade
from sparktrends.sources.base import Ask, Reply, Request, Usage
from sparktrends.sources.binance import Binance

SOURCE = Binance()
T = 1_732_147_200_000


def page(first: int, count: int) -> Reply:
    rows = [
        {"a": n, "p": "5", "q": "1", "f": n, "l": n, "T": T + n, "m": True, "M": True}
        for n in range(first, first + count)
    ]
    return Reply(200, json.dumps(rows).encode(), 0)


def ids(request: Request, newest: int) -> list[int]:
    """Every id that following the pages gives, from a provider that has trades up to `newest`."""
    found: list[int] = []
    step: Request | None = request
    while step is not None:
        first = int(step.params["fromId"])
        answer = SOURCE.parse_rest(step, page(first, max(0, min(1000, newest - first + 1))))
        found += [int(e.id) for e in answer.events if isinstance(e, Trade)]
        step = answer.next
    return found


@pytest.mark.parametrize("to_id", [2, 1001, 1002, 2001, 3500])
def test_a_gap_by_id_is_filled_exactly(to_id: int) -> None:
    ask = Ask("trades", ("BTC/USDT",), from_id="1", to_id=str(to_id))
    assert ids(SOURCE.requests(ask)[0], newest=9000) == list(range(1, to_id))


@pytest.mark.parametrize("newest", [5, 1000, 1001, 2500])
def test_without_an_end_it_goes_to_the_newest(newest: int) -> None:
    assert ids(SOURCE.requests(Ask("trades", ("BTC/USDT",), from_id="1"))[0], newest) == list(range(1, newest + 1))


def test_trades_fetched_afterwards_are_marked_and_have_the_ids_of_the_socket() -> None:
    request = SOURCE.requests(Ask("trades", ("BTC/USDT",), from_id="7"))[0]
    fetched = SOURCE.parse_rest(request, page(7, 1)).events[0]
    frame = json.dumps({"e": "aggTrade", "s": "BTCUSDT", "a": 7, "p": "5", "q": "1", "T": T + 7})
    live = SOURCE.parse(frame, 0, SOURCE.memory(["BTC/USDT"]))[0]
    assert isinstance(fetched, Trade)
    assert isinstance(live, Trade)
    assert (fetched.id, fetched.ts, fetched.fill, live.id, live.ts, live.fill) == (
        "7",
        live.ts,
        True,
        "7",
        fetched.ts,
        False,
    )


def test_a_page_that_leads_nowhere_ends() -> None:
    request = SOURCE.requests(Ask("trades", ("BTC/USDT",), from_id="5000"))[0]
    assert SOURCE.parse_rest(request, page(1, 1000)).next is None


def test_klines_follow_page_by_page_until_the_end() -> None:
    start = T * 1000
    end = start + 1500 * MINUTE
    step: Request | None = SOURCE.requests(Ask("bars", ("BTC/USDT",), "1m", start, end))[0]
    starts: list[int] = []
    while step is not None:
        first, last = int(step.params["startTime"]), int(step.params["endTime"])
        opens = list(range(first, last + 1, 60_000))[:1000]
        rows = [[t, "5", "6", "4", "5", "1", t + 59_999, "5", 1, "0", "0", "0"] for t in opens]
        answer = SOURCE.parse_rest(step, Reply(200, json.dumps(rows).encode(), end))
        starts += [e.start for e in answer.events if isinstance(e, ProviderBar)]
        step = answer.next
    assert starts == list(range(start, end, MINUTE))


def test_hundreds_of_symbols_are_subscribed_in_few_messages() -> None:
    symbols = [f"C{n}/USDT" for n in range(120)]
    messages = [json.loads(m) for m in SOURCE.subscribe(symbols)]
    streams = [s for m in messages for s in m["params"]]
    assert len(messages) == 3
    assert len(streams) == len(set(streams)) == 240
    assert all(len(m["params"]) <= 100 for m in messages)


def test_the_header_tells_the_weight_and_a_ban_tells_its_end() -> None:
    assert SOURCE.usage(Reply(200, b"[]", 0, {"x-mbx-used-weight-1m": "12"})) == (Usage(60, 12),)
    banned = b'{"code":-1003,"msg":"Way too much request weight used; IP banned until 1732147290000."}'
    assert SOURCE.usage(Reply(418, banned, T * 1000)) == (Usage(60, blocked=90.0),)
    assert SOURCE.usage(Reply(200, b"[]", 0)) == ()


def test_a_refusal_tells_the_limit_of_its_window() -> None:
    words = "Too much request weight used; current limit is %s. Please use WebSocket Streams."
    for told, limit in (
        ("1200 request weight per 1 MINUTE", Usage(60, limit=1200)),
        ("300 request weight per minute", Usage(60, limit=300)),
        ("9000 request weight per 5 MINUTE", Usage(300, limit=9000)),
    ):
        body = json.dumps({"code": -1003, "msg": words % told}).encode()
        headers = {"x-mbx-used-weight-1m": "1201"}
        assert SOURCE.usage(Reply(429, body, 0, headers)) == (Usage(60, 1201), limit, Usage(60, blocked=60.0))
    requests = json.dumps({"code": -1003, "msg": words % "50 requests per 10 SECOND"}).encode()
    assert SOURCE.usage(Reply(429, requests, 0)) == (Usage(60, blocked=60.0),)


def test_no_ban_is_longer_than_the_longest_that_is_documented() -> None:
    banned = b'{"code":-1003,"msg":"Way too much request weight used; IP banned until 9999999999999."}'
    assert SOURCE.usage(Reply(418, banned, T * 1000)) == (Usage(60, blocked=3 * 86_400.0),)


@pytest.mark.parametrize(
    ("status", "headers", "blocked"), [(418, {}, 120.0), (429, {}, 60.0), (429, {"retry-after": "7"}, 7.0)]
)
def test_a_ban_without_a_word_holds_all_the_same(status: int, headers: dict[str, str], blocked: float) -> None:
    assert SOURCE.usage(Reply(status, b"<html>", 0, headers)) == (Usage(60, blocked=blocked),)


def test_a_stock_is_a_bad_setting() -> None:
    with pytest.raises(BadSetting, match="BTC/USDT"):
        SOURCE.spell("AAPL")
