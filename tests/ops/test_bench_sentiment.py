"""The bench of sentiment: what it measures, and what it says of a labelled file."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from sparktrends.ops.bench import sentiment
from sparktrends.ops.cli import main
from sparktrends.sentiment import Scorer


def test_the_headlines_are_all_different_and_of_every_kind() -> None:
    texts = sentiment.headlines(900)
    assert len(set(texts)) == 900
    said = [Scorer().score(text) for text in texts]
    assert {part.label for part in said} == {"positive", "neutral", "negative"}
    assert 200 < sum(not part.evidence for part in said) < 400


def test_it_says_how_fast() -> None:
    found = _bench("--headlines", "600")
    assert found["headlines"] == 600
    assert found["headlines_per_s"] > 1_000


def test_it_says_how_often_labels_are_met(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("text,label\nProfit falls,negative\nAcme meets investors,neutral\nProfit falls,positive\n")
    found = _bench("--labelled", str(file))
    assert (found["texts"], found["accuracy"]) == (3, 0.6667)
    assert found["confusion"]["positive"] == {"positive": 0, "neutral": 0, "negative": 1}


def test_a_users_word_list_is_taken(tmp_path: Path) -> None:
    words, labels = tmp_path / "words.csv", tmp_path / "labels.csv"
    words.write_text("Word,Positive,Negative\nGRUMPLED,0,2009\n")
    labels.write_text("text,label\nAcme grumpled,negative\n")
    assert _bench("--labelled", str(labels), "--loughran", str(words))["accuracy"] == 1.0


def _bench(*arguments: str) -> dict[str, object]:
    done = CliRunner().invoke(main, ["bench", "sentiment", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout.splitlines()[0])
    return found
