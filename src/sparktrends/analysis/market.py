"""One minute of many series: does the market move as one, and who moves against it? The second pure step (law 4).

A member is a series with a final bar at that minute. Its move is the log return of the bar in units of the volatility
that it had before (the exponential one of the metrics). Members of one market, which are the series of one source on
one exchange, are compared with each other and with nothing else, so the same bars give the same findings whenever they
are looked at, and a revised bar makes those of its minute anew.

The market moves when at least half of its members moved by `TOGETHER` deviations in the same direction: when the median
move is that large. One member moves alone when its move differs from the median by `APART` times the usual difference.
Both need `LEAST` members: the median of a few says nothing about a market.

Minutes in which the market moves, up or down, belong to one event while no more than `QUIET` lies between them
(decision 0145).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sparktrends.model import HOUR, MINUTE

LEAST = 10
TOGETHER = 3.0
"""Three deviations, of half of a market. Ten independent series with the tails that returns have would do this by
chance once in three hundred years of minutes: it is something that they have in common."""
APART = 12.0
"""The chance of Student's t with four degrees of freedom (usual for returns) to lie so many deviations out is
10 ** -4.2: the share of one false alarm a day that each detector has (decision 0006)."""
FLOOR = 1e-4
"""Least volatility believed in, as for returns elsewhere: the spread alone moves a close by that much."""
LULL = HOUR
"""A bar whose predecessor began longer (µs) before it is no move of a minute: it holds a night, or what a dead feed
missed, in units of the volatility of minutes. At the open that would be a move of the market almost every day."""
QUIET = 5 * MINUTE
"""What moves so soon (µs) after the market last moved is of the same event, as five bars are for `shock` (0110)."""
DECAY = 0.94
"""Of `volatility_ewma`: what it keeps of the variance before."""
GAUSS = 1.4826
"""Median absolute deviation to standard deviation, for a Gaussian."""


@dataclass(frozen=True, slots=True)
class Member:
    """A series at a minute: the log return of its bar, and ``volatility_ewma`` with that bar in it."""

    series: int
    log_return: float
    volatility: float

    @property
    def move(self) -> float:
        """The return in units of the volatility before it."""
        # The step of the exponential variance, taken back: judged by itself a shock would look smaller than it was.
        variance = (self.volatility**2 - (1 - DECAY) * self.log_return**2) / DECAY
        return self.log_return / max(math.sqrt(max(variance, 0.0)), FLOOR)


@dataclass(frozen=True, slots=True)
class Together:
    """The market moved: ``median`` is the median move, ``up`` and ``down`` how many of ``members`` moved by
    `TOGETHER` or more, ``log_return`` their median return."""

    median: float
    log_return: float
    members: int
    up: int
    down: int


@dataclass(frozen=True, slots=True)
class Alone:
    """A series moved against its peers: by ``move`` where their median was ``median``; ``apart`` is the difference in
    units of what is usual among them."""

    series: int
    log_return: float
    move: float
    median: float
    apart: float
    members: int


@dataclass(frozen=True, slots=True)
class MarketMinute:
    """What is to be said of one minute of a market."""

    together: Together | None = None
    alone: tuple[Alone, ...] = ()


def market_minute(members: Sequence[Member]) -> MarketMinute:
    """Judge one minute; the order of the members does not matter."""
    if len(members) < LEAST:
        return MarketMinute()
    ordered = sorted(members, key=lambda member: member.series)
    moves = np.array([member.move for member in ordered])
    returns = np.array([member.log_return for member in ordered])
    median = float(np.median(moves))
    # At least one deviation: where nearly all stand still, any move would else be infinitely far off.
    usual = max(GAUSS * float(np.median(np.abs(moves - median))), 1.0)
    apart = (moves - median) / usual
    alone = tuple(
        Alone(ordered[j].series, float(returns[j]), float(moves[j]), median, float(apart[j]), len(ordered))
        for j in np.flatnonzero(np.abs(apart) >= APART).tolist()
    )
    if abs(median) < TOGETHER:
        return MarketMinute(None, alone)
    up, down = int((moves >= TOGETHER).sum()), int((moves <= -TOGETHER).sum())
    return MarketMinute(Together(median, float(np.median(returns)), len(ordered), up, down), alone)


def events_of(moved: Iterable[int], before: tuple[int, int] | None = None) -> dict[int, int]:
    """For each minute that moved, when its event began (starts of minutes, µs UTC); ``before``: the last minute before
    these that moved, and when its event began.

    >>> minute = 60_000_000
    >>> [begun // minute for begun in events_of(n * minute for n in (3, 4, 9, 15)).values()]
    [3, 3, 3, 15]
    """
    last, event = before or (-math.inf, 0)
    found: dict[int, int] = {}
    for start in sorted(moved):
        event = event if start - last <= QUIET else start
        found[start], last = event, start
    return found
