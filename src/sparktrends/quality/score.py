"""The score, 0 to 100, with the reasons that made it.

A minute loses ``100 · weight · share`` points for each fault (`checks`); if that were more than 100 points, each fault
counts proportionally less, so that score and points always add up to 100::

    points(check) = 100 · weight · share / max(1, Σ weight · share)        score = 100 − Σ points

A day's points are the mean of the points of its expected minutes: those in which the market was open, from the first
minute that was ever known of the series (if it did not begin in its midst) to the end of the day, or to now. So a
fault in one minute of a hundred costs a hundredth of what it costs that minute, and a day without a fault scores 100.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from sparktrends.quality.checks import CHECKS, Minute, faults
from sparktrends.quality.prices import jumps

Points = Mapping[str, float]
"""Points lost, by check."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One minute's reasons."""

    start: int
    points: Points

    @property
    def score(self) -> float:
        """What is left of 100."""
        return max(0.0, 100.0 - sum(self.points.values()))


@dataclass(frozen=True, slots=True)
class Day:
    """A day's reasons: ``minutes`` are the expected ones, ``faulty`` how many each check found something in."""

    minutes: int
    points: Points
    faulty: Mapping[str, int] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """What is left of 100."""
        return max(0.0, 100.0 - sum(self.points.values()))


def judged(
    minutes: Sequence[Minute],
    doubted: Collection[int] = (),
    lacking: Mapping[int, float] = MappingProxyType({}),
    *,
    tape: bool = True,
) -> list[Judged]:
    """Every minute of one series, in order; ``doubted`` are the starts that `uncorroborated` found, ``lacking`` the
    shares that `coverage` did."""
    jumped = jumps(minutes)
    found = []
    for minute in minutes:
        shares = dict(faults(minute, tape=tape))
        if minute.start in jumped:
            shares["jump"] = 1.0
        if minute.start in doubted:
            shares["uncorroborated"] = 1.0
        if minute.start in lacking:
            shares["coverage"] = max(shares.get("coverage", 0.0), lacking[minute.start])
        found.append(Judged(minute.start, _points(shares)))
    return found


def day_of(minutes: Sequence[Judged]) -> Day:
    """The day that these minutes make; a day without an expected minute has lost nothing.

    >>> day_of([Judged(0, {}), Judged(1, {"partial": 50.0})]).score
    75.0
    """
    points: dict[str, float] = defaultdict(float)
    faulty: dict[str, int] = defaultdict(int)
    for minute in minutes:
        for name, lost in minute.points.items():
            points[name] += lost
            faulty[name] += 1
    return Day(len(minutes), {name: lost / len(minutes) for name, lost in points.items()}, dict(faulty))


def _points(shares: Mapping[str, float]) -> Points:
    lost = {name: CHECKS[name].weight * share for name, share in shares.items()}
    scale = 100.0 / max(1.0, sum(lost.values()))
    return {name: scale * value for name, value in lost.items()}
