"""One batch, folded, into the store: read what is stored, take the pure steps, write all of it and the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sparktrends.analysis import MinutesChange, advance, open_from, spans_needed
from sparktrends.bars import FoldResult, Limits, vwap_of
from sparktrends.commit.analysis import Analysis
from sparktrends.commit.cache import Cache, Known, Minutes
from sparktrends.commit.longer import Longer, LongerBars
from sparktrends.commit.plan import Changed
from sparktrends.model import MINUTE, Bar, OffsetRange, PartialBar, SeriesMark, SeriesState, Span
from sparktrends.store import save
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
        for start, end in self.mark.closed:
            touched.update(range(start, end, MINUTE))
        return touched


@dataclass(frozen=True, slots=True)
class Laws:
    """What is the same for every batch: the limits, and the analysis of each interval (none: bars only)."""

    limits: Limits
    analyses: tuple[Analysis, ...] = ()


def commit_batch(
    tx: Transaction, ranges: Sequence[OffsetRange], result: FoldResult, laws: Laws, cache: Cache, now: int
) -> Committed | None:
    """Write one batch inside ``tx``; None when the ledger says that it was committed before.

    Raises LogGap when the batch does not begin where the ledger stands. ``cache`` must be emptied when the
    transaction fails afterwards.
    """
    if not tx.claim(ranges):
        return None
    batch = _by_series(result)
    late = {(item.trade.source, item.trade.symbol) for item in result.late}
    states = tx.lock_series(batch.keys() | late)
    limits = laws.limits
    minutes = _stored_minutes(tx, batch, states, limits, cache)
    spans = _spans(tx, batch, states)
    changes = {
        key: advance(states[key], s.mark, s.partials, minutes[key], spans.get(states[key].id, []), limits.settle)
        for key, s in batch.items()
    }
    _save(tx, changes.values())
    ids = {r.topic: r.topic_id for r in ranges}
    series = {key: state.id for key, state in states.items()}
    save.late_trades(tx, result.late, series, ids)
    save.quarantined(tx, result.quarantined, ids)
    save.provider_bars(tx, result.provider_bars, series)
    tx.advance_ledger(ranges, result.counts, now)
    opened = {key: _open_minutes(minutes[key], change, limits) for key, change in changes.items()}
    clocks = {key: state.clock for key, state in states.items()}
    longer = LongerBars(limits).fold(tx, changes, clocks, cache)
    done = {
        analysis.interval: analysis.run(tx, _changed(analysis.interval, changes, opened, longer, result), cache, now)
        for analysis in laws.analyses
    }
    commit = _note_changes(tx, changes, longer, result, series, [s for d in done.values() for s in d.signals], now)
    for key, change in changes.items():
        before = cache.get(key, change.state.version - 1)
        positions = dict(before.positions) if before is not None else {}
        positions |= {interval: d.positions[key] for interval, d in done.items() if key in d.positions}
        open_bars = {interval: dict(of[key].open) for interval, of in longer.items()}
        cache.put(key, change.state.version, Known(opened[key], open_bars, positions))
    return Committed(commit, sum(len(c.changed) for c in changes.values()), sum(c.records for c in result.counts))


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


def _save(tx: Transaction, changes: Iterable[MinutesChange]) -> None:
    changes = list(changes)
    rows = [(c.state.id, bar, vwap_of(bar.fold.turnover, bar.fold.volume)) for c in changes for bar in c.changed]
    save.deleted_bars(tx, [(c.state.id, start) for c in changes for start in c.deleted])
    save.bars(tx, rows)
    save.states(tx, [c.state for c in changes])
    added = [(c.state.id, span) for c in changes for span in c.spans_added]
    deleted = [(c.state.id, span) for c in changes for span in c.spans_deleted]
    if added or deleted:
        save.spans(tx, added, deleted)


def _note_changes(
    tx: Transaction,
    changes: Mapping[SeriesKey, MinutesChange],
    longer: Longer,
    result: FoldResult,
    series: Mapping[SeriesKey, int],
    signals: Sequence[str],
    now: int,
) -> int:
    keys = [(c.state.id, "1m", bar.fold.start) for c in changes.values() for bar in c.changed if _shows(bar)]
    for interval, of_interval in longer.items():
        keys += [(series[k], interval, b.fold.start) for k, c in of_interval.items() for b in c.changed if _shows(b)]
    for item in result.provider_bars:
        keys.append((series[item.bar.source, item.bar.symbol], item.bar.interval, item.bar.start))
    commit = tx.next_commit()
    save.changes(tx, commit, now, keys, signals)
    return commit


def _shows(bar: Bar) -> bool:
    """Whether people see the row: a forming minute without a trade is not there for them."""
    return bar.fold.trades > 0 or bar.state != "forming"


def _open_minutes(stored: Minutes, change: MinutesChange, limits: Limits) -> Minutes:
    """The minutes of a series that are not final after the change, in order."""
    since = open_from(change.state.clock, limits.settle)
    known = {start: fold for start, fold in stored.items() if start >= since}
    known.update({bar.fold.start: bar.fold for bar in change.changed if bar.fold.start >= since})
    for start in change.deleted:
        known.pop(start, None)
    return dict(sorted(known.items()))


def _changed(
    interval: str,
    changes: Mapping[SeriesKey, MinutesChange],
    opened: Mapping[SeriesKey, Minutes],
    longer: Longer,
    result: FoldResult,
) -> list[Changed]:
    """What the batch did to the bars of one interval, for its analysis."""
    provided: dict[SeriesKey, set[int]] = {}
    for item in result.provider_bars:
        if item.bar.interval == interval and item.bar.closed and item.bar.adjustment == "raw":
            provided.setdefault((item.bar.source, item.bar.symbol), set()).add(item.bar.start)
    if interval == "1m":
        return [Changed(key, change, opened[key], provided.get(key, set())) for key, change in changes.items()]
    found: list[Changed] = []
    for key, change in changes.items():
        of_interval = longer[interval][key]
        if not of_interval.changed and key not in provided:
            continue  # in most batches no longer bar changes: its analysis stays where it stands
        bars = MinutesChange(change.state, of_interval.changed)
        found.append(Changed(key, bars, dict(sorted(of_interval.open.items())), provided.get(key, set())))
    return found
