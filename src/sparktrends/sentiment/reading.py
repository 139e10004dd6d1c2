"""Reading a headline: text → words → terms of the lexicon → clauses."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from sparktrends.sentiment.lexicon import LINK, MOVE, NEUTRAL, Entry, Term
from sparktrends.sentiment.remembered import Remembered

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


Piece = tuple[tuple[str, ...], tuple[str, ...], tuple[Entry | None, ...]]
"""What stands between two spaces: its words as written, in lower case, and what begins with each in the lexicon."""


def words_of(text: str) -> list[str]:
    """The words, numbers and borders of a text, as they were written.

    >>> words_of("Apple's shares rise 3.5%, U.S. rivals -2%")
    ["Apple's", 'shares', 'rise', '3.5%', ',', 'U.S.', 'rivals', '-2%']
    """
    return [word for piece in _pieces(text) for word in _WRITTEN[piece]]


def _pieces(text: str) -> list[str]:
    """What stands between spaces; a dash is one only between words."""
    text = text[:LONGEST].replace("’", "'")
    pieces = text.split()
    if text[:1] == "-" and not pieces[0].strip("-"):
        del pieces[0]
    if pieces and text[-1] == "-" and not pieces[-1].strip("-"):
        pieces.pop()
    return pieces


def _written(piece: str) -> tuple[str, ...]:
    if piece.isalpha() or piece.isdecimal():
        return (piece,)
    # The pattern looks for the blanks that stood beside a full stop or a dash.
    return tuple(_TOKEN.findall(f" {piece} "))


_WRITTEN = Remembered(_written)


class Reader:
    """Reads texts by the terms of a lexicon; what a piece of a text comes to is remembered."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._known = Remembered(partial(_piece, entries))

    def read(self, text: str, masked: Sequence[tuple[int, int]] = ()) -> Reading:
        """Read a text; words in the ``masked`` spans (names of companies) are no terms."""
        written: list[str] = []
        words: list[str] = []
        entries: list[Entry | None] = []
        for piece in _pieces(text):
            its_written, its_words, its_entries = self._known[piece]
            written += its_written
            words += its_words
            entries += its_entries
        hidden = {place for start, end in masked for place in range(start, end)}
        clauses, special = _clauses(words, entries, hidden)
        return Reading(words, written, clauses, special)


def _piece(entries: Mapping[str, Entry], piece: str) -> Piece:
    written = _written(piece)
    words = tuple(word.lower() for word in written)
    return written, words, tuple(entries.get(word) or _signed(word) for word in words)


def _signed(word: str) -> Entry | None:
    """A signed percentage is a term of its own."""
    return _SIGNED.get(word[0]) if len(word) > 1 else None


def _clauses(
    words: Sequence[str], entries: Iterable[Entry | None], hidden: Collection[int]
) -> tuple[list[Clause], bool]:
    """The clauses with their terms, and whether one of these is of finance."""
    clauses = [Clause(0, 1.0)]
    items = clauses[0].items
    done, special, count = 0, False, len(words)
    for place, entry in enumerate(entries):
        if entry is None or place < done or place in hidden:
            continue
        (term, phrases), done = entry, place + 1
        if phrases and done < count and words[done] in phrases:
            term, done = _longest(words, place, entry, hidden)
        if term is None:
            continue
        kind = term.kind
        if kind <= NEUTRAL and not term.general:
            special = True
        if kind == LINK:
            _cut(clauses, words, place, done, term)
            items = clauses[-1].items
        elif kind < NEUTRAL or (kind > NEUTRAL and not _says_nothing(words, place)):
            items.append(Item(term, place, done))
    clauses[-1].end = count
    return clauses, special


def _longest(words: Sequence[str], place: int, entry: Entry, hidden: Collection[int]) -> tuple[Term | None, int]:
    """The longest term that begins at a word, and where it ends."""
    term, phrases = entry
    for rest, found in phrases.get(words[place + 1], ()):
        end = place + 1 + len(rest)
        if tuple(words[place + 1 : end]) == rest and not any(at in hidden for at in range(place, end)):
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
        last.start, last.weight = end, link.value
    else:
        clauses.append(Clause(end, link.value))


def _says_nothing(words: Sequence[str], place: int) -> bool:
    """The month in "May 5" and "in May", the number in "No 1"."""
    word = words[place]
    if word not in ("may", "no"):
        return False
    before = words[place - 1] if place else ""
    numbered = place + 1 < len(words) and words[place + 1][0].isdigit()
    return numbered or (word == "may" and before in _MONTH_BEFORE)
