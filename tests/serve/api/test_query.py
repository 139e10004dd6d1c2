"""Query parameters: what is accepted, what is refused, and that the refusal names the parameter."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from sparktrends.serve.api.problems import Problem
from sparktrends.serve.api.query import BarsQuery, PageQuery, parse_query


def bars(**parameters: str) -> BarsQuery:
    return parse_query(BarsQuery, MultiDict({"symbol": "BTC/USD", **parameters}))


@pytest.mark.parametrize(
    "text",
    ["2024-05-01T14:30:00Z", "2024-05-01T16:30:00+02:00", "2024-05-01T16:30:00 02:00", "2024-05-01t14:30:00.000z"],
)
def test_times_have_a_zone(text: str) -> None:
    assert bars(**{"from": text}).from_ == datetime(2024, 5, 1, 14, 30, tzinfo=UTC)


def test_a_day_begins_in_utc() -> None:
    assert bars(to="2024-05-01").to == datetime(2024, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["1714573800", "2024-05-01T14:30:00", "2024-05-01 14:30", "2024-02-30", "now", "", "٢٠٢٤-05-01"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Problem) as refused:
        bars(**{"from": text})
    assert (refused.value.status, refused.value.detail.partition(":")[0]) == (400, "from")


@pytest.mark.parametrize("text", ["0", "1001", "-1", "5.0", "1_0", "+5", " 5", "５", "1e2", "", "true"])
def test_a_limit_is_a_plain_number(text: str) -> None:
    with pytest.raises(Problem, match="limit"):
        bars(limit=text)


@given(st.integers(1, 1000))
def test_every_limit_in_range_is_taken(number: int) -> None:
    assert bars(limit=str(number)).limit == number


def test_lists_are_separated_by_commas() -> None:
    assert bars(symbol="BTC/USD,ETH/USD").symbol == ["BTC/USD", "ETH/USD"]
    for text in ("", "A,", ",", "A,,B", "a\x00b", ",".join("ab" for _ in range(51))):
        with pytest.raises(Problem, match="symbol"):
            bars(symbol=text)


def test_unknown_and_doubled_parameters_are_refused() -> None:
    with pytest.raises(Problem, match="colour: there is no such parameter"):
        bars(colour="red")
    with pytest.raises(Problem, match="from_: there is no such parameter"):
        bars(from_="2024-05-01")
    with pytest.raises(Problem, match="limit: given more than once"):
        parse_query(PageQuery, MultiDict([("limit", "1"), ("limit", "2")]))


@given(st.text(max_size=80), st.sampled_from(["symbol", "from", "limit", "cursor", "order", "fields", "metrics"]))
def test_any_text_is_taken_or_refused_in_words(text: str, place: str) -> None:
    with contextlib.suppress(_Refused):
        refusing(lambda: bars(**{place: text}))


class _Refused(Exception):
    """Refused as it should be."""


def refusing(ask: Callable[[], object]) -> None:
    """Ask; a refusal must be a 400 with words."""
    try:
        ask()
    except Problem as refused:
        if refused.status == 400 and refused.detail:
            raise _Refused from refused
        raise
