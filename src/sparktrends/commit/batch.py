"""One batch, folded, into the store: read what is stored, take the pure steps, write all of it and the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sparktrends.analysis import MinutesChange, advance, described, open_from, spans_needed
from sparktrends.bars import FoldResult, Limits
from sparktrends.commit.cache import Cache, Minutes
from sparktrends.commit.fills import filled_minutes, provided
from sparktrends.commit.parts import cut
from sparktrends.commit.step import Laws, Step, write_step
from sparktrends.model import MINUTE, OffsetRange, PartialBar, SeriesMark, SeriesState, Span
from sparktrends.store import save
from sparktrends.store.repair_rows import go_by_index
from sparktrends.store.writer import Request, SeriesKey, Transaction


@dataclass(frozen=True, slots=True)
class Committed:
    """What one transaction did; ``commit`` is its number in the shard."""

    commit: int
    bars: int
    records: int


@dataclass(frozen=True, slots=True)
class _Series:
    """What a batch says of one series."""

    mark: SeriesMark
    partials: Sequence[PartialBar]

    @property
    def starts(self) -> set[int]:
        """Minutes whose stored rows the step must see."""
        touched = {partial.start for partial in self.partials}
        # Rows of silence in a closed session are deleted, but none that somebody knew: so they must be seen.
        for start, end in self.mark.closed:
            touched.update(range(start, end, MINUTE))
        return touched


def commit_batch(
    tx: Transaction, ranges: Sequence[OffsetRange], result: FoldResult, laws: Laws, cache: Cache, now: int
) -> Committed | None:
    """Write one batch inside ``tx``; None when the ledger says that it was committed before.

    Raises LogGap when the batch does not begin where the ledger stands. ``cache`` must be emptied when the
    transaction fails afterwards.
    """
    if not tx.claim(ranges):
        return None
    states = tx.lock_series(_keys(result))
    ids = {r.topic: r.topic_id for r in ranges}
    series = {key: state.id for key, state in states.items()}
    save.late_trades(tx, result.late, series, ids)
    save.quarantined(tx, result.quarantined, ids)
    save.provider_bars(tx, result.provider_bars, series)
    tx.advance_ledger(ranges, result.counts)
    return _merge(tx, states, result, laws, cache, now)


def fold_in(tx: Transaction, result: FoldResult, laws: Laws, cache: Cache, now: int) -> Committed:
    """Merge bars and marks into what is stored, beside any stream: no record of the log is new, so no ledger moves."""
    return _merge(tx, tx.lock_series(_keys(result)), result, laws, cache, now)


def replace_minutes(
    tx: Transaction, key: SeriesKey, folds: Sequence[PartialBar], laws: Laws, cache: Cache, now: int
) -> int:
    """Put these folds of known minutes in place of the stored ones; returns the number of the commit.

    The caller holds the lock of the series (`Transaction.lock_series`): the folds are of all that is committed. A
    minute that nobody knows must not be among them: its row would hide the hole around it.
    """
    state, settle = tx.lock_series([key])[key], laws.limits.settle
    stored = tx.bars([Request(state.id, (), open_from(state.clock, settle))])[state.id]
    changed = tuple(described(fold, state.clock, settle) for fold in sorted(folds, key=_start))
    after = replace(state, version=state.version + 1)
    # Repair and rebuild bring what was missed: nobody is sent an alert of the past (law 8).
    filled = frozenset(fold.start for fold in folds)
    step = Step({key: state}, {key: stored}, {key: MinutesChange(after, changed)}, {key: filled})
    return write_step(tx, step, laws, cache, now)


def _keys(result: FoldResult) -> set[SeriesKey]:
    # A late trade leaves no mark, and its row in the late ledger still needs the id of a series.
    named = {(mark.source, mark.symbol) for mark in result.marks}
    return named | {(item.trade.source, item.trade.symbol) for item in result.late}


def _merge(
    tx: Transaction, states: Mapping[SeriesKey, SeriesState], result: FoldResult, laws: Laws, cache: Cache, now: int
) -> Committed:
    commit = bars = 0
    spans = _spans(tx, _by_series(result), states)
    for part in cut(result, states, spans):
        if part is not result:
            go_by_index(tx)
        commit, changes = _merge_part(tx, states, part, spans if part is result else None, laws, cache, now)
        bars += sum(len(change.changed) for change in changes.values())
        states = {**states, **{key: change.state for key, change in changes.items()}}
    return Committed(commit, bars, sum(c.records for c in result.counts))


def _merge_part(
    tx: Transaction,
    states: Mapping[SeriesKey, SeriesState],
    part: FoldResult,
    spans: Mapping[int, list[Span]] | None,
    laws: Laws,
    cache: Cache,
    now: int,
) -> tuple[int, dict[SeriesKey, MinutesChange]]:
    batch = _by_series(part)
    minutes = _stored_minutes(tx, batch, states, laws.limits, cache)
    if spans is None:
        spans = _spans(tx, batch, states)
    settle = laws.limits.settle
    changes = {
        key: advance(states[key], s.mark, s.partials, minutes[key], spans.get(states[key].id, []), settle)
        for key, s in batch.items()
    }
    brought = provided(part.provider_bars, "1m")
    filled = {key: filled_minutes(changes[key], s.partials, brought.get(key, {})) for key, s in batch.items()}
    return write_step(tx, Step(states, minutes, changes, filled, part.provider_bars), laws, cache, now), changes


def _start(fold: PartialBar) -> int:
    return fold.start


def _by_series(result: FoldResult) -> dict[SeriesKey, _Series]:
    partials: dict[SeriesKey, list[PartialBar]] = {(m.source, m.symbol): [] for m in result.marks}
    for bar in result.bars:
        partials[bar.source, bar.symbol].append(bar)
    return {(m.source, m.symbol): _Series(m, partials[m.source, m.symbol]) for m in result.marks}


def _stored_minutes(
    tx: Transaction,
    batch: Mapping[SeriesKey, _Series],
    states: Mapping[SeriesKey, SeriesState],
    limits: Limits,
    cache: Cache,
) -> dict[SeriesKey, Minutes]:
    found: dict[SeriesKey, Minutes] = {}
    requests: dict[SeriesKey, Request] = {}
    for key, series in batch.items():
        state = states[key]
        since = open_from(state.clock, limits.settle)
        kept = cache.get(key, state.version)
        known = kept.minutes if kept is not None else None
        # A series without a row yet has nothing to read; nor has one whose open minutes are at hand.
        older = tuple(m for m in series.starts if m < since) if state.first_minute is not None else ()
        found[key] = dict(known) if known is not None else {}
        if state.first_minute is not None and (known is None or older):
            requests[key] = Request(state.id, older, since)
    if requests:
        stored = tx.bars(list(requests.values()))
        for key, request in requests.items():
            found[key].update(stored[request.series])
    return found


def _spans(
    tx: Transaction, batch: Mapping[SeriesKey, _Series], states: Mapping[SeriesKey, SeriesState]
) -> dict[int, list[Span]]:
    needed: dict[int, tuple[int, int]] = {}
    for key, series in batch.items():
        stretch = spans_needed(states[key], series.mark, (p.start for p in series.partials))
        if stretch is not None:
            needed[states[key].id] = stretch
    return tx.spans(needed)
