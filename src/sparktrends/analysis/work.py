"""What a chain is given of one series, and what it gives back.

Tuples with names, not dataclasses: one or two are made for every series of every batch, and a frozen dataclass takes
four times as long to make.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from sparktrends.model import DAY, PRICE_SCALE, Alert, PartialBar, Resolution, Signal

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SeriesKey = tuple[str, str]
Found = TypeVar("Found", Signal, Alert, Resolution)
Made = tuple[tuple[Signal, ...], tuple[Alert, ...], tuple[Resolution, ...]]
"""What was found in the bars of one series."""
SessionOf = Callable[[SeriesKey, int], float]
"""A number that changes when a series' session does, for the bar that starts at a time (microseconds)."""
TURNOVER_SCALE = PRICE_SCALE * PRICE_SCALE


class Work(NamedTuple):
    """Final bars of one series to go on with: ``rows`` are (m, bar columns) at ``starts``, oldest first.

    ``state`` is the row after the bar at ``last`` (-1 before the first one). States after bars from ``keep_from`` on
    are wanted back, and so is the one after the first bar of each day. ``news``, where rules name some, has a row of
    `rules.news.NEWS_NAMES` for each bar.
    """

    key: SeriesKey
    state: Floats
    last: int
    starts: tuple[int, ...]
    rows: Floats
    keep_from: int = 0
    news: Floats | None = None

    def part(self, bars: slice, state: Floats, last: int) -> Work:
        """Some of its bars, after the one at ``last`` left ``state``."""
        news = None if self.news is None else self.news[bars]
        return Work(self.key, state, last, self.starts[bars], self.rows[bars], self.keep_from, news)


class Snapshot(NamedTuple):
    """The state after the bar at ``start``; ``daily`` ones are kept for ever."""

    start: int
    state: bytes
    daily: bool


class Stepped(NamedTuple):
    """What some bars of one series came to; ``metrics`` has one row per start, NaN where not warm."""

    key: SeriesKey
    starts: tuple[int, ...]
    metrics: Floats
    signals: tuple[Signal, ...]
    alerts: tuple[Alert, ...]
    state: Floats
    snapshots: tuple[Snapshot, ...]
    resolutions: tuple[Resolution, ...] = ()


class Peeked(NamedTuple):
    """What forming bars already show: one row of metrics for each key and start."""

    metrics: Floats
    signals: tuple[Signal, ...]


def bar_row(fold: PartialBar, session: float) -> tuple[float, ...]:
    """A minute with prices as a row of bar columns: each figure the nearest double to its exact value."""
    assert fold.open is not None
    assert fold.high is not None
    assert fold.low is not None
    assert fold.close is not None
    return (
        fold.open / PRICE_SCALE,
        fold.high / PRICE_SCALE,
        fold.low / PRICE_SCALE,
        fold.close / PRICE_SCALE,
        fold.volume / PRICE_SCALE,
        fold.turnover / TURNOVER_SCALE,
        session,
        0.0,
    )


def bar_of(work: Work, j: int, before: Sequence[Stepped]) -> Work:
    """The work of its bar ``j``, after ``before``, what those before it came to."""
    if len(work.starts) == 1:
        return work
    state, last = (before[-1].state, work.starts[j - 1]) if before else (work.state, work.last)
    return work.part(slice(j, j + 1), state, last)


def joined(work: Work, pieces: Sequence[Stepped]) -> Stepped:
    """What consecutive pieces of a work came to."""
    if len(pieces) == 1:
        return pieces[0]
    return Stepped(
        work.key,
        work.starts,
        np.concatenate([piece.metrics for piece in pieces]),
        tuple(signal for piece in pieces for signal in piece.signals),
        tuple(alert for piece in pieces for alert in piece.alerts),
        pieces[-1].state,
        tuple(snapshot for piece in pieces for snapshot in piece.snapshots),
        tuple(over for piece in pieces for over in piece.resolutions),
    )


def stepped(work: Work, metrics: Floats, made: Made, state: bytes) -> Stepped:
    """What a work came to; its state and the snapshot of it are the same bytes."""
    key, _, last, starts, _, keep_from, _ = work
    signals, alerts, resolutions = made
    start = starts[-1]
    daily = _new_day(starts[-2] if len(starts) > 1 else last, start)
    kept = (Snapshot(start, state, daily),) if daily or start >= keep_from else ()
    return Stepped(key, starts, metrics, signals, alerts, np.frombuffer(state), kept, resolutions)


def _new_day(before: int, start: int) -> bool:
    return before < 0 or before // DAY != start // DAY


def cuts(work: Work) -> list[tuple[int, int]]:
    """Pieces of the bars, each ending where a state is wanted back."""
    ends = [
        j + 1
        for j, start in enumerate(work.starts)
        if start >= work.keep_from or _new_day(work.starts[j - 1] if j else work.last, start)
    ]
    if not ends or ends[-1] != len(work.starts):
        ends.append(len(work.starts))
    return [(first, end) for first, end in zip([0, *ends], ends, strict=False) if end > first]


def grouped(works: Sequence[Work], items: Sequence[Found]) -> list[tuple[Found, ...]]:
    """What was found in the bars of each work, in its order."""
    if not items:
        return [()] * len(works)  # so it is in most batches
    by_key: dict[SeriesKey, list[Found]] = {}
    for item in items:
        by_key.setdefault((item.source, item.symbol), []).append(item)
    return [tuple(by_key.get(work.key, ())) for work in works]
