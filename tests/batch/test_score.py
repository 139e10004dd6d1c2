"""Stories get their score once: the headline's, and what it says of each company."""

from __future__ import annotations

import pytest

from batch.test_flatten import run
from batch.world import ask_rows, finnhub_story, news_request, store_payloads
from sparktrends.batch.score import MODEL, score_all, score_news, waiting
from sparktrends.store.session import Session

pytestmark = pytest.mark.e2e


@pytest.fixture
def filled(database: str) -> str:
    """A database with one story about two companies and one about nothing."""
    headline = "Nvidia jumps on record profit while AMD slumps"
    company = {"what": "company", "symbols": ["NVDA"], "interval": "1m"}
    store_payloads(
        database,
        ("finnhub", company, {"name": "NVIDIA Corp"}),
        ("finnhub", {**company, "symbols": ["AMD"]}, {"name": "AMD Inc"}),
        ("finnhub", news_request("NVDA"), [finnhub_story(1, headline), finnhub_story(2, "A look at the calendar")]),
        ("finnhub", news_request("AMD"), [finnhub_story(1, headline)]),
    )
    run(database)
    return database


def scored(dsn: str) -> int:
    session = Session(dsn, "test", 60)
    try:
        return score_news(session, score_all)
    finally:
        session.close()


def test_each_story_and_each_company_in_it_is_scored_once(filled: str) -> None:
    assert scored(filled) == 2
    assert scored(filled) == 0
    rows = dict(ask_rows(filled, "SELECT symbol, label FROM market.news_mentions WHERE id = '1'"))
    assert rows == {"NVDA": "positive", "AMD": "negative"}
    ((score, label, evidence, model, topics),) = ask_rows(
        filled, "SELECT score, label, evidence, model, topics FROM market.news WHERE id = '1'"
    )
    assert -1 <= score <= 1
    assert label in ("positive", "neutral", "negative")
    assert {"words", "weight"} == set(evidence[0])
    assert model == MODEL
    assert "earnings" in topics


def test_a_story_without_words_of_value_is_neutral(filled: str) -> None:
    scored(filled)
    assert ask_rows(filled, "SELECT label FROM market.news WHERE id = '2'") == [("neutral",)]


def test_a_mention_that_comes_later_has_its_story_scored_again(filled: str) -> None:
    scored(filled)
    store_payloads(filled, ("finnhub", news_request("INTC"), [finnhub_story(2, "A look at the calendar")]))
    run(filled)
    assert scored(filled) == 1
    assert ask_rows(filled, "SELECT count(*) FROM market.news_mentions WHERE label IS NULL") == [(0,)]


def test_whether_anything_waits(filled: str) -> None:
    session = Session(filled, "test", 60)
    assert waiting(session)
    scored(filled)
    assert not waiting(session)
    session.close()
