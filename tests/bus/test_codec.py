"""The wire format: what the contract says, byte for byte, and nothing lost on the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.bus import codec
from sparktrends.errors import BadRecord
from sparktrends.model import Heartbeat, Payload, ProviderBar, Status, Trade

names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
numbers = st.decimals(min_value=0, allow_nan=False, allow_infinity=False, places=None).map(abs)
positive = numbers.filter(lambda d: d > 0)
times = st.integers(0, 4_102_444_800_000_000)
trades = st.builds(
    Trade,
    source=names,
    symbol=names,
    ts=times,
    price=positive,
    size=numbers,
    id=st.text(max_size=20),
    received=st.none() | times,
    conditions=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    fill=st.booleans(),
    kind=st.sampled_from(["trade", "price"]),
)


@given(trades)
def test_a_trade_keeps_every_digit_and_character(trade: Trade) -> None:
    row = json.loads(codec.encode_trade(trade))
    assert (row["source"], row["symbol"], row["ts"]) == (trade.source, trade.symbol, trade.ts)
    assert Decimal(row["price"]) == trade.price
    assert Decimal(row["size"]) == trade.size
    assert row.get("id", "") == trade.id
    assert row.get("received") == trade.received
    assert tuple(row.get("conditions", ())) == trade.conditions
    assert row.get("fill", False) is trade.fill
    assert row.get("kind", "trade") == trade.kind


@given(trades)
def test_a_trade_is_ascii_without_exponents_or_blanks_of_its_own(trade: Trade) -> None:
    value = codec.encode_trade(trade)
    assert value.isascii()
    row = json.loads(value)
    assert not {"e", "E", "+"} & set(row["price"] + row["size"])
    assert value == json.dumps(row, separators=(",", ":")).encode()


def test_the_record_of_the_contract() -> None:
    trade = Trade(
        "binance", "BTC/USD", 1732147200123456, Decimal("97123.45"), Decimal("0.0125"), "4213371", 1732147200130000
    )
    assert codec.encode_trade(trade) == (
        b'{"source":"binance","symbol":"BTC/USD","ts":1732147200123456,"price":"97123.45",'
        b'"size":"0.0125","id":"4213371","received":1732147200130000}'
    )


@pytest.mark.parametrize("status", list(Status))
def test_a_heartbeat_says_its_kind_and_status(status: Status) -> None:
    row = json.loads(codec.encode_heartbeat(Heartbeat("a", "B", 7, status)))
    assert row == {"source": "a", "symbol": "B", "ts": 7, "kind": "heartbeat", "status": status.value}


def test_a_bar_keeps_its_digits() -> None:
    prices = [Decimal(text) for text in ("1.10", "2.0", "1E-7", "1.5")]
    bar = ProviderBar("a", "B", "1m", 60, *prices, Decimal("1E+3"), False, "split", 3, Decimal("4.5"), 99, fill=True)
    assert json.loads(codec.encode_bar(bar)) == {
        "source": "a",
        "symbol": "B",
        "interval": "1m",
        "start": 60,
        "open": "1.10",
        "high": "2.0",
        "low": "0.0000001",
        "close": "1.5",
        "volume": "1000",
        "closed": False,
        "adjustment": "split",
        "trades": 3,
        "turnover": "4.5",
        "received": 99,
        "fill": True,
    }


def test_a_payload_given_as_bytes_is_kept_digit_for_digit() -> None:
    answer = b' {"c": 261.740000000000000001, "name": "\xc3\xa9"}\n'
    moment = datetime(2024, 11, 21, 0, 0, 0, 123456, tzinfo=UTC)
    topic, key, value = codec.encode(Payload("finnhub", "quote", moment, {"symbol": "AAPL"}, answer))
    assert (topic, key) == ("raw.payloads", "AAPL")
    assert answer.strip() in value
    assert json.loads(value)["fetched_at"] == 1732147200123456


def test_a_payload_given_as_a_value_is_written_as_json() -> None:
    payload = Payload("a", "news", datetime(1970, 1, 1, tzinfo=UTC), {}, [1, "é", None])
    assert codec.encode(payload) == (
        "raw.payloads",
        "news",
        b'{"source":"a","endpoint":"news","fetched_at":0,"request":{},"payload":[1,"\\u00e9",null]}',
    )


@pytest.mark.parametrize("answer", [b"{", b"", b"1 2", float("nan"), object()])
def test_what_is_not_json_is_refused(answer: object) -> None:
    with pytest.raises(BadRecord):
        codec.encode_payload(Payload("a", "b", datetime(1970, 1, 1, tzinfo=UTC), {}, answer))


def test_each_event_goes_to_its_topic_under_its_symbol() -> None:
    one = Decimal(1)
    assert codec.encode(Trade("a", "B", 1, one, one))[:2] == ("raw.trades", "B")
    assert codec.encode(Heartbeat("a", "B", 1))[:2] == ("raw.trades", "B")
    assert codec.encode(ProviderBar("a", "B", "1m", 0, one, one, one, one, one))[:2] == ("raw.bars", "B")


def bar_row() -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(codec.OUT_BAR_FIELDS)
    row.update(source="a", symbol="B", interval="1m", open=Decimal("1E-9"), trades=3)
    row.update(start=datetime(1970, 1, 1, 0, 1, tzinfo=UTC), revision=2, noise="left out")
    return row


def test_an_out_bar_has_plain_decimals_and_microseconds() -> None:
    row = codec.decode(codec.encode_out_bar(bar_row()))
    assert row["open"] == "0.000000001"
    assert (row["start"], row["revision"], row["close"]) == (60_000_000, 2, None)
    assert tuple(row) == codec.OUT_BAR_FIELDS


def test_an_out_row_without_a_column_is_a_programming_error() -> None:
    row = bar_row()
    del row["revision"]
    with pytest.raises(KeyError, match="revision"):
        codec.encode_out_bar(row)


def test_an_out_signal_carries_its_detail() -> None:
    row = {**dict.fromkeys(codec.OUT_SIGNAL_FIELDS), "id": "x", "score": 2.5, "detail": {"z": Decimal("1.50")}}
    back = codec.decode(codec.encode_out_signal(row))
    assert (back["id"], back["score"], back["detail"]) == ("x", 2.5, {"z": "1.50"})


@pytest.mark.parametrize("value", [None, b"", b"[1]", b"\xff", b'{"a":', b'"text"', b'{"a":NaN}'])
def test_reading_what_is_no_record_is_a_bad_record(value: bytes | None) -> None:
    with pytest.raises(BadRecord):
        codec.decode(value)


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_are_exact_to_the_microsecond(moment: datetime) -> None:
    micros = codec.to_micros(moment)
    assert micros % 1_000_000 == moment.microsecond
    assert micros // 1_000_000 == int(moment.replace(microsecond=0).timestamp())
