"""English inflection, as far as a lexicon of headlines needs it.

An entry is `rise`, `rise:rose:risen` (its irregular past forms), `trim!` (doubles its last letter) or a phrase whose
first word is inflected: `fall_short:fell_short`. Underlines are spaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_VOWELS = "aeiou"
_SIBILANTS = ("s", "x", "z", "ch", "sh")


def forms(group: Mapping[str, Any]) -> list[str]:
    """Every form of a group's ``verbs``, ``nouns`` and ``words``, each a text of entries; ``words`` come last."""
    verbs = [form for entry in str(group.get("verbs", "")).split() for form in verb(entry)]
    nouns = [form for entry in str(group.get("nouns", "")).split() for form in noun(entry)]
    return [*verbs, *nouns, *written(group)]


def written(group: Mapping[str, Any]) -> list[str]:
    """The words of a group that stay as they are."""
    return [word.replace("_", " ") for word in str(group.get("words", "")).split()]


def verb(entry: str) -> list[str]:
    """All forms of a verb.

    >>> verb("trim!"), verb("rise:rose:risen")
    (['trim', 'trims', 'trimming', 'trimmed'], ['rise', 'rises', 'rising', 'rose', 'risen'])
    >>> verb("lay_off:laid_off")
    ['lay off', 'lays off', 'laying off', 'laid off']
    """
    base, *past = entry.replace("_", " ").split(":")
    word, space, rest = base.partition(" ")
    stem = word.rstrip("!")
    doubled = stem + stem[-1] if word.endswith("!") else _bare(stem)
    forms = [stem, plural(stem), f"{doubled}ing"] + ([] if past else [_past(stem, doubled)])
    return list(dict.fromkeys([form + space + rest for form in forms] + past))


def noun(entry: str) -> list[str]:
    """A noun and its plural; of a phrase the last word is inflected.

    >>> noun("price_target"), noun("inquiry")
    (['price target', 'price targets'], ['inquiry', 'inquiries'])
    """
    text = entry.replace("_", " ")
    return [text, plural(text)]


def plural(word: str) -> str:
    """The plural of a noun, and equally the third person of a verb."""
    if word.endswith("y") and word[-2:-1] not in _VOWELS:
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(_SIBILANTS) or word == "go" else "s")


def _bare(stem: str) -> str:
    return stem[:-1] if stem.endswith("e") and not stem.endswith(("ee", "oe")) else stem


def _past(stem: str, doubled: str) -> str:
    if stem.endswith("y") and stem[-2:-1] not in _VOWELS:
        return stem[:-1] + "ied"
    return f"{doubled}d" if doubled.endswith("e") else f"{doubled}ed"
