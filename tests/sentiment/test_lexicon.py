"""The lexicon says each word once; one that a person brings is read beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparktrends.errors import BadFile
from sparktrends.sentiment.inflect import verb
from sparktrends.sentiment.lexicon import VERDICT, Lexicon, Term, finance
from sparktrends.sentiment.loughran import loughran_scorer, word_list
from sparktrends.sentiment.reading import words_of
from sparktrends.sentiment.scorer import Scorer


def test_every_word_is_one_that_the_reader_can_find() -> None:
    """A phrase whose words the tokeniser would cut otherwise could never match."""
    for first, (_, phrases) in finance().entries.items():
        for rest, _ in (found for group in phrases.values() for found in group):
            assert words_of(" ".join((first, *rest))) == [first, *rest]


@pytest.mark.parametrize(
    ("entry", "forms"),
    [
        ("deny", {"deny", "denies", "denying", "denied"}),
        ("cut!:cut", {"cut", "cuts", "cutting"}),
        ("agree", {"agree", "agrees", "agreeing", "agreed"}),
        ("go_up:went_up:gone_up", {"go up", "goes up", "going up", "went up", "gone up"}),
    ],
)
def test_verbs_are_inflected(entry: str, forms: set[str]) -> None:
    assert {form.replace("_", " ") for form in verb(entry)} == forms


def test_another_lexicon_can_be_given() -> None:
    mine = Scorer(Lexicon([("foo", Term(VERDICT, -2.0)), ("foo bar", Term(VERDICT, 2.0))]))
    assert [mine.score(text).label for text in ("foo", "foo bar", "Foo bars")] == ["negative", "positive", "negative"]


def test_loughran_and_mcdonalds_file_is_read_where_a_person_has_it(tmp_path: Path) -> None:
    file = tmp_path / "master.csv"
    file.write_text("Word,Negative,Positive\nAARDVARK,0,0\nBENCHMARKED,2009,0\nENVIABLE,0,2012\nEASE,0,-2020\n")
    scorer = loughran_scorer(file)
    assert [scorer.score(text).label for text in ("Acme benchmarked", "An enviable Acme", "Acme aardvark")] == [
        "negative",
        "positive",
        "neutral",
    ]
    assert scorer.score("Loss narrows") == Scorer().score("Loss narrows")


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "Word,Positive\nx,maybe\n", "\x00"])
def test_a_file_that_is_no_word_list_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "list.csv"
    file.write_text(content)
    with pytest.raises(BadFile):
        list(word_list(file))
