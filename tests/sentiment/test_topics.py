"""What a story is about."""

from __future__ import annotations

import pytest

from sparktrends.sentiment import topics


@pytest.mark.parametrize(
    ("headline", "expected"),
    [
        ("Acme beats estimates, profit up 5%", {"earnings"}),
        ("Acme lifts full-year guidance", {"guidance"}),
        ("Acme to acquire Bolt in $3 billion deal", {"merger"}),
        ("FDA approves Acme drug", {"regulation", "product"}),
        ("Acme sued over patents, court date set", {"lawsuit"}),
        ("Acme unveils new phone", {"product"}),
        ("Acme's CEO steps down", {"management"}),
        ("Fed raises interest rates", {"macro"}),
        ("House downgrades Acme to hold", {"analyst"}),
        ("Acme raises dividend", {"dividend"}),
        ("Acme lays off 500 workers", {"labour"}),
        ("Fed cuts rates by quarter-point", {"macro"}),
        ("FDA approves weight-loss pill", {"regulation"}),
        ("Acme quarter: loss widens", {"earnings"}),
        ("A fine day at the sea", set()),
    ],
)
def test_topics_by_their_words(headline: str, expected: set[str]) -> None:
    assert set(topics(headline)) == expected


def test_every_topic_says_which_words_made_it() -> None:
    assert topics("Profit warning: Acme's CEO resigns") == {
        "earnings": ("profit",),
        "guidance": ("profit warning",),
        "management": ("ceo", "resigns"),
    }


def test_one_word_of_a_summary_is_not_enough_and_two_are() -> None:
    assert topics("Acme", "The court was asked.") == {}
    assert topics("Acme", "The court, said the judge, would wait.") == {"lawsuit": ("court", "judge")}


def test_work_is_bounded() -> None:
    assert topics("a " * 1_000_000 + "dividend", "a " * 1_000_000 + "dividend payout") == {}
