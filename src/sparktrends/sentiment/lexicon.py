"""The lexicon: words and phrases, and what each does in a headline."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from sparktrends.sentiment.inflect import forms, written
from sparktrends.sentiment.vader import valences

THING, MOVE, VERDICT, FAIL, NEUTRAL, NEGATE, HEDGE, BOOST, LINK = range(9)
"""The kinds of terms; `finance/*.toml` says what they mean."""

_FILES = ("things.toml", "moves.toml", "verdicts.toml", "modifiers.toml")
_KINDS = ("thing", "move", "verdict", "fail", "neutral", "negate", "hedge", "boost", "link")
# A general word says less about a company than a word of its trade.
_GENERAL = 0.6


@dataclass(frozen=True, slots=True)
class Term:
    """What a word or phrase does. ``value`` and ``alone`` are on VADER's scale, or factors for modifiers."""

    kind: int
    value: float
    alone: float = 0.0
    back: bool = False
    shift: bool = False
    beside: bool = False
    ahead: bool = False
    carrier: bool = False
    level: bool = False
    roles: tuple[float, float] | None = None
    general: bool = False


Phrases = dict[str, tuple[tuple[tuple[str, ...], Term], ...]]
Entry = tuple[Term | None, Phrases]
"""Of a first word: what it does alone, and by its second word the rest of each phrase, longest first."""


class Lexicon:
    """Terms by their first word. Later words win over earlier ones.

    >>> lexicon = Lexicon([("short", Term(THING, -1.0)), ("short of", Term(VERDICT, -2.0))])
    >>> lexicon.entries["short"][1]["of"][0][0]
    ('of',)
    """

    def __init__(self, words: Iterable[tuple[str, Term]]) -> None:
        phrases: dict[str, dict[tuple[str, ...], Term]] = {}
        for text, term in words:
            first, *rest = text.lower().split()
            phrases.setdefault(first, {})[tuple(rest)] = term
        self.entries: dict[str, Entry] = {first: _entry(found) for first, found in phrases.items()}


@cache
def finance() -> Lexicon:
    """The lexicon of the product: VADER's words, and over them those of finance."""
    return Lexicon([*general_words(), *finance_words()])


def general_words() -> Iterator[tuple[str, Term]]:
    """VADER's words without its emoticons and abbreviations, weighed down."""
    for word, valence in valences().items():
        if word.isalpha() and len(word) > 3:
            yield word, Term(THING, 1.0 if valence > 0 else -1.0, _GENERAL * valence, general=True)


def finance_words() -> Iterator[tuple[str, Term]]:
    """The words of `finance/*.toml`; one written out wins over an inflected form. Raises ValueError for a word that two
    groups write out."""
    groups = [
        (_term(kind, group), group)
        for name in _FILES
        for kind, found in tomllib.loads((files(__package__) / "finance" / name).read_text(encoding="utf-8")).items()
        for group in found
    ]
    for term, group in groups:
        yield from ((form, term) for form in forms(group))
    plain = [(word, term) for term, group in groups for word in written(group)]
    # Whoever writes a word twice has not decided what it means.
    if twice := [word for word, times in Counter(word for word, _ in plain).items() if times > 1]:
        raise ValueError(f"finance/*.toml say twice: {', '.join(twice)}")
    yield from plain


def _term(kind: str, group: Mapping[str, Any]) -> Term:
    flags = {name: bool(group.get(name, False)) for name in ("back", "shift", "beside", "ahead", "carrier", "level")}
    value = float(group.get("value", 0.0))
    before, behind = group.get("roles", (1.0, 1.0))
    roles = (float(before), float(behind)) if "roles" in group else None
    return Term(_KINDS.index(kind), value, float(group.get("alone", 0.0)), roles=roles, **flags)


def _entry(found: Mapping[tuple[str, ...], Term]) -> Entry:
    phrases: Phrases = {}
    for rest in sorted(filter(None, found), key=len, reverse=True):
        phrases[rest[0]] = (*phrases.get(rest[0], ()), (rest, found[rest]))
    return found.get(()), phrases
