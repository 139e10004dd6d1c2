"""Finnhub: order, repeats and content ids; candles by month."""

from __future__ import annotations

import json
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.errors import BadSetting
from sparktrends.model import DAY, NewsItem, Trade
from sparktrends.sources.base import Ask, Reject, Reply, Usage
from sparktrends.sources.finnhub import Finnhub

SOURCE = Finnhub()
T = 1_732_147_200_000


def trades(*rows: tuple[int, float, int], order: int = 1) -> list[Trade]:
    data = [{"s": "AAPL", "p": p, "t": t, "v": v, "c": ["1"]} for t, p, v in rows][::order]
    frame = json.dumps({"type": "trade", "data": data})
    return [e for e in SOURCE.parse(frame, 5, SOURCE.memory(["AAPL"])) if isinstance(e, Trade)]


ROWS = st.lists(st.tuples(st.integers(T, T + 3), st.sampled_from([231.5, 231.6]), st.integers(1, 2)), max_size=12)


@given(ROWS)
def test_newest_first_comes_out_oldest_first_with_the_same_ids(rows: list[tuple[int, float, int]]) -> None:
    rows.sort(key=lambda row: row[0])
    there, back = trades(*rows), trades(*rows, order=-1)
    assert [t.ts for t in back] == sorted(t.ts for t in there)
    assert sorted(t.id for t in there) == sorted(t.id for t in back)


@given(ROWS)
def test_a_message_that_comes_twice_has_the_same_ids_and_a_message_has_no_id_twice(
    rows: list[tuple[int, float, int]],
) -> None:
    first = [t.id for t in trades(*rows)]
    assert first == [t.id for t in trades(*rows)]
    assert len(set(first)) == len(first) == len(rows)


def test_trades_of_one_millisecond_keep_their_order_in_a_newest_first_message() -> None:
    made = trades((T + 1, 3.0, 1), (T, 2.0, 1), (T, 1.0, 1))
    assert [str(t.price) for t in made] == ["1.0", "2.0", "3.0"]


def test_the_two_socket_and_rest_units_of_time() -> None:
    quote = Reply(200, b'{"c":1,"pc":1,"t":1732147200}', 0)
    request = SOURCE.requests(Ask("quote", ("AAPL",)))[0]
    told = SOURCE.parse_rest(request, quote).events[0]
    assert isinstance(told, Trade)
    assert told.ts == trades((T, 1.0, 1))[0].ts


@given(
    st.lists(
        st.sampled_from(["1", "12", 12, 0, -1, "W", "", ",", "1,2", " 1", "é", "x" * 9, True, 1.0, None, [], "1\n"])
    )
)
def test_codes_are_short_words_or_numbers_and_nothing_else(codes: list[object]) -> None:
    frame = {"type": "trade", "data": [{"s": "AAPL", "p": 1.5, "t": T, "v": 1, "c": codes}]}
    (event,) = SOURCE.parse(json.dumps(frame), 5, SOURCE.memory(["AAPL"]))
    good = len(codes) <= 16 and all(type(c) in (str, int) and str(c) in ("1", "12", "0", "W") for c in codes)
    assert isinstance(event, Trade if good else Reject)
    if isinstance(event, Trade):
        assert event.conditions == tuple(map(str, codes))


def test_conditions_that_only_count_for_volume_are_named() -> None:
    assert {"3", "32"} <= SOURCE.volume_only
    assert "1" not in SOURCE.volume_only
    assert "12" not in SOURCE.volume_only


def test_intraday_candles_are_asked_by_month_without_gap_or_overlap() -> None:
    start, end = 20_000 * DAY, 20_100 * DAY
    requests = SOURCE.requests(Ask("bars", ("AAPL", "BTC/USDT"), "1m", start, end))
    spans = [(int(r.params["from"]), int(r.params["to"])) for r in requests if r.endpoint == "stock/candle"]
    assert spans[0][0] == start // 10**6
    assert spans[-1][1] == end // 10**6 - 1
    assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(spans))
    assert {r.endpoint for r in requests} == {"stock/candle", "crypto/candle"}


def test_news_comes_oldest_first() -> None:
    rows = [{"id": n, "headline": "h", "datetime": 1_732_147_200 + n} for n in range(9)]
    random.Random(1).shuffle(rows)
    request = SOURCE.requests(Ask("news", ("AAPL",), start=0, end=DAY))[0]
    stories = SOURCE.parse_rest(request, Reply(200, json.dumps(rows).encode(), 0)).events
    assert [s.id for s in stories if isinstance(s, NewsItem)] == [str(n) for n in range(9)]


def test_headers_tell_the_quota_and_a_429_blocks_a_minute() -> None:
    told = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "45"}
    assert SOURCE.usage(Reply(200, b"{}", 0, told)) == (Usage(60, 15, 60, None),)
    assert SOURCE.usage(Reply(429, b"{}", 0)) == (Usage(60, blocked=60.0),)
    assert SOURCE.usage(Reply(200, b"{}", 0, {"x-ratelimit-limit": "\u0662", "x-ratelimit-remaining": "x"})) == ()


def test_an_exchange_rate_is_refused_for_its_stream_has_no_trades() -> None:
    with pytest.raises(BadSetting, match="no trades of the exchange rate EUR/USD") as refusal:
        SOURCE.spell("EUR/USD")
    assert "twelve_data" in str(refusal.value.hint)
