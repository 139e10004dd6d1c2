"""One rule, checked: made from a table of the rules file, or refused with what is wrong and where."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from sparktrends.errors import BadSetting
from sparktrends.model import DAY, HOUR, INTERVALS, MINUTE, SECOND
from sparktrends.rules import nodes
from sparktrends.rules.names import Names, suggestion
from sparktrends.rules.parse import parse
from sparktrends.rules.titles import fields_of

SEVERITIES = ("info", "warning", "critical")
MAX_FOR = 10_000
"""Longest ``for``, in bars."""
MAX_COOLDOWN = 30 * DAY
NEVER = 2**62
"""Later than any bar."""
DEFAULTS: Mapping[str, Any] = {
    "name": None,
    "when": None,
    "until": "",
    "symbols": ["*"],
    "tags": [],
    "interval": "1m",
    "for": 1,
    "cooldown": "15m",
    "session": False,
    "expires": "",
    "severity": "warning",
    "channels": ["console"],
    "history": False,
    "title": "{symbol}: {rule}",
    "description": "",
}
"""Every key of a rule; those of None must be given."""

_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}


class BadRule(BadSetting):
    """What is wrong with a rule: under which key, and there at which character (from 0)."""

    def __init__(self, key: str, message: str, at: int = 0) -> None:
        super().__init__(message)
        self.key = key
        self.at = at


@dataclass(frozen=True)
class Rule:
    """A rule as it is evaluated. ``held`` is ``for`` in bars, ``cooldown`` in microseconds of event time.

    ``until`` re-arms the rule when given (hysteresis); without it the rule re-arms as soon as ``when`` does not hold.
    ``remembered`` are the values it keeps from the bar before, by memory slot. With ``session`` it looks only at bars
    whose last minute the symbol's exchange trades in; bars from ``expires`` (microseconds) on are none of its business.
    """

    name: str
    when: nodes.Test
    until: nodes.Test | None
    remembered: tuple[nodes.Previous, ...]
    symbols: tuple[str, ...]
    tags: frozenset[str]
    interval: str
    held: int
    cooldown: int
    session: bool
    expires: int
    severity: str
    channels: tuple[str, ...]
    history: bool
    title: str
    description: str

    def covers(self, symbol: str, tags: Collection[str] = ()) -> bool:
        """Whether it watches this symbol: its name matches a pattern, and it has one of the rule's tags if any."""
        named = any(fnmatchcase(symbol, pattern) for pattern in self.symbols)
        return named and (not self.tags or not self.tags.isdisjoint(tags))

    def columns(self) -> list[nodes.Column]:
        """The columns its condition names, each once."""
        found = [node for node in self.when.walk() if isinstance(node, nodes.Column)]
        return list({node.name: node for node in found}.values())

    def meaning(self) -> str:
        """What decides when it fires, as text: memory of a rule with another meaning is worthless to this one."""
        until = self.until.text if self.until else ""
        watched = (self.symbols, sorted(self.tags), self.session, self.expires)
        return repr((self.name, self.when, until, self.interval, self.held, self.cooldown, *watched))


def make_rule(table: Mapping[str, Any], names: Names) -> Rule:
    """A rule from its TOML table; raises `BadRule`."""
    given = _complete(table)
    when, remembered = _condition(given, "when", names, 0)
    until, more = _condition(given, "until", names, len(remembered)) if given["until"] else (None, [])
    rule = Rule(
        name=_name(given["name"]),
        when=when,
        until=until,
        remembered=(*remembered, *more),
        symbols=_texts(given, "symbols", least=1),
        tags=frozenset(_texts(given, "tags", least=0)),
        interval=_one_of(given, "interval", tuple(INTERVALS)),
        held=_held(given["for"]),
        cooldown=duration(given["cooldown"]),
        session=given["session"],
        expires=moment(given["expires"]),
        severity=_one_of(given, "severity", SEVERITIES),
        channels=_texts(given, "channels", least=1),
        history=given["history"],
        title=given["title"],
        description=given["description"],
    )
    if rule.session and rule.interval == "1d":
        raise BadRule("session", "a bar of 1d is a whole session: session is for shorter ones")
    _check_title(rule, names)
    return rule


def duration(text: object) -> int:
    """Microseconds of ``"90s"``, ``"15m"``, ``"2h"`` or ``"1d"``, from 0 to 30 days; raises `BadRule`.

    >>> duration("15m")
    900000000
    """
    match = re.fullmatch(r"(\d{1,7})([smhd])", text) if isinstance(text, str) else None
    length = int(match[1]) * _UNITS[match[2]] if match else -1
    if not 0 <= length <= MAX_COOLDOWN:
        raise BadRule("cooldown", f'a cool-down is like "15m", at most "30d", not {text!r}')
    return length


def moment(text: str) -> int:
    """Microseconds of ``"2026-12-31"`` or ``"2026-12-31T17:00"``, UTC unless it says otherwise; `NEVER` for nothing.

    >>> moment("1970-01-02")
    86400000000
    """
    if not text:
        return NEVER
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise BadRule("expires", f'expires is like "2026-12-31" or "2026-12-31T17:00", not {text!r}') from None
    aware = given if given.tzinfo else given.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _complete(table: Mapping[str, Any]) -> dict[str, Any]:
    for key in table:
        if key not in DEFAULTS:
            raise BadRule(key, f"unknown key {key}{suggestion(key, list(DEFAULTS))}")
    given = {**DEFAULTS, **table}
    for key, default in DEFAULTS.items():
        if given[key] is None:
            raise BadRule(key, f"a rule needs {key}")
        wanted = str if default is None else type(default)
        if type(given[key]) is not wanted:
            raise BadRule(key, f"{key} must be {_KINDS[wanted]}, not {given[key]!r}")
    return given


_KINDS = {str: "text in quotes", list: "a list of texts", int: "a whole number", bool: "true or false"}


def _condition(given: Mapping[str, Any], key: str, names: Names, slot: int) -> tuple[nodes.Test, list[nodes.Previous]]:
    try:
        return parse(given[key], names, slot)
    except BadSetting as error:
        raise BadRule(key, str(error), getattr(error, "at", 0)) from error


def _name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise BadRule("name", f"a name is 1 to 64 of a-z 0-9 _ -, not {name!r}")
    return name


def _held(bars: int) -> int:
    if not 1 <= bars <= MAX_FOR:
        raise BadRule("for", f"for is a number of bars from 1 to {MAX_FOR}, not {bars}")
    return bars


def _texts(given: Mapping[str, Any], key: str, least: int) -> tuple[str, ...]:
    texts = given[key]
    if len(texts) < least or not all(isinstance(text, str) and text.strip() for text in texts):
        raise BadRule(key, f"{key} must be a list of {'one or more ' if least else ''}texts")
    return tuple(texts)


def _one_of(given: Mapping[str, Any], key: str, allowed: tuple[str, ...]) -> str:
    if given[key] not in allowed:
        raise BadRule(key, f"{key} is one of {', '.join(allowed)}, not {given[key]!r}")
    return str(given[key])


def _check_title(rule: Rule, names: Names) -> None:
    try:
        fields_of(rule.title, names.all())
    except BadSetting as error:
        raise BadRule("title", str(error)) from error
