"""Fills gaps by REST, exactly, by id, where a source has ids (where it has none, `bars_owed` asks for bars).

A range of missing ids is a *debt*: it is paid however long the provider refuses, over restarts too, while live trades
go on after a short wait. Only when the provider answers and does not have them are trades counted as lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from sparktrends.errors import Retryable, Terminal
from sparktrends.ingest.dedupe import Known
from sparktrends.ingest.rest import Rest
from sparktrends.ingest.seam import Seam
from sparktrends.model import SECOND, Heartbeat, ProviderBar, Trade
from sparktrends.net.quota import Store
from sparktrends.sources.base import Ask, Reject
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
_LOOK_S = 0.1

Debt = tuple[int, int | None]
"""Missing ids [first, end); None: to the newest there is."""


def _left(saved: Iterable[Sequence[int | None]], known_from: int | None) -> list[Debt]:
    """What an earlier run owed, as far as the log, which knows all ids from ``known_from`` on, does not hold it."""
    debts: list[Debt] = [(int(first or 0), None if end is None else int(end)) for first, end in saved]
    if known_from is not None:
        debts = [(first, min(known_from, end or known_from)) for first, end in debts]
    return [debt for debt in debts if not _paid(debt)]


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

    ``store`` keeps the debts over a restart; ``partial`` hears of symbols whose present minute will not be whole.
    """

    rest: Rest
    seam: Seam
    publish: Callable[[Trade | ProviderBar | Heartbeat], bool]
    clock: Clock
    group: asyncio.TaskGroup
    store: Store | None = None
    partial: Callable[[str], None] = lambda _: None
    gaps: Gaps = field(default_factory=Gaps)
    _debts: dict[str, list[Debt]] = field(default_factory=dict)
    _elsewhere: dict[str, Sequence[Sequence[int | None]]] = field(default_factory=dict)
    _busy: set[str] = field(default_factory=set)
    _last_filled: dict[str, int] = field(default_factory=dict)
    # A reconnect makes every symbol owe at once: four ask, the others wait.
    _lanes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))

    def restore(self, symbols: Iterable[str], known: Mapping[str, Known] = MappingProxyType({})) -> None:
        """Take up what an earlier run left: debts, as far as the log does not know better, and the holes in it."""
        left = (self.store.load() if self.store else None) or {}
        wanted = list(symbols)
        # Those of symbols that this run does not want are kept for one that does.
        self._elsewhere = {symbol: debts for symbol, debts in left.items() if symbol not in wanted}
        for symbol in wanted:
            log = known.get(symbol, Known())
            for debt in [*_left(left.get(symbol, ()), log.first), *log.holes]:
                self._add(symbol, debt)
        # Once, with all of them: a kill in between would forget those that were not yet taken up.
        self._save()
        for symbol in [symbol for symbol, debts in self._debts.items() if debts]:
            self._begin(symbol)

    async def run(self) -> None:
        """Look for gaps without end."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look(self.clock())

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
        elif self.seam.begun(symbol):
            self.group.create_task(self._locate(symbol))

    def place(self, symbol: str, id_: int) -> None:
        """Find where an earlier run stopped, now that the provider has said that it comes to ``id_`` next.

        Only its own word counts: anyone may write to the log, and what follows an id of theirs is years of trades.
        """
        if self.seam.place(symbol, id_):
            self._reached(symbol, id_)
        else:
            self.partial(symbol)

    async def _locate(self, symbol: str) -> None:
        """Nothing has come live: ask for the newest trades, which say as well what the provider's ids are."""
        newest = -1
        try:
            async with self._lanes:
                async for events in self.rest.ask(Ask("trades", (symbol,)), attempts=1):
                    newest = max([newest, *(int(e.id) for e in events if isinstance(e, Trade))])
        except (Retryable, Terminal) as error:
            _log.info("%s %s: its newest trade is not known: %s", self.rest.source.name, symbol, error)
        # Meanwhile a live trade may have come.
        if newest >= 0 and self.seam.begun(symbol):
            self.place(symbol, newest + 1)
            self.catch_up(symbol)

    def _reached(self, symbol: str, id_: int) -> None:
        """The provider is no farther than this: beyond it nothing can be owed, whatever the log says."""
        debts = self._debts.get(symbol, [])
        for number, (first, end) in enumerate(debts):
            if end is None or end > id_:
                debts[number] = (min(first, id_), id_)
        self._save()

    def _owed(self, symbol: str, gap: tuple[int, int]) -> bool:
        return any(first <= gap[0] and (end is None or end > gap[0]) for first, end in self._debts.get(symbol, ()))

    def _owe(self, symbol: str, debt: Debt) -> None:
        self._add(symbol, debt)
        # Saved before it is asked for: a kill must not forget what is owed.
        self._save()
        self._begin(symbol)

    def _add(self, symbol: str, debt: Debt) -> None:
        if symbol not in self._debts:
            # Of an earlier run, for which nobody wanted the symbol until now.
            self._debts[symbol] = _left(self._elsewhere.pop(symbol, ()), None)
        debts = self._debts[symbol]
        if debt[1] is None:
            # One question to the newest is enough; the one that is being asked stays.
            debts[1:] = [d for d in debts[1:] if d[1] is not None]
        debts.append(debt)

    def _begin(self, symbol: str) -> None:
        if symbol not in self._busy:
            self._busy.add(symbol)
            self.group.create_task(self._pay(symbol))

    def _save(self) -> None:
        if self.store:
            self.store.save(self._elsewhere | {symbol: debts for symbol, debts in self._debts.items() if debts})

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
