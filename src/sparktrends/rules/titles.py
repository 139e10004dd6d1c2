"""Titles of alerts: fixed text with ``{name}`` and ``{name:.2f}``; no attribute, index or width, so no surprises."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from sparktrends.errors import BadSetting
from sparktrends.rules.names import suggestion

WORDS = ("symbol", "source", "interval", "rule", "severity")
"""Fields that are text; every other field is a column or metric."""
MAX_TITLE = 200

_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z_0-9.]*)(?::([^{}]*))?\}")
_FORMAT = re.compile(r"[+]?,?(\.\d)?[fg%]")


def fields_of(title: str, known: Sequence[str]) -> list[str]:
    """The names a title uses; raises `BadSetting` for an unknown one, a wrong format, or a lone brace.

    >>> fields_of("{symbol} at {close:,.2f}", ["close"])
    ['symbol', 'close']
    """
    if len(title) > MAX_TITLE or not title.isprintable():
        raise BadSetting(f"a title is one line of at most {MAX_TITLE} characters")
    if re.search(r"[{}]", _FIELD.sub("", title)):
        raise BadSetting("a title has braces only as in {symbol} or {close:.2f}")
    for name, form in _FIELD.findall(title):
        if name not in (*WORDS, *known):
            raise BadSetting(f"unknown field {{{name}}} in the title{suggestion(name, [*WORDS, *known])}")
        if form and (name in WORDS or not _FORMAT.fullmatch(form)):
            raise BadSetting(f"format {form!r} of {{{name}}} is not one like .2f, ,.2f, +.2% or .3g")
    return [name for name, _ in _FIELD.findall(title)]


def render(title: str, words: Mapping[str, str], number: Callable[[str], float]) -> str:
    """The title with its fields filled in; a number that is not known is shown as ``?``."""

    def fill(match: re.Match[str]) -> str:
        name, form = match.group(1), match.group(2)
        if name in words:
            return words[name]
        value = number(name)
        return "?" if value != value else format(value, form or ".6g")

    return _FIELD.sub(fill, title)
