"""The newest rows of what is asked often, kept as JSON: after a commit only what it touched is read again.

Nothing old is ever given: each question first looks which commits there are, in the database itself, and what they
touched is read before the answer is made. While the database is away there is no answer.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sparktrends.store.changes import Change, Heads, heads, heads_and_changes, series_names
from sparktrends.store.connect import Cursor
from sparktrends.store.sessions import Sessions

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Whoever is further behind than this reads its tails anew.
_COMMITS = 100
_SPARE = 16
_ROWS = 40_000
# Callers ask for a few limits each; a body is as large as its page.
_BODIES = 4

Key = tuple[datetime, str, str]
"""(start, source, symbol): rows are in this order, newest first."""
Body = tuple[bytes, str]
"""A page and its ETag."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row: its key, and itself as JSON."""

    key: Key
    text: bytes


Load = Callable[[datetime | None, int], list[Line]]
"""Reads the newest so many rows from a start on (None: from the beginning)."""
Make = Callable[[Sequence[Line], bool], Body]
"""Puts rows together as a page, told whether more follow."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: columns of rows of some symbols (and sources) at one interval."""

    path: str
    columns: tuple[str, ...]
    symbols: tuple[str, ...]
    sources: tuple[str, ...]
    interval: str

    def takes(self, source: str) -> bool:
        """Whether rows of this source are among the answers."""
        return not self.sources or source in self.sources


@dataclass(slots=True)
class _Tail:
    """The newest rows of a question; ``whole`` when there are no older ones. ``touched``: read again from there on."""

    question: Question
    lines: list[Line] = field(default_factory=list)
    size: int = 0
    whole: bool = False
    touched: datetime | None = None
    bodies: dict[int, Body] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def renew(self, count: int, touched: datetime | None, load: Load) -> None:
        """Hold at least ``count`` rows (or all there are), as they are stored now."""
        if touched is not None:
            self._renew_from(touched, load)
        if len(self.lines) < count and not self.whole:
            self._take(load(None, count + _SPARE), count + _SPARE)

    def _renew_from(self, touched: datetime, load: Load) -> None:
        """A change reaches forward: metrics of later bars change with it, so all from there on are read again."""
        fresh = load(touched, max(self.size, 1))
        if len(fresh) >= self.size:
            self._take(fresh, self.size)
            return
        lines = fresh + [line for line in self.lines if line.key[0] < touched]
        self.whole = self.whole and len(lines) <= self.size
        self.lines = lines[: self.size]
        self.bodies.clear()

    def _take(self, lines: list[Line], asked: int) -> None:
        self.lines, self.size, self.whole = lines, asked, len(lines) < asked
        self.bodies.clear()

    def body(self, limit: int, make: Make) -> Body:
        """The page of so many of its rows."""
        if limit not in self.bodies:
            while len(self.bodies) >= _BODIES:
                del self.bodies[next(iter(self.bodies))]
            self.bodies[limit] = make(self.lines[:limit], len(self.lines) > limit)
        return self.bodies[limit]


class Tails:
    """The tails of what was asked lately; the longest unasked go first. Any number of threads may ask."""

    def __init__(self, sessions: Sessions, rows: int = _ROWS) -> None:
        self._rows = rows
        self._lock = threading.Lock()
        self._tails: OrderedDict[Question, _Tail] = OrderedDict()
        self._names: Mapping[int, tuple[str, str]] = {}
        self._watch = Watch(sessions, self._touched, self._lost)

    def body(self, question: Question, limit: int, load: Load, make: Make) -> Body:
        """The page of the newest ``limit`` rows, as they were stored when this was called, or later.

        Raises Retryable while the database is away.
        """
        # Before the tail is taken: whatever was committed until now is marked in it first.
        self._watch.look()
        tail = self._tail(question)
        with tail.lock:
            with self._lock:
                # Taken before the reading: a commit meanwhile marks it again, and the next question reads once more.
                touched, tail.touched = tail.touched, None
            try:
                tail.renew(limit + 1, touched, load)
            except BaseException:
                with self._lock:
                    # What it holds may be older than what was marked, and the mark is gone.
                    self._tails.pop(question, None)
                raise
            return tail.body(limit, make)

    def _tail(self, question: Question) -> _Tail:
        with self._lock:
            tail = self._tails.pop(question, None) or _Tail(question)
            self._tails[question] = tail
            held = sum(len(one.lines) for one in self._tails.values())
            # The one that is asked for stays, however large.
            while held > self._rows and len(self._tails) > 1:
                held -= len(self._tails.popitem(last=False)[1].lines)
            return tail

    def _lost(self) -> None:
        with self._lock:
            self._tails.clear()

    def _touched(self, cursor: Cursor, change: Change) -> None:
        # Names are looked up only when one is new: series are never renamed.
        if any(series not in self._names for series, _, _ in change.bars):
            self._names = series_names(cursor)
        first: dict[tuple[str, str], dict[str, int]] = {}
        for series, interval, start in change.bars:
            source, symbol = self._names[series]
            starts = first.setdefault((symbol, interval), {})
            starts[source] = min(start, starts.get(source, start))
        with self._lock:
            for question, tail in self._tails.items():
                starts_of = (first.get((symbol, question.interval), {}) for symbol in question.symbols)
                concerned = [s for of in starts_of for source, s in of.items() if question.takes(source)]
                if concerned:
                    since = _EPOCH + timedelta(microseconds=min(concerned))
                    tail.touched = since if tail.touched is None else min(tail.touched, since)


@dataclass(slots=True)
class Watch:
    """Which commits there are. `look` tells of every commit made before it was called; threads share one look.

    ``changed`` hears of each commit, ``lost`` that some can no longer be told (or the store went back).
    """

    sessions: Sessions
    changed: Callable[[Cursor, Change], None]
    lost: Callable[[], None]
    _heads: Heads | None = None
    _began: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> None:
        """Raises Retryable while the database is away."""
        came = time.monotonic()
        with self._lock:
            # Whoever waited for a look that began after they came need not look themselves.
            if self._began <= came:
                began = time.monotonic()
                self.sessions.read(self._follow)
                self._began = began

    def _follow(self, cursor: Cursor) -> None:
        # None until it went well: after an error nobody knows what was told.
        known, self._heads = self._heads, None
        now, changes = (heads(cursor), []) if known is None else heads_and_changes(cursor, known, _COMMITS)
        if known is None or not self._told(cursor, known, now, changes):
            self.lost()
        self._heads = now

    def _told(self, cursor: Cursor, known: Heads, now: Heads, changes: Sequence[Change]) -> bool:
        """Whether everything between two positions could be told."""
        # The store went back: it was restored.
        if any(now.get(shard, 0) < commit for shard, commit in known.items()):
            return False
        reached = dict(known)
        for change in changes:
            if change.commit != reached.get(change.shard, 0) + 1:
                return False
            reached[change.shard] = change.commit
            self.changed(cursor, change)
        # False when there were more commits than one look asks for.
        return reached == now
