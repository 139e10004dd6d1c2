"""Bars of past days again from the log, with all that follows from them, beside a running stream.

Spark folds the log in pieces: a fold of a part is a partial bar like that of any batch, so the pieces merge to what
the stream made. Each series' day is then one transaction: its state is locked, what the stream committed meanwhile is
folded in, and only minutes that are absent or differ are written. So a second run writes nothing, and one that was
stopped goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sparktrends.analysis import open_from
from sparktrends.bars import RAW_TRADES, Fold, FoldResult, Limits, merge_results
from sparktrends.bars.fold import late_bar
from sparktrends.bars.merge import merge_bars, place_of
from sparktrends.batch.plan import day_of, day_start
from sparktrends.batch.repair import Wanted, held, horizon
from sparktrends.batch.repeats import Range, Read, records
from sparktrends.batch.told import told_by
from sparktrends.bus.connection import Connection
from sparktrends.bus.log import LogReader
from sparktrends.bus.reader import Reader
from sparktrends.commit import Cache, Laws, replace_minutes
from sparktrends.model import MINUTE, Coordinates, PartialBar, SeriesState
from sparktrends.store import repair_rows as rows
from sparktrends.store.repair_rows import Place
from sparktrends.store.writer import SeriesKey, Transaction, Writer
from sparktrends.telemetry import Clock

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_PIECE = 200_000
"""Records that a worker folds at once: some seconds' work."""
_TURNS = 4
"""Pieces that a worker folds before it is heard of."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A month of a series, the ``number``-th ``of`` so many: how many of the wanted minutes the log still knows, and
    how many were written."""

    key: SeriesKey
    month: date
    minutes: int
    written: int
    number: int
    of: int


class TimedLog(LogReader, Protocol):
    """`reader.Reader` is one."""

    def offset_at(self, topic: str, partition: int, ts: int) -> int:
        """The first offset that was appended at ``ts`` (µs UTC) or later; the end when there is none."""


Heard = Callable[[str, int, int], None]
"""Hears what is being done, how much of it is done, and of how much."""
FoldLog = Callable[[Sequence[Range], Wanted, Collection[Place]], FoldResult]
"""Folds what lies in these ranges of raw.trades and is wanted, but for the records at the places."""


def by_spark(session: SparkSession, kafka: Connection, limits: Limits, heard: Heard = lambda *_: None) -> FoldLog:
    """Folded by Spark's workers; each reads its piece of the log itself."""
    from sparktrends.spark import working  # here: a worker that imports this module needs no session

    def fold(ranges: Sequence[Range], wanted: Wanted, removed: Collection[Place]) -> FoldResult:
        work = partial(_fold_piece, kafka, limits, wanted, frozenset(removed))
        return merge_results(parts(list(cut(ranges, _PIECE)), work))

    def parts(pieces: Sequence[Range], work: Callable[[Range], FoldResult]) -> Iterator[FoldResult]:
        """A few pieces at a time: a long log shows how far it is, and nobody holds all parts at once."""
        context, done = session.sparkContext, 0
        at_once = _TURNS * context.defaultParallelism
        for first in range(0, len(pieces), at_once):
            some = pieces[first : first + at_once]
            with working():
                found = context.parallelize(some, len(some)).map(work).collect()
            yield from found
            done += sum(map(_length, some))
            heard("records of the log read", done, sum(map(_length, pieces)))

    return fold


def _length(piece: Range) -> int:
    return piece.end - piece.start


def cut(ranges: Iterable[Range], most: int) -> Iterator[Range]:
    """The same records in ranges of at most so many.

    >>> [(piece.start, piece.end) for piece in cut([Range(0, 3, 8)], 2)]
    [(3, 5), (5, 7), (7, 8)]
    """
    for whole in ranges:
        for start in range(whole.start, whole.end, most):
            yield Range(whole.partition, start, min(start + most, whole.end))


def _fold_piece(
    kafka: Connection, limits: Limits, wanted: Wanted, removed: Collection[Place], piece: Range
) -> FoldResult:
    with Reader(kafka) as log:
        return fold_ranges(log.range, limits, [piece], wanted, removed)


def fold_ranges(
    read: Read, limits: Limits, ranges: Collection[Range], wanted: Wanted, removed: Collection[Place]
) -> FoldResult:
    """The bars of what is wanted: what each worker does, and what is done under the lock of a series."""
    fold = Fold(limits)
    for partition, record in records(read, ranges):
        told = told_by(record.value)
        at = Coordinates(RAW_TRADES, partition, record.offset, record.appended)
        if wanted.covers(told.get("symbol"), told.get("ts")) and place_of(at) not in removed:
            fold.add(record.value, at)
    return FoldResult(bars=fold.result().bars)


class Rebuild:
    """Writes by ``writer``, whose shard is that of repair: the two never run beside each other.

    Once `run` has begun, ``begin`` is the first minute (µs UTC) that is looked at, the log being no longer whole before
    it, and ``known`` says of which series the ledger knows which minutes (first, last).
    """

    def __init__(self, writer: Writer, log: TimedLog, fold: FoldLog, laws: Laws, clock: Clock) -> None:
        self._writer = writer
        self._log = log
        self._fold = fold
        self._laws = laws
        self._clock = clock
        self._bars: dict[SeriesKey, dict[int, PartialBar]] = {}
        self._ends: dict[int, int] = {}
        self.begin = 0
        self.known: dict[SeriesKey, tuple[int, int]] = {}

    def run(self, wanted: Wanted) -> Iterator[Rebuilt]:
        """Each month of each series as it is done, oldest first. Raises Unavailable or Retryable while a service is
        away: what was done stays done."""
        with self._writer.transaction() as tx:
            partitions, removed, self.known = (
                rows.partitions(tx),
                rows.removed(tx),
                rows.known_series(tx, wanted.symbols),
            )
        ranges = [held(self._log, p) for p in partitions]
        self.begin = max(wanted.since, horizon(self._log, partitions, ranges, self._laws.limits))
        self._take(self._fold([self._from(self.begin, r) for r in ranges], wanted, removed))
        self._ends = {r.partition: r.end for r in ranges}
        months = [
            (key, *piece)
            for key, (first, last) in self.known.items()
            for piece in _months(max(self.begin, first), min(wanted.until, last + MINUTE))
        ]
        for number, (key, since, until) in enumerate(months, 1):
            minutes, written = self._rebuild(key, since, until, wanted, removed)
            yield Rebuilt(key, day_of(since).replace(day=1), minutes, written, number, len(months))

    def _from(self, since: int, whole: Range) -> Range:
        """The range without what was appended before any record of ``since`` can have been (law 2)."""
        if whole.start == whole.end:  # also of a partition that the topic no longer has, which cannot be asked
            return whole
        offset = self._log.offset_at(RAW_TRADES, whole.partition, max(0, since - 2 * self._laws.limits.future))
        return whole._replace(start=min(max(whole.start, offset), whole.end))

    def _rebuild(
        self, key: SeriesKey, since: int, until: int, wanted: Wanted, removed: Collection[Place]
    ) -> tuple[int, int]:
        """How many minutes the stretch has, and how many were written."""
        with self._writer.transaction() as tx:
            rows.go_by_index(tx)
            state = tx.lock_series([key])[key]
            self._catch_up(tx, wanted, removed)
            minutes = _minutes(tx, state, since, until, self._laws.limits)
            late = [
                late_bar(item, self._laws.limits)
                for item in rows.late_trades(tx, key, since, until, folded=True)
                if place_of(item.at) not in removed
            ]
            folds = self._folds(key, minutes, late)
            final = tx.final_minutes([(state.id, since, until)]).get(state.id, [])
            stored = {bar.fold.start: bar.fold for bar in final}
            wrong = [fold for fold in folds if stored.get(fold.start) != fold]
            if wrong:
                replace_minutes(tx, key, wrong, self._laws, Cache(), self._clock())
        return len(minutes), len(wrong)

    def _folds(self, key: SeriesKey, minutes: Collection[int], late: Iterable[PartialBar]) -> list[PartialBar]:
        known = self._bars.get(key, {})
        found = {start: known.get(start, PartialBar(*key, start)) for start in minutes}
        for bar in late:
            if bar.start in found:
                found[bar.start] = merge_bars(found[bar.start], bar)
        return list(found.values())

    def _catch_up(self, tx: Transaction, wanted: Wanted, removed: Collection[Place]) -> None:
        """Fold what was committed since; under the lock of a series that is all there will be of it."""
        tail = [
            Range(p.partition, self._ends.get(p.partition, p.first_offset), p.next_offset) for p in rows.partitions(tx)
        ]
        self._take(fold_ranges(self._log.range, self._laws.limits, tail, wanted, removed))
        self._ends = {r.partition: r.end for r in tail}

    def _take(self, found: FoldResult) -> None:
        for bar in found.bars:
            of_series = self._bars.setdefault((bar.source, bar.symbol), {})
            known = of_series.get(bar.start)
            of_series[bar.start] = bar if known is None else merge_bars(known, bar)


def _minutes(tx: Transaction, state: SeriesState, since: int, until: int, limits: Limits) -> list[int]:
    """The final minutes of a stretch that have rows: known ones and what lies between, without spans."""
    if state.first_minute is None or state.last_minute is None:
        return []
    first, end = max(since, state.first_minute), min(until, state.last_minute + MINUTE)
    end = min(end, open_from(state.clock, limits.settle))
    spans = tx.spans({state.id: (first, end)})[state.id] if first < end else []
    away = {minute for span in spans for minute in range(max(span.start, first), min(span.end, end), MINUTE)}
    return [minute for minute in range(first, end, MINUTE) if minute not in away]


def _months(since: int, until: int) -> Iterator[tuple[int, int]]:
    """[since, until) cut at the beginnings of months.

    >>> [(day_of(a).isoformat(), day_of(b - 1).isoformat()) for a, b in _months(0, 57_600 * MINUTE)]
    [('1970-01-01', '1970-01-31'), ('1970-02-01', '1970-02-09')]
    """
    while since < until:
        after = (day_of(since).replace(day=28) + timedelta(days=4)).replace(day=1)
        yield since, min(until, day_start(after))
        since = day_start(after)
