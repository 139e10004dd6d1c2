"""Reading a headline: text → words → terms of the lexicon → clauses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sparktrends.sentiment.lexicon import HEDGE, LINK, MOVE, NEGATE, NEUTRAL, Entry, Term

LONGEST = 600
"""Characters of a text that are read; a headline has about 80, and a hostile one any number."""

_TOKEN = re.compile(
    r"(?<![\w.])[+\-−]\d[\d.,]*\s?%"  # a signed move
    r"|[$€£¥]?\d[\d.,]*%?"
    r"|(?:[^\W\d_]\.){2,}"  # U.S.
    r"|\b(?:inc|corp|co|ltd|vs|est|no|mr|ms|st)\.(?=\s)"
    r"|[^\W\d_][\w&]*(?:'[^\W\d_]+)?"
    r"|\.(?=\s|$)|[,;:!?|—–…]|(?<=\s)-+(?=\s)"
)
_RISE, _FALL = Term(MOVE, 1.8, 1.7, back=True), Term(MOVE, -1.8, -1.7, back=True)
_SIGNED = {"+": _RISE, "-": _FALL, "−": _FALL}
_MONTH_BEFORE = frozenset(["in", "since", "for", "by", "of", "until", "last", "this", "from", "late", "early", "mid"])
_DOUBTFUL = (HEDGE, NEGATE)


class Item(NamedTuple):
    """A term at the words [start, end)."""

    term: Term
    start: int
    end: int


@dataclass(slots=True)
class Clause:
    """Items between two borders, the words [start, end) it covers, and how much it counts."""

    start: int
    weight: float
    end: int = 0
    items: list[Item] = field(default_factory=list)


class Reading(NamedTuple):
    """A text as words in lower case, as they were written, and the clauses that say something."""

    words: list[str]
    written: list[str]
    clauses: list[Clause]
    special: bool
    """Whether a word of the finance lexicon, or a signed number, is in it."""


def words_of(text: str) -> list[str]:
    """The words, numbers and borders of a text, as they were written.

    >>> words_of("Apple's shares rise 3.5%, U.S. rivals -2%")
    ["Apple's", 'shares', 'rise', '3.5%', ',', 'U.S.', 'rivals', '-2%']
    """
    return _TOKEN.findall(text[:LONGEST].replace("’", "'"))


def read(text: str, entries: Mapping[str, Entry], masked: Sequence[tuple[int, int]] = ()) -> Reading:
    """Read a text; words in the ``masked`` spans (names of companies) are no terms."""
    written = words_of(text)
    words = [word.lower() for word in written]
    hidden = {place for start, end in masked for place in range(start, end)}
    return _Reader(entries, words, hidden).reading(written)


class _Reader:
    def __init__(self, entries: Mapping[str, Entry], words: list[str], hidden: set[int]) -> None:
        self._entries = entries
        self._words = words
        self._hidden = hidden
        self._clauses = [Clause(0, 1.0)]
        self._special = False

    def reading(self, written: list[str]) -> Reading:
        place, words, entries, hidden = 0, self._words, self._entries, self._hidden
        while place < len(words):
            entry = entries.get(words[place])
            if (entry is not None or words[place][0] in "+-−") and place not in hidden:
                place = self._take(place, entry)
            else:
                place += 1
        self._clauses[-1].end = len(words)
        return Reading(words, written, self._clauses, self._special)

    def _take(self, place: int, entry: Entry | None) -> int:
        term, end = _SIGNED.get(self._words[place][0]) if entry is None else None, place + 1
        if entry is not None:
            term, end = self._longest(place, entry)
        if term is None or (term.kind in _DOUBTFUL and self._says_nothing(place)):
            return place + 1
        if term.kind == LINK:
            self._cut(place, end, term)
        else:
            self._clauses[-1].items.append(Item(term, place, end))
            self._special = self._special or not (term.general or term.kind > NEUTRAL)
        return end

    def _longest(self, place: int, entry: Entry) -> tuple[Term | None, int]:
        term, phrases = entry
        following = self._words[place + 1 : place + 2]
        for rest, found in phrases.get(following[0], ()) if phrases and following else ():
            end = place + 1 + len(rest)
            if tuple(self._words[place + 1 : end]) == rest and not self._hidden.intersection(range(place, end)):
                return found, end
        return term, place + 1

    def _cut(self, place: int, end: int, link: Term) -> None:
        last = self._clauses[-1]
        last.end = place
        if link.alone != 1.0:
            for clause in self._clauses:
                clause.weight *= link.alone
        if last.start == place:
            self._clauses.pop()
        self._clauses.append(Clause(end, link.value))

    def _says_nothing(self, place: int) -> bool:
        """The month in "May 5" and "in May", the number in "No 1"."""
        word, before = self._words[place], self._words[place - 1] if place else ""
        numbered = self._words[place + 1 : place + 2] and self._words[place + 1][0].isdigit()
        return (word in ("may", "no") and bool(numbered)) or (word == "may" and before in _MONTH_BEFORE)
