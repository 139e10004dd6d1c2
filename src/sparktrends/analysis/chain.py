"""Kernel, detectors and rules as one step from final bars to metrics, signals, alerts and the next state. Pure.

A state is one row of floats per series: kernel, then detectors, then the memory of the rules. The same bars give the
same bits however they are cut into calls, so live, replay, repair and a batch over history agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sparktrends.detectors import SCORE, Detectors
from sparktrends.detectors.candlesticks import Candlesticks
from sparktrends.detectors.feed import Key
from sparktrends.indicators import BAR_COLUMNS, Kernel
from sparktrends.model import DAY, INTERVALS, MINUTE, PRICE_SCALE, Alert, PartialBar, Resolution, Signal
from sparktrends.rules import Ended, Match, Names, Rules
from sparktrends.rules.news import NEWS_NAMES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SeriesKey = tuple[str, str]
Found = TypeVar("Found", Signal, Alert, Resolution)
Made = tuple[tuple[Signal, ...], tuple[Alert, ...], tuple[Resolution, ...]]
"""What was found in the bars of one series."""
OpenAt = Callable[[str, int], bool]
"""Whether the exchange of a symbol trades at a time (microseconds)."""
SessionOf = Callable[[SeriesKey, int], float]
"""A number that changes when a series' session does, for the bar that starts at a time (microseconds)."""

# A call over many series costs little more than one over a single series; longer stretches are faster one by one.
_ROUNDS = 16
# So many bars at once stay within the processor's cache, metrics and scores included.
_STRETCH = 4096
TURNOVER_SCALE = PRICE_SCALE * PRICE_SCALE


@dataclass(frozen=True, slots=True)
class Work:
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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after the bar at ``start``; ``daily`` ones are kept for ever."""

    start: int
    state: bytes
    daily: bool


@dataclass(frozen=True, slots=True)
class Stepped:
    """What some bars of one series came to; ``metrics`` has one row per start, NaN where not warm."""

    key: SeriesKey
    starts: tuple[int, ...]
    metrics: Floats
    signals: tuple[Signal, ...]
    alerts: tuple[Alert, ...]
    state: Floats
    snapshots: tuple[Snapshot, ...]
    resolutions: tuple[Resolution, ...] = ()


@dataclass(frozen=True, slots=True)
class Peeked:
    """What forming bars already show: one row of metrics for each key and start."""

    metrics: Floats
    signals: tuple[Signal, ...]


class Chain:
    """Kernel, detectors and rules of one interval. ``tags`` gives the tags of a symbol for rules that name some,
    ``open_at`` says whether its exchange trades at a time, for rules that look at sessions only."""

    def __init__(
        self,
        kernel: Kernel,
        detectors: Detectors,
        rules: Rules,
        interval: str = "1m",
        tags: Callable[[str], Collection[str]] = lambda _: (),
        open_at: OpenAt = lambda _symbol, _at: True,
        candlesticks: Candlesticks | None = None,
    ) -> None:
        self.kernel = kernel
        self.detectors = detectors
        self.rules = rules.at(interval)
        shapes = candlesticks or Candlesticks()
        # Where no rule and no signal asks for them, no candlestick is computed or remembered (decision 0009).
        asked = interval in shapes.said_at or max(self.rules.score_columns, default=-1) >= len(detectors.columns)
        self.candlesticks = shapes if asked else None
        self.interval = interval
        self._tags = tags
        self._open_at = open_at
        self._in_session = self.rules.in_session
        self._reads_news = self.rules.reads_news
        found = kernel.size + detectors.size
        self._edges = (kernel.size, found, found + (shapes.size if asked else 0))
        self.size = self._edges[2] + self.rules.size
        parts = (kernel.version, detectors.fingerprint, *([shapes.fingerprint] if asked else []))
        figures = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]
        self.layout = figures + self.rules.fingerprint
        """Names the meaning of a state row: 16 characters for kernel and detectors, 16 for the rules. A row that begins
        otherwise must be recomputed; one that ends otherwise can be adopted."""

    @classmethod
    def default(cls, interval: str = "1m") -> Chain:
        """With everything that is shipped, at its default settings."""
        kernel = Kernel()
        detectors = Detectors(kernel.columns)
        thresholds = detectors.thresholds | Candlesticks().thresholds
        return cls(kernel, detectors, Rules.default(Names(kernel.columns, thresholds)), interval)

    def prepared(self) -> Chain:
        """Itself, with all that it steps with loaded or compiled, so that no first bar waits."""
        self.kernel.prepare()
        self.detectors.prepare()
        if self.candlesticks is not None:
            self.candlesticks.prepare()
        return self

    def new(self) -> Floats:
        """The state of a series that has seen nothing."""
        parts = [self.kernel.new(1)[0], np.zeros(self._edges[2] - self.kernel.size), self.rules.new(1)[0]]
        row: Floats = np.concatenate(parts)
        return row

    def advance(self, works: Sequence[Work]) -> list[Stepped]:
        """Step every series over its bars, in the order of ``works``; where they are few, all series go together."""
        done = self._rounds([work for work in works if 0 < len(work.starts) <= _ROUNDS])
        return [done.get(work.key) or self._run(work) for work in works]

    def fire(self, work: Work) -> tuple[NDArray[np.bool_], list[Ended]]:
        """Which rules fire at which bars of one series, ``bool[m, r]``, and where their alerts end: as in `advance`,
        and nothing else is made."""
        fired, _, ends = self._follow(work)
        return fired, ends

    def adopt(self, state: Floats, history: Work) -> Floats:
        """A state that other rules left, with the memory that these would have of ``history``, which are all bars of
        the series up to that state: rules count as if they had always been there."""
        _, memory, _ = self._follow(history)
        adopted: Floats = np.concatenate((state[: self._edges[2]], memory))
        return adopted

    def _follow(self, work: Work) -> tuple[NDArray[np.bool_], Floats, list[Ended]]:
        """What fires at each bar, the memory of the rules after the last, and where alerts end."""
        kernel, detectors, shapes, memory = (part[0] for part in self._split(work.state[None, :]))
        fired = np.zeros((len(work.starts), len(self.rules.rules)), dtype=bool)
        ends: list[Ended] = []
        for first in range(0, len(work.starts), _STRETCH):
            stretch = slice(first, first + _STRETCH)
            metrics = self.kernel.run(kernel, work.rows[stretch])
            found = self.detectors.run(detectors, work.rows[stretch], metrics, self.rules.score_columns)
            scores = self._scores(found, shapes, work.rows[stretch])
            starts = np.array(work.starts[stretch], dtype=np.int64)
            applies = self._in_time(self.watches(work.key), repeat(work.key), starts)
            over: list[Ended] = []
            news = None if work.news is None else work.news[stretch]
            tables = (work.rows[stretch], metrics, scores)
            fired[stretch] = self.rules.run(memory, starts, *tables, applies, ends=over, news=news)
            ends += [replace(end, row=first + end.row) for end in over]
        return fired, memory, ends

    def peek(self, keys: Sequence[SeriesKey], starts: Sequence[int], states: Floats, rows: Floats) -> Peeked:
        """Metrics and early signals of forming bars; no state changes, no rule is asked."""
        kernel, detectors, _, _ = self._split(states)
        metrics = self.kernel.peek(kernel, rows)
        found = self.detectors.peek(detectors, rows, metrics)
        names = [(*key, self.interval, start) for key, start in zip(keys, starts, strict=True)]
        return Peeked(metrics, tuple(self.detectors.signals(names, found)))

    def assume(self, states: Floats, rows: Floats) -> Floats:
        """Copies of ``states`` as if the forming bars ``rows`` were final: what a bar after them is peeked from."""
        kernel, detectors, shapes, memory = self._split(states)
        metrics = self.kernel.step(kernel, rows)
        self._scores(self.detectors.step(detectors, rows, metrics), shapes, rows)
        after: Floats = np.concatenate((kernel, detectors, shapes, memory), axis=1)
        return after

    def _split(self, states: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Copies of the parts of the state: kernel, detectors, candlesticks, memory of the rules."""
        a, b, c = self._edges
        parts = (states[:, :a], states[:, a:b], states[:, b:c], states[:, c:])
        # Compiled code steps in place, and the rows may be a cache's, or read-only bytes of a snapshot.
        kernel, detectors, shapes, memory = (np.array(part, order="C") for part in parts)
        return kernel, detectors, shapes, memory

    def _step(self, works: Sequence[Work]) -> list[Stepped]:
        kernel, detectors, shapes, memory = self._split(np.stack([w.state for w in works]))
        rows = np.concatenate([w.rows for w in works])
        starts = np.array([w.starts[0] for w in works], dtype=np.int64)
        metrics = self.kernel.step(kernel, rows)
        found = self.detectors.step(detectors, rows, metrics)
        scores = self._scores(found, shapes, rows)
        applies = self._in_time(np.stack([self.watches(w.key) for w in works]), (w.key for w in works), starts)
        matches: list[Match] = []
        ends: list[Ended] = []
        news = self._news(works)
        fired = self.rules.evaluate(memory, starts, rows, metrics, scores, applies, matches, ends, news)
        keys = [(*w.key, self.interval, w.starts[0]) for w in works]
        signals = self._signals(keys, found, scores, matches)
        alerts = self.rules.alerts(keys, fired, rows, metrics, scores, signals, news) if fired.any() else []
        over = self.rules.resolutions(keys, ends)
        made = zip(_grouped(works, signals), _grouped(works, alerts), _grouped(works, over), strict=True)
        states = np.concatenate((kernel, detectors, shapes, memory), axis=1)
        return [
            # A copy of each state: whoever keeps one must not keep the table of all.
            _stepped(w, metrics[j : j + 1], of_work, state.tobytes())
            for j, (w, state, of_work) in enumerate(zip(works, states, made, strict=True))
        ]

    def _rounds(self, works: Sequence[Work]) -> dict[SeriesKey, Stepped]:
        """The first bar of every series in one call, then the second of those that have one, and so on."""
        pieces: dict[SeriesKey, list[Stepped]] = {work.key: [] for work in works}
        for j in range(max((len(work.starts) for work in works), default=0)):
            left = [_bar_of(work, j, pieces[work.key]) for work in works if j < len(work.starts)]
            for piece in self._step(left):
                pieces[piece.key].append(piece)
        return {work.key: _joined(work, pieces[work.key]) for work in works}

    def _run(self, work: Work) -> Stepped:
        """Many bars of one series, cut where a state is wanted back."""
        state, pieces, last = work.state, [], work.last
        for first, end in _cuts(work):
            pieces.append(self._piece(work.part(slice(first, end), state, last)))
            state, last = pieces[-1].state, work.starts[end - 1]
        if not pieces:
            return Stepped(work.key, (), np.empty((0, len(self.kernel.columns))), (), (), state, ())
        return _joined(work, pieces)

    def _piece(self, work: Work) -> Stepped:
        kernel, detectors, shapes, memory = (part[0] for part in self._split(work.state[None, :]))
        metrics = self.kernel.run(kernel, work.rows)
        found = self.detectors.run(detectors, work.rows, metrics)
        scores = self._scores(found, shapes, work.rows)
        starts = np.array(work.starts, dtype=np.int64)
        applies = self._in_time(self.watches(work.key), repeat(work.key), starts)
        matches: list[Match] = []
        ends: list[Ended] = []
        fired = self.rules.run(memory, starts, work.rows, metrics, scores, applies, matches, ends, work.news)
        keys = [(*work.key, self.interval, start) for start in work.starts]
        signals = self._signals(keys, found, scores, matches)
        alerts = self.rules.alerts(keys, fired, work.rows, metrics, scores, signals, work.news) if fired.any() else []
        state = np.concatenate((kernel, detectors, shapes, memory)).tobytes()
        made = (tuple(signals), tuple(alerts), tuple(self.rules.resolutions(keys, ends)))
        return _stepped(work, metrics, made, state)

    def _scores(self, found: Floats, shapes: Floats, rows: Floats) -> Floats:
        """The scores that rules see: of detectors and, where anybody looks at them, of candlesticks, which learn."""
        scores = np.ascontiguousarray(found[:, :, SCORE])
        if self.candlesticks is None:
            return scores
        step = self.candlesticks.step if shapes.ndim > 1 else self.candlesticks.run
        return np.hstack((scores, step(shapes, rows)))

    def _news(self, works: Sequence[Work]) -> Floats | None:
        """What was known of news before the first bar of each work; None where no rule asks."""
        if not self._reads_news.any():
            return None
        unknown = np.full((1, len(NEWS_NAMES)), np.nan)
        return np.concatenate([unknown if work.news is None else work.news[:1] for work in works])

    def _signals(self, keys: Sequence[Key], found: Floats, scores: Floats, matches: Sequence[Match]) -> list[Signal]:
        """In order of bars, those of detectors first."""
        signals = self.detectors.signals(keys, found)
        if self.candlesticks is not None and self.interval in self.candlesticks.said_at:
            signals += self.candlesticks.signals(keys, scores[:, found.shape[1] :])
        signals += self.rules.signals(keys, matches)
        return sorted(signals, key=lambda signal: signal.start)

    def _in_time(
        self, watched: NDArray[np.bool_], keys: Iterable[SeriesKey], starts: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Those of the ``watched`` rules that look at each bar: some only while the exchange trades."""
        if not self._in_session.any():
            return watched
        last_minute = INTERVALS[self.interval] - MINUTE
        ends = zip(keys, starts.tolist(), strict=False)
        trading = np.array([self._open_at(key[1], start + last_minute) for key, start in ends], dtype=bool)
        return watched & (trading[:, None] | ~self._in_session)

    def watches(self, key: SeriesKey) -> NDArray[np.bool_]:
        """Which of its rules watch a series: ``bool[r]``."""
        return self.rules.applies(key[1], self._tags(key[1]))

    def reads_news(self, key: SeriesKey) -> bool:
        """Whether any of them names news."""
        return bool(self._reads_news.any()) and bool((self.watches(key) & self._reads_news).any())


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


def utc_day(_key: SeriesKey, start: int) -> float:
    """The session of a market that never closes: the day, UTC."""
    return float(start // DAY)


def _bar_of(work: Work, j: int, before: Sequence[Stepped]) -> Work:
    """The work of one bar, after those that are done."""
    if len(work.starts) == 1:
        return work
    state, last = (before[-1].state, work.starts[j - 1]) if before else (work.state, work.last)
    return work.part(slice(j, j + 1), state, last)


def _joined(work: Work, pieces: Sequence[Stepped]) -> Stepped:
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


def _stepped(work: Work, metrics: Floats, made: Made, state: bytes) -> Stepped:
    """What a work came to; its state and the snapshot of it are the same bytes."""
    signals, alerts, resolutions = made
    start = work.starts[-1]
    daily = _new_day(work.starts[-2] if len(work.starts) > 1 else work.last, start)
    kept = (Snapshot(start, state, daily),) if daily or start >= work.keep_from else ()
    return Stepped(work.key, work.starts, metrics, signals, alerts, np.frombuffer(state), kept, resolutions)


def _new_day(before: int, start: int) -> bool:
    return before < 0 or before // DAY != start // DAY


def _cuts(work: Work) -> list[tuple[int, int]]:
    """Pieces of the bars, each ending where a state is wanted back."""
    ends = [
        j + 1
        for j, start in enumerate(work.starts)
        if start >= work.keep_from or _new_day(work.starts[j - 1] if j else work.last, start)
    ]
    if not ends or ends[-1] != len(work.starts):
        ends.append(len(work.starts))
    return [(first, end) for first, end in zip([0, *ends], ends, strict=False) if end > first]


def _grouped(works: Sequence[Work], items: Sequence[Found]) -> list[tuple[Found, ...]]:
    by_key: dict[SeriesKey, list[Found]] = {}
    for item in items:
        by_key.setdefault((item.source, item.symbol), []).append(item)
    return [tuple(by_key.get(work.key, ())) for work in works]


__all__ = ["BAR_COLUMNS", "Chain", "Peeked", "Snapshot", "Stepped", "Work", "bar_row", "utc_day"]
