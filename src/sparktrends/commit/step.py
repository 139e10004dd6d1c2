"""What a transaction changes of the minutes, written with all that follows from it.

Longer bars, metrics, signals, alerts and the row that tells readers. Batches, repair and backfill end here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sparktrends.analysis import MinutesChange, open_from
from sparktrends.bars import Limits, vwap_of
from sparktrends.commit.analysis import Analysis
from sparktrends.commit.cache import Cache, Known, Minutes
from sparktrends.commit.fills import filled_longer, provided
from sparktrends.commit.longer import Longer, LongerBars
from sparktrends.commit.plan import Changed
from sparktrends.model import Bar, SeriesState, StoredProviderBar
from sparktrends.store import save
from sparktrends.store.writer import SeriesKey, Transaction


@dataclass(frozen=True, slots=True)
class Laws:
    """What is the same for every batch: the limits, and the analysis of each interval (none: bars only)."""

    limits: Limits
    analyses: tuple[Analysis, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """States as they were locked, the minutes that were read, what becomes of them, and providers' bars beside them
    (saved already). ``filled`` are the minutes that nothing but fills changed."""

    before: Mapping[SeriesKey, SeriesState]
    stored: Mapping[SeriesKey, Minutes]
    changes: Mapping[SeriesKey, MinutesChange]
    filled: Mapping[SeriesKey, frozenset[int]]
    provider_bars: Sequence[StoredProviderBar] = ()


def write_step(tx: Transaction, step: Step, laws: Laws, cache: Cache, now: int) -> int:
    """Write it and what follows, at ``now``; returns the number of the commit. ``cache`` as in `commit_batch`."""
    _save(tx, step.changes.values())
    opened = {key: _open_minutes(step.stored[key], change, laws.limits) for key, change in step.changes.items()}
    clocks = {key: state.clock for key, state in step.before.items()}
    folding = LongerBars(laws.limits)
    # Before the analyses: where they go back they read bars, these among them.
    longer = folding.fold(tx, step.changes, clocks, cache, {(i.bar.source, i.bar.symbol) for i in step.provider_bars})
    done = {
        analysis.interval: analysis.run(tx, _changed(analysis.interval, step, opened, longer), cache, now)
        for analysis in laws.analyses
    }
    commit = _note_changes(tx, step, longer, [s for d in done.values() for s in d.signals], now)
    positions = {interval: analysed.positions for interval, analysed in done.items()}
    left: dict[SeriesKey, tuple[int, Known]] = {}
    for key, change in step.changes.items():
        before = cache.get(key, change.state.version - 1) or Known({})
        stands = {**before.positions, **{interval: of[key] for interval, of in positions.items() if key in of}}
        bars, until = before.longer, before.longer_until
        if moved := {interval: dict(of[key].open) for interval, of in longer.items() if key in of}:
            bars = moved
            until = folding.until(key, bars)
        left[key] = change.state.version, Known(opened[key], bars, until, stands)
    cache.keep(left)
    return commit


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


def _note_changes(tx: Transaction, step: Step, longer: Longer, signals: Sequence[str], now: int) -> int:
    series = {key: state.id for key, state in step.before.items()}
    keys = [(series[k], "1m", bar.fold.start) for k, c in step.changes.items() for bar in c.changed if _shows(bar)]
    # A row that is gone has changed too: whoever keeps it (the API does) has to read it again.
    keys += [(series[k], "1m", start) for k, c in step.changes.items() for start in c.deleted]
    for interval, of_interval in longer.items():
        keys += [(series[k], interval, b.fold.start) for k, c in of_interval.items() for b in c.changed if _shows(b)]
        keys += [(series[k], interval, start) for k, c in of_interval.items() for start in c.deleted]
    for item in step.provider_bars:
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


def _changed(interval: str, step: Step, opened: Mapping[SeriesKey, Minutes], longer: Longer) -> list[Changed]:
    """What was done to the bars of one interval, for its analysis."""
    brought = provided(step.provider_bars, interval)
    if interval == "1m":
        return [
            Changed(key, change, opened[key], frozenset(brought.get(key, ())), step.filled[key])
            for key, change in step.changes.items()
        ]
    found: list[Changed] = []
    for key, bars in longer[interval].items():
        given, change = brought.get(key, {}), step.changes[key]
        if not bars.changed and not given:
            continue  # the analysis of this interval stays where it stands
        lively = Changed(key, change, opened[key], frozenset(given)).touched - step.filled[key]
        filled = filled_longer(bars, lively, given)
        changed = MinutesChange(change.state, bars.changed)
        found.append(Changed(key, changed, dict(sorted(bars.open.items())), frozenset(given), filled))
    return found
