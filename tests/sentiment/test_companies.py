"""Whose news it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.sentiment import LABELS, Scorer, names_of

NAMES = {
    "AAPL": names_of("AAPL", "Apple Inc."),
    "SSNLF": ("Samsung",),
    "NVDA": names_of("NVDA", "NVIDIA Corporation"),
    "AMD": names_of("AMD", "Advanced Micro Devices, Inc."),
    "GS": names_of("GS", "The Goldman Sachs Group, Inc.") + ("Goldman",),
    "TGT": names_of("TGT", "Target Corporation"),
}
UP, DOWN, NOTHING = "positive", "negative", "neutral"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Apple sues Samsung over patents", {"AAPL": NOTHING, "SSNLF": DOWN}),
        ("Samsung sued by Apple", {"AAPL": NOTHING, "SSNLF": DOWN}),
        ("Nvidia gains while AMD falls", {"NVDA": UP, "AMD": DOWN}),
        ("Nvidia's profit beats estimates; AMD cuts outlook", {"NVDA": UP, "AMD": DOWN}),
        ("Goldman upgrades Apple", {"GS": NOTHING, "AAPL": UP}),
        ("Apple upgraded by Goldman", {"GS": NOTHING, "AAPL": UP}),
        ("Goldman raises Apple price target", {"GS": NOTHING, "AAPL": UP}),
        ("Goldman cuts price target on Apple", {"GS": NOTHING, "AAPL": DOWN}),
        ("Apple beats Samsung in smartphone sales", {"AAPL": UP, "SSNLF": DOWN}),
        ("Apple and Nvidia rise, AMD slips", {"AAPL": UP, "NVDA": UP, "AMD": DOWN}),
        ("Apple, Nvidia fall on weak demand", {"AAPL": DOWN, "NVDA": DOWN}),
        ("Apple falls as Samsung surges", {"AAPL": DOWN, "SSNLF": UP}),
        ("NVDA +5%, AMD -3%", {"NVDA": UP, "AMD": DOWN}),
        ("EU fines Apple $2bn", {"AAPL": DOWN}),
        ("Apple fined $2bn", {"AAPL": DOWN}),
        ("Strong demand lifts profit at Apple", {"AAPL": UP}),
        ("Target raises outlook", {"TGT": UP}),
    ],
)
def test_each_company_gets_its_own(text: str, expected: dict[str, str]) -> None:
    found = Scorer().about(text, NAMES).companies
    assert {key: said.label for key, said in found.items()} == expected


def test_a_word_in_a_companys_name_is_no_term() -> None:
    names = {"SQ": ("Block",), "SNAP": ("Snap",)}
    assert Scorer().about("Block shares rise", names).companies["SQ"].label == UP
    assert Scorer().about("Snap shares rise", names).companies["SNAP"].label == UP


def test_a_symbol_is_written_in_capitals_and_a_name_begins_with_one() -> None:
    names = {"A": ("A",), "AAPL": ("AAPL", "Apple")}
    assert set(Scorer().about("A rise in apple prices", {"AAPL": names["AAPL"]}).companies) == set()
    assert set(Scorer().about("Why AAPL (Apple) rises", names).companies) == {"AAPL"}


def test_without_finance_each_company_gets_what_vader_says() -> None:
    found = Scorer().about("Apple boss loves kittens", NAMES)
    assert found.companies["AAPL"] == found.sentiment
    assert found.sentiment.label == UP


_SAID = st.lists(
    st.sampled_from(
        ["Apple", "Samsung", "sues", "beats", "cuts", "loss", "but", "while", ",", "and", "not", "-3%", "up"]
    )
    | st.text(max_size=5),
    max_size=25,
).map(" ".join)


@given(_SAID | st.text())
def test_any_text_gives_scores_within_bounds_and_the_same_again(text: str) -> None:
    found = Scorer().about(text, NAMES)
    for said in (found.sentiment, *found.companies.values()):
        assert -1 <= said.score <= 1
        assert said.label in LABELS
    assert Scorer().about(text, NAMES) == found


def test_a_hostile_name_costs_nothing() -> None:
    assert len(names_of("X", " " * 1_000_000 + "Inc")) == 1
    assert max(map(len, names_of("X", "A " * 1_000_000))) <= 120


@pytest.mark.parametrize(
    ("symbol", "name", "expected"),
    [
        ("GM", "General Motors Company", ("GM", "General Motors")),
        ("JPM", "JPMorgan Chase & Co.", ("JPM", "JPMorgan Chase", "JPMorgan")),
        ("GOOGL", "Alphabet Inc. Class A", ("GOOGL", "Alphabet", "Google")),
        ("AMZN", "Amazon.com, Inc.", ("AMZN", "Amazon")),
        ("BTC/USD", "", ("BTC", "Bitcoin")),
        ("X", "", ("X",)),
    ],
)
def test_what_a_company_is_called(symbol: str, name: str, expected: tuple[str, ...]) -> None:
    assert names_of(symbol, name) == expected
