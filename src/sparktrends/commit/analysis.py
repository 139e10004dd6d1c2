"""The analysis of what a batch changed, inside its transaction: metrics, signals and alerts beside their bars.

One `Analysis` for each interval; its bars come from `batch` (minutes) and `longer`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sparktrends.analysis.chain import Chain
from sparktrends.analysis.work import Floats, Stepped, bar_row
from sparktrends.bars import Limits
from sparktrends.commit.cache import Cache, Position
from sparktrends.commit.fills import of_fills
from sparktrends.commit.news import with_news
from sparktrends.commit.plan import Changed, Plan, Planner
from sparktrends.commit.sessions import Sessions
from sparktrends.detectors import feed_signals
from sparktrends.errors import IntegrityError
from sparktrends.model import INTERVALS, PartialBar, Signal, State
from sparktrends.store import analysis_rows as rows
from sparktrends.store.analysis_rows import MetricsTable
from sparktrends.store.outbox import insert_alerts, resolve_alerts, retract_alerts
from sparktrends.store.writer import SeriesKey, Transaction

# Beyond this many forming minutes of one series only the newest ones are peeked: nobody looks at more.
_OPEN = 3
# Of more series with a forming bar each batch peeks a share in turn, a quarter at least: what a forming bar shows may
# be half a second older than the bar (minutes, for longer bars), and every commit is that much sooner.
_PEEKED, _TURNS = 150, 4
MINUTES = "1m"
Ids = Mapping[SeriesKey, int]
Peek = tuple[SeriesKey, int, Floats]
"""A forming bar's series, start and row of metrics."""


@dataclass(frozen=True, slots=True)
class Analysed:
    """Ids of signals that changed, and where each series stands: its state, and the start of its last bar."""

    signals: tuple[str, ...] = ()
    positions: Mapping[SeriesKey, Position] = field(default_factory=dict)


class Analysis:
    """Runs a `Chain` over the changes of a batch to bars of its interval, and writes what it makes."""

    def __init__(self, chain: Chain, limits: Limits) -> None:
        if chain.kernel.names != rows.METRIC_NAMES:
            raise IntegrityError("the kernel's columns are not those of the table of metrics")
        self._chain = chain
        self.interval = chain.interval
        self._session_of = Sessions(chain.interval)
        self._planner = Planner(chain, limits, self._session_of)
        self._turn = 0

    def run(self, tx: Transaction, changes: Sequence[Changed], cache: Cache, now: int) -> Analysed:
        """Step, peek, and write metrics, snapshots, signals and alerts; ``now`` is the time of the commit."""
        forming = self._in_turn(changes)
        changes = self._asked(changes, forming, cache)
        if not changes:
            return Analysed()
        ids = {change.key: change.minutes.state.id for change in changes}
        plan = self._planner.plan(tx, changes, cache)
        stepped = self._chain.advance(with_news(tx.cursor, self._chain, plan.works))
        for step in stepped:
            plan.positions[step.key] = (step.state, step.starts[-1])
        peeked, early = self._peek(forming, plan.positions)
        self._save_metrics(tx, stepped, plan, peeked, ids)
        self._save_snapshots(tx, stepped, plan, ids, {c.key: c.minutes.state.clock for c in changes})
        signals = self._save_signals(tx, stepped, plan, early, ids)
        if self.interval == MINUTES:
            signals += _save_feed_signals(tx, changes, ids)
        self._save_alerts(tx, stepped, plan, changes, now)
        return Analysed(tuple(signals), plan.positions)

    def _in_turn(self, changes: Sequence[Changed]) -> list[Changed]:
        forming = [change for change in changes if _is_forming(change)]
        turns = min(-(-len(forming) // _PEEKED), _TURNS) or 1
        self._turn += 1
        return [change for change in forming if (change.minutes.state.id + self._turn) % turns == 0]

    def _asked(self, changes: Sequence[Changed], forming: Sequence[Changed], cache: Cache) -> list[Changed]:
        """Those of which something is final or gone, those to be peeked, those of which an older bar changed, and those
        whose position is not at hand: a series that was passed over at its beginning would be taken for one that other
        rules left. Of the rest nothing can come."""
        peeked = {change.key for change in forming}
        return [c for c in changes if c.key in peeked or _settles(c) or self._planner.asks(c, cache)]

    def _peek(
        self, changes: Sequence[Changed], positions: Mapping[SeriesKey, Position]
    ) -> tuple[list[Peek], list[Signal]]:
        """Forming bars, oldest first: the second of a series is peeked as if the first had been final."""
        peeked: list[Peek] = []
        signals: list[Signal] = []
        waiting = [(c.key, _forming(c), positions[c.key][0]) for c in changes]
        level = [(key, list(bars), state) for key, bars, state in waiting if bars]
        while level:
            keys, starts = [key for key, _, _ in level], [bars[0][0] for _, bars, _ in level]
            table = np.array([bar_row(bars[0][1], self._session_of(key, bars[0][0])) for key, bars, _ in level])
            states = np.stack([state for _, _, state in level])
            seen = self._chain.peek(keys, starts, states, table)
            peeked += [(key, start, seen.metrics[j]) for j, (key, start) in enumerate(zip(keys, starts, strict=True))]
            signals += seen.signals
            deeper = [(key, bars[1:], j) for j, (key, bars, _) in enumerate(level) if len(bars) > 1]
            after = self._chain.assume(states, table) if deeper else states
            level = [(key, bars, after[j]) for key, bars, j in deeper]
        return peeked, signals

    def _save_metrics(
        self, tx: Transaction, stepped: Sequence[Stepped], plan: Plan, peeked: Sequence[Peek], ids: Ids
    ) -> None:
        rows.save_metrics(tx, self.interval, self._metrics_table(stepped, plan, peeked, ids))
        if plan.since:
            kept = [(ids[step.key], start) for step in stepped if step.key in plan.since for start in step.starts]
            rows.delete_metrics(tx, self.interval, {ids[key]: since for key, since in plan.since.items()}, kept)

    def _metrics_table(self, stepped: Sequence[Stepped], plan: Plan, peeked: Sequence[Peek], ids: Ids) -> MetricsTable:
        named = len(self._chain.kernel.names)
        parts = [step.metrics for step in stepped] + [values[None, :] for _, _, values in peeked]
        metrics = np.concatenate(parts) if parts else np.empty((0, len(self._chain.kernel.columns)))
        revisions = [revision for step in stepped for revision in plan.revisions[step.key]]
        return MetricsTable(
            series=[ids[step.key] for step in stepped for _ in step.starts] + [ids[key] for key, _, _ in peeked],
            starts=[start for step in stepped for start in step.starts] + [start for _, start, _ in peeked],
            values=metrics[:, :named],
            warm=metrics[:, -1] > 0,
            extra_names=self._chain.kernel.extra_names,
            extra=metrics[:, named:-1],
            revisions=revisions + [0] * len(peeked),
            final=[True] * len(revisions) + [False] * len(peeked),
        )

    def _save_snapshots(
        self, tx: Transaction, stepped: Sequence[Stepped], plan: Plan, ids: Ids, clocks: Mapping[SeriesKey, int]
    ) -> None:
        if not plan.bases:
            return
        states = [(ids[s.key], snap.start, snap.state, snap.daily) for s in stepped for snap in s.snapshots]
        # Behind its base a snapshot that is not made again is of a bar that is gone: nothing may restart from it.
        since = {ids[key]: last + 1 for key, last in plan.bases.items()}
        rows.save_snapshots(tx, self.interval, self._chain.layout, states, since)
        rows.prune_snapshots(tx, self.interval, {ids[key]: self._planner.keep_from(clocks[key]) for key in plan.bases})

    def _save_signals(
        self, tx: Transaction, stepped: Sequence[Stepped], plan: Plan, early: Sequence[Signal], ids: Ids
    ) -> list[str]:
        firm = [signal for step in stepped for signal in step.signals]
        judged = [(ids[step.key], start) for step in stepped for start in step.starts]
        changed = rows.replace_signals(tx, ids, self.interval, judged, firm)
        changed += rows.replace_signals(tx, ids, self.interval, [], early)
        if plan.since:
            since = {ids[key]: start for key, start in plan.since.items()}
            changed += rows.retract_signals_since(tx, self.interval, since, [signal.id for signal in (*firm, *early)])
        return changed

    def _save_alerts(
        self, tx: Transaction, stepped: Sequence[Stepped], plan: Plan, changes: Sequence[Changed], now: int
    ) -> None:
        since, ids = plan.alerts_since, {change.key: change.minutes.state.id for change in changes}
        alerts = [alert for step in stepped for alert in step.alerts if alert.start >= since.get(step.key, 0)]
        if since:
            new = {alert.id for alert in alerts}
            standing = rows.standing_alerts(tx, self.interval, {ids[key]: start for key, start in since.items()})
            retract_alerts(tx.cursor, [alert for alert in standing if alert not in new], now)
        by_key = {step.key: step.alerts for step in stepped if step.alerts}
        filled = {alert for change in changes for alert in of_fills(change, by_key.get(change.key, ()))}
        insert_alerts(tx.cursor, alerts, ids, now, filled)
        # Those of bars that are stepped again only because a snapshot lies behind them are known already.
        over = [end for step in stepped for end in step.resolutions if end.bar >= since.get(step.key, 0)]
        again = {ids[key]: start + INTERVALS[self.interval] for key, start in since.items()}
        resolve_alerts(tx.cursor, self.interval, over, again, now)


def _save_feed_signals(tx: Transaction, changes: Sequence[Changed], ids: Ids) -> list[str]:
    minutes = [(change.key, bar) for change in changes for bar in change.final]
    feed = feed_signals([((*key, MINUTES, bar.fold.start), bar.reason or "") for key, bar in minutes])
    places = [(ids[key], bar.fold.start) for key, bar in minutes]
    # An empty minute that turned out to lie in a closed session is no longer a row, and nobody's fault.
    places += [(ids[change.key], start) for change in changes for start in change.minutes.deleted]
    return rows.replace_signals(tx, ids, MINUTES, places, feed, feed=True)


def _settles(change: Changed) -> bool:
    return bool(change.provided or change.minutes.deleted) or any(
        bar.state is not State.FORMING for bar in change.minutes.changed
    )


def _is_forming(change: Changed) -> bool:
    return any(bar.state is State.FORMING and bar.fold.open is not None for bar in change.minutes.changed)


def _forming(change: Changed) -> list[tuple[int, PartialBar]]:
    found = [(start, fold) for start, fold in change.opened.items() if fold.open is not None]
    return list(found[-_OPEN:])
