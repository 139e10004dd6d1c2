"""Kernel, detectors and rules as one step from final bars to metrics, signals, alerts and the next state. Pure.

A state is one row of floats per series: kernel, then detectors, then the memory of the rules. The same bars give the
same bits however they are cut into calls, so live, replay, repair and a batch over history agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from sparktrends.analysis.work import (
    Floats,
    Peeked,
    SeriesKey,
    Stepped,
    Work,
    bar_of,
    cuts,
    grouped,
    joined,
    stepped,
)
from sparktrends.detectors import SCORE, Detectors
from sparktrends.detectors.candlesticks import Candlesticks
from sparktrends.detectors.feed import Key
from sparktrends.indicators import Kernel
from sparktrends.model import INTERVALS, MINUTE, Signal
from sparktrends.rules import Ended, Match, Names, Rules
from sparktrends.rules.news import NEWS_NAMES

OpenAt = Callable[[str, int], bool]
"""Whether the exchange of a symbol trades at a time (microseconds)."""

# What the column `session` of a bar says: a part of the layout, for what a state remembers of it must be of one kind.
_SESSIONS = "when the session of its exchange began; of currencies at 17:00 in New York"
# A call over many series costs little more than one over a single series; longer stretches are faster one by one.
_ROUNDS = 16
# So many series at once: their states, five kilobytes each, and all that is made of them stay in the processor's cache.
_TOGETHER = 1000
# So many bars at once stay within the processor's cache, metrics and scores included.
_STRETCH = 4096


class Chain:
    """Kernel, detectors and rules of one interval. ``tags`` gives the tags of a symbol for rules that name some,
    ``open_at`` says whether its exchange trades at a time, for rules that look at sessions only. ``hours`` names what
    sessions go by where a setting decides it: a state that other sessions left is of no use."""

    def __init__(
        self,
        kernel: Kernel,
        detectors: Detectors,
        rules: Rules,
        interval: str = "1m",
        tags: Callable[[str], Collection[str]] = lambda _: (),
        open_at: OpenAt = lambda _symbol, _at: True,
        candlesticks: Candlesticks | None = None,
        hours: str = "",
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
        self._watched: dict[str, NDArray[np.bool_]] = {}
        self._open_at = open_at
        self._in_session = self.rules.in_session
        self._reads_news = self.rules.reads_news
        found = kernel.size + detectors.size
        self._edges = (kernel.size, found, found + (shapes.size if asked else 0))
        self.size = self._edges[2] + self.rules.size
        parts = (_SESSIONS, hours, kernel.version, detectors.fingerprint, *([shapes.fingerprint] if asked else []))
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
        few = [work for work in works if _is_short(work)]
        parts = (few[first : first + _TOGETHER] for first in range(0, len(few), _TOGETHER))
        done = chain.from_iterable(map(self._rounds, parts))
        return [next(done) if _is_short(work) else self._run(work) for work in works]

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

    def _gathered(self, states: Sequence[Floats]) -> tuple[Floats, Floats, Floats, Floats]:
        """The same of the states of many series: a table of each part."""
        a, b, c = self._edges
        # Part by part from the rows: to stack them first would take twice as long.
        kernel, detectors, shapes, memory = (
            np.concatenate([state[first:end] for state in states]).reshape(len(states), end - first)
            for first, end in ((0, a), (a, b), (b, c), (c, self.size))
        )
        return kernel, detectors, shapes, memory

    def _step(self, works: Sequence[Work]) -> list[Stepped]:
        kernel, detectors, shapes, memory = self._gathered([w.state for w in works])
        rows = np.concatenate([w.rows for w in works])
        starts = np.array([w.starts[0] for w in works], dtype=np.int64)
        metrics = self.kernel.step(kernel, rows)
        found = self.detectors.step(detectors, rows, metrics)
        scores = self._scores(found, shapes, rows)
        watched = np.concatenate([self.watches(w.key) for w in works]).reshape(len(works), len(self.rules.rules))
        applies = self._in_time(watched, (w.key for w in works), starts)
        matches: list[Match] = []
        ends: list[Ended] = []
        news = self._news(works)
        fired = self.rules.evaluate(memory, starts, rows, metrics, scores, applies, matches, ends, news)
        keys = [(*w.key, self.interval, w.starts[0]) for w in works]
        signals = self._signals(keys, found, scores, matches)
        alerts = self.rules.alerts(keys, fired, rows, metrics, scores, signals, news) if fired.any() else []
        over = self.rules.resolutions(keys, ends)
        made = zip(grouped(works, signals), grouped(works, alerts), grouped(works, over), strict=True)
        # A copy of each state: whoever keeps one must not keep the table of all.
        after = map(b"".join, zip(kernel, detectors, shapes, memory, strict=True))
        return [
            stepped(work, metrics[j : j + 1], of_work, state)
            for j, (work, of_work, state) in enumerate(zip(works, made, after, strict=True))
        ]

    def _rounds(self, works: Sequence[Work]) -> list[Stepped]:
        """The first bar of every series in one call, then the second of those that have one, and so on."""
        longest = max(len(work.starts) for work in works)
        if longest == 1:
            return self._step(works)
        pieces: list[list[Stepped]] = [[] for _ in works]
        for j in range(longest):
            left = [(work, some) for work, some in zip(works, pieces, strict=True) if j < len(work.starts)]
            done = self._step([bar_of(work, j, some) for work, some in left])
            for (_, some), piece in zip(left, done, strict=True):
                some.append(piece)
        return [joined(work, some) for work, some in zip(works, pieces, strict=True)]

    def _run(self, work: Work) -> Stepped:
        """Many bars of one series, cut where a state is wanted back."""
        state, pieces, last = work.state, [], work.last
        for first, end in cuts(work):
            pieces.append(self._piece(work.part(slice(first, end), state, last)))
            state, last = pieces[-1].state, work.starts[end - 1]
        if not pieces:
            return Stepped(work.key, (), np.empty((0, len(self.kernel.columns))), (), (), state, ())
        return joined(work, pieces)

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
        return stepped(work, metrics, made, state)

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
        """Which of its rules watch a series: ``bool[r]``; not to be changed."""
        symbol = key[1]
        if (known := self._watched.get(symbol)) is None:
            # Asked for every series of every batch; the number of symbols bounds it.
            known = self._watched[symbol] = self.rules.applies(symbol, self._tags(symbol))
        return known

    def reads_news(self, key: SeriesKey) -> bool:
        """Whether any of them names news."""
        return bool(self._reads_news.any()) and bool((self.watches(key) & self._reads_news).any())


def _is_short(work: Work) -> bool:
    return 0 < len(work.starts) <= _ROUNDS
