"""Bars of 5m, 15m, 1h and 1d beside their minutes, in the same transaction.

Minutes that became final are added to the bars that are not; a bar whose time is over, and any whose minutes were
revised, is made anew from its stored minutes. Either way it is the merge of its final minutes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sparktrends.analysis import MinutesChange
from sparktrends.analysis.intervals import LONGER, BucketOf, LongerChange, describe, grow, rebuilt, utc_bucket
from sparktrends.bars import Limits, vwap_of
from sparktrends.commit.cache import Cache, Known, Minutes
from sparktrends.model import DAY, Bar, State, is_replayed
from sparktrends.store import save
from sparktrends.store.archive import archived_months
from sparktrends.store.rows import month_of
from sparktrends.store.writer import SeriesKey, Transaction

Changes = Mapping[SeriesKey, MinutesChange]
Longer = dict[str, dict[SeriesKey, LongerChange]]
"""By interval and series; most batches change no longer bar of a series, which is left out then."""
Redo = tuple[SeriesKey, str, int, int]
"""A bar to be made anew: its series and interval, and the half-open span of its minutes."""

_NEVER = 1 << 60


@dataclass(frozen=True, slots=True)
class LongerBars:
    """Folds minutes to longer bars; ``bucket_of`` says which bar a minute belongs to."""

    limits: Limits
    bucket_of: BucketOf = utc_bucket

    def fold(
        self,
        tx: Transaction,
        changes: Changes,
        before: Mapping[SeriesKey, int],
        cache: Cache,
        asked: Collection[SeriesKey] = (),
    ) -> Longer:
        """Write what the changed minutes make of longer bars; ``before`` are the series' clocks before the batch.

        Of the series that are ``asked`` for, the open bars are told even where nothing changes.
        """
        moved = {
            key: change
            for key, change in changes.items()
            if key in asked or not self._stands(change, cache.get(key, change.state.version - 1))
        }
        stored = self._open(tx, moved, before, cache)
        found: Longer = {interval: {} for interval in LONGER}
        redo: list[Redo] = []
        for key, change in moved.items():
            quiet = _is_quiet(change)
            for interval in LONGER:
                bars = stored[key].get(interval, {})
                if quiet:
                    found[interval][key] = self._grow(key, interval, [], bars, change.state.clock)
                    continue
                again = self._again(key, change, interval, before[key])
                new = [b for b in _newly_final(change) if self._start(key, b.fold.start, interval) not in again]
                kept = {start: fold for start, fold in bars.items() if start not in again}
                found[interval][key] = self._grow(key, interval, new, kept, change.state.clock)
                redo += [(key, interval, *self.bucket_of(key, start, interval)) for start in sorted(again)]
        self._rebuild(tx, found, moved, redo)
        for interval, of_interval in found.items():
            _save(tx, interval, changes, of_interval)
        return found

    def until(self, key: SeriesKey, open_bars: Mapping[str, Minutes]) -> int:
        """The clock up to which none of these bars is over."""
        ends = [self.bucket_of(key, start, interval)[1] for interval, bars in open_bars.items() for start in bars]
        return min(ends, default=_NEVER) + self.limits.settle

    @staticmethod
    def _stands(change: MinutesChange, known: Known | None) -> bool:
        """Whether no longer bar of the series is touched: no minute became final, and none of them is over."""
        return known is not None and change.state.clock <= known.longer_until and _is_quiet(change)

    def _grow(self, key: SeriesKey, interval: str, new: Sequence[Bar], stored: Minutes, clock: int) -> LongerChange:
        if not new and not self._due(key, interval, stored, clock):
            return LongerChange(interval, (), (), stored)
        return grow(key, interval, new, stored, clock, self.limits.settle, self.bucket_of)

    def _due(self, key: SeriesKey, interval: str, stored: Minutes, clock: int) -> bool:
        return any(self.bucket_of(key, start, interval)[1] + self.limits.settle < clock for start in stored)

    def _start(self, key: SeriesKey, minute: int, interval: str) -> int:
        return self.bucket_of(key, minute, interval)[0]

    def _again(self, key: SeriesKey, change: MinutesChange, interval: str, before: int) -> set[int]:
        """Bars to be made anew: of revised and deleted minutes, and of new ones in a bar that was over already."""
        finished = set(change.finished)
        # A merge cannot be undone: what a high was without the minute that changed, the bar alone does not tell.
        again = {self._start(key, minute, interval) for minute in change.deleted}
        for bar in change.changed:
            if bar.state is not State.FORMING:
                start, end = self.bucket_of(key, bar.fold.start, interval)
                if bar.fold.start not in finished or end + self.limits.settle < before:
                    again.add(start)
        return again

    def _open(
        self, tx: Transaction, changes: Changes, before: Mapping[SeriesKey, int], cache: Cache
    ) -> dict[SeriesKey, Mapping[str, Minutes]]:
        known = {key: cache.get(key, change.state.version - 1) for key, change in changes.items()}
        found: dict[SeriesKey, Mapping[str, Minutes]] = {k: v.longer for k, v in known.items() if v is not None}
        unread = {key: changes[key].state.id for key, v in known.items() if v is None}
        # No bar is longer than a day, so none that is not final began more than two days before the clock.
        since = {series: before[key] - 2 * DAY for key, series in unread.items() if before[key]}
        stored = tx.forming_longer(since, LONGER)
        for key, series in unread.items():
            found[key] = {interval: stored.get((series, interval), {}) for interval in LONGER}
        return found

    def _rebuild(self, tx: Transaction, found: Longer, changes: Changes, redo: Sequence[Redo]) -> None:
        minutes = tx.final_minutes([(changes[key].state.id, start, end) for key, _, start, end in redo])
        # Asked after the minutes were read: retention may commit between the two statements.
        for key, interval, start, end in _at_hand(tx, changes, redo):
            within = [b for b in minutes.get(changes[key].state.id, []) if start <= b.fold.start < end]
            fold = rebuilt(_distinct(within), start)
            if fold is None:
                save.deleted_bars(tx, [(changes[key].state.id, start)], interval)
                change = found[interval][key]
                found[interval][key] = replace(change, deleted=(*change.deleted, start))
            else:
                clock = changes[key].state.clock
                bar = describe(key, fold, interval, clock, self.limits.settle, self.bucket_of)
                found[interval][key] = _with(found[interval][key], bar)


def _is_quiet(change: MinutesChange) -> bool:
    """Whether nothing changed that a longer bar holds."""
    return not change.deleted and all(bar.state is State.FORMING for bar in change.changed)


def _newly_final(change: MinutesChange) -> list[Bar]:
    finished = set(change.finished)
    return [bar for bar in change.changed if bar.state is not State.FORMING and bar.fold.start in finished]


def _at_hand(tx: Transaction, changes: Changes, redo: Sequence[Redo]) -> Sequence[Redo]:
    """Those whose minutes are not in the archive. A bar that outlives its minutes stays as it is: made of what is left
    of them, an hour or a day would be that of the one trade that came."""
    # Nothing of the month under way is archived, so that batches of every day ask nobody.
    old = [
        (start, end)
        for (source, symbol), _, start, end in redo
        if not is_replayed(source) and month_of(start) < month_of(changes[source, symbol].state.clock)
    ]
    if not old:
        return redo
    since, until = (date(*month_of(at), 1) for at in (min(old)[0], max(end for _, end in old) - 1))
    gone = {(month.year, month.month) for month in archived_months(tx.cursor, "bars", "1m", since, until)}
    return [
        item for item in redo if is_replayed(item[0][0]) or gone.isdisjoint((month_of(item[2]), month_of(item[3] - 1)))
    ]


def _distinct(minutes: Iterable[Bar]) -> list[Bar]:
    """Each minute once: stretches of several intervals overlap."""
    return list({bar.fold.start: bar for bar in minutes}.values())


def _with(change: LongerChange, bar: Bar) -> LongerChange:
    changed = tuple(sorted((*change.changed, bar), key=lambda item: item.fold.start))
    forming = {bar.fold.start: bar.fold} if bar.state is State.FORMING else {}
    return replace(change, changed=changed, open={**change.open, **forming})


def _save(tx: Transaction, interval: str, changes: Changes, found: Mapping[SeriesKey, LongerChange]) -> None:
    save.bars(
        tx,
        [
            (changes[key].state.id, bar, vwap_of(bar.fold.turnover, bar.fold.volume))
            for key, change in found.items()
            for bar in change.changed
        ],
        interval,
    )
