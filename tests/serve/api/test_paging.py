"""Cursors: what was put in comes out, and nothing else is let in."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.serve.api.paging import decode, encode, print_of
from sparktrends.serve.api.problems import Problem

STAMP = "timestamp with time zone"
KINDS = [STAMP, "text", "text"]
times = st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1))
names = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=64)


@given(times, names, names)
def test_a_key_comes_back(start: datetime, source: str, symbol: str) -> None:
    cursor = encode("abc", {"start": start, "source": source, "symbol": symbol}, ("start", "source", "symbol"))
    assert decode(cursor, "abc", KINDS) == [start, source, symbol]
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=1, max_size=200))
def test_made_up_cursors_are_refused(text: str) -> None:
    with pytest.raises(Problem):
        decode(text, "abc", KINDS)


@pytest.mark.parametrize(
    "key",
    [
        ["abc", "2024-05-01T00:00:00Z", "a"],
        ["abc", "2024-05-01T00:00:00Z", "a", "b", "c"],
        ["abc", "yesterday", "a", "b"],
        ["abc", 5, "a", "b"],
        ["abc", "2024-05-01T00:00:00Z", None, "b"],
        ["abc", "2024-05-01T00:00:00Z", {"a": 1}, "b"],
        ["abc", "2024-05-01T00:00:00Z", "a\x00", "b"],
        ["other", "2024-05-01T00:00:00Z", "a", "b"],
        {},
    ],
)
def test_forged_cursors_are_refused(key: object) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(key).encode()).rstrip(b"=").decode()
    with pytest.raises(Problem, match="begin again"):
        decode(cursor, "abc", KINDS)


@pytest.mark.parametrize("price", ["abc", "1e400000", "NaN", "", "1 ", "\u0661", "9" * 70])
def test_a_forged_price_is_refused(price: str) -> None:
    key = ["abc", "2024-05-01", "a", price]
    cursor = base64.urlsafe_b64encode(json.dumps(key).encode()).rstrip(b"=").decode()
    with pytest.raises(Problem, match="begin again"):
        decode(cursor, "abc", ["date", "text", "numeric"])


def test_a_price_comes_back() -> None:
    row = {"day": date(2024, 5, 1), "price": "-0.000000000000000001"}
    assert decode(encode("abc", row, ("day", "price")), "abc", ["date", "numeric"]) == list(row.values())


def test_the_print_knows_the_request() -> None:
    prints = {
        print_of("bars", {"symbol": ["A"]}),
        print_of("bars", {"symbol": ["B"]}),
        print_of("metrics", {"symbol": ["A"]}),
    }
    assert len(prints) == 3
    assert print_of("bars", {"a": 1, "b": 2}) == print_of("bars", {"b": 2, "a": 1})
