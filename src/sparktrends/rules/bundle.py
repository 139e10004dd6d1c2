"""All rules of one interval over rows of bars, metrics and scores."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from sparktrends.errors import BadSetting, IntegrityError
from sparktrends.model import EVERY_CHANNEL, Alert, Resolution, Signal
from sparktrends.rules import nodes
from sparktrends.rules.course import Course
from sparktrends.rules.document import Finding, read_rules, read_text
from sparktrends.rules.evaluate import Floats, Mask, Rows, outcome_of
from sparktrends.rules.gate import GATE, LAST, compiled_gate
from sparktrends.rules.names import Names
from sparktrends.rules.rule import Rule
from sparktrends.rules.sequences import compiled_follow
from sparktrends.rules.telling import Key, alert_of, resolution_of, signal_of

_NONE = -(2**62)
"""No time of a bar."""


@dataclass(frozen=True, slots=True)
class Match:
    """A sequence that ended at bar ``row`` of a call: the number of its rule, and the starts of the bars of its
    steps (µs UTC)."""

    row: int
    rule: int
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """An alert that was over at bar ``row`` of a call: the number of its rule, and the start of the bar at which it
    fired (µs UTC)."""

    row: int
    rule: int
    start: int


def check(path: Path, names: Names) -> list[Finding]:
    """Everything wrong with a rules file; empty when it is good. Raises `BadFile` when it cannot be read."""
    return read_rules(read_text(path), names, str(path))[1]


class Rules:
    """Checked rules and how to evaluate them.

    Memory is ``float64[n, size]``, one row per series (and interval: see `at`). It depends on nothing but the bars
    seen, so it can be stored, restored and recomputed.
    """

    def __init__(self, rules: Sequence[Rule], names: Names) -> None:
        self.rules = tuple(rules)
        self.names = names
        sizes = [GATE + len(rule.remembered) + (rule.course.events.size if rule.course else 0) for rule in self.rules]
        self._starts: list[int] = np.concatenate([[0], np.cumsum(sizes)]).astype(int).tolist()
        self.size = self._starts[-1]
        self._gate = compiled_gate()
        if any(rule.course for rule in self.rules):
            compiled_follow()  # so that no first bar waits

    @classmethod
    def load(cls, path: Path, names: Names) -> Rules:
        """The rules of a file; raises `BadFile`, or `BadSetting` with every fault on a line of its own."""
        return cls.parse(read_text(path), names, str(path))

    @classmethod
    def parse(cls, text: str, names: Names, file: str = "rules") -> Rules:
        """The rules of a text; raises `BadSetting` with every fault on a line of its own."""
        rules, findings = read_rules(text, names, file)
        if findings:
            raise BadSetting("\n".join(map(str, findings)))
        return cls(rules, names)

    def deaf(self, channels: Collection[str]) -> dict[str, str]:
        """Rules that name a channel which is not among these, and its name: of those messages nobody hears."""
        known = {*channels, EVERY_CHANNEL}
        return {rule.name: name for rule in self.rules for name in rule.channels if name not in known}

    @classmethod
    def default(cls, names: Names) -> Rules:
        """The rules that are shipped."""
        text = files("sparktrends.rules").joinpath("default.toml").read_text(encoding="utf-8")
        return cls.parse(text, names, "default.toml")

    def at(self, interval: str) -> Rules:
        """Those for bars of one interval; the memory of a series at that interval is this one's."""
        return Rules([rule for rule in self.rules if rule.interval == interval], self.names)

    @property
    def score_columns(self) -> frozenset[int]:
        """The columns of scores that any of them looks at."""
        found: set[int] = set()
        for node in (node for rule in self.rules for test in rule.tests for node in test.walk()):
            if isinstance(node, nodes.Signals):
                found.update(column for column, _ in node.columns)
            elif isinstance(node, nodes.Column) and node.table == "scores":
                found.add(node.column)
        return frozenset(found)

    @property
    def reads_news(self) -> Mask:
        """Which of them name news: ``bool[r]``."""
        return np.array([rule.reads_news for rule in self.rules], dtype=bool)

    @property
    def in_session(self) -> Mask:
        """Which of them look at bars of the session alone: ``bool[r]``."""
        return np.array([rule.session for rule in self.rules], dtype=bool)

    @property
    def fingerprint(self) -> str:
        """Changes whenever stored memory of these rules stops meaning the same: then history teaches it again."""
        text = "\n".join(rule.meaning() for rule in self.rules)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def new(self, n: int) -> Floats:
        """Memory of ``n`` series that have seen nothing: nothing held, never fired, no bar before."""
        memory = np.full((n, self.size), np.nan)
        for rule, at in zip(self.rules, self._starts, strict=False):
            memory[:, at : at + LAST] = 0.0
            if rule.course:
                begin = at + GATE + len(rule.remembered)
                memory[:, begin : begin + rule.course.events.size] = rule.course.events.new(n)
        return memory

    def applies(self, symbol: str, tags: Collection[str] = ()) -> Mask:
        """Which rules watch a symbol: ``bool[r]``; not to be changed."""
        watched = np.array([rule.covers(symbol, tags) for rule in self.rules], dtype=bool)
        watched.flags.writeable = False
        return watched

    def evaluate(
        self,
        memory: Floats,
        starts: Any,
        bars: Floats,
        metrics: Floats,
        scores: Floats,
        applies: Mask | None = None,
        matches: list[Match] | None = None,
        ends: list[Ended] | None = None,
        news: Floats | None = None,
    ) -> Mask:
        """One final bar for each of n series: which rules fire, ``bool[n, r]``; memory changes in place.

        ``starts`` is int64[n], microseconds since 1970. ``applies``, bool[n, r] or bool[r], limits rules to symbols.
        Sequences that ended are added to ``matches``, those that a cool-down keeps from firing too, and alerts that are
        over to ``ends``. Without ``news`` (rows of `NEWS_NAMES`) nothing that names them fires.
        """

        def previous(slot: int, now: Floats) -> Floats:
            before = memory[:, slot].copy()
            memory[:, slot] = now
            return before

        rows = np.arange(len(starts))
        return self._fire(memory, rows, starts, (bars, metrics, scores, news), previous, applies, matches, ends)

    def run(
        self,
        memory: Floats,
        starts: Any,
        bars: Floats,
        metrics: Floats,
        scores: Floats,
        applies: Mask | None = None,
        matches: list[Match] | None = None,
        ends: list[Ended] | None = None,
        news: Floats | None = None,
    ) -> Mask:
        """m bars of one series in order, ``memory`` being its row: the same bits as m calls of `evaluate`."""
        if not len(starts):
            return np.zeros((0, len(self.rules)), dtype=bool)

        def previous(slot: int, now: Floats) -> Floats:
            before = np.concatenate([memory[slot : slot + 1], now[:-1]])
            memory[slot] = now[-1]
            return before

        rows = np.zeros(len(starts), dtype=np.int64)
        return self._fire(
            memory[None, :], rows, starts, (bars, metrics, scores, news), previous, applies, matches, ends
        )

    def _fire(
        self,
        memory: Floats,
        series: Any,
        starts: Any,
        tables: tuple[Floats, Floats, Floats, Floats | None],
        previous: Callable[[int, Floats], Floats],
        applies: Mask | None,
        matches: list[Match] | None,
        ends: list[Ended] | None,
    ) -> Mask:
        if memory.shape[1] != self.size or not memory.flags.c_contiguous:
            raise IntegrityError(f"memory of {memory.shape[1]} floats a series: these rules keep {self.size}")
        fired = np.zeros((len(starts), len(self.rules)), dtype=bool)
        bars, metrics, scores, news = tables
        starts = np.ascontiguousarray(starts, dtype=np.int64)
        with np.errstate(all="ignore"):
            for number, rule in enumerate(self.rules):
                at = self._starts[number]
                before = partial(_shifted, previous, at + GATE)
                rows = Rows(bars, metrics, scores, before, news)
                looks = starts < rule.expires
                if applies is not None:
                    looks = looks & applies[..., number]
                yes = outcome_of(rule.when, rows)[0] & looks
                if rule.course:
                    place = (memory, at + GATE + len(rule.remembered), series)
                    yes = self._ended(number, rule.course, place, starts, rows, yes, looks, matches)
                    rearm = np.ones(len(starts), dtype=bool)  # each match is another event
                else:
                    rearm = ~yes if rule.until is None else outcome_of(rule.until, rows)[0] | (starts >= rule.expires)
                column, over = np.empty(len(starts), dtype=bool), np.full(len(starts), _NONE)
                self._gate(memory, at, series, starts, yes, rearm, rule.held, rule.cooldown, column, over)
                fired[:, number] = column
                if ends is not None:
                    ends += [Ended(j, number, int(over[j])) for j in np.flatnonzero(over != _NONE).tolist()]
        return fired

    @staticmethod
    def _ended(
        number: int,
        course: Course,
        place: tuple[Floats, int, Any],
        starts: Any,
        rows: Rows,
        first: Mask,
        looks: Mask,
        matches: list[Match] | None,
    ) -> Mask:
        """Where a sequence whose first step holds at ``first`` ends."""
        memory, at, series = place
        holds = np.column_stack([first, *(outcome_of(test, rows)[0] & looks for test in course.then)])
        # What is not known forbids, as it makes nothing fire elsewhere.
        forbidden = np.zeros((len(starts), len(course.unless)), dtype=bool)
        for i, test in enumerate(course.unless):
            forbidden[:, i] = ~outcome_of(test, rows)[1] & looks
        ended, seen = course.events.follow(memory, series, starts, holds, forbidden, at)
        if matches is not None:
            matches += [Match(j, number, tuple(map(int, seen[j].tolist()))) for j in np.flatnonzero(ended).tolist()]
        return ended

    def signals(self, keys: Sequence[Key], matches: Sequence[Match]) -> list[Signal]:
        """A signal for each match, in order of rows; row j is the bar ``keys[j]``."""
        in_order = sorted(matches, key=lambda match: (match.row, match.rule))
        return [signal_of(self.rules[match.rule], keys[match.row], match.steps) for match in in_order]

    def resolutions(self, keys: Sequence[Key], ends: Sequence[Ended]) -> list[Resolution]:
        """The end of each alert, in order of rows; row j is the bar ``keys[j]``."""
        in_order = sorted(ends, key=lambda end: (end.row, end.rule))
        return [resolution_of(self.rules[end.rule], keys[end.row], end.start) for end in in_order]

    def alerts(
        self,
        keys: Sequence[Key],
        fired: Mask,
        bars: Floats,
        metrics: Floats,
        scores: Floats,
        signals: Sequence[Signal] = (),
        news: Floats | None = None,
    ) -> list[Alert]:
        """The alerts of what fired, in order of rows; row j is the bar ``keys[j]``. Of ``signals``, those at the same
        bar that the rule names are noted as its cause."""
        by_key: dict[Key, list[Signal]] = {}
        for signal in signals:
            by_key.setdefault((signal.source, signal.symbol, signal.interval, signal.start), []).append(signal)
        alerts = []
        for j, number in np.argwhere(fired).tolist():
            row = slice(j, j + 1)
            tables = (bars[row], metrics[row], scores[row])
            rows = Rows(*tables, lambda _, now: np.full_like(now, np.nan), None if news is None else news[row])
            alerts.append(alert_of(self.rules[number], keys[j], rows, by_key.get(keys[j], []), self.names))
        return alerts


def _shifted(previous: Callable[[int, Floats], Floats], base: int, slot: int, now: Floats) -> Floats:
    return previous(base + slot, now)
