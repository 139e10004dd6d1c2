"""What a story is about, and the words that say so."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from sparktrends.sentiment.inflect import forms
from sparktrends.sentiment.reading import words_of

Phrases = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
"""The words of a phrase and the topics that it speaks of, longest first."""

_NO_TOPIC = "none"
"""The group of what is said by the words of a topic and is none: none of them is read again."""
_SUMMARY = 300
"""Characters of a summary that are read: what a story is about stands at its beginning."""


def topics(headline: str, summary: str = "") -> dict[str, tuple[str, ...]]:
    """The topics of a story with the words that made each, in the order of `topics.toml`.

    One topic needs one word of the headline, or two different ones of the summary, which mentions much in passing.

    >>> topics("Acme cuts dividend after profit warning")
    {'earnings': ('profit',), 'guidance': ('profit warning',), 'dividend': ('dividend',)}
    >>> list(topics("Fed cuts rates by a quarter point"))
    ['macro']
    """
    told = _said(headline)
    aside = _said(summary[:_SUMMARY]) if summary else {}
    return {
        name: tuple(dict.fromkeys([*told.get(name, ()), *aside.get(name, ())]))
        for name in _names()
        if name in told or len(set(aside.get(name, ()))) > 1
    }


def _said(text: str) -> dict[str, list[str]]:
    words, known = [word.lower().removesuffix("'s") for word in words_of(text)], _phrases()
    found: dict[str, list[str]] = {}
    behind = 0
    for place, word in enumerate(words):
        for phrase, names in known.get(word, ()) if place >= behind else ():
            if tuple(words[place : place + len(phrase)]) == phrase:
                if _NO_TOPIC in names:
                    behind = place + len(phrase)
                    break
                for name in names:
                    found.setdefault(name, []).append(" ".join(phrase))
    return found


@cache
def _names() -> tuple[str, ...]:
    return tuple(name for name in _groups() if name != _NO_TOPIC)


@cache
def _phrases() -> dict[str, Phrases]:
    by_phrase: dict[tuple[str, ...], list[str]] = {}
    for name, phrase in _listed():
        by_phrase.setdefault(tuple(phrase.split()), []).append(name)
    found: dict[str, Phrases] = {}
    for words in sorted(by_phrase, key=len, reverse=True):
        found[words[0]] = (*found.get(words[0], ()), (words, tuple(dict.fromkeys(by_phrase[words]))))
    return found


def _listed() -> Iterator[tuple[str, str]]:
    for name, group in _groups().items():
        yield from ((name, phrase) for phrase in forms(group))


def _groups() -> dict[str, dict[str, str]]:
    return tomllib.loads((files(__package__) / "topics.toml").read_text(encoding="utf-8"))
