"""A transformer (FinBERT or its like) as ONNX, from a folder the user gives; needs the extra `transformer`.

The folder is what `optimum-cli export onnx` writes: `model.onnx`, `tokenizer.json` and `config.json` with `id2label`.
Nothing is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sparktrends.errors import BadFile, NotFound
from sparktrends.sentiment.companies import mentions_in
from sparktrends.sentiment.measure import label_named
from sparktrends.sentiment.reading import LONGEST, words_of
from sparktrends.sentiment.result import LABELS, NEGATIVE, POSITIVE, Evidence, Sentiment
from sparktrends.sentiment.scorer import Opinion

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

_TOKENS = 128
"""Tokens of a text that are read; a headline has about 20."""


class Transformer:
    """Scores by a model: score = P(positive) − P(negative), label the likeliest. The evidence is the probabilities.

    A company that is named gets what the whole says: the model knows no clauses. Raises NotFound for a missing package
    or file, BadFile for one that is no such model.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.name = f"transformer-{folder.name}"
        self._labels = _labels(folder / "config.json")
        self._tokenizer = _tokenizer(folder / "tokenizer.json")
        self._session = _session(folder / "model.onnx", threads)
        self._inputs = [given.name for given in self._session.get_inputs()]

    def score(self, text: str) -> Sentiment:
        """What a text says."""
        return self.score_all([text])[0]

    def about(self, text: str, companies: Mapping[str, Sequence[str]]) -> Opinion:
        """What a text says, as a whole and for each company named in it."""
        said = self.score(text)
        return Opinion(said, {mention.key: said for mention in mentions_in(words_of(text), companies)})

    def score_all(self, texts: Sequence[str]) -> list[Sentiment]:
        """What each text says; all of them go through the model at once."""
        if not texts:
            return []
        encoded = self._tokenizer.encode_batch([_plain(text) for text in texts])
        fields = {
            "input_ids": [one.ids for one in encoded],
            "attention_mask": [one.attention_mask for one in encoded],
            "token_type_ids": [one.type_ids for one in encoded],
        }
        (logits, *_) = self._session.run(None, {name: np.array(fields[name], np.int64) for name in self._inputs})
        return [self._sentiment(row) for row in _softmax(np.asarray(logits, np.float64))]

    def _sentiment(self, chances: NDArray[np.float64]) -> Sentiment:
        chance = {label: float(chances[place]) for place, label in enumerate(self._labels)}
        evidence = tuple(Evidence(label, round(chance[label], 3)) for label in LABELS)
        likeliest = max(LABELS, key=lambda label: chance[label])
        return Sentiment(round(chance[POSITIVE] - chance[NEGATIVE], 4), likeliest, evidence)


def _plain(text: str) -> str:
    # A lone surrogate is no UTF-8, which the tokenizer is handed.
    return text[:LONGEST].encode("utf-8", "replace").decode()


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    grown = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def _labels(file: Path) -> list[str]:
    try:
        named: dict[str, Any] = json.loads(_existing(file).read_text(encoding="utf-8"))["id2label"]
        labels = [label_named(str(named[str(place)])) for place in range(len(named))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadFile(f"{file} names no labels: {error}", hint="id2label must name them") from None
    if sorted(labels) != sorted(LABELS):
        raise BadFile(f"{file} has the labels {', '.join(labels)}", hint="positive, neutral and negative are needed")
    return labels


def _tokenizer(file: Path) -> Tokenizer:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise _missing() from None
    try:
        tokenizer = Tokenizer.from_file(str(_existing(file)))
    except NotFound:
        raise
    except Exception as error:  # the library raises bare Exception for anything that is wrong with a file
        raise BadFile(f"{file} is no tokenizer: {error}") from error
    tokenizer.enable_truncation(_TOKENS)
    tokenizer.enable_padding()
    return tokenizer


def _session(file: Path, threads: int) -> InferenceSession:
    try:
        import onnxruntime
    except ImportError:
        raise _missing() from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(_existing(file)), options, providers=["CPUExecutionProvider"])
    except NotFound:
        raise
    except Exception as error:  # one class an error code, none of them public
        raise BadFile(f"{file} is no ONNX model: {error}") from error


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise NotFound(f"{file} does not exist", hint="give the folder of an exported model")
    return file


def _missing() -> NotFound:
    return NotFound("the packages of the transformer are not installed", hint="pip install 'sparktrends[transformer]'")
