"""Whose doing an alert is: what nothing but fills brought is stored and shown, and sent to nobody (law 8). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sparktrends.analysis import MinutesChange
from sparktrends.analysis.intervals import LongerChange
from sparktrends.commit.plan import Changed
from sparktrends.model import INTERVALS, Alert, PartialBar, State, StoredProviderBar
from sparktrends.store.writer import SeriesKey


def only_fills(fold: PartialBar) -> bool:
    """Whether every trade of it was fetched afterwards; a bar without trades is nobody's doing."""
    return 0 < fold.trades == fold.fills


def provided(items: Iterable[StoredProviderBar], interval: str) -> dict[SeriesKey, dict[int, bool]]:
    """The starts of the closed bars that providers brought, by series, and whether nothing but fills did."""
    found: dict[SeriesKey, dict[int, bool]] = {}
    for bar in (item.bar for item in items):
        # No other bar of a provider ever shows in the place of ours (`market.bars`).
        if bar.interval == interval and bar.closed and bar.adjustment == "raw":
            starts = found.setdefault((bar.source, bar.symbol), {})
            starts[bar.start] = bar.fill and starts.get(bar.start, True)
    return found


def filled_minutes(
    change: MinutesChange, partials: Iterable[PartialBar], brought: Mapping[int, bool]
) -> frozenset[int]:
    """Starts of minutes whose latest change came from fills alone; ``brought`` as in `provided`."""
    finals = [bar.fold for bar in change.changed if bar.state is not State.FORMING]
    if not finals and not brought:
        return frozenset()  # so it is in most batches
    finished = set(change.finished)
    of_fills = {partial.start for partial in partials if only_fills(partial)}
    # When it becomes final all of its trades count; later only what came with this change.
    own = {fold.start for fold in finals if (only_fills(fold) if fold.start in finished else fold.start in of_fills)}
    lively = {fold.start for fold in finals if fold.trades} - own
    return frozenset((own | {start for start, fill in brought.items() if fill}) - lively) - _live(brought)


def filled_longer(change: LongerChange, lively: Collection[int], brought: Mapping[int, bool]) -> frozenset[int]:
    """The same of longer bars; ``lively`` are the minutes that something else than fills changed."""
    finished, length = set(change.finished), INTERVALS[change.interval]
    own = {
        bar.fold.start
        for bar in change.changed
        if (
            only_fills(bar.fold)
            if bar.fold.start in finished
            else not any(bar.fold.start <= minute < bar.fold.start + length for minute in lively)
        )
    }
    changed = {bar.fold.start for bar in change.changed}
    return frozenset((own | {s for s, fill in brought.items() if fill and s not in changed}) - _live(brought))


def of_fills(change: Changed, alerts: Iterable[Alert]) -> set[str]:
    """Ids of the alerts of one series that fills brought: of the bars they changed, and of those stepped again behind
    them because of nothing else."""
    touched = change.touched
    first = min(touched - change.filled, default=None)
    return {
        alert.id
        for alert in alerts
        if alert.start in change.filled or (alert.start not in touched and (first is None or first > alert.start))
    }


def _live(brought: Mapping[int, bool]) -> set[int]:
    return {start for start, fill in brought.items() if not fill}
