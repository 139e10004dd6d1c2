"""Late trades into their bars, and repeated records out of them, beside a running stream (law 7).

Each series is one transaction: its state is locked, so no batch of a stream writes it meanwhile, and what the ledger
says then is all that its bars hold. Metrics, signals and alerts follow; who heard an alert that no longer holds hears
that it is taken back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sparktrends.bars import RAW_TRADES, Fold, FoldResult, Limits, merge_results
from sparktrends.bars.fold import late_bar
from sparktrends.bars.merge import place_of
from sparktrends.batch.repeats import Kept, Range, Repeat, find_repeats, records_of
from sparktrends.bus.log import LogReader, LogRecord, ends_of
from sparktrends.commit import Cache, Laws, fold_in, replace_minutes
from sparktrends.model import MINUTE, PartialBar, SeriesMark
from sparktrends.store import repair_rows as rows
from sparktrends.store.repair_rows import Partition, Place
from sparktrends.store.writer import Request, SeriesKey, Transaction, Writer
from sparktrends.telemetry import Clock

FOREVER = 1 << 60
SHARD = "repair"
"""The writer of repair and of `batch backfill`: they never run beside each other."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is repaired or rebuilt: these symbols (all when empty), minutes in [since, until), µs UTC."""

    symbols: Collection[str] = ()
    since: int = 0
    until: int = FOREVER

    def covers(self, symbol: object, ts: object) -> bool:
        """Whether a record of this symbol and time belongs to it; a record may say anything of itself."""
        return type(ts) is int and self.since <= ts < self.until and (not self.symbols or symbol in self.symbols)


@dataclass(slots=True)
class Repaired:
    """Late trades that are in bars now, repeated records that are not any more, the series of both, and repeated
    records that had to stay because the log no longer holds their whole minute."""

    late: int = 0
    repeats: int = 0
    series: int = 0
    stayed: int = 0


class Repair:
    """Writes by ``writer``, which has a shard's name of its own."""

    def __init__(self, writer: Writer, log: LogReader, laws: Laws, clock: Clock) -> None:
        self._writer = writer
        self._log = log
        self._laws = laws
        self._clock = clock

    def run(self, wanted: Wanted) -> Repaired:
        """Repair what is wanted. Raises Unavailable or Retryable while a service is away: what was done stays done."""
        done = Repaired()
        # First, so that a late trade that repeats another is not folded in.
        self._remove_repeats(wanted, done)
        with self._writer.transaction() as tx:
            keys = rows.series_with_late(tx, wanted.symbols, wanted.since, wanted.until)
        for key in keys:
            done.late += self._fold_late(key, wanted)
        done.series += len(keys)
        return done

    def _fold_late(self, key: SeriesKey, wanted: Wanted) -> int:
        with self._writer.transaction() as tx:
            tx.lock_series([key])
            late = rows.late_trades(tx, key, wanted.since, wanted.until)
            folds = tuple(late_bar(item, self._laws.limits) for item in late)
            # A late trade never moves its series' clock.
            parts = (FoldResult(bars=(fold,), marks=(SeriesMark(*key, 0),)) for fold in folds)
            now = self._clock()
            fold_in(tx, merge_results(parts), self._laws, Cache(), now)
            rows.mark_folded(tx, late, now)
        return len(late)

    def _remove_repeats(self, wanted: Wanted, done: Repaired) -> None:
        with self._writer.transaction() as tx:
            partitions, known = rows.partitions(tx), rows.removed(tx)
        ranges = [held(self._log, p) for p in partitions]
        found = [r for r in find_repeats(self._log.range, ranges, self._laws.limits) if r.place not in known]
        since = horizon(self._log, partitions, ranges, self._laws.limits)
        found = [r for r in found if wanted.covers(r.key[1], r.minute)]
        whole = [r for r in found if r.minute >= since or not r.sized]
        done.stayed = len(found) - len(whole)
        by_series: dict[SeriesKey, list[Repeat]] = {}
        for repeat in whole:
            by_series.setdefault(repeat.key, []).append(repeat)
        minutes = {key: {r.minute for r in repeats if r.sized} for key, repeats in by_series.items()}
        kept: dict[SeriesKey, list[Kept]] = {key: [] for key in by_series}
        for key, record in records_of(self._log.range, ranges, minutes) if by_series else ():
            kept[key].append(record)
        out = known | {repeat.place for repeat in whole}
        for key, repeats in by_series.items():
            self._rebuild(key, repeats, minutes[key], kept[key], {r.partition: r.end for r in ranges}, out)
        done.repeats, done.series = len(whole), len(by_series)

    def _rebuild(
        self,
        key: SeriesKey,
        repeats: Collection[Repeat],
        minutes: set[int],
        kept: list[Kept],
        ends: Mapping[int, int],
        out: Collection[Place],
    ) -> None:
        with self._writer.transaction() as tx:
            state = tx.lock_series([key])[key]
            partitions = rows.partitions(tx)
            # What the stream committed since the log was read; under the lock it is all there will be.
            tail = [Range(p.partition, ends.get(p.partition, p.first_offset), p.next_offset) for p in partitions]
            # Where only late records lie there is no row, and nothing to rebuild.
            stored = tx.bars([Request(state.id, tuple(minutes), state.clock)])[state.id].keys() & minutes
            more = [record for _, record in records_of(self._log.range, tail, {key: stored})] if stored else []
            now = self._clock()
            if stored:
                folds = self._folds(tx, key, stored, [*kept, *more], out)
                replace_minutes(tx, key, folds, self._laws, Cache(), now)
            ids = {p.partition: p.topic_id for p in partitions}
            rows.note_removed(tx, state.id, [r.place for r in repeats], ids, now)

    def _folds(
        self, tx: Transaction, key: SeriesKey, minutes: Collection[int], records: list[Kept], out: Collection[Place]
    ) -> list[PartialBar]:
        """The wanted minutes from all of their records but those that are left out."""
        fold = Fold(self._laws.limits)
        for value, at in records:
            if place_of(at) not in out:
                fold.add(value, at)
        result = fold.result()
        folded = rows.late_trades(tx, key, min(minutes), max(minutes) + MINUTE, folded=True)
        late = [late_bar(item, self._laws.limits) for item in folded if place_of(item.at) not in out]
        parts = [FoldResult(bars=(bar,)) for bar in (*result.bars, *late) if bar.start in minutes]
        empty = [FoldResult(bars=(PartialBar(*key, minute),)) for minute in minutes]
        return list(merge_results([*parts, *empty]).bars)


def held(log: LogReader, place: Partition) -> Range:
    """What was folded of a partition and the log still holds."""
    low, _ = ends_of(log, RAW_TRADES, place.partition, place.next_offset)
    return Range(place.partition, max(low, place.first_offset), max(low, place.next_offset))


def horizon(log: LogReader, partitions: Collection[Partition], ranges: Collection[Range], limits: Limits) -> int:
    """The first minute that no record can be in that the log has lost."""
    found = 0
    for place, kept in zip(partitions, ranges, strict=True):
        if kept.start > place.first_offset or place.replaced:
            first: LogRecord | None = next(log.range(RAW_TRADES, *kept[:2], min(kept.start + 1, kept.end)), None)
            # Where nothing is left, what is lost came no later than the newest that was folded.
            appended = place.appended if first is None else first.appended
            # Law 2: arrival may be one limit after the append time, and the trade's own time another after that.
            reach = appended + 2 * limits.future
            found = max(found, reach - reach % MINUTE + MINUTE)
    return found
