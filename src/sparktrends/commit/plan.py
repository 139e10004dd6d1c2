"""What of each series has to be stepped: the bars that became final, or everything since a bar that changed.

Mostly a batch appends: the state of a series is at hand, and its new final bars go on from there. Where a bar before
that state changed (a revision, a provider's bar, a repair), the series goes back to the newest snapshot before it and
steps again over what is stored now; the result is the same as if everything had come in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sparktrends.analysis import MinutesChange
from sparktrends.analysis.chain import Chain
from sparktrends.analysis.work import Floats, SessionOf, Work, bar_row
from sparktrends.bars import Limits
from sparktrends.commit.cache import Cache, Minutes, Position
from sparktrends.commit.news import with_news
from sparktrends.model import INTERVALS, Bar, State
from sparktrends.store import analysis_rows as rows
from sparktrends.store.analysis_rows import FinalBar
from sparktrends.store.writer import SeriesKey, Transaction

_NEVER = 2**55  # the year 3111, which PostgreSQL can still hold


@dataclass(frozen=True, slots=True)
class Changed:
    """What a batch did to one series' bars of one interval. ``opened`` are those that are not final, ``provided``
    the starts of providers' closed bars that came, ``filled`` of those that nothing but fills changed."""

    key: SeriesKey
    minutes: MinutesChange
    opened: Minutes
    provided: frozenset[int] = frozenset()
    filled: frozenset[int] = frozenset()

    @property
    def final(self) -> list[Bar]:
        """Changed bars that are final."""
        return [bar for bar in self.minutes.changed if bar.state is not State.FORMING]

    @property
    def touched(self) -> frozenset[int]:
        """Starts of the final bars that changed, ours and providers'."""
        return self.provided.union(bar.fold.start for bar in self.final)


@dataclass(slots=True)
class Plan:
    """What to step, and what of the stored results is void.

    ``works`` are the bars to step, ``revisions`` the revision of each. ``positions`` is where each series stands if
    nothing is stepped. Of a series that goes back, metrics and signals from ``since`` on, alerts from
    ``alerts_since`` on and snapshots behind ``bases`` stand only if they are made again.
    """

    works: list[Work] = field(default_factory=list)
    revisions: dict[SeriesKey, list[int]] = field(default_factory=dict)
    positions: dict[SeriesKey, Position] = field(default_factory=dict)
    since: dict[SeriesKey, int] = field(default_factory=dict)
    alerts_since: dict[SeriesKey, int] = field(default_factory=dict)
    bases: dict[SeriesKey, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A series whose bars have to be read: what shows after its position, or from before ``touched`` on.

    ``anew``: nothing that this chain understands is stored of it, so all its bars are stepped.
    """

    series: int
    touched: int
    position: Position
    anew: bool = False

    @property
    def back(self) -> bool:
        """Whether the series goes back behind its position."""
        return self.anew or self.touched <= self.position[1]


class Planner:
    """Makes the `Plan` of a batch; reads snapshots and bars where the cache does not know enough."""

    def __init__(self, chain: Chain, limits: Limits, session_of: SessionOf) -> None:
        self._chain = chain
        self._limits = limits
        self._session_of = session_of

    def plan(self, tx: Transaction, changes: Sequence[Changed], cache: Cache) -> Plan:
        """What the changes of a batch, whose rows are written already, ask for."""
        plan = Plan()
        readings: dict[SeriesKey, _Reading] = {}
        stored = self._read_positions(tx, [c for c in changes if self._cached(c, cache) is None])
        for change in changes:
            known = self._cached(change, cache) or stored[change.key]
            # Bars from before the chain was changed (other rules, other parameters): no state fits them.
            anew = known is None and change.minutes.state.version > 1
            position = known or (self._chain.new(), -1)
            plan.positions[change.key] = position
            touched = min(_touched(change, position[1]), default=_NEVER)
            # Where a provider's bar may stand for ours, only what is stored tells which of the two shows.
            if anew or touched <= position[1] or not _appends(change):
                if anew or touched < _NEVER:
                    readings[change.key] = _Reading(change.minutes.state.id, touched, position, anew)
            elif touched < _NEVER:
                self._append(plan, change, position)
        self._read(tx, plan, readings)
        return plan

    def asks(self, change: Changed, cache: Cache) -> bool:
        """Whether a series has to be read again, or stepped: its position is not at hand, or a bar changed there."""
        known = self._cached(change, cache)
        return known is None or bool(_touched(change, known[1]))

    def row(self, key: SeriesKey, bar: Bar) -> tuple[float, ...]:
        """The bar columns of a minute with prices."""
        return bar_row(bar.fold, self._session_of(key, bar.fold.start))

    def keep_from(self, newest: int) -> int:
        """States after bars from here on may be wanted by a revision within the grace."""
        return newest - self._limits.grace - INTERVALS[self._chain.interval]

    def _cached(self, change: Changed, cache: Cache) -> Position | None:
        known = cache.get(change.key, change.minutes.state.version - 1)
        return None if known is None else known.positions.get(self._chain.interval)

    def _read_positions(self, tx: Transaction, changes: Sequence[Changed]) -> dict[SeriesKey, Position | None]:
        return self._restored(tx, {c.key: (c.minutes.state.id, _NEVER) for c in changes})

    def _restored(
        self, tx: Transaction, before: Mapping[SeriesKey, tuple[int, int]]
    ) -> dict[SeriesKey, Position | None]:
        """The newest stored position of each (series, time) that is older than the time; None where there is none."""
        found = rows.snapshots_before(tx, self._chain.interval, self._chain.layout, dict(before.values()))
        return {key: self._position(tx, key, series, found.get(series)) for key, (series, _) in before.items()}

    def _position(
        self, tx: Transaction, key: SeriesKey, series: int, snapshot: rows.StoredSnapshot | None
    ) -> Position | None:
        if snapshot is None:
            return None
        state = np.frombuffer(snapshot.state, dtype=np.float64)
        if snapshot.layout != self._chain.layout:
            # Left by other rules: what the present ones remember is learned from all bars up to there.
            seen = rows.final_bars(tx, self._chain.interval, {series: -1})[series]
            past = [bar for bar in seen if bar[0] <= snapshot.start]
            work = self._stored_work(key, self._chain.new(), -1, past)
            state = self._chain.adopt(state, *with_news(tx.cursor, self._chain, [work]))
        return state, snapshot.start

    def _append(self, plan: Plan, change: Changed, position: Position) -> None:
        state, last = position
        bars = [bar for bar in change.final if _matters(bar)]
        starts = tuple(bar.fold.start for bar in bars)
        table = np.array([self.row(change.key, bar) for bar in bars])
        plan.works.append(Work(change.key, state, last, starts, table, self.keep_from(starts[-1])))
        plan.revisions[change.key] = [bar.fold.after_final for bar in bars]
        plan.bases[change.key] = last

    def _read(self, tx: Transaction, plan: Plan, readings: Mapping[SeriesKey, _Reading]) -> None:
        """Go back to before the oldest change where needed, and step what shows from there on."""
        behind = {key: (r.series, r.touched) for key, r in readings.items() if r.back and not r.anew}
        restored = self._restored(tx, behind)
        bases = {
            key: (restored.get(key) or (self._chain.new(), -1)) if r.back else r.position for key, r in readings.items()
        }
        found = rows.final_bars(
            tx, self._chain.interval, {readings[key].series: last for key, (_, last) in bases.items()}
        )
        for key, (state, last) in bases.items():
            reading, bars = readings[key], found[readings[key].series]
            plan.positions[key], plan.bases[key] = (state, last), last
            if reading.back:
                plan.since[key] = 0 if reading.anew else reading.touched
                # Old alerts were made by the rules of their day, and people have seen them.
                plan.alerts_since[key] = reading.touched
            if bars:
                plan.works.append(self._stored_work(key, state, last, bars))
                plan.revisions[key] = [bar[1] for bar in bars]

    def _stored_work(self, key: SeriesKey, state: Floats, last: int, bars: Sequence[FinalBar]) -> Work:
        starts = tuple(bar[0] for bar in bars)
        table = np.array([(*bar[2:8], self._session_of(key, bar[0]), bar[8]) for bar in bars])
        return Work(key, state, last, starts, table, self.keep_from(starts[-1]))


def _touched(change: Changed, last: int) -> set[int]:
    """Minutes at which what shows may be another bar now. Up to ``last`` that includes one without prices, and one
    that still forms: a provider's bar that stood there may have to give way to it."""
    before = {bar.fold.start for bar in change.minutes.changed if bar.fold.start <= last}
    return before.union((bar.fold.start for bar in change.final if _matters(bar)), change.provided)


def _appends(change: Changed) -> bool:
    return not change.provided and all(_plain(bar) for bar in change.final if _matters(bar))


def _matters(bar: Bar) -> bool:
    """Whether the minute may show as a bar with prices: its own trades, or a provider's bar in its place."""
    return bar.fold.open is not None or bar.reason not in (None, "no_trade")


def _plain(bar: Bar) -> bool:
    """Whether nothing but its own trades can show there."""
    return bar.fold.open is not None and bar.reason is None
