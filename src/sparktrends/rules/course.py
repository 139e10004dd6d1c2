"""The keys ``then`` and ``unless`` of a rule: what must follow its condition, and what must not have been before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sparktrends.errors import BadSetting
from sparktrends.rules import nodes
from sparktrends.rules.names import Names, suggestion
from sparktrends.rules.parse import parse
from sparktrends.rules.scalars import MAX_FOR, BadRule, duration
from sparktrends.rules.sequences import EventSequence

MAX_PARTS = 8
"""Most steps after the first, and most things forbidden."""

Slots = list[nodes.Previous]


@dataclass(frozen=True)
class Course:
    """``when`` of its rule is the first step of ``events``, the tests ``then`` are the others; each of ``unless`` is
    forbidden before the first step. What is not known forbids: nothing fires because of it."""

    then: tuple[nodes.Test, ...]
    unless: tuple[nodes.Test, ...]
    events: EventSequence


def read_course(given: Mapping[str, Any], names: Names, slot: int) -> tuple[Course | None, Slots]:
    """The course of a rule's table, None when it has none, and what its tests remember from memory slot ``slot`` on.

    Raises `BadRule`.
    """
    if not given["then"]:
        if given["unless"]:
            raise BadRule("unless", "unless goes with then: without it write 'and not …' into when")
        return None, []
    for key, plain in (("for", 1), ("until", "")):
        if given[key] != plain:
            raise BadRule(key, f"a rule with then fires when its last step holds: {key} means nothing there")
    then, within, remembered = _parts(given, "then", "within", _bars, names, slot)
    unless, quiet, more = _parts(given, "unless", "before", _before, names, slot + len(remembered))
    return Course(then, unless, EventSequence(within, quiet)), [*remembered, *more]


def _parts(
    given: Mapping[str, Any], key: str, limit: str, read_limit: Callable[[str, object], int], names: Names, slot: int
) -> tuple[tuple[nodes.Test, ...], tuple[int, ...], Slots]:
    """The tests of a list of tables, the limit of each, and what they remember."""
    if len(given[key]) > MAX_PARTS:
        raise BadRule(key, f"{key} has at most {MAX_PARTS} parts")
    tests: list[nodes.Test] = []
    limits: list[int] = []
    remembered: Slots = []
    for table in given[key]:
        _check_keys(key, table, limit)
        test, more = condition(table["when"], key, names, slot + len(remembered))
        tests.append(test)
        remembered += more
        limits.append(read_limit(key, table[limit]))
    return tuple(tests), tuple(limits), remembered


def _check_keys(key: str, table: object, limit: str) -> None:
    if not isinstance(table, Mapping):
        raise BadRule(key, f"{key} is a list of tables with when and {limit}, not of {table!r}")
    for name in table:
        if name not in ("when", limit):
            raise BadRule(key, f"unknown key {name} in {key}{suggestion(name, ['when', limit])}")
    for name in ("when", limit):
        if name not in table:
            raise BadRule(key, f"each part of {key} needs {name}")
    if not isinstance(table["when"], str):
        raise BadRule(key, f"when in {key} must be text in quotes, not {table['when']!r}")


def condition(text: str, key: str, names: Names, slot: int) -> tuple[nodes.Test, Slots]:
    """The tree of a condition that stands under a key of a rule; raises `BadRule`."""
    try:
        return parse(text, names, slot)
    except BadSetting as error:
        raise BadRule(key, str(error), getattr(error, "at", 0), text) from error


def _bars(key: str, value: object) -> int:
    if type(value) is not int or not 1 <= value <= MAX_FOR:
        raise BadRule(key, f"within is a number of bars from 1 to {MAX_FOR}, not {value!r}")
    return value


def _before(key: str, value: object) -> int:
    return duration(value, key, "before")
