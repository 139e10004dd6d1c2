"""A tiny model as `optimum-cli export onnx` lays it out: a word adds its three numbers, the mean is the answer.

Import it after `pytest.importorskip("onnx")`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import tokenizers

WORDS = {"[PAD]": (0, 0, 0), "[UNK]": (0, 0, 3), "profit": (1, 0, 1), "rises": (9, 0, 0), "falls": (0, 9, 0)}
"""What each word says for positive, negative, neutral."""


def write_model(folder: Path) -> None:
    """Its three files."""
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "Positive", "1": "NEGATIVE", "2": "neutral"}}))
    model = tokenizers.models.WordLevel({word: place for place, word in enumerate(WORDS)}, "[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    onnx.save(_model(), str(folder / "model.onnx"))


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
