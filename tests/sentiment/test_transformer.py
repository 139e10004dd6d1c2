"""The transformer's loading code with a tiny model made in the test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sparktrends.errors import BadFile, NotFound
from sparktrends.sentiment.transformer import Transformer

pytest.importorskip("onnx")
pytest.importorskip("tokenizers")
pytest.importorskip("onnxruntime")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from sentiment.tiny import write_model

    write_model(tmp_path)
    return tmp_path


def test_score_and_label_come_from_the_models_probabilities(folder: Path) -> None:
    said = Transformer(folder).score("Profit rises")
    chances = np.exp([5, 0, 0.5]) / np.exp([5, 0, 0.5]).sum()
    assert said.score == pytest.approx(chances[0] - chances[1], abs=1e-4)
    assert said.label == "positive"
    assert [part.words for part in said.evidence] == ["positive", "neutral", "negative"]


def test_texts_of_several_lengths_go_through_at_once(folder: Path) -> None:
    model = Transformer(folder)
    texts = ["profit falls", "profit", "rises", "", "\ud800", "word " * 5_000]
    together = model.score_all(texts)
    assert [part.label for part in together[:3]] == ["negative", *(model.score(t).label for t in texts[1:3])]
    assert len(together) == len(texts)
    assert model.score_all([]) == []


def test_a_named_company_gets_what_the_whole_says(folder: Path) -> None:
    said = Transformer(folder).about("Apple profit falls", {"AAPL": ("Apple",), "MSFT": ("Microsoft",)})
    assert dict(said.companies) == {"AAPL": said.sentiment}


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(NotFound, match=name):
        Transformer(folder)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json"])
def test_a_file_that_is_something_else_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("[]")
    with pytest.raises(BadFile, match=name):
        Transformer(folder)


def test_other_labels_are_refused(folder: Path) -> None:
    (folder / "config.json").write_text('{"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}')
    with pytest.raises(BadFile, match="names no labels"):
        Transformer(folder)
