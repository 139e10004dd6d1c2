"""Two readings of the laws, written apart, agree on every record: the audit's and that of ``bars``."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparktrends.audit.numbers import scaled
from sparktrends.audit.records import Laws, printable, read_bar, read_event
from sparktrends.bars import Limits, judge
from sparktrends.errors import BadRecord
from sparktrends.model import MINUTE, Coordinates, is_printable

NOW = 1_704_067_200_000_000
LAWS = Laws(graces={"slow": MINUTE})
LIMITS = Limits(graces=(("slow", MINUTE),))

ODD: list[Any] = [None, True, False, 0, -1, 1.5, "", " ", "x\0", "\ud800", "NaN", [], {}, [1], "a" * 200, 10**25, -0.0]
NAMES = st.sampled_from(["demo", "slow", "tape", "BTC/USD", "Ω", " a", "a" * 64, "a" * 65, *ODD])
TIMES = st.one_of(st.integers(NOW - 20 * MINUTE, NOW + 3 * MINUTE), st.sampled_from([NOW, 10**19, -(10**19), *ODD]))
NUMBERS = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.integers(-5, 10**22),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["1", "0", "-0", "1e-18", "1E+19", "1e20", "1.50000000000000000000000", "0e99999999999999999999"]),
    st.sampled_from(
        ["01", "+1", "1.", ".5", "1_0", "٣", "1e", "1e-19", "99999999999999999999.999999999999999999", *ODD]
    ),
)
TRADES = st.fixed_dictionaries(
    {"source": NAMES, "symbol": NAMES, "ts": TIMES, "price": NUMBERS, "size": NUMBERS},
    optional={
        "received": TIMES,
        "kind": st.sampled_from(["trade", "price", "heartbeat", "quote", *ODD]),
        "status": st.sampled_from(["ok", "stale", "throttled", "closed", "start", "OK", *ODD]),
        "id": st.sampled_from(["7", 7, 0, "x" * 128, *ODD]),
        "conditions": st.sampled_from([["W"], ["F", "W"], ["I"], ["x"] * 33, [1], [None], *ODD]),
        "fill": st.sampled_from([True, False, "true", *ODD]),
        "else": st.sampled_from(ODD),
    },
)
BARS = st.fixed_dictionaries(
    {
        "source": NAMES,
        "symbol": NAMES,
        "interval": st.sampled_from(["1m", "1h", "2m", *ODD]),
        "start": st.one_of(TIMES, st.sampled_from([NOW, NOW - MINUTE, NOW - 1])),
        **dict.fromkeys(("open", "high", "low", "close", "volume"), st.one_of(st.sampled_from(["5", 5]), NUMBERS)),
    },
    optional={
        "received": TIMES,
        "adjustment": st.sampled_from(["raw", "split", *ODD]),
        "trades": st.sampled_from([5, 10**12, *ODD]),
        "turnover": NUMBERS,
        "closed": st.sampled_from(ODD),
        "fill": st.sampled_from([True, False, "true", *ODD]),
    },
)
PLACES = {
    "Accepted": "trades",
    "PriceUpdate": "prices",
    "Beat": "heartbeats",
    "LateTrade": "late",
    "StoredProviderBar": "bars",
    "Quarantined": "quarantined",
}


def theirs(value: bytes | None, topic: str) -> Any:
    return judge(value, Coordinates(topic, 0, 7, NOW), LIMITS)


def agree_on_event(value: bytes | None) -> None:
    verdict = theirs(value, "raw.trades")
    place = PLACES[type(verdict).__name__]
    try:
        event = read_event(value, NOW, LAWS)
    except BadRecord:
        assert place == "quarantined", value
        return
    assert event.place == place, value
    assert event.arrival == verdict.arrival
    said = verdict.heartbeat if place == "heartbeats" else verdict.trade
    assert (event.source, event.symbol, event.ts) == (said.source, said.symbol, said.ts)
    if place == "heartbeats":
        assert (event.status, event.touches) == (said.status, not verdict.late)
        return
    assert (event.id, event.conditions) == (said.id, said.conditions)
    assert (event.price, event.size) == (said.price * 10**18, said.size * 10**18)


@settings(max_examples=400, deadline=None)
@given(TRADES)
def test_trades_prices_and_heartbeats_are_judged_alike(fields: dict[str, Any]) -> None:
    agree_on_event(json.dumps(fields).encode())


PLAIN = {"source": "demo", "symbol": "A", "ts": NOW, "price": "1.5", "size": "2", "id": "7"}


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted({*PLAIN, "kind", "received", "fill", "status"})), st.sampled_from(ODD)))
def test_one_odd_field_is_judged_alike(odd: dict[str, Any]) -> None:
    agree_on_event(json.dumps({**PLAIN, **odd}).encode())


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 120), st.binary(max_size=3), st.integers(0, 5))
def test_broken_bytes_are_judged_alike(at: int, piece: bytes, cut: int) -> None:
    whole = json.dumps(PLAIN).encode()
    agree_on_event(whole[:at] + piece + whole[at + cut :])


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"[]",
        b"1",
        b"\xef\xbb\xbf{}",
        json.dumps(PLAIN).encode("utf-16"),
        json.dumps(PLAIN).encode() + b"x",
        json.dumps({**PLAIN, "else": "x" * 2**20}).encode(),
        json.dumps(PLAIN).encode()[:-1] + b',"else":' + b"9" * 5000 + b"}",
        json.dumps(PLAIN).encode()[:-1] + b',"id":-0}',
        json.dumps(PLAIN).encode()[:-1] + b',"price":' + b"9" * 5000 + b"}",
        json.dumps(PLAIN).encode()[:-1] + b',"price":NaN}',
        json.dumps(PLAIN).encode()[:-1] + b',"size":"1' + b"0" * 5000 + b'e-5000"}',
        json.dumps(PLAIN).encode()[:-1] + b',"else":' + b"[" * 63 + b"]" * 63 + b"}",
        json.dumps(PLAIN).encode()[:-1] + b',"else":' + b"[" * 64 + b"]" * 64 + b"}",
        json.dumps(PLAIN).encode()[:-1] + b',"else":"' + b"[" * 99 + b'\\""}',
        b"[" * 100_000,
    ],
)
def test_extremes_are_judged_alike(value: bytes | None) -> None:
    agree_on_event(value)


def judged_text(code: int) -> bool:
    """Whether a trade may have an id of this code point; both readings answer the same."""
    value = json.dumps({**PLAIN, "id": chr(code), "conditions": [chr(code)]}).encode()
    agree_on_event(value)
    agree_on_event(json.dumps({**PLAIN, "symbol": chr(code)}).encode())
    return type(theirs(value, "raw.trades")).__name__ == "Accepted"


# Python's own tables are those of another Unicode in each of its versions: what is in a bar must not depend on that.
@pytest.mark.parametrize(
    "code",
    [
        *(0x0CF3, 0x11F00, 0x13440, 0x1D2C0, 0x1E4D0, 0x1FAE8, 0x31350),  # Unicode 15.0, Python 3.12
        *(0x2FFC, 0x31EF, 0x2EBF0),  # 15.1, Python 3.13
        *(0x0897, 0x1C89, 0x105C0, 0x10D40, 0x1CC00, 0x1FAE9),  # 16.0, Python 3.14
        *(0x0378, 0x2FE0, 0x30000 + 0xF000, 0xDFFFD),  # none yet
    ],
)
def test_a_character_that_this_python_may_not_know_is_accepted(code: int) -> None:
    assert judged_text(code)


@pytest.mark.parametrize(
    "code",
    [
        *(
            0x00,
            0x0A,
            0x1F,
            0x7F,
            0x85,
            0x9F,
            0xA0,
            0xAD,
            0x061C,
            0x1680,
            0x180E,
            0x2000,
            0x200B,
            0x200E,
            0x2028,
            0x202E,
        ),
        *(
            0x202F,
            0x205F,
            0x2060,
            0x2065,
            0x2069,
            0x3000,
            0xD800,
            0xDFFF,
            0xE000,
            0xF8FF,
            0xFDD0,
            0xFDEF,
            0xFEFF,
            0xFFF0,
        ),
        *(0xFFF9, 0xFFFE, 0xFFFF, 0x13430, 0x13439, 0x1343F, 0x1FFFE, 0xDFFFF, 0xE0001, 0xE007F, 0xE0080, 0xE01F0),
        *(0xF0000, 0xFFFFD, 0x100000, 0x10FFFD, 0x10FFFF),
    ],
)
def test_a_character_that_nobody_sees_is_refused(code: int) -> None:
    assert not judged_text(code)


def test_what_is_printable_is_the_same_in_both_readings_and_what_it_was() -> None:
    for code in range(0x110000):
        letter = chr(code)
        assert is_printable(letter) == printable(letter), hex(code)
        if unicodedata.category(letter) != "Cn":  # Python calls nothing printable that its Unicode does not know
            assert is_printable(letter) == letter.isprintable(), hex(code)


@pytest.mark.parametrize("text", ["", "BTC/USD", "a b", "Ω€🫨", "a\u200bb", "Ω\n", "\n", "🫨\u00ad"])
def test_a_text_is_printable_when_each_character_is(text: str) -> None:
    assert is_printable(text) == printable(text) == all(map(is_printable, text))


@settings(max_examples=400, deadline=None)
@given(BARS)
def test_provider_bars_are_judged_alike(fields: dict[str, Any]) -> None:
    value = json.dumps(fields).encode()
    verdict: Any = theirs(value, "raw.bars")
    try:
        found = read_bar(value, NOW, LAWS)
    except BadRecord:
        assert type(verdict).__name__ == "Quarantined"
        return
    bar = verdict.bar
    assert found[:6] == (bar.source, bar.symbol, bar.interval, bar.start, bar.adjustment, verdict.arrival)
    prices = [price * 10**18 for price in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
    turnover = None if bar.turnover is None else bar.turnover * 10**36
    assert found.values == (*prices, turnover, bar.trades, bar.closed)


@given(st.integers(1, 10**38 - 1), st.integers(0, 40))
@example(10**38 - 1, 18)
def test_digits_come_back(units: int, zeros: int) -> None:
    whole, fraction = divmod(units, 10**18)
    assert scaled(f"{whole}.{fraction:018d}{'0' * zeros}") == units
    assert scaled(f"{units}{'0' * zeros}e-{18 + zeros}") == units


@pytest.mark.parametrize("text", ["1e20", "1e-19", "123456789012345678901", "0.1234567890123456789", "1e999999999999"])
def test_digits_that_do_not_fit_are_refused(text: str) -> None:
    with pytest.raises(BadRecord):
        scaled(text)
