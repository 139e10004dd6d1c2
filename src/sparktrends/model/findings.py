"""What the analysis finds at a bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sparktrends.model.units import INTERVALS, stable_id


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that a detector, pattern, trend, sequence or feed check found at one bar.

    ``direction`` is ``up``, ``down`` or ``none``; ``score`` is the detector's own figure (larger = stronger);
    ``severity`` is ``info``, ``warning`` or ``critical``; ``detail`` holds the numbers that explain it.
    """

    source: str
    symbol: str
    interval: str
    start: int
    kind: str
    name: str
    direction: str
    score: float
    severity: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """A hash of what it is about; the same whenever and however often it is computed (law 4)."""
        return stable_id(self.source, self.symbol, self.interval, str(self.start), self.kind, self.name, self.direction)


EVERY_CHANNEL = "*"
"""Instead of a channel's name: every one that is set up."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that fired at a bar; ``signals`` are the ids of what made it, ``values`` what the rule saw.

    ``channels`` are names, or `EVERY_CHANNEL`. ``unless_market``: it is not told where its market moved as one.
    """

    rule: str
    source: str
    symbol: str
    interval: str
    start: int
    severity: str
    title: str
    channels: tuple[str, ...] = ("console",)
    signals: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    history: bool = False
    unless_market: bool = False

    @property
    def id(self) -> str:
        """A hash of rule, series, interval and bar: never of a revision (law 4)."""
        return alert_id(self.rule, self.source, self.symbol, self.interval, self.start)


@dataclass(frozen=True, slots=True)
class Resolution:
    """The end of the alert that a rule raised at the bar ``start``: at the bar ``bar`` it was over (both µs UTC).

    ``tell``: who heard of the alert hears of its end.
    """

    rule: str
    source: str
    symbol: str
    interval: str
    start: int
    bar: int
    tell: bool = False

    @property
    def id(self) -> str:
        """The id of the alert."""
        return alert_id(self.rule, self.source, self.symbol, self.interval, self.start)

    @property
    def at(self) -> int:
        """The end of the bar that showed it (µs UTC): event time, so the same live and from history."""
        return self.bar + INTERVALS[self.interval]


def alert_id(rule: str, source: str, symbol: str, interval: str, start: int) -> str:
    """The id of the alert of a rule at a bar."""
    return stable_id(rule, source, symbol, interval, str(start))
