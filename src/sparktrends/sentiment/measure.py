"""How well a scorer agrees with labels that somebody gave."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparktrends.errors import BadFile
from sparktrends.sentiment.result import LABELS, NEGATIVE, NEUTRAL, POSITIVE

_SAID = {
    POSITIVE: ("positive", "pos", "1", "+1", "bullish", "up"),
    NEUTRAL: ("neutral", "neu", "0", "none"),
    NEGATIVE: ("negative", "neg", "-1", "bearish", "down"),
}
_LABELS = {word: label for label, words in _SAID.items() for word in words}


def label_named(said: str) -> str:
    """The label that others call ``Bullish``, ``POS`` or ``1``; raises KeyError.

    >>> label_named("Bullish")
    'positive'
    """
    return _LABELS[said.strip().lower()]


@dataclass(frozen=True, slots=True)
class Agreement:
    """``confusion[label][guess]`` counts texts of a label (rows) by what the scorer said (columns)."""

    confusion: dict[str, dict[str, int]]

    @property
    def texts(self) -> int:
        """How many texts were judged."""
        return sum(sum(row.values()) for row in self.confusion.values())

    @property
    def accuracy(self) -> float:
        """The share of texts whose label was met."""
        return sum(self.confusion[label][label] for label in LABELS) / self.texts

    @property
    def macro_f1(self) -> float:
        """The mean of F1 over the labels that occur in the file."""
        present = [label for label in LABELS if sum(self.confusion[label].values())]
        return sum(map(self._f1, present)) / len(present)

    def _f1(self, label: str) -> float:
        hits = self.confusion[label][label]
        said = sum(row[label] for row in self.confusion.values())
        return 2 * hits / (said + sum(self.confusion[label].values()))

    def figures(self) -> dict[str, Any]:
        """As a bench tells them."""
        rounded = {"accuracy": round(self.accuracy, 4), "macro_f1": round(self.macro_f1, 4)}
        return {"texts": self.texts, **rounded, "confusion": self.confusion}


def agreement(labels: Sequence[str], guesses: Sequence[str]) -> Agreement:
    """Compare labels with what a scorer said of the same texts.

    >>> agreement(["positive", "negative"], ["positive", "neutral"]).accuracy
    0.5
    """
    pairs = Counter(zip(labels, guesses, strict=True))
    return Agreement({label: {guess: pairs[label, guess] for guess in LABELS} for label in LABELS})


def read_labelled(file: Path) -> list[tuple[str, str]]:
    """(text, label) of a CSV with the columns text and label; raises BadFile that names the line."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            found = list(_rows(csv.reader(lines), file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadFile(f"{file} cannot be read: {error}") from error
    if not found:
        raise BadFile(f"{file} holds no labelled text", hint="give a CSV with the columns text,label")
    return found


def _rows(rows: Iterator[list[str]], file: Path) -> Iterator[tuple[str, str]]:
    header = [cell.strip().lower() for cell in next(rows, [])]
    if not {"text", "label"} <= set(header):
        raise BadFile(f"{file} has the columns {', '.join(header) or 'none'}", hint="it needs text and label")
    text, label = header.index("text"), header.index("label")
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        said = row[label] if len(row) > max(text, label) else ""
        try:
            yield row[text], label_named(said)
        except KeyError:
            raise BadFile(f"{file}, line {number}: {said!r} is no label", hint="positive, neutral, negative") from None
