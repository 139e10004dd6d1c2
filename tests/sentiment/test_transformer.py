"""The transformer's loading code with a tiny model made here: a word adds its three numbers, the mean is the answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sparktrends.errors import BadFile, NotFound
from sparktrends.sentiment.transformer import Transformer

onnx = pytest.importorskip("onnx")
tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("onnxruntime")

WORDS = {"[PAD]": (0, 0, 0), "[UNK]": (0, 0, 3), "profit": (1, 0, 1), "rises": (9, 0, 0), "falls": (0, 9, 0)}
"""What each word says for positive, negative, neutral."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model as `optimum-cli export onnx` lays it out."""
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {"0": "Positive", "1": "NEGATIVE", "2": "neutral"}}))
    model = tokenizers.models.WordLevel({word: place for place, word in enumerate(WORDS)}, "[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    onnx.save(_model(), str(tmp_path / "model.onnx"))
    return tmp_path


def _model() -> object:
    make, kind = onnx.helper, onnx.TensorProto
    table = onnx.numpy_helper.from_array(np.array(list(WORDS.values()), np.float32), "table")
    last = onnx.numpy_helper.from_array(np.array([2], np.int64), "last")
    middle = onnx.numpy_helper.from_array(np.array([1], np.int64), "middle")
    nodes = [
        make.make_node("Gather", ["table", "input_ids"], ["said"]),
        make.make_node("Cast", ["attention_mask"], ["counted"], to=kind.FLOAT),
        make.make_node("Unsqueeze", ["counted", "last"], ["mask"]),
        make.make_node("Mul", ["said", "mask"], ["meant"]),
        make.make_node("ReduceMean", ["meant", "middle"], ["logits"], keepdims=0),
    ]
    given = [make.make_tensor_value_info(n, kind.INT64, ["b", "s"]) for n in ("input_ids", "attention_mask")]
    told = [make.make_tensor_value_info("logits", kind.FLOAT, ["b", 3])]
    graph = make.make_graph(nodes, "tiny", given, told, [table, last, middle])
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=9)


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
