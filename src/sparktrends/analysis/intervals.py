"""Longer bars from final minutes. Pure: what a bar of 5m, 15m, 1h or 1d is, and what a batch changes of them.

A longer bar is the merge of its minutes once they are final, so it grows once a minute and any order of arrival ends
in the same bar. `revision` is the sum of its minutes' revisions; `reason` the worst of theirs, so one stale minute
makes the hour incomplete and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sparktrends.bars import merge_bars, reason_of, state_of
from sparktrends.model import INTERVALS, Bar, PartialBar, State, Statuses

LONGER = tuple(interval for interval in INTERVALS if interval != "1m")
"""The intervals that are folded from minutes."""

_STALE = int(Statuses.STALE)
SeriesKey = tuple[str, str]
BucketOf = Callable[[SeriesKey, int, str], tuple[int, int]]
"""The half-open span of the bar of an interval that holds a minute: (start, end), microseconds."""


@dataclass(frozen=True, slots=True)
class LongerChange:
    """What a batch changes of one series' bars of one interval.

    ``changed`` in order of start; ``finished`` the starts of those that were not final before; ``open`` the bars
    that are not final now; ``deleted`` the starts of those that have no minute left.
    """

    interval: str
    changed: tuple[Bar, ...]
    finished: tuple[int, ...]
    open: Mapping[int, PartialBar]
    deleted: tuple[int, ...] = ()


def utc_bucket(_key: SeriesKey, minute: int, interval: str) -> tuple[int, int]:
    """Bars counted from 1970 UTC: right for markets that never close, and within a session of whole hours.

    >>> utc_bucket(("s", "A"), 7 * 60_000_000, "5m")
    (300000000, 600000000)
    """
    length = INTERVALS[interval]
    start = minute - minute % length
    return start, start + length


def share(minute: Bar, start: int) -> PartialBar:
    """What a final minute adds to the longer bar at ``start``. A silent minute counts as a stale one."""
    f = minute.fold
    statuses = f.statuses | _STALE if minute.reason == "feed_stale" else f.statuses
    prices = (f.open, f.open_at, f.high, f.low, f.close, f.close_at)
    return PartialBar(
        f.source, f.symbol, start, *prices, f.volume, f.turnover, f.trades, f.after_final, statuses, f.fills
    )


def rebuilt(minutes: Sequence[Bar], start: int) -> PartialBar | None:
    """The longer bar at ``start`` from all of its final minutes; None without any."""
    whole: PartialBar | None = None
    for minute in minutes:
        part = share(minute, start)
        whole = part if whole is None else merge_bars(whole, part)
    return whole


def grow(
    key: SeriesKey,
    interval: str,
    new: Iterable[Bar],
    stored: Mapping[int, PartialBar],
    clock: int,
    settle: int,
    bucket_of: BucketOf = utc_bucket,
) -> LongerChange:
    """Add minutes that became final just now to the bars of ``interval``, and close those whose time is over.

    ``stored`` holds every bar that is not final, and every bar that the minutes touch.
    """
    bars = dict(stored)
    touched: set[int] = set()
    for minute in new:
        start, _ = bucket_of(key, minute.fold.start, interval)
        part = share(minute, start)
        bars[start] = merge_bars(bars[start], part) if start in bars else part
        touched.add(start)
    described = {start: describe(key, fold, interval, clock, settle, bucket_of) for start, fold in bars.items()}
    over = {start for start, bar in described.items() if bar.state is not State.FORMING}
    changed = sorted(touched | over)
    return LongerChange(
        interval,
        tuple(described[start] for start in changed),
        tuple(sorted(over)),
        {start: fold for start, fold in bars.items() if start not in over},
    )


def describe(
    key: SeriesKey, fold: PartialBar, interval: str, clock: int, settle: int, bucket_of: BucketOf = utc_bucket
) -> Bar:
    """A longer bar with its state and reason at a clock."""
    _, end = bucket_of(key, fold.start, interval)
    return Bar(fold, state_of(end, clock, settle, fold.after_final), reason_of(fold.statuses, fold.trades))
