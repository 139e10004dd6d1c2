"""All rules of one interval over rows of bars, metrics and scores."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from sparktrends.errors import BadSetting, IntegrityError
from sparktrends.model import Alert, Signal
from sparktrends.rules import nodes
from sparktrends.rules.document import Finding, read_rules, read_text
from sparktrends.rules.evaluate import Floats, Mask, Rows, outcome_of, value_of
from sparktrends.rules.gate import GATE, LAST, compiled_gate
from sparktrends.rules.names import Names
from sparktrends.rules.rule import Rule
from sparktrends.rules.titles import render

Key = tuple[str, str, str, int]
"""Source, symbol, interval, start (microseconds since 1970, UTC)."""


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
        sizes = [GATE + len(rule.remembered) for rule in self.rules]
        self._starts: list[int] = np.concatenate([[0], np.cumsum(sizes)]).astype(int).tolist()
        self.size = self._starts[-1]
        self._gate = compiled_gate()
        self._applies: dict[tuple[str, frozenset[str]], Mask] = {}

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
        tests = [test for rule in self.rules for test in (rule.when, rule.until) if test is not None]
        found: set[int] = set()
        for node in (node for test in tests for node in test.walk()):
            if isinstance(node, nodes.Signals):
                found.update(column for column, _ in node.columns)
            elif isinstance(node, nodes.Column) and node.table == "scores":
                found.add(node.column)
        return frozenset(found)

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
        for at in self._starts[:-1]:
            memory[:, at : at + LAST] = 0.0
        return memory

    def applies(self, symbol: str, tags: Collection[str] = ()) -> Mask:
        """Which rules watch a symbol: ``bool[r]``; not to be changed."""
        key = (symbol, frozenset(tags))
        if (known := self._applies.get(key)) is None:
            known = np.array([rule.covers(symbol, tags) for rule in self.rules], dtype=bool)
            known.flags.writeable = False
            # Asked for every series of every batch; the number of symbols bounds it.
            self._applies[key] = known
        return known

    def evaluate(
        self, memory: Floats, starts: Any, bars: Floats, metrics: Floats, scores: Floats, applies: Mask | None = None
    ) -> Mask:
        """One final bar for each of n series: which rules fire, ``bool[n, r]``; memory changes in place.

        ``starts`` is int64[n], microseconds since 1970. ``applies``, bool[n, r] or bool[r], limits rules to symbols.
        """

        def previous(slot: int, now: Floats) -> Floats:
            before = memory[:, slot].copy()
            memory[:, slot] = now
            return before

        return self._fire(memory, np.arange(len(starts)), starts, (bars, metrics, scores), previous, applies)

    def run(
        self, memory: Floats, starts: Any, bars: Floats, metrics: Floats, scores: Floats, applies: Mask | None = None
    ) -> Mask:
        """m bars of one series in order, ``memory`` being its row: the same bits as m calls of `evaluate`."""
        if not len(starts):
            return np.zeros((0, len(self.rules)), dtype=bool)

        def previous(slot: int, now: Floats) -> Floats:
            before = np.concatenate([memory[slot : slot + 1], now[:-1]])
            memory[slot] = now[-1]
            return before

        rows = np.zeros(len(starts), dtype=np.int64)
        return self._fire(memory[None, :], rows, starts, (bars, metrics, scores), previous, applies)

    def _fire(
        self,
        memory: Floats,
        series: Any,
        starts: Any,
        tables: tuple[Floats, Floats, Floats],
        previous: Callable[[int, Floats], Floats],
        applies: Mask | None,
    ) -> Mask:
        if memory.shape[1] != self.size or not memory.flags.c_contiguous:
            raise IntegrityError(f"memory of {memory.shape[1]} floats a series: these rules keep {self.size}")
        fired = np.zeros((len(starts), len(self.rules)), dtype=bool)
        starts = np.ascontiguousarray(starts, dtype=np.int64)
        with np.errstate(all="ignore"):
            for number, rule in enumerate(self.rules):
                at = self._starts[number]
                rows = Rows(*tables, lambda slot, now, base=at + GATE: previous(base + slot, now))  # type: ignore[misc]
                yes = outcome_of(rule.when, rows)[0]
                if applies is not None:
                    yes = yes & applies[..., number]
                yes = yes & (starts < rule.expires)
                rearm = ~yes if rule.until is None else outcome_of(rule.until, rows)[0]
                column = np.empty(len(starts), dtype=bool)
                self._gate(memory, at, series, starts, yes, rearm, rule.held, rule.cooldown, column)
                fired[:, number] = column
        return fired

    def alerts(
        self,
        keys: Sequence[Key],
        fired: Mask,
        bars: Floats,
        metrics: Floats,
        scores: Floats,
        signals: Sequence[Signal] = (),
    ) -> list[Alert]:
        """The alerts of what fired, in order of rows; row j is the bar ``keys[j]``. Of ``signals``, those at the same
        bar that the rule names are noted as its cause."""
        by_key: dict[Key, list[Signal]] = {}
        for signal in signals:
            by_key.setdefault((signal.source, signal.symbol, signal.interval, signal.start), []).append(signal)
        alerts = []
        for j, number in np.argwhere(fired).tolist():
            row = slice(j, j + 1)
            rows = Rows(bars[row], metrics[row], scores[row], lambda _, now: np.full_like(now, np.nan))
            alerts.append(self._alert(self.rules[number], keys[j], rows, by_key.get(keys[j], [])))
        return alerts

    def _alert(self, rule: Rule, key: Key, rows: Rows, signals: Sequence[Signal]) -> Alert:
        source, symbol, interval, _ = key
        words = {"symbol": symbol, "source": source, "interval": interval, "rule": rule.name, "severity": rule.severity}
        title = render(rule.title, words, lambda name: self._number(name, rows))
        named = _named_scores(rule, tuple(self.names.thresholds))
        causes = tuple(signal.id for signal in signals if f"{signal.kind}.{signal.name}" in named)
        return Alert(
            rule.name, *key, rule.severity, title, rule.channels, causes, seen_values(rule, rows), rule.history
        )

    def _number(self, name: str, rows: Rows) -> float:
        place = self.names.find(name)
        assert place is not None, "titles are checked when they are read"
        table: Floats = getattr(rows, place.table)
        return float(table[0, place.column])


def seen_values(rule: Rule, rows: Rows) -> Mapping[str, float | None]:
    """What the condition saw at one row: every column, and both sides of each comparison; None where not known."""
    values: dict[str, float | None] = {column.name: _plain(value_of(column, rows)) for column in rule.columns()}
    for node in rule.when.walk():
        if isinstance(node, nodes.Comparison):
            for side in (node.left, node.right):
                if not any(isinstance(part, nodes.Number | nodes.Previous) for part in (side, *side.parts)):
                    with np.errstate(all="ignore"):
                        values.setdefault(side.text, _plain(value_of(side, rows)))
    return values


def _plain(values: Floats) -> float | None:
    value = float(values[0])
    return value if math.isfinite(value) else None


def _named_scores(rule: Rule, columns: tuple[str, ...]) -> set[str]:
    """The signals, as ``kind.name``, that a rule's condition speaks of."""
    numbers = [column.column for column in rule.columns() if column.table == "scores"]
    for node in rule.when.walk():
        if isinstance(node, nodes.Signals):
            numbers += [column for column, _ in node.columns]
    return {columns[number] for number in numbers}
