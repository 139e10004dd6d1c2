"""The analysis of what a batch changed, inside its transaction: metrics, signals and alerts beside their bars.

Mostly a batch appends: some bars became final, the state of their series is at hand. Where a bar before that state
changed (a revision, a provider's bar, a repair), the series goes back to the newest snapshot before it and steps
again over what is stored now; the result is the same as if everything had come in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sparktrends.analysis import MinutesChange
from sparktrends.analysis.chain import Chain, Floats, SessionOf, Stepped, Work, bar_row, utc_day
from sparktrends.bars import Limits
from sparktrends.commit.cache import Cache, Minutes
from sparktrends.detectors import feed_signals
from sparktrends.errors import IntegrityError
from sparktrends.model import MINUTE, Alert, Bar, PartialBar, Signal, State
from sparktrends.store import analysis_rows as rows
from sparktrends.store.analysis_rows import FinalBar, MetricsRow
from sparktrends.store.outbox import insert_alerts, retract_alerts
from sparktrends.store.writer import SeriesKey, Transaction

INTERVAL = "1m"
# Beyond this many forming minutes of one series only the newest ones are peeked: nobody looks at more.
_OPEN = 3


@dataclass(frozen=True, slots=True)
class Changed:
    """What a batch did to one series. ``opened`` are its minutes that are not final, ``provided`` the starts of
    providers' closed bars that came."""

    key: SeriesKey
    minutes: MinutesChange
    opened: Minutes
    provided: set[int]

    @property
    def final(self) -> list[Bar]:
        """Changed minutes that are final."""
        return [bar for bar in self.minutes.changed if bar.state is not State.FORMING]


@dataclass(frozen=True, slots=True)
class Analysed:
    """Ids of signals that changed, and where each stepped series stands: its state, and the start of its last bar."""

    signals: tuple[str, ...] = ()
    positions: Mapping[SeriesKey, tuple[Floats | None, int]] = field(default_factory=dict)


NOTHING = Analysed()


@dataclass(slots=True)
class _Plan:
    """What to step: works, the revision of each of their bars, and since when a series is judged anew."""

    works: list[Work] = field(default_factory=list)
    revisions: dict[SeriesKey, list[int]] = field(default_factory=dict)
    since: dict[SeriesKey, int] = field(default_factory=dict)
    positions: dict[SeriesKey, tuple[Floats | None, int]] = field(default_factory=dict)


class Analysis:
    """Runs a `Chain` over the changes of a batch and writes what it makes."""

    def __init__(self, chain: Chain, limits: Limits, session_of: SessionOf = utc_day) -> None:
        if chain.kernel.names != rows.METRIC_NAMES:
            raise IntegrityError("the kernel's columns are not those of the table of metrics")
        self._chain = chain
        self._limits = limits
        self._session_of = session_of

    def run(self, tx: Transaction, changes: Sequence[Changed], cache: Cache, now: int) -> Analysed:
        """Step, peek, and write metrics, snapshots, signals and alerts; ``now`` is the time of the commit."""
        ids = {change.key: change.minutes.state.id for change in changes}
        plan = self._plan(tx, changes, cache)
        stepped = self._chain.advance(plan.works)
        for step in stepped:
            plan.positions[step.key] = (step.state, step.starts[-1])
        peeked, early = self._peek(changes, plan.positions)
        self._save_metrics(tx, stepped, plan, peeked, ids)
        self._save_snapshots(tx, stepped, ids, {c.key: c.minutes.state.clock for c in changes})
        signals = self._save_signals(tx, changes, stepped, plan, early, ids)
        self._save_alerts(tx, stepped, ids, now)
        return Analysed(tuple(signals), plan.positions)

    def _plan(self, tx: Transaction, changes: Sequence[Changed], cache: Cache) -> _Plan:
        plan, rewinds = _Plan(), {}
        unknown = [c for c in changes if self._position(c, cache) is None]
        read = self._read_positions(tx, unknown)
        for change in changes:
            position = self._position(change, cache) or read[change.key]
            plan.positions[change.key] = position
            bars = change.final
            touched = {bar.fold.start for bar in bars if _matters(bar)} | change.provided
            if not touched:
                continue
            if min(touched) > position[1] and not change.provided and all(_plain(bar) for bar in bars if _matters(bar)):
                self._append(plan, change.key, position, [bar for bar in bars if _matters(bar)])
            else:
                rewinds[change.key] = (change.minutes.state.id, min(touched), position)
        self._rewind(tx, plan, rewinds)
        return plan

    def _position(self, change: Changed, cache: Cache) -> tuple[Floats | None, int] | None:
        known = cache.get(change.key, change.minutes.state.version - 1)
        return None if known is None or known.state is None else (known.state, known.last)

    def _read_positions(self, tx: Transaction, changes: Sequence[Changed]) -> dict[SeriesKey, tuple[Floats, int]]:
        newest = {c.minutes.state.id: 2**62 for c in changes}
        found = rows.snapshots_before(tx, INTERVAL, self._chain.layout, newest)
        return {c.key: self._restored(found.get(c.minutes.state.id)) for c in changes}

    def _restored(self, snapshot: rows.StoredSnapshot | None) -> tuple[Floats, int]:
        if snapshot is None:
            return self._chain.new(), -1
        return np.frombuffer(snapshot.state, dtype=np.float64), snapshot.start

    def _append(self, plan: _Plan, key: SeriesKey, position: tuple[Floats | None, int], bars: Sequence[Bar]) -> None:
        state, last = position
        assert state is not None
        starts = tuple(bar.fold.start for bar in bars)
        table = np.array([bar_row(bar.fold, self._session_of(key, bar.fold.start)) for bar in bars])
        plan.works.append(Work(key, state, last, starts, table, self._keep_from(starts[-1])))
        plan.revisions[key] = [bar.fold.after_final for bar in bars]

    def _rewind(
        self,
        tx: Transaction,
        plan: _Plan,
        rewinds: Mapping[SeriesKey, tuple[int, int, tuple[Floats | None, int]]],
    ) -> None:
        """Go back to before the oldest change, and read what shows from there on."""
        behind = {series: since for series, since, (_, last) in rewinds.values() if since <= last}
        snapshots = rows.snapshots_before(tx, INTERVAL, self._chain.layout, behind)
        bases = {
            key: self._restored(snapshots.get(series)) if series in behind else position
            for key, (series, _, position) in rewinds.items()
        }
        found = rows.final_bars(tx, INTERVAL, {rewinds[key][0]: base[1] for key, base in bases.items()})
        for key, (state, last) in bases.items():
            series, since, _ = rewinds[key]
            bars = found[series]
            if series in behind:
                plan.since[key] = since
                plan.positions[key] = (state, last)
            if bars:
                assert state is not None
                plan.works.append(self._stored_work(key, state, last, bars))
                plan.revisions[key] = [bar[1] for bar in bars]

    def _stored_work(self, key: SeriesKey, state: Floats, last: int, bars: Sequence[FinalBar]) -> Work:
        starts = tuple(bar[0] for bar in bars)
        table = np.array([(*bar[2:8], self._session_of(key, bar[0]), bar[8]) for bar in bars])
        return Work(key, state, last, starts, table, self._keep_from(starts[-1]))

    def _keep_from(self, newest: int) -> int:
        return newest - self._limits.grace - MINUTE

    def _peek(
        self, changes: Sequence[Changed], positions: Mapping[SeriesKey, tuple[Floats | None, int]]
    ) -> tuple[list[tuple[SeriesKey, int, Floats]], list[Signal]]:
        """Forming minutes, oldest first: the second of a series is peeked as if the first had been final."""
        peeked: list[tuple[SeriesKey, int, Floats]] = []
        signals: list[Signal] = []
        waiting = [(c.key, _forming(c), positions[c.key][0]) for c in changes if _is_forming(c)]
        level = [(key, list(bars), state) for key, bars, state in waiting if bars and state is not None]
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
        self,
        tx: Transaction,
        stepped: Sequence[Stepped],
        plan: _Plan,
        peeked: Sequence[tuple[SeriesKey, int, Floats]],
        ids: Mapping[SeriesKey, int],
    ) -> None:
        found = [
            self._metrics_row(ids[step.key], start, step.metrics[j], plan.revisions[step.key][j], final=True)
            for step in stepped
            for j, start in enumerate(step.starts)
        ]
        found += [self._metrics_row(ids[key], start, values, 0, final=False) for key, start, values in peeked]
        rows.save_metrics(tx, INTERVAL, found)
        if plan.since:
            kept = [(ids[step.key], start) for step in stepped if step.key in plan.since for start in step.starts]
            rows.delete_metrics(tx, INTERVAL, {ids[key]: since for key, since in plan.since.items()}, kept)

    def _metrics_row(self, series: int, start: int, values: Floats, revision: int, *, final: bool) -> MetricsRow:
        named = len(self._chain.kernel.names)
        numbers = values.tolist()
        extra = dict(zip(self._chain.kernel.extra_names, numbers[named:-1], strict=True))
        return MetricsRow(series, start, numbers[:named], bool(numbers[-1]), extra, revision, final)

    def _save_snapshots(
        self,
        tx: Transaction,
        stepped: Sequence[Stepped],
        ids: Mapping[SeriesKey, int],
        clocks: Mapping[SeriesKey, int],
    ) -> None:
        if not stepped:
            return
        states = [(ids[s.key], snap.start, snap.state, snap.daily) for s in stepped for snap in s.snapshots]
        rows.save_snapshots(tx, INTERVAL, self._chain.layout, states, {ids[s.key]: s.starts[0] for s in stepped})
        rows.prune_snapshots(tx, INTERVAL, {ids[s.key]: self._keep_from(clocks[s.key]) for s in stepped})

    def _save_signals(
        self,
        tx: Transaction,
        changes: Sequence[Changed],
        stepped: Sequence[Stepped],
        plan: _Plan,
        early: Sequence[Signal],
        ids: Mapping[SeriesKey, int],
    ) -> list[str]:
        firm = [signal for step in stepped for signal in step.signals]
        judged = [(ids[step.key], start) for step in stepped for start in step.starts]
        changed = rows.replace_signals(tx, ids, INTERVAL, judged, firm)
        changed += rows.replace_signals(tx, ids, INTERVAL, [], early)
        if plan.since:
            since = {ids[key]: start for key, start in plan.since.items()}
            changed += rows.retract_signals_since(tx, INTERVAL, since, [signal.id for signal in firm])
        minutes = [(change.key, bar) for change in changes for bar in change.final]
        feed = feed_signals([((*key, INTERVAL, bar.fold.start), bar.reason or "") for key, bar in minutes])
        places = [(ids[key], bar.fold.start) for key, bar in minutes]
        return changed + rows.replace_signals(tx, ids, INTERVAL, places, feed, feed=True)

    def _save_alerts(self, tx: Transaction, stepped: Sequence[Stepped], ids: Mapping[SeriesKey, int], now: int) -> None:
        alerts: list[Alert] = [alert for step in stepped for alert in step.alerts]
        judged = [(ids[step.key], start) for step in stepped for start in step.starts]
        if not judged:
            return
        new = {alert.id for alert in alerts}
        gone = [alert for alert in rows.standing_alerts(tx, INTERVAL, judged) if alert not in new]
        retract_alerts(tx.cursor, gone, now)
        insert_alerts(tx.cursor, alerts, ids, now)


def _matters(bar: Bar) -> bool:
    """Whether the minute may show as a bar with prices: its own trades, or a provider's bar in its place."""
    return bar.fold.open is not None or bar.reason not in (None, "no_trade")


def _plain(bar: Bar) -> bool:
    """Whether nothing but its own trades can show there."""
    return bar.fold.open is not None and bar.reason is None


def _is_forming(change: Changed) -> bool:
    return any(bar.state is State.FORMING and bar.fold.open is not None for bar in change.minutes.changed)


def _forming(change: Changed) -> list[tuple[int, PartialBar]]:
    found = [(start, fold) for start, fold in change.opened.items() if fold.open is not None]
    return list(found[-_OPEN:])
