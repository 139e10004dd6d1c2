"""One rule, checked: made from a table of the rules file, or refused with what is wrong and where."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from sparktrends.errors import BadSetting
from sparktrends.model import EVERY_CHANNEL, INTERVALS, MINUTE
from sparktrends.rules import nodes
from sparktrends.rules.course import Course, condition, read_course
from sparktrends.rules.names import Names, suggestion
from sparktrends.rules.news import NEWS_NAMES
from sparktrends.rules.scalars import MAX_FOR, BadRule, duration, moment
from sparktrends.rules.titles import fields_of

SEVERITIES = ("info", "warning", "critical")
SHORT = ("1m", "5m", "15m")
"""Intervals of rules with ``unless_market``."""
DEFAULTS: Mapping[str, Any] = {
    "name": None,
    "when": None,
    "until": "",
    "then": [],
    "unless": [],
    "symbols": ["*"],
    "tags": [],
    "interval": "1m",
    "for": 1,
    "cooldown": "15m",
    "session": False,
    "expires": "",
    "severity": "warning",
    "channels": [EVERY_CHANNEL],
    "history": False,
    "tell_resolved": False,
    "unless_market": False,
    "title": "{symbol}: {rule}",
    "description": "",
}
"""Every key of a rule; those of None must be given."""


@dataclass(frozen=True)
class Rule:
    """A rule as it is evaluated. ``held`` is ``for`` in bars, ``cooldown`` in microseconds of event time.

    ``until`` re-arms the rule when given (hysteresis); without it the rule re-arms as soon as ``when`` does not hold.
    With a ``course`` its condition is the first step of a sequence, and it fires where one ends.
    ``remembered`` are the values it keeps from the bar before, by memory slot. With ``session`` it looks only at bars
    whose last minute the symbol's exchange trades in; bars from ``expires`` (microseconds) on are none of its business.
    Its alert lasts until the rule is re-armed: with ``tell_resolved`` who heard of it hears of that. With
    ``unless_market`` it is not told where the whole market moved: that is one event.
    """

    name: str
    when: nodes.Test
    until: nodes.Test | None
    course: Course | None
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
    tell_resolved: bool
    unless_market: bool
    title: str
    description: str

    def covers(self, symbol: str, tags: Collection[str] = ()) -> bool:
        """Whether it watches this symbol: its name matches a pattern, and it has one of the rule's tags if any."""
        named = any(fnmatchcase(symbol, pattern) for pattern in self.symbols)
        return named and (not self.tags or not self.tags.isdisjoint(tags))

    @property
    def final(self) -> nodes.Test:
        """The condition that holds at the bar at which it fires."""
        return self.course.then[-1] if self.course else self.when

    @property
    def tests(self) -> list[nodes.Test]:
        """Every condition in it."""
        after = [*self.course.then, *self.course.unless] if self.course else []
        return [self.when, *after, *([self.until] if self.until else [])]

    @property
    def text(self) -> str:
        """When it fires, in one line.

        >>> then = [{"when": "close > 9", "within": 5}]
        >>> make_rule({"name": "x", "when": "close > 8", "then": then}, Names(())).text
        'close > 8, then within 5 bars close > 9'
        """
        if self.course is None:
            return self.when.text
        events = self.course.events
        then = [f"then within {n} bars {test.text}" for n, test in zip(events.within, self.course.then, strict=True)]
        unless = [
            f"and in the {quiet // MINUTE} minutes before not {test.text}"
            for quiet, test in zip(events.quiet, self.course.unless, strict=True)
        ]
        return ", ".join([self.when.text, *then, *unless])

    @property
    def reads_news(self) -> bool:
        """Whether a condition or the title names news."""
        named = {node.name for test in self.tests for node in test.walk() if isinstance(node, nodes.Column)}
        return not named.isdisjoint(NEWS_NAMES) or any(f"{{{name}" in self.title for name in NEWS_NAMES)

    def columns(self) -> list[nodes.Column]:
        """The columns that its final condition names, each once."""
        found = [node for node in self.final.walk() if isinstance(node, nodes.Column)]
        return list({node.name: node for node in found}.values())

    def meaning(self) -> str:
        """What decides when it fires, as text: memory of a rule with another meaning is worthless to this one."""
        until = self.until.text if self.until else ""
        watched = (self.symbols, sorted(self.tags), self.session, self.expires)
        course = (self.course,) if self.course else ()
        return repr((self.name, self.when, until, self.interval, self.held, self.cooldown, *watched, *course))


def make_rule(table: Mapping[str, Any], names: Names) -> Rule:
    """A rule from its TOML table; raises `BadRule`."""
    given = _complete(table)
    when, remembered = condition(given["when"], "when", names, 0)
    until, more = condition(given["until"], "until", names, len(remembered)) if given["until"] else (None, [])
    course, most = read_course(given, names, len(remembered))
    rule = Rule(
        name=_name(given["name"]),
        when=when,
        until=until,
        course=course,
        remembered=(*remembered, *more, *most),
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
        tell_resolved=given["tell_resolved"],
        unless_market=given["unless_market"],
        title=given["title"],
        description=given["description"],
    )
    if rule.session and rule.interval == "1d":
        raise BadRule("session", "a bar of 1d is a whole session: session is for shorter ones")
    if rule.unless_market and rule.interval not in SHORT:
        raise BadRule("unless_market", f"a minute of the market explains no bar of {rule.interval}: {', '.join(SHORT)}")
    _check_title(rule, names)
    return rule


def _complete(table: Mapping[str, Any]) -> dict[str, Any]:
    for key in table:
        if key not in DEFAULTS:
            raise BadRule(key, f"unknown key {key}{suggestion(key, list(DEFAULTS))}")
    given = {**DEFAULTS, **table}
    for key, default in DEFAULTS.items():
        if given[key] is None:
            raise BadRule(key, f"a rule needs {key}")
        wanted = str if default is None else type(default)
        # Not isinstance: to Python true is a whole number as well.
        if type(given[key]) is not wanted:
            raise BadRule(key, f"{key} must be {_KINDS[wanted]}, not {given[key]!r}")
    return given


_KINDS = {str: "text in quotes", list: "a list", int: "a whole number", bool: "true or false"}


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
