"""Without a word of finance the score is VADER's own, whatever the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vaderSentiment.vaderSentiment import BOOSTER_DICT, NEGATE, SPECIAL_CASES

from sparktrends.sentiment import Scorer
from sparktrends.sentiment.lexicon import finance
from sparktrends.sentiment.vader import analyzer, vader, valences

_LEXICON = sorted(valences())
_WORDS = st.one_of(
    st.sampled_from(_LEXICON),
    st.sampled_from(
        [*BOOSTER_DICT, *NEGATE, *SPECIAL_CASES, "no", "but", "least", "at", "never", "so", "this", "doubt"]
    ),
    st.sampled_from(["the", "film", "was", "ACTOR", "!", "?", "??", "!!!", "😁", "💘x", "kind", "of"]),
    st.sampled_from(_LEXICON).map(str.upper),
)
_TEXTS = st.lists(_WORDS, max_size=14).map(" ".join)


@given(_TEXTS | st.text(max_size=60))
def test_the_score_is_that_of_the_library(text: str) -> None:
    assert vader(text).score == analyzer().polarity_scores(text)["compound"]


@pytest.mark.parametrize(
    "text", ["The film was VERY good, but its story was awful!!", "a sort of nice book", "It isn't a horrible book"]
)
def test_a_headline_without_finance_is_vaders(text: str) -> None:
    said = Scorer().score(text)
    assert said.score == analyzer().polarity_scores(text)["compound"]
    assert said.evidence


def test_general_words_weigh_less_beside_words_of_finance() -> None:
    assert finance().entries["horrible"][0].value == -1.0
    (horrible, _) = Scorer().score("A horrible quarterly loss").evidence
    assert horrible.weight == round(0.6 * valences()["horrible"], 3)
