"""Stories get their score once: the headline's, and what it says of each company."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from batch.test_flatten import run
from batch.world import ask_rows, finnhub_story, news_request, store_payloads
from sparktrends.batch.score import MODEL, score_all, score_news, waiting
from sparktrends.errors import BadSetting, NotFound
from sparktrends.ops.endpoints import Endpoints
from sparktrends.ops.jobs import Jobs
from sparktrends.ops.mood import chosen_of
from sparktrends.ops.settings import Settings
from sparktrends.sentiment import SHIPPED, Chosen
from sparktrends.store.scores import Unscored
from sparktrends.store.session import Session


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


def test_what_is_said_of_a_coin_is_said_of_all_its_pairs() -> None:
    companies = dict.fromkeys(("BTC/USD", "BTC/USDT", "ETH/USD"), "")
    headline = "Bitcoin soars on record inflows while Ethereum slumps"
    (found,) = score_all([Unscored("alpha_vantage", "1", headline, "", companies)])
    assert {symbol: label for symbol, (_, label, _) in found.companies.items()} == {
        "BTC/USD": "positive", "BTC/USDT": "positive", "ETH/USD": "negative",
    }  # fmt: skip
    assert found.companies["BTC/USD"] == found.companies["BTC/USDT"]


@pytest.mark.e2e
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


@pytest.mark.e2e
def test_a_story_without_words_of_value_is_neutral(filled: str) -> None:
    scored(filled)
    assert ask_rows(filled, "SELECT label FROM market.news WHERE id = '2'") == [("neutral",)]


@pytest.mark.e2e
def test_a_mention_that_comes_later_has_its_story_scored_again(filled: str) -> None:
    scored(filled)
    store_payloads(filled, ("finnhub", news_request("INTC"), [finnhub_story(2, "A look at the calendar")]))
    run(filled)
    assert scored(filled) == 1
    assert ask_rows(filled, "SELECT count(*) FROM market.news_mentions WHERE label IS NULL") == [(0,)]


@pytest.mark.e2e
def test_whether_anything_waits(filled: str) -> None:
    session = Session(filled, "test", 60)
    assert waiting(session)
    scored(filled)
    assert not waiting(session)
    session.close()


def settings(home: Path = Path("/nowhere"), /, **told: Any) -> Settings:
    return Settings(home, home, {}, {"sentiment": told} if told else {}, {})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A transformer in a folder of its own name."""
    pytest.importorskip("onnx")
    pytest.importorskip("tokenizers")
    pytest.importorskip("onnxruntime")
    from sentiment.tiny import write_model

    folder = tmp_path / "tiny"
    folder.mkdir()
    write_model(folder)
    return folder


def test_the_settings_choose_who_scores() -> None:
    assert chosen_of(settings()) == SHIPPED
    assert chosen_of(settings(words="/a/list.csv")) == Chosen(words=Path("/a/list.csv"))
    assert chosen_of(settings(transformer="models/finbert")) == Chosen(Path.cwd() / "models/finbert")
    with pytest.raises(NotFound, match=r"config\.json"):
        chosen_of(settings(transformer="/nowhere/finbert")).scorer()


@pytest.mark.parametrize(
    "told", [{"transformer": "/a", "words": "/b"}, {"words": 5}, {"transformer": ""}, {"model": "x"}]
)
def test_a_choice_that_means_nothing_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(BadSetting, match="sentiment"):
        chosen_of(settings(**told))


@pytest.mark.e2e
def test_the_daily_work_scores_with_what_was_chosen(
    filled: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_workers(_spark: object, chosen: Chosen) -> Any:
        # What is sent to a worker is pickled.
        return pickle.loads(pickle.dumps(partial(score_all, chosen=chosen)))

    monkeypatch.setattr("sparktrends.batch.score.by_spark", by_workers)
    scored(filled)
    with Jobs(settings(tmp_path / "home", transformer=str(model)), cast(Endpoints, None), lambda: 0) as jobs:
        jobs.__dict__["spark"] = None
        jobs.__dict__["session"] = Session(filled, "test", 60)
        assert jobs.sentiment().fields == {"scored": 2, "model": "transformer-tiny"}
        assert jobs.sentiment().fields == {"scored": 0, "model": "transformer-tiny"}
        jobs.session.close()
    rows = ask_rows(filled, "SELECT DISTINCT model, evidence -> 0 ->> 'words' FROM market.news")
    assert rows == [("transformer-tiny", "positive")]
