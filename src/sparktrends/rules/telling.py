"""What a rule says: its alert with what it saw, the end of that alert, the signal of its sequence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from sparktrends.model import SECOND, Alert, Resolution, Signal
from sparktrends.rules import nodes
from sparktrends.rules.evaluate import Floats, Rows, value_of
from sparktrends.rules.names import Names
from sparktrends.rules.rule import Rule
from sparktrends.rules.titles import render

Key = tuple[str, str, str, int]
"""Source, symbol, interval, start (microseconds since 1970, UTC)."""
SEQUENCE = "sequence"
"""The kind of the signals that rules make."""


def alert_of(rule: Rule, key: Key, rows: Rows, signals: Sequence[Signal], names: Names) -> Alert:
    """The alert of a rule that fired at the one bar in ``rows``; ``signals`` are those at that bar."""
    source, symbol, interval, _ = key
    words = {"symbol": symbol, "source": source, "interval": interval, "rule": rule.name, "severity": rule.severity}
    title = render(rule.title, words, lambda name: _number(name, rows, names))
    named = _named_signals(rule, tuple(names.thresholds))
    causes = [signal for signal in signals if f"{signal.kind}.{signal.name}" in named]
    values = dict(seen_values(rule, rows))
    own = [step["start"] for signal in causes if signal.kind == SEQUENCE for step in signal.detail["steps"]]
    values |= {f"step {number}": start for number, start in enumerate(own, 1)}
    ids = tuple(signal.id for signal in causes)
    return Alert(rule.name, *key, rule.severity, title, rule.channels, ids, values, rule.history, rule.unless_market)


def signal_of(rule: Rule, key: Key, starts: Sequence[int]) -> Signal:
    """The signal of a rule's sequence that ended at a bar; ``starts`` (µs UTC) of the bars of its steps."""
    assert rule.course is not None, "only sequences end"
    course = rule.course
    texts = [test.text for test in (rule.when, *course.then)]
    steps = [{"when": text, "start": _utc(start)} for text, start in zip(texts, starts, strict=True)]
    unless = [
        {"when": test.text, "before_s": quiet // SECOND}
        for test, quiet in zip(course.unless, course.events.quiet, strict=True)
    ]
    detail = {"steps": steps, "within": list(course.events.within), "unless": unless}
    return Signal(*key, SEQUENCE, rule.name, "none", 1.0, rule.severity, detail)


def resolution_of(rule: Rule, key: Key, fired: int) -> Resolution:
    """The end, at the bar ``key``, of the alert that a rule raised at the bar that starts at ``fired`` (µs UTC)."""
    source, symbol, interval, start = key
    return Resolution(rule.name, source, symbol, interval, fired, start, rule.tell_resolved)


def seen_values(rule: Rule, rows: Rows) -> Mapping[str, Any]:
    """What the condition saw at one row: every column, and both sides of each comparison; None where not known."""
    values: dict[str, float | None] = {column.name: _plain(value_of(column, rows)) for column in rule.columns()}
    for node in rule.final.walk():
        if isinstance(node, nodes.Comparison):
            for side in (node.left, node.right):
                if not any(isinstance(part, nodes.Number | nodes.Previous) for part in (side, *side.parts)):
                    with np.errstate(all="ignore"):
                        values.setdefault(side.text, _plain(value_of(side, rows)))
    return values


def _number(name: str, rows: Rows, names: Names) -> float:
    place = names.find(name)
    assert place is not None, "titles are checked when they are read"
    return float(rows.column(place)[0])


def _utc(start: int) -> str:
    return datetime.fromtimestamp(start // SECOND, tz=UTC).isoformat()


def _plain(values: Floats) -> float | None:
    value = float(values[0])
    return value if math.isfinite(value) else None


def _named_signals(rule: Rule, columns: tuple[str, ...]) -> set[str]:
    """The signals, as ``kind.name``, that a rule's final condition speaks of, and its own where it is a sequence."""
    numbers = [column.column for column in rule.columns() if column.table == "scores"]
    for node in rule.final.walk():
        if isinstance(node, nodes.Signals):
            numbers += [column for column, _ in node.columns]
    own = {f"{SEQUENCE}.{rule.name}"} if rule.course else set()
    return {columns[number] for number in numbers} | own
