"""Fills gaps by REST: exactly, by id, where a source has ids; else the provider's bars of the minutes that suffered.

A range of missing ids is a *debt*: it is paid however long the provider refuses, over restarts too, while live trades
go on after a short wait. Only when the provider answers and does not have them are trades counted as lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from sparktrends.errors import BadRecord, Retryable, Terminal
from sparktrends.ingest.heartbeats import minute_end
from sparktrends.ingest.rest import Rest
from sparktrends.ingest.seam import Seam
from sparktrends.model import DAY, MINUTE, SECOND, Heartbeat, ProviderBar, Trade
from sparktrends.net.quota import Store
from sparktrends.sources.base import Ask, Event, Reject
from sparktrends.telemetry import Clock, counter

_log = logging.getLogger(__name__)
_GAPS = counter("gaps", "gaps between the trades of a source", ["source"])
_FILLED = counter("gap_trades", "trades that were fetched afterwards", ["source"])
_LOST = counter("gap_trades_lost", "missing trades that the provider does not have either", ["source"])
REORDER = 300_000
"""A trade that comes this much (µs) late on the socket is no gap yet."""
HOLD = 10 * SECOND
"""As long (µs) live trades wait for the missing ones, so that all come in order; then they go first."""
_TRIES = 3
_BAR_IS_MADE_S = 3.0
"""As long a provider takes after a minute to make its bar."""

Debt = tuple[int, int | None]
"""Missing ids [first, end); None: to the newest there is."""


Missing = tuple[int | None, Sequence[Debt]]
"""The first id that the tail of the log holds, and the holes from there on."""


def _earliest(some: Mapping[str, int], others: Mapping[str, int]) -> dict[str, int]:
    return {**some, **{symbol: min(since, some.get(symbol, since)) for symbol, since in others.items()}}


async def _at_once() -> None:
    """Where what is published is kept as soon as it is taken."""


def _paid(debt: Debt) -> bool:
    first, end = debt
    return end is not None and first >= end


@dataclass(slots=True)
class Gaps:
    """Gaps found between trades, trades fetched for them, and trades that the provider did not have."""

    found: int = 0
    trades: int = 0
    lost: int = 0


@dataclass(eq=False)
class Filler:
    """The fetching side of one source. ``publish`` takes events in order; jobs run as tasks of ``group``.

    ``store`` keeps the debts over a restart, ``bars_store`` since when bars are owed; ``partial`` hears of symbols
    whose present minute will not be whole; ``kept`` returns once no kill can lose what was published so far.
    """

    rest: Rest
    seam: Seam
    publish: Callable[[Trade | ProviderBar | Heartbeat], bool]
    clock: Clock
    group: asyncio.TaskGroup
    store: Store | None = None
    partial: Callable[[str], None] = lambda _: None
    bars_store: Store | None = None
    kept: Callable[[], Awaitable[None]] = _at_once
    gaps: Gaps = field(default_factory=Gaps)
    _debts: dict[str, list[Debt]] = field(default_factory=dict)
    _busy: set[str] = field(default_factory=set)
    _last_filled: dict[str, int] = field(default_factory=dict)
    _bars_from: dict[str, int] = field(default_factory=dict)
    _bars_asked: Mapping[str, int] = field(default_factory=dict)
    _asks_bars: bool = False
    # A reconnect makes every symbol owe at once: four ask, the others wait.
    _lanes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))

    def restore(self, symbols: Iterable[str], missing: Mapping[str, Missing] = MappingProxyType({})) -> None:
        """Take up what an earlier run left: debts, as far as the log does not know better, and what is ``missing``."""
        left = (self.store.load() if self.store else None) or {}
        for symbol in symbols:
            known_from, holes = missing.get(symbol, (None, ()))
            for first, end in left.get(symbol, ()):
                debt = (int(first), None if end is None else int(end))
                if known_from is not None:
                    debt = (debt[0], min(known_from, debt[1] or known_from))
                if not _paid(debt):
                    self._owe(symbol, debt)
            for hole in holes:
                self._owe(symbol, hole)

    def look(self, now: int) -> None:
        """Owe every gap that did not close by itself; let go on what has waited for too long."""
        for symbol in self.seam.waiting(now - REORDER):
            gap = self.seam.gap(symbol)
            if gap and not self._owed(symbol, gap):
                self._owe(symbol, gap)
        for symbol in self.seam.stuck(now - HOLD):
            self._let_go(symbol)

    def catch_up(self, symbol: str) -> None:
        """Fetch what came after the last trade: a connection was opened, or the symbol has been silent for long."""
        if first := self.seam.next_id(symbol):
            self._owe(symbol, (int(first), None))

    def owes(self, symbol: str) -> bool:
        """Whether something is still to be fetched for a symbol."""
        return bool(self._debts.get(symbol))

    def _owed(self, symbol: str, gap: tuple[int, int]) -> bool:
        return any(first <= gap[0] and (end is None or end > gap[0]) for first, end in self._debts.get(symbol, ()))

    def _owe(self, symbol: str, debt: Debt) -> None:
        debts = self._debts.setdefault(symbol, [])
        if debt[1] is None:
            # One question to the newest is enough; the one that is being asked stays.
            debts[1:] = [d for d in debts[1:] if d[1] is not None]
        # Saved before it is asked for: a kill must not forget what is owed.
        debts.append(debt)
        self._save()
        if symbol not in self._busy:
            self._busy.add(symbol)
            self.group.create_task(self._pay(symbol))

    def _save(self) -> None:
        if self.store:
            self.store.save({symbol: debts for symbol, debts in self._debts.items() if debts})

    async def _pay(self, symbol: str) -> None:
        failures = fruitless = 0
        debts = self._debts[symbol]
        while debts:
            debt = debts[0]
            if _paid(debt):
                debts.pop(0)
                self._save()
                fruitless = 0
                continue
            try:
                async with self._lanes:
                    got = await self._fetch(symbol, forgive=fruitless >= _TRIES - 1)
            except (Retryable, Terminal) as error:
                # What was paid before the failure counts: a long gap meets several.
                failures = failures + 1 if debts[0] == debt else 1
                _log.info("%s %s: the gap waits: %s", self.rest.source.name, symbol, error)
                await asyncio.sleep(self.rest.backoff.wait(failures, getattr(error, "delay", None)))
                continue
            failures, fruitless = 0, 0 if got else fruitless + 1
            if not _paid(debts[0]):
                await asyncio.sleep(self.rest.backoff.wait(fruitless))
        self._busy.discard(symbol)

    async def _fetch(self, symbol: str, *, forgive: bool) -> int:
        """Ask for what is left of a symbol's first debt, page by page; how many trades were new.

        It ends at the first hole in an answer, to ask for it again; with ``forgive`` it counts the hole as lost.
        """
        first, end = self._debts[symbol][0]
        if end is None:
            # What came meanwhile, and without a hole: those that were let go end this debt (`_relieve`).
            first = max(first, int(self.seam.next_id(symbol) or first))
            self._advance(symbol, first)
        got = 0
        question = Ask("trades", (symbol,), from_id=str(first), to_id="" if end is None else str(end))
        # One attempt: waiting and trying again is for `_pay`, which counts what came in between.
        async for events in self.rest.ask(question, attempts=1):
            # Each time anew: meanwhile live trades may have gone first, and what they brought is not owed any more.
            first, end = self._debts[symbol][0]
            # As numbers: "10" comes after "9".
            for trade in sorted((e for e in events if isinstance(e, Trade)), key=lambda t: int(t.id)):
                id_ = int(trade.id)
                if end is not None and id_ >= end:
                    break
                if id_ > first and not forgive:
                    self._advance(symbol, first)
                    return got
                got += self._take(trade)
                self._lose(symbol, id_ - first)
                first = max(first, id_ + 1)
            # After each page: neither a failure nor a kill on the way makes us fetch it again. A door forgets.
            self._advance(symbol, first)
            if _paid(self._debts[symbol][0]) or (not forgive and any(isinstance(e, Reject) for e in events)):
                return got
        end = self._debts[symbol][0][1]
        if end is None:
            self._advance(symbol, first, end=first)
        elif forgive:
            self._lose(symbol, end - first)
            self._advance(symbol, end)
        return got

    def _take(self, trade: Trade) -> int:
        got = 0
        for ready in self.seam.take(trade, self.clock()):
            # What the socket brought meanwhile comes out here too, and is no filled gap.
            if self.publish(ready) and ready.fill:
                got += 1
                self._count(ready.symbol, int(ready.id))
        return got

    def _count(self, symbol: str, id_: int) -> None:
        """Each run of ids that only the fetch brought is one gap."""
        if self._last_filled.get(symbol) != id_ - 1:
            self.gaps.found += 1
            _GAPS.labels(self.rest.source.name).inc()
        self._last_filled[symbol] = id_
        self.gaps.trades += 1
        _FILLED.labels(self.rest.source.name).inc()

    def _advance(self, symbol: str, first: int, end: int | None = None) -> None:
        """Of the symbol's first debt only what begins at ``first`` is left."""
        debts = self._debts[symbol]
        left = (first, debts[0][1] if end is None else end)
        if debts[0] != left:
            debts[0] = left
            self._save()

    def _lose(self, symbol: str, absent: int) -> None:
        """The provider has said often enough that it does not have so many trades."""
        if absent <= 0:
            return
        self.gaps.lost += absent
        _LOST.labels(self.rest.source.name).inc(absent)
        _log.warning("%s %s: %d trades exist nowhere any more", self.rest.source.name, symbol, absent)
        self._let_go(symbol)

    def _let_go(self, symbol: str) -> None:
        """Live trades go on without the missing ones; the minute is not whole until these have come."""
        ready = self.seam.give_up(symbol, self.clock())
        # Before the trades: a heartbeat in front of them says that their minute is not whole.
        self.partial(symbol)
        if ready:
            self._relieve(symbol, int(ready[0].id))
        for trade in ready:
            self.publish(trade)

    def _relieve(self, symbol: str, id_: int) -> None:
        """What live trades have brought from ``id_`` on is not owed; holes behind it are seen, and owed, as such."""
        debts = self._debts.get(symbol, [])
        for number, (first, end) in enumerate(debts):
            if first <= id_ and (end is None or end > id_):
                debts[number] = (first, id_)
        self._save()

    def bars(self, symbols: Iterable[str], since: int) -> None:
        """Fetch the provider's bars from the minute of ``since`` (µs) to the one that is not over yet, once it is."""
        self._owe_bars(dict.fromkeys(symbols, since))
        # Saved before they are asked for: that is a minute later, and a kill until then must not forget them.
        self._save_bars()

    def restore_bars(self, symbols: Iterable[str]) -> None:
        """Take up what an earlier run owed, of a day at most: what lies before is the business of `batch backfill`."""
        left = (self.bars_store.load() if self.bars_store else None) or {}
        oldest = self.clock() - DAY
        self._owe_bars({symbol: max(int(left[symbol]), oldest) for symbol in symbols if symbol in left})

    def _owe_bars(self, starts: Mapping[str, int]) -> None:
        self._bars_from = _earliest(self._bars_from, starts)
        if self._bars_from and not self._asks_bars:
            self._asks_bars = True
            self.group.create_task(self._bars())

    def _save_bars(self) -> None:
        if self.bars_store:
            self.bars_store.save(_earliest(self._bars_from, self._bars_asked))

    async def _bars(self) -> None:
        failures = 0
        while self._bars_from:
            if not failures:
                # Reconnects in a row make one question, when the minute is over and its bar has been made.
                now = self.clock()
                await asyncio.sleep((minute_end(now) - now) / SECOND + _BAR_IS_MADE_S)
            self._bars_asked, self._bars_from = self._bars_from, {}
            try:
                await self._ask_bars(self._bars_asked)
                failures = 0
                # While Kafka is away a kill would take them along, and nobody would ask for them again.
                await self.kept()
            except (Retryable, BadRecord) as error:
                # Owed until they come, together with what reconnects meanwhile ask for.
                self._owe_bars(self._bars_asked)
                failures += 1
                _log.info("%s: the bars of the gap wait: %s", self.rest.source.name, error)
                await asyncio.sleep(self.rest.backoff.wait(failures, getattr(error, "delay", None)))
            except Terminal as error:
                failures = 0
                _log.warning("%s: no bars for the gap: %s", self.rest.source.name, error)
            self._bars_asked = {}
            self._save_bars()
        self._asks_bars = False

    async def _ask_bars(self, starts: Mapping[str, int]) -> None:
        """One attempt: waiting and trying again is for `_bars`."""
        # The minute that runs now is left out: its bar would be one that still forms.
        end = self.clock() - self.clock() % MINUTE
        start = min(starts.values())
        question = Ask("bars", tuple(starts), "1m", start - start % MINUTE, end)
        async for events in self.rest.ask(question, attempts=1):
            self._take_bars(events)

    def _take_bars(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, ProviderBar) and event.closed:
                self.publish(replace(event, fill=True))
