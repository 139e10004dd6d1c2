"""Reading a headline: text → words → terms of the lexicon → clauses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from sparktrends.sentiment.lexicon import LINK, MOVE, NEUTRAL, Entry, Term

LONGEST = 600
"""Characters of a text that are read; a headline has about 80, and a hostile one any number."""

_TOKEN = re.compile(
    r"[^\W\d_](?:(?:\.[^\W\d_])+\.|[\w&]*(?:'[^\W\d_]+)?)"  # a word, or U.S.
    r"|(?<![\w.])[+\-−]\d[\d.,]*%"  # a signed move
    r"|[$€£¥]?\d[\d.,]*%?"
    r"|\.(?=\s|$)|[,;:!?|—–…]|(?<=\s)-+(?=\s)"
)
_RISE: Entry = (Term(MOVE, 1.8, 1.7, back=True), {})
_FALL: Entry = (Term(MOVE, -1.8, -1.7, back=True), {})
_SIGNED = {"+": _RISE, "-": _FALL, "−": _FALL}
_MONTH_BEFORE = frozenset(("in", "since", "for", "by", "of", "until", "last", "this", "from", "late", "early", "mid"))
_SHORTENED = frozenset(("inc", "corp", "co", "ltd", "vs", "est", "no", "mr", "ms", "st", "dr"))


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
    """A text as words in lower case, as they were written, and its clauses in order."""

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
    # One call on the whole is quicker than one a word; no word holds a line break.
    words = "\n".join(written).lower().split("\n") if written else []
    hidden = {place for start, end in masked for place in range(start, end)}
    clauses = [Clause(0, 1.0)]
    done, special = 0, False
    for place, entry in _known(words, entries):
        if place < done or place in hidden:
            continue
        (term, phrases), done = entry, place + 1
        if done < len(words) and words[done] in phrases:
            term, done = _longest(words, place, entry, hidden)
        if term is None:
            continue
        kind = term.kind
        if kind <= NEUTRAL and not term.general:
            special = True
        if kind == LINK:
            _cut(clauses, words, place, done, term)
        elif kind < NEUTRAL or (kind > NEUTRAL and not _says_nothing(words, place)):
            clauses[-1].items.append(Item(term, place, done))
    clauses[-1].end = len(words)
    return Reading(words, written, clauses, special)


def _known(words: Sequence[str], entries: Mapping[str, Entry]) -> Iterable[tuple[int, Entry]]:
    """The places of words that begin a term; a signed percentage is a term of its own."""
    known = [(place, entry) for place, entry in enumerate(map(entries.get, words)) if entry is not None]
    signed = [(place, _SIGNED[word[0]]) for place, word in enumerate(words) if word[0] in _SIGNED and len(word) > 1]
    return sorted(known + signed, key=itemgetter(0)) if signed else known


def _longest(words: Sequence[str], place: int, entry: Entry, hidden: set[int]) -> tuple[Term | None, int]:
    """The longest term that begins at a word, and where it ends."""
    term, phrases = entry
    for rest, found in phrases.get(words[place + 1], ()):
        end = place + 1 + len(rest)
        if tuple(words[place + 1 : end]) == rest and hidden.isdisjoint(range(place, end)):
            return found, end
    return term, place + 1


def _cut(clauses: list[Clause], words: Sequence[str], place: int, end: int, link: Term) -> None:
    """Begin a clause behind a border; "but" lessens all before it, and a clause without words is none."""
    last = clauses[-1]
    if words[place] == "." and place and words[place - 1] in _SHORTENED:
        return
    last.end = place
    if link.alone != 1.0:
        for clause in clauses:
            clause.weight *= link.alone
    if last.start == place:
        clauses.pop()
    clauses.append(Clause(end, link.value))


def _says_nothing(words: Sequence[str], place: int) -> bool:
    """The month in "May 5" and "in May", the number in "No 1"."""
    word, before = words[place], words[place - 1] if place else ""
    numbered = place + 1 < len(words) and words[place + 1][0].isdigit()
    return (word in ("may", "no") and numbered) or (word == "may" and before in _MONTH_BEFORE)
