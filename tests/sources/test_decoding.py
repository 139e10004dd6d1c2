"""Strict reading: digits kept, everything else refused by name."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.errors import BadRecord
from sparktrends.sources import decoding

LARGEST = "99999999999999999999.999999999999999999"


def reason(act: object, *args: object) -> str:
    with pytest.raises(BadRecord) as caught:
        act(*args)  # type: ignore[operator]
    return caught.value.reason


@pytest.mark.parametrize(
    ("payload", "word"),
    [("", "not_json"), ("{", "not_json"), ("NaN", "not_json"), ("[Infinity]", "not_json"), (b"\xff", "not_utf8"),
     (b"\xef\xbb\xbf{}", "not_json"), ("[" * 200_000, "too_deep"), ("9" * 5000, "not_json"), ("{}x", "not_json"),
     ('{"a":1,}', "not_json"), ("x" * 200, "too_large"), ('{"a":"\n"}', "not_json")],
)  # fmt: skip
def test_what_is_no_json_is_refused(payload: str | bytes, word: str) -> None:
    limit = 100 if word == "too_large" else decoding.MAX_PAYLOAD
    assert reason(decoding.load_json, payload, limit) == word


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**19, places=18))
def test_a_number_that_fits_keeps_every_digit_as_number_and_as_string(value: Decimal) -> None:
    for document in (f'{{"p":{value:f}}}', f'{{"p":"{value:f}"}}'):
        assert decoding.number(decoding.load_object(document)["p"], "bad_price") == value


@pytest.mark.parametrize(
    ("sent", "value"),
    [("1e-18", "1E-18"), ("12E3", "12000"), ("1.50000000000000000000000", "1.5"), ("-0", "0"), ("0e9999", "0"),
     (7, "7"),
     ("00000000000000000000000001", "1"), (LARGEST, LARGEST)],
)  # fmt: skip
def test_other_ways_to_write_a_number_that_fits(sent: object, value: str) -> None:
    assert decoding.number(sent, "bad_price") == Decimal(value)


@pytest.mark.parametrize(
    "sent",
    [None, True, False, 1.5, [], {}, "", " 1", "1 ", "+1", "1_000", "1,5", "NaN", "Infinity", "0x10", "\u0661", ".5",
     "5.", "1e-19", "1e20", "123456789012345678901", "1.0000000000000000001",
     10**20, -(10**20), "1e99999", "9" * 400, "1e", "--1"],
)  # fmt: skip
def test_what_is_no_number_or_does_not_fit_is_refused(sent: object) -> None:
    assert reason(decoding.number, sent, "bad_price") == "bad_price"


def test_numbers_that_may_be_missing() -> None:
    assert [decoding.maybe_number(v) for v in (None, "", "None", "-", "abc", [], "5")] == [None] * 6 + [Decimal(5)]


@pytest.mark.parametrize("value", [None, "1732147200", 1.5, True, 10**30, -(10**30)])
def test_a_time_is_a_whole_number_within_the_calendar(value: object) -> None:
    assert reason(decoding.micros, value, 1_000_000) == "bad_time"


@pytest.mark.parametrize(
    ("stamp", "utc"),
    [("2024-03-08 09:30:00", (2024, 3, 8, 14, 30)), ("2024-03-11 09:30:00", (2024, 3, 11, 13, 30)),
     ("2024-11-03 01:30", (2024, 11, 3, 5, 30)), ("2024-07-01", (2024, 7, 1, 4, 0))],
)  # fmt: skip
def test_exchange_time_becomes_utc_across_daylight_saving(stamp: str, utc: tuple[int, ...]) -> None:
    made = decoding.local_micros(stamp, "America/New_York")
    assert decoding.moment(made) == datetime(*utc, tzinfo=UTC)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "stamp", [None, 5, "", "2024-02-30", "2024-01-01T00:00", "2024-01-01 25:00", "24-01-01", "\u0662024-01-01"]
)
def test_no_stamp_is_guessed(stamp: object) -> None:
    assert reason(decoding.local_micros, stamp, "UTC") == "bad_time"


@pytest.mark.parametrize(
    "zone", ["", "Nowhere/City", "../../etc/passwd", "America", "\x00", "/etc/localtime", "\ud800"]
)
def test_an_unknown_time_zone_is_a_bad_record(zone: str) -> None:
    assert reason(decoding.local_micros, "2024-01-01", zone) == "bad_time_zone"


def test_a_days_bar_starts_at_midnight_utc() -> None:
    assert decoding.moment(decoding.day_micros(date(2024, 11, 21))) == datetime(2024, 11, 21, tzinfo=UTC)
    assert decoding.local_day(
        decoding.local_micros("2024-11-21 20:00", "America/New_York"), "America/New_York"
    ) == date(2024, 11, 21)


@given(st.text(st.characters(), max_size=40))
def test_text_can_always_be_stored(value: str) -> None:
    made = decoding.text(value, "bad_text")
    assert "\x00" not in made
    assert made.encode().decode() == made


def test_a_lone_surrogate_from_json_is_replaced() -> None:
    assert decoding.text(json.loads('"a\\ud800b"'), "bad_text") == "a\ufffdb"


@pytest.mark.parametrize(
    "said",
    [
        "We have detected your API key as KEYKEYKEYKEYKEYK and",
        "apikey=KEYKEYKEY is wrong",
        "token=KEYKEYKEY&x",
        "id KEYKEYKEY12345",
    ],
)
def test_a_quoted_text_shows_no_key(said: str) -> None:
    assert "KEYKEY" not in decoding.quote(said)
    assert "***" in decoding.quote(said)


def test_a_quoted_text_is_one_short_line() -> None:
    assert decoding.quote("a\nb\x1b[31m\u202e" + "c " * 500).startswith("a b")
    assert len(decoding.quote("c " * 500)) <= 240
    assert decoding.quote(None) == ""
