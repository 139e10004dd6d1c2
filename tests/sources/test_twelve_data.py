"""Twelve Data: volume from differences, batches, credits."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.errors import RateLimited
from sparktrends.model import DAY, MINUTE, SECOND, ProviderBar, Trade
from sparktrends.sources.base import Ask, Memory, Notice, Reply, Usage
from sparktrends.sources.twelve_data import TwelveData

SOURCE = TwelveData()
T = 1_732_199_000


def tick(memory: Memory, ts: int, volume: int | None, price: float = 5.0) -> Trade:
    frame = json.dumps({"event": "price", "symbol": "AAPL", "timestamp": ts, "price": price, "day_volume": volume})
    trade = SOURCE.parse(frame, T * SECOND + 2 * DAY, memory)[0]
    assert isinstance(trade, Trade)
    return trade


@given(st.lists(st.integers(0, 500), min_size=1, max_size=30))
def test_the_sizes_add_up_to_what_was_traded_since_the_first_record(steps: list[int]) -> None:
    memory, total, made = SOURCE.memory(["AAPL"]), 10_000, []
    tick(memory, T, total)
    for n, step in enumerate(steps, start=1):
        total += step
        made.append(tick(memory, T + n, total))
    assert sum(t.size for t in made) == sum(steps)
    assert [t.kind for t in made] == ["trade" if step else "price" for step in steps]


def sizes(*ticks: tuple[int, int | None]) -> list[int]:
    memory = SOURCE.memory(["AAPL"])
    return [int(tick(memory, T + at, volume).size) for at, volume in ticks]


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        ([(0, 100), (1, 150), (1, 150)], [0, 50, 0]),  # a repeat
        ([(0, 100), (2, 150), (1, 120), (3, 160)], [0, 50, 0, 10]),  # an old record
        ([(0, 1000), (60_000, 40), (60_001, 60)], [0, 40, 20]),  # a new session
        ([(0, 1000), (60_000, 900)], [0, 900]),  # a new session that began fast
        ([(0, 1000), (1, 400), (2, 450)], [0, 400, 50]),  # a reset seen at once
        ([(0, 5000), (4000, 100), (1, 5300), (4001, 150)], [0, 100, 0, 50]),  # yesterday's again after the reset
        ([(0, 100), (999_999, 110), (1, 120), (2, 130)], [0, 10, 0, 0]),  # as if of later than it came
        ([(0, None), (1, 100), (2, None), (3, 130)], [0, 0, 0, 30]),  # a volume left out
    ],
)
def test_the_volume_of_a_record(ticks: list[tuple[int, int | None]], expected: list[int]) -> None:
    assert sizes(*ticks) == expected


def came(memory: Memory, at: int, volume: int | None = None) -> int:
    """The size of a price that came at that second; without a volume it is a heartbeat, which has none."""
    told = {"event": "price", "symbol": "AAPL", "timestamp": T + at, "price": 5, "day_volume": volume}
    event = SOURCE.parse(json.dumps(told if volume else {"event": "heartbeat"}), (T + at) * SECOND, memory)[0]
    return int(event.size) if isinstance(event, Trade) else 0


@pytest.mark.parametrize("again", [90, 3 * 3600, 28 * 3600])
@pytest.mark.parametrize("total", [4_000_000, 30_000_000])
def test_what_was_traded_while_nobody_listened_is_not_one_trade_after_it(again: int, total: int) -> None:
    memory = SOURCE.memory(["AAPL"])
    assert [came(memory, 0, 5_000_000), came(memory, 60, 5_010_000)] == [0, 10_000]
    assert [came(memory, 60 + again, total), came(memory, 61 + again, total + 500)] == [0, 500]


@pytest.mark.parametrize("first", [None, 5_020_000])
def test_a_share_that_is_hardly_traded_keeps_its_volume_while_heartbeats_come(first: int | None) -> None:
    memory = SOURCE.memory(["AAPL"])
    came(memory, 0, 5_010_000)
    # The first frame of a new connection may be either.
    assert came(memory, 30, first) == (10_000 if first else 0)
    for at in range(40, 4 * 3600, 10):
        came(memory, at)
    assert came(memory, 4 * 3600, 5_030_000) == (10_000 if first else 20_000)


def test_a_repeated_record_after_a_reconnect_has_the_same_id() -> None:
    first, again = SOURCE.memory(["AAPL"]), SOURCE.memory(["AAPL"])
    tick(first, T, 100)
    tick(again, T, 100)
    assert tick(first, T + 1, 150).id == tick(again, T + 1, 150).id != ""


def test_a_batch_costs_a_credit_for_each_symbol_and_holds_at_most_eight() -> None:
    symbols = tuple(f"S{n}" for n in range(11))
    requests = SOURCE.requests(Ask("bars", symbols, "1m", 20_000 * DAY, 20_001 * DAY))
    assert [r.weight for r in requests] == [8, 3]
    assert all(r.params["timezone"] == "UTC" for r in requests)


def test_a_long_span_is_cut_into_requests_of_at_most_5000_bars() -> None:
    start, end = 20_000 * DAY, 20_010 * DAY
    asks = [r.ask for r in SOURCE.requests(Ask("bars", ("AAPL",), "1m", start, end))]
    assert [a.start for a in asks] == list(range(start, end, 5000 * MINUTE))
    assert asks[-1].end == end
    assert all(a.end - a.start <= 5000 * MINUTE for a in asks)


def series(zone: str | None, stamp: str) -> int:
    row = {"datetime": stamp, "open": "5", "high": "6", "low": "4", "close": "5"}
    body = {"meta": {"exchange_timezone": "America/New_York"}, "values": [row], "status": "ok"}
    request = SOURCE.requests(Ask("bars", ("AAPL",), "1m", 20_000 * DAY, 20_001 * DAY))[0]
    params = {k: v for k, v in request.params.items() if k != "timezone"} | ({"timezone": zone} if zone else {})
    request = type(request)(request.endpoint, request.path, params, request.ask)
    bar = SOURCE.parse_rest(request, Reply(200, json.dumps(body).encode(), 0)).events[0]
    assert isinstance(bar, ProviderBar)
    return bar.start


def test_exchange_time_and_utc_lead_to_the_same_bar() -> None:
    assert series("UTC", "2024-11-21 14:30:00") == series(None, "2024-11-21 09:30:00")


def test_when_credits_run_out_within_a_batch_what_came_is_kept_and_the_rest_asked_again() -> None:
    row = {"datetime": "2024-11-21 14:30:00", "open": "5", "high": "6", "low": "4", "close": "5", "volume": "1"}
    spent = {"code": 429, "message": "You have run out of API credits for the current minute.", "status": "error"}
    body = {"AAPL": {"meta": {}, "values": [row], "status": "ok"}, "MSFT": spent, "JPM": spent}
    request = SOURCE.requests(Ask("bars", ("AAPL", "MSFT", "JPM"), "1m", 20_000 * DAY, 20_001 * DAY))[0]
    answer = SOURCE.parse_rest(request, Reply(200, json.dumps(body).encode(), 0))
    assert [e.symbol for e in answer.events if isinstance(e, ProviderBar)] == ["AAPL"]
    assert answer.next is not None
    assert (answer.next.params["symbol"], answer.next.weight) == ("MSFT,JPM", 2)


def no_credits(words: str) -> dict[str, object]:
    counted = "61 API credits were used, with the current limit being 60. Wait for the next minute or consider"
    said = f"You have run out of API credits for {words}. {counted}"
    return {"code": 429, "message": said, "status": "error"}


PREMIUM = {"code": 403, "message": "This symbol is available starting with Grow.", "status": "error"}
GOOD = {
    "meta": {},
    "values": [{"datetime": "2024-11-21 14:30:00", "open": "5", "high": "6", "low": "4", "close": "5", "volume": "1"}],
    "status": "ok",
}


@pytest.mark.parametrize(
    "broken", [{"code": 500, "message": "Try again.", "status": "error"}, no_credits("the current minute")]
)
def test_a_symbol_that_fails_costs_the_paid_answers_of_no_other(broken: dict[str, object]) -> None:
    body = {"BABA": PREMIUM, "JPM": broken, "MSFT": GOOD}
    request = SOURCE.requests(Ask("bars", ("BABA", "JPM", "MSFT"), "1m", 20_000 * DAY, 20_001 * DAY))[0]
    answer = SOURCE.parse_rest(request, Reply(200, json.dumps(body).encode(), 0))
    refused, bar = answer.events
    assert isinstance(refused, Notice)
    assert (refused.kind, refused.symbols, refused.plan) == ("refused", ("BABA",), True)
    assert isinstance(bar, ProviderBar)
    assert answer.next
    assert answer.next.ask.symbols == ("JPM",)


NO_BARS = {"code": 400, "message": "No data is available on the specified dates. Try others.", "status": "error"}


@pytest.mark.parametrize("status", [200, 400])
def test_a_span_without_bars_is_no_failure_alone_or_in_a_batch(status: int) -> None:
    row = {"datetime": "2024-11-21 14:30:00", "open": "5", "high": "6", "low": "4", "close": "5", "volume": "1"}
    batch = {"AAPL": NO_BARS, "MSFT": {"meta": {}, "values": [row], "status": "ok"}}
    for symbols, body, found in ((("AAPL",), NO_BARS, []), (("AAPL", "MSFT"), batch, ["MSFT"])):
        request = SOURCE.requests(Ask("bars", symbols, "1m", 20_000 * DAY, 20_001 * DAY))[0]
        answer = SOURCE.parse_rest(request, Reply(status if body is NO_BARS else 200, json.dumps(body).encode(), 0))
        assert [e.symbol for e in answer.events if isinstance(e, ProviderBar)] == found
        assert len(answer.events) == len(found)


def spent(words: str, received: int = 0) -> Reply:
    return Reply(
        200, json.dumps(no_credits(words)).encode(), received, {"api-credits-used": "12", "api-credits-left": "0"}
    )


def test_credits_of_the_day_are_told_from_those_of_the_minute() -> None:
    request = SOURCE.requests(Ask("quote", ("AAPL",)))[0]
    minute, day = Usage(60, 61, 60, 50.0), Usage(86_400, 61, 60, 86_390.0)
    for words, delay, told in (("the day", 86_390.0, (Usage(60, 12), day)), ("the current minute", 50.0, (minute,))):
        with pytest.raises(RateLimited) as caught:
            SOURCE.parse_rest(request, spent(words, 10_000_000))
        assert caught.value.delay == delay
        assert SOURCE.usage(spent(words, 10_000_000)) == told


def test_credits_that_run_out_within_a_batch_are_told_as_well() -> None:
    body = {"AAPL": {"meta": {}, "values": [], "status": "ok"}, "MSFT": no_credits("the day")}
    reply = Reply(200, json.dumps(body).encode(), 10_000_000, {"api-credits-used": "8", "api-credits-left": "0"})
    assert SOURCE.usage(reply) == (Usage(60, 8), Usage(86_400, 61, 60, 86_390.0))


def test_a_refusal_without_figures_still_says_for_how_long() -> None:
    body = {"code": 429, "message": "You have run out of API credits for the day.", "status": "error"}
    assert SOURCE.usage(Reply(200, json.dumps(body).encode(), 10_000_000)) == (Usage(86_400, blocked=86_390.0),)


def test_refused_symbols_are_named() -> None:
    frame = '{"event":"subscribe-status","status":"error","success":[],"fails":[{"symbol":"AAPL"},{"symbol":"X"}]}'
    assert SOURCE.parse(frame, 0, SOURCE.memory(["AAPL"])) == [Notice("refused", ("AAPL",))]
