"""Yahoo: padded arrays, live points, sessions, loud emptiness."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from sparktrends.errors import RateLimited, Unavailable
from sparktrends.model import DAY, SECOND, CorporateAction, ProviderBar
from sparktrends.sources.base import Answer, Ask, Reject, Reply, Usage
from sparktrends.sources.yahoo import Yahoo

SOURCE = Yahoo()
OPEN = 1_732_199_400  # 2024-11-21 14:30 UTC: the bell in New York


def chart(stamps: list[int], closes: list[Any], **result: Any) -> dict[str, Any]:
    quote: dict[str, list[Any]] = dict.fromkeys(("open", "high", "low", "close"), closes) | {
        "volume": [None if c is None else 7 for c in closes]
    }
    regular = {"start": OPEN, "end": OPEN + 23_400}
    meta = {"exchangeTimezoneName": "America/New_York", "currentTradingPeriod": {"regular": regular}}
    made = {"meta": meta, "timestamp": stamps, "indicators": {"quote": [quote]}} | result
    return {"chart": {"result": [made], "error": None}}


def answer(body: object, now: int, interval: str = "1m", what: Any = "bars") -> Answer:
    ask = Ask(what, ("AAPL",), interval, (OPEN - 3600) * SECOND, (OPEN + 86_400) * SECOND)
    reply = Reply(200, json.dumps(body).encode(), now * SECOND)
    return SOURCE.parse_rest(SOURCE.requests(ask)[0], reply)


def bars(body: object, now: int, interval: str = "1m") -> list[tuple[int, bool, str]]:
    return [
        (e.start // SECOND, e.closed, str(e.close))
        for e in answer(body, now, interval).events
        if isinstance(e, ProviderBar)
    ]


def test_padding_is_skipped_and_the_running_minute_is_forming() -> None:
    body = chart([OPEN, OPEN + 60, OPEN + 120], [1, None, 3])
    assert bars(body, OPEN + 130) == [(OPEN, True, "1"), (OPEN + 120, False, "3")]


def test_a_live_point_beside_its_own_minute_is_dropped() -> None:
    body = chart([OPEN, OPEN + 60, OPEN + 107], [1, 2, 9])
    assert bars(body, OPEN + 110) == [(OPEN, True, "1"), (OPEN + 60, False, "2")]


def test_a_live_point_alone_is_the_forming_bar_of_its_minute() -> None:
    assert bars(chart([OPEN, OPEN + 107], [1, 9]), OPEN + 110) == [(OPEN, True, "1"), (OPEN + 60, False, "9")]


def said(body: dict[str, Any], **meta: Any) -> dict[str, Any]:
    """The chart with more said of its market."""
    body["chart"]["result"][0]["meta"] |= meta
    return body


def test_the_last_row_forms_until_the_markets_own_clock_is_past_it() -> None:
    # Twenty minutes late, as Tokyo is told: the row is in the middle of its minute.
    body = said(chart([OPEN, OPEN + 60, OPEN + 90], [1, 2, 2]), regularMarketTime=OPEN + 90)
    assert bars(body, OPEN + 1290) == [(OPEN, True, "1"), (OPEN + 60, False, "2")]
    body = said(chart([OPEN, OPEN + 60], [1, 2]), regularMarketTime=OPEN + 120)
    assert bars(body, OPEN + 1320) == [(OPEN, True, "1"), (OPEN + 60, True, "2")]


def test_the_last_row_of_a_symbol_that_is_hardly_traded_is_closed_at_last() -> None:
    body = said(chart([OPEN, OPEN + 60], [1, 2]), regularMarketTime=OPEN + 90)
    assert [bars(body, now)[-1][1] for now in (OPEN + 120 + 1799, OPEN + 120 + 1800)] == [False, True]


CLOSE = OPEN + 23_400
EVENING = [CLOSE - 120, CLOSE - 60, CLOSE]


@pytest.mark.parametrize("now", [CLOSE + 1230, CLOSE + 60])
def test_a_row_at_the_bell_is_no_bar_and_the_minute_before_it_is_whole(now: int) -> None:
    body = said(chart(EVENING, [1, 2, 3]), regularMarketTime=CLOSE)
    assert bars(body, now) == [(CLOSE - 120, True, "1"), (CLOSE - 60, True, "2")]


def test_the_bell_of_the_day_before_is_told_by_the_sessions_of_the_chart() -> None:
    tomorrow = {"start": OPEN + 86_400, "end": CLOSE + 86_400}
    today = {"start": OPEN, "end": CLOSE}
    for sessions in ([[today], [tomorrow]], {"pre": [], "regular": [[today], [tomorrow]]}):
        body = said(chart(EVENING, [1, 2, 3]), currentTradingPeriod={"regular": tomorrow}, tradingPeriods=sessions)
        assert [start for start, _, _ in bars(body, CLOSE + 50_000)] == EVENING[:2]


@pytest.mark.parametrize("sessions", ["?", [], [5], [[5]], [[{"start": [], "end": 1}]], {"regular": 5}, {}])
def test_sessions_that_cannot_be_read_take_nothing_away(sessions: object) -> None:
    body = said(chart(EVENING, [1, 2, 3]), currentTradingPeriod="?", tradingPeriods=sessions)
    assert [start for start, _, _ in bars(body, CLOSE + 60)] == EVENING


def test_the_session_of_a_future_has_no_bell() -> None:
    body = said(chart(EVENING, [1, 2, 3]), currentTradingPeriod={"regular": {"start": CLOSE - 86_340, "end": CLOSE}})
    assert [start for start, _, _ in bars(body, CLOSE + 60)] == EVENING


@pytest.mark.parametrize(
    ("now", "closed"),
    [(OPEN + 3600, False), (OPEN + 23_399, False), (OPEN + 23_400, True), (OPEN + DAY // SECOND, True)],
)
def test_a_day_is_closed_when_its_session_is_over(now: int, closed: bool) -> None:
    midnight = OPEN - OPEN % 86_400
    body = chart([OPEN - 86_400, OPEN], [1, 2])
    assert bars(body, now, "1d") == [(midnight - 86_400, True, "1"), (midnight, closed, "2")]


@pytest.mark.parametrize(("symbol", "zone"), [("BTC/USD", "UTC"), ("EUR/USD", "Europe/London")])
def test_a_pairs_day_is_closed_when_the_day_is_over(symbol: str, zone: str) -> None:
    midnight = OPEN - OPEN % 86_400
    body = chart([midnight], [1])
    regular = {"start": midnight, "end": midnight + 86_340}  # 23:59:00, as it was seen
    body["chart"]["result"][0]["meta"] = {
        "exchangeTimezoneName": zone, "currentTradingPeriod": {"regular": regular},
    }  # fmt: skip
    request = SOURCE.requests(Ask("bars", (symbol,), "1d", midnight * SECOND, (midnight + 86_400) * SECOND))[0]
    closed = []
    for now in (midnight + 86_370, midnight + 86_400):
        (bar,) = SOURCE.parse_rest(request, Reply(200, json.dumps(body).encode(), now * SECOND)).events
        assert isinstance(bar, ProviderBar)
        closed.append(bar.closed)
    assert closed == [False, True]


def test_a_days_live_point_replaces_the_bar_of_the_day() -> None:
    assert [close for _, _, close in bars(chart([OPEN, OPEN + 5000], [1, 2]), OPEN + 5000, "1d")] == ["2"]


def test_hours_that_begin_at_half_past_are_not_passed_off_as_ours() -> None:
    events = answer(chart([OPEN, OPEN + 3600, OPEN + 7200], [1, 2, 3]), OPEN + 99_999, "1h").events
    assert [e.reason for e in events] == ["unaligned_start"] * 3  # type: ignore[union-attr]


def test_the_live_point_of_an_hour_belongs_to_the_bar_before_it() -> None:
    noon = OPEN - OPEN % 3600 + 3600
    assert bars(chart([noon, noon + 107], [1, 9]), noon + 110, "1h") == [(noon, False, "1")]
    alone = answer(chart([OPEN], [1]), OPEN + 99_999, "1h").events
    assert [e.reason for e in alone if isinstance(e, Reject)] == ["unaligned_start"]


@pytest.mark.parametrize("body", [{"chart": {"result": [], "error": None}}, chart([], []), chart([OPEN], [None])])
def test_emptiness_is_unknown_and_loud(body: object) -> None:
    with pytest.raises(Unavailable, match="unknown, not 'no trades'"):
        answer(body, OPEN)


@pytest.mark.parametrize("text", [b"Too Many Requests\r\n", b"<p>too many requests</p>"])
def test_a_text_that_asks_for_patience_is_a_rate_limit_whatever_the_status(text: bytes) -> None:
    with pytest.raises(RateLimited):
        SOURCE.parse_rest(SOURCE.requests(Ask("quote", ("AAPL",)))[0], Reply(200, text, 0))
    assert SOURCE.usage(Reply(200, text, 0)) == (Usage(60, blocked=60.0),)


def test_splits_and_dividends() -> None:
    events = {
        "splits": {
            "1": {"date": OPEN, "numerator": 1, "denominator": 3},
            "2": {"date": OPEN - DAY // SECOND, "numerator": 4, "denominator": 1},
        },
        "dividends": {"3": {"date": OPEN, "amount": 0.25}},
    }
    told = [
        e
        for e in answer(chart([OPEN], [1], events=events), OPEN, "1d", "actions").events
        if isinstance(e, CorporateAction)
    ]
    assert [(e.kind, e.value) for e in told] == [
        ("split", Decimal(4)),
        ("split", Decimal("0.333333333333333333")),
        ("dividend", Decimal("0.25")),
    ]


ACTIONS = {
    "splits": {"1": {"date": OPEN, "numerator": 10, "denominator": 1}},
    "dividends": {"2": {"date": OPEN - 86_400, "amount": 0.25}},
}
DAYS = [OPEN - 2 * 86_400, OPEN - 86_400, OPEN]


def test_a_chart_of_days_tells_splits_and_dividends_beside_its_bars() -> None:
    events = answer(chart(DAYS, [1, 2, 3], events=ACTIONS), OPEN, "1d").events
    assert [type(event) for event in events] == [ProviderBar] * 3 + [CorporateAction] * 2
    assert [(e.kind, e.day.day, e.value) for e in events if isinstance(e, CorporateAction)] == [
        ("dividend", 20, Decimal("0.25")),
        ("split", 21, Decimal(10)),
    ]


def test_a_chart_of_minutes_leaves_them_to_that_of_days() -> None:
    body = chart([OPEN, OPEN + 60], [1, 2], events=ACTIONS)
    assert {type(event) for event in answer(body, OPEN + 130).events} == {ProviderBar}


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ("?", "wrong_type"),
        ({"splits": ["?"]}, "wrong_type"),
        ({"splits": 5, "dividends": ACTIONS["dividends"]}, "wrong_type"),
        ({"splits": {"1": {"date": OPEN, "numerator": 1, "denominator": 0}}}, "bad_value"),
    ],
)
def test_splits_that_cannot_be_read_cost_no_bar_and_are_told(events: object, reason: str) -> None:
    found = answer(chart(DAYS, [1, 2, 3], events=events), OPEN, "1d").events
    assert [e.adjustment for e in found if isinstance(e, ProviderBar)] == ["split"] * 3
    assert [e.reason for e in found if isinstance(e, Reject)] == [reason]
    assert len(found) == 4


def test_a_split_beyond_the_wanted_days_is_told_though_its_day_is_not() -> None:
    midnight = OPEN - OPEN % 86_400
    request = SOURCE.requests(Ask("bars", ("AAPL",), "1d", (midnight - 5 * 86_400) * SECOND, midnight * SECOND))[0]
    reply = Reply(200, json.dumps(chart(DAYS, [1, 2, 3], events=ACTIONS)).encode(), (OPEN + 1800) * SECOND)
    events = SOURCE.parse_rest(request, reply).events
    assert [type(event) for event in events] == [ProviderBar] * 2 + [CorporateAction] * 2


def adjustments(body: object, now: int) -> list[str]:
    return [e.adjustment for e in answer(body, now, "1d").events if isinstance(e, ProviderBar)]


def test_bars_are_raw_from_the_last_split_on() -> None:
    days = [OPEN - 2 * 86_400, OPEN - 86_400, OPEN]
    split = {"1": {"date": OPEN - 86_400, "numerator": 4, "denominator": 1}}
    assert adjustments(chart(days, [1, 2, 3]), OPEN) == ["raw"] * 3
    assert adjustments(chart(days, [1, 2, 3], events={"splits": split}), OPEN) == ["split", "raw", "raw"]


@pytest.mark.parametrize("interval", ["1m", "1d"])
def test_the_day_of_a_split_is_one_of_the_exchange(interval: str) -> None:
    # 2024-11-21 10:00 in Sydney is 23:00 UTC of the day before.
    opened = 1_732_143_600
    split = {"1": {"date": opened, "numerator": 4, "denominator": 1}}
    body = chart([opened - 86_400, opened, opened + 3600], [1, 2, 3], events={"splits": split})
    body["chart"]["result"][0]["meta"] = {"exchangeTimezoneName": "Australia/Sydney"}
    found = [e for e in answer(body, OPEN, interval).events if isinstance(e, ProviderBar)]
    assert [e.adjustment for e in found] == (["split", "raw"] if interval == "1d" else ["split", "raw", "raw"])


@pytest.mark.parametrize("events", ["?", {"splits": ["?"]}, {"splits": {"1": {"date": "?"}}}])
def test_bars_are_adjusted_for_all_one_knows_when_splits_cannot_be_read(events: object) -> None:
    assert adjustments(chart([OPEN], [3], events=events), OPEN) == ["split"]


def test_an_answer_that_ends_before_now_may_have_been_split_since() -> None:
    assert adjustments(chart([OPEN], [3]), OPEN + 30 * 86_400) == ["split"]


def daily(now: int, end: int, **result: Any) -> list[tuple[int, str]]:
    """(day, adjustment) of the bars of an answer to who wants the days to ``end``; one day was traded after it."""
    stamps = [OPEN - 2 * 86_400, OPEN - 86_400, OPEN]
    request = SOURCE.requests(Ask("bars", ("AAPL",), "1d", (end - 5 * 86_400) * SECOND, end * SECOND))[0]
    reply = Reply(200, json.dumps(chart(stamps, [25, 25.5, 26], **result)).encode(), now * SECOND)
    found = [e for e in SOURCE.parse_rest(request, reply).events if isinstance(e, ProviderBar)]
    return [((e.start // SECOND - end) // 86_400, e.adjustment) for e in found]


def test_a_split_of_today_is_known_to_who_asks_for_yesterday() -> None:
    midnight = OPEN - OPEN % 86_400
    split = {"1": {"date": OPEN, "numerator": 4, "denominator": 1}}
    request = SOURCE.requests(Ask("bars", ("AAPL",), "1d", (midnight - 86_400) * SECOND, midnight * SECOND))[0]
    assert int(request.params["period2"]) == midnight + 86_400
    # What was asked for beyond the wanted days is not passed on.
    assert daily(OPEN + 1800, midnight) == [(-2, "raw"), (-1, "raw")]
    assert daily(OPEN + 1800, midnight, events={"splits": split}) == [(-2, "split"), (-1, "split")]
    assert daily(OPEN + 2 * 86_400, midnight) == [(-2, "split"), (-1, "split")]


def test_an_answer_that_was_asked_for_only_to_midnight_may_have_been_split_since() -> None:
    midnight = (OPEN - OPEN % 86_400) * SECOND
    ask = Ask("bars", ("AAPL",), "1d", midnight - 5 * DAY, midnight)
    old = replace(SOURCE.requests(ask)[0], params={"period2": str(midnight // SECOND)})
    (bar,) = SOURCE.parse_rest(old, Reply(200, json.dumps(chart([OPEN - 86_400], [25])).encode(), OPEN * SECOND)).events
    assert isinstance(bar, ProviderBar)
    assert bar.adjustment == "split"


def test_intraday_is_asked_no_further_back_than_it_reaches() -> None:
    request = SOURCE.requests(Ask("bars", ("AAPL",), "1m", 0, OPEN * SECOND))[0]
    assert int(request.params["period1"]) == OPEN - 7 * 86_400
    assert int(request.params["period2"]) == OPEN + 86_400
    assert SOURCE.requests(Ask("bars", ("^GSPC",), "1d", 0, OPEN * SECOND))[0].path == "/v8/finance/chart/%5EGSPC"


def test_seconds_and_milliseconds_of_the_socket_lead_to_the_same_time() -> None:
    frames = ("CgRBQVBMFT2KZ0MY9oGmwOlk", "CgRBQVBMFT2KZ0MYgODz8ww=")
    times = [SOURCE.parse(json.dumps({"message": f}), 0, SOURCE.memory(["AAPL"]))[0].ts for f in frames]  # type: ignore[union-attr]
    assert times[0] // SECOND == times[1] // SECOND
