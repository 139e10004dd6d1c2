"""Bars, and where a series stands."""

from __future__ import annotations

from dataclasses import dataclass

from sparktrends.model.units import State

Position = tuple[int, int, int]
"""Where a record stands in time: (event time, partition, offset). Open is the least, close the greatest."""


@dataclass(frozen=True, slots=True)
class PartialBar:
    """What some records say of one minute of one series: the fold of a batch, and equally of everything so far.

    Merging is associative and commutative, so any cut of the log into batches gives the same bar. Prices and
    ``volume`` are in units of 10**-18, ``turnover`` in 10**-36. ``open`` to ``low`` are None when no record may
    move them. ``after_final`` counts records that arrived when the bar was already final (law 2). ``statuses``
    are the heartbeats that touched the minute. ``fills`` counts the trades that were fetched afterwards.
    """

    source: str
    symbol: str
    start: int
    open: int | None = None
    open_at: Position | None = None
    high: int | None = None
    low: int | None = None
    close: int | None = None
    close_at: Position | None = None
    volume: int = 0
    turnover: int = 0
    trades: int = 0
    after_final: int = 0
    statuses: int = 0
    fills: int = 0


@dataclass(frozen=True, slots=True)
class Bar:
    """A stored minute: the fold of its records, and what the series' clock and heartbeats make of it (law 6)."""

    fold: PartialBar
    state: State
    reason: str | None


@dataclass(frozen=True, slots=True)
class SeriesState:
    """Where a series stands: its clock, and its first and last known minute (None before the first).

    ``version`` grows with every transaction that touches the series: a cache of another version is stale.
    """

    id: int
    version: int
    clock: int
    first_minute: int | None = None
    last_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open span of minutes [start, end) that has no rows; ``reason`` is ``closed`` or ``hole``."""

    start: int
    end: int
    reason: str
