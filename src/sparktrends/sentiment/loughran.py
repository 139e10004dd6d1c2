"""Loughran and McDonald's word list, for those who have it: its licence forbids us to bring it along.

The file is their `Master Dictionary` CSV as anybody may download it for research, or any CSV with a column of words and
columns `Positive` and `Negative` in which a number above zero means yes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sparktrends.errors import BadFile
from sparktrends.sentiment.lexicon import THING, Lexicon, Term, finance_words, general_words
from sparktrends.sentiment.scorer import Scorer

_STRENGTH = 1.6
"""Their list says only yes or no: the middle of VADER's scale of one-sided words."""


def loughran_scorer(file: Path) -> Scorer:
    """A scorer that reads words of finance from the list where `finance/*.toml` does not say more; raises BadFile."""
    words = list(word_list(file))
    return Scorer(Lexicon([*general_words(), *words, *finance_words()]), name="loughran-mcdonald")


def word_list(file: Path) -> Iterator[tuple[str, Term]]:
    """The words of the file that are positive or negative; raises BadFile when there is none."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            found = list(_terms(csv.DictReader(lines)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadFile(f"{file} cannot be read as a word list: {error}") from error
    if not found:
        raise BadFile(f"{file} holds no word", hint="give a CSV with columns Word, Positive, Negative")
    yield from found


def _terms(rows: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, Term]]:
    for row in rows:
        cells = {str(name).strip().lower(): value for name, value in row.items()}
        word, sign = (cells.get("word") or "").strip(), _says(cells, "positive") - _says(cells, "negative")
        if word and sign:
            yield word, Term(THING, float(sign), sign * _STRENGTH)


def _says(cells: Mapping[str, str], column: str) -> int:
    try:
        # The year in which a word was added stands for yes, one with a minus for a word taken back.
        return int(float(cells.get(column) or 0) > 0)
    except ValueError:
        return 0
