"""Numbers, ages and reasons in words; text of strangers stays text."""

from __future__ import annotations

import doctest
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.serve.dashboard import config as config_module
from sparktrends.serve.dashboard import figures, tables, words
from sparktrends.serve.dashboard.screens import explore, quality
from sparktrends.sources.symbols import use_exchanges

AT = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("module", [words, figures, config_module, explore, quality])
def test_examples_run(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@given(st.text(max_size=80))
def test_no_punctuation_of_a_stranger_means_anything_to_markdown(text: str) -> None:
    made = words.literal(text)
    assert "\n" not in made
    # Every ASCII punctuation mark stands behind a backslash of its own, and nothing else was changed.
    assert not re.search(r"[!-/:-@\[-`{-~]", re.sub(r"\\[!-/:-@\[-`{-~]", "", made))
    plain = re.sub(r"\\(.)", r"\1", made)
    assert plain.replace("\u2060", "") == " ".join(text.split()).replace("\u2060", "")


@pytest.mark.parametrize(
    "text", ["http://evil.example/a", "HTTPS://evil.example", "www.evil.example", "a@evil.example"]
)
def test_a_bare_address_is_no_link_once_the_backslashes_are_gone(text: str) -> None:
    plain = re.sub(r"\\(.)", r"\1", words.literal(text))
    assert not re.search(r"https?://|www\.\w|@\w", plain, re.IGNORECASE)


@given(st.text(max_size=80))
def test_no_tag_reaches_plotly(text: str) -> None:
    made = words.untagged(text)
    assert "<" not in made
    assert ">" not in made


@pytest.mark.parametrize(
    ("source", "mark"), [("binance", ""), ("simulator~sim", "simulated"), ("bitstamp~replay", "replayed")]
)
def test_made_up_and_recorded_series_are_marked(source: str, mark: str) -> None:
    assert words.mark(source) == mark


def test_a_live_series_is_as_old_as_its_clock() -> None:
    row = {"source": "binance", "age_s": 500.0, "silent_s": 1.0}
    assert words.freshness(row) == "stale, 8 min ago"


def test_a_recording_is_as_old_as_its_last_word() -> None:
    row = {"source": "bitstamp~replay", "age_s": 4e8, "silent_s": 1.0}
    assert words.freshness(row) == "1 s ago"


def test_a_series_without_data_says_so() -> None:
    assert words.freshness({"source": "a~sim", "age_s": None, "silent_s": None}) == "no data yet"


HEARD: dict[str, Any] = {"source": "yahoo", "age_s": 2.0, "silent_s": 1.0, "exchange_closed": False, "reason": None}


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({}, "trades"),
        ({"reason": "no_trade"}, "quiet market"),
        ({"reason": "feed_stale"}, "dead feed"),
        ({"reason": "throttled"}, "held back by the provider"),
        ({"reason": "partial_start"}, "just connected"),
        ({"exchange_closed": True}, "exchange closed"),
        ({"silent_s": 500.0}, "nothing is taken in"),
        ({"exchange_closed": True, "age_s": 500.0}, "nothing is taken in"),
        ({"source": "yahoo~replay", "age_s": 4e8, "reason": "no_trade"}, "quiet market"),
        ({"source": "a~sim", "age_s": None, "silent_s": None}, "no data yet"),
    ],
)
def test_a_quiet_market_a_dead_feed_and_a_closed_exchange_are_told_apart(known: dict[str, Any], said: str) -> None:
    assert words.feed({**HEARD, **known}) == said


def test_a_price_is_as_old_as_it_says_in_a_recording_by_its_own_clock() -> None:
    at = datetime(2013, 11, 25, tzinfo=UTC)
    row = {"clock_at": at + timedelta(seconds=75), "last_price_at": at, "price_age_s": 4e8}
    assert words.price_age({**row, "source": "bitstamp~replay"}) == "75 s ago"
    assert words.price_age({**row, "source": "yahoo", "price_age_s": 7300.0}) == "2 h ago"
    assert words.price_age({**row, "source": "yahoo", "last_price_at": None}) == "none yet"


def test_why_names_measure_usual_and_limit() -> None:
    detail = {"measure": "log return", "value": 0.0331, "baseline": 0.0001, "scale": 0.002, "bars": 120, "threshold": 5}
    said = words.why({"name": "price_move", "score": -6.5, "detail": detail})
    numbers = "value 0.0331, baseline 0.0001, scale 0.002, after 120 bars"
    assert said == f"{numbers}; score 6.5, fires from 5; measured: log return"


def test_why_bears_a_signal_without_detail() -> None:
    said = words.why({"name": "price_move", "score": 1.0, "detail": None})
    assert said == "score 1, fires from –; measured: price move"


def _bar(minute: int, close: float) -> dict[str, object]:
    return {"start": AT + timedelta(minutes=minute), "close": close, "high": close + 1, "low": close - 1}


def test_what_followed_counts_from_the_close_of_the_bar() -> None:
    said = words.followed([_bar(0, 100.0), _bar(1, 101.0), _bar(2, 103.0)], AT)
    assert said == "In the 2 bars that followed: +3.00% at their end, at best +4.00%, at worst 0.00%."


def test_what_followed_when_nothing_has() -> None:
    assert words.followed([_bar(-1, 100.0), _bar(0, 100.0)], AT) == "Nothing has followed yet."


def test_times_are_of_the_zone() -> None:
    assert words.moment(AT, ZoneInfo("America/New_York")) == "2024-05-01 08:00"
    (row,) = words.localised([{"start": AT, "close": 1.0}], ZoneInfo("America/New_York"))
    assert row == {"start": datetime(2024, 5, 1, 8), "close": 1.0}


@pytest.mark.parametrize("name", ["", "UTC", "Nowhere/Land", "../etc/passwd"])
def test_an_unknown_zone_is_utc(name: str) -> None:
    assert words.zone_of(name) is UTC


@pytest.mark.parametrize(
    ("symbol", "zone"),
    [
        ("AAPL", "America/New_York"),
        ("7203.T", "Asia/Tokyo"),
        ("SAP.DE", "Europe/Berlin"),
        ("TSCO.LON", "Europe/London"),
        ("^FTSE", "Europe/London"),
        ("ES=F", "America/Chicago"),
        ("BTC/USD", "UTC"),
        ("EUR/USD", "UTC"),
        ("", "UTC"),
    ],
)
def test_the_zone_of_an_exchange_is_its_own(symbol: str, zone: str) -> None:
    assert words.exchange_zone(symbol) == zone


def test_an_exchange_that_a_person_named_has_its_zone_too() -> None:
    use_exchanges({"NESN": "XSWX"})
    try:
        assert words.exchange_zone("NESN") == "Europe/Zurich"
    finally:
        use_exchanges({})


@pytest.mark.parametrize(
    ("origin", "trades", "note"),
    [("trades", 3, ""), ("provider", None, "the provider's bar"), ("pseudo", 3, "from quotes"), ("pseudo", 0, "")],
)
def test_a_bar_says_who_made_it_where_it_was_not_our_fold_of_trades(origin: str, trades: int | None, note: str) -> None:
    assert tables._note({"revision": 0, "reason": None, "trades": trades, "origin": origin}) == note


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_is_not_known_is_a_dash(value: float | None) -> None:
    assert words.number(value) == "–"
    assert words.percent(value) == "–"
