"""The provider's bars of minutes that suffered, for sources without ids: owed from a reconnect until Kafka has them.

A debt is kept over a restart, asked for again ever more rarely while the provider does not answer, and given up after a
day: what lies before is the business of `batch backfill`. One symbol's debt waits for no other's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sparktrends.errors import AccessDenied, BadRecord, Retryable, SparkTrendsError, Terminal
from sparktrends.ingest.heartbeats import minute_end
from sparktrends.ingest.polling import batches
from sparktrends.ingest.rest import Rest
from sparktrends.ingest.trouble import named, plain
from sparktrends.model import DAY, MINUTE, SECOND, ProviderBar
from sparktrends.net.quota import Store
from sparktrends.sources.base import Ask
from sparktrends.telemetry import Clock

_log = logging.getLogger(__name__)
_BAR_IS_MADE = 3 * SECOND
"""As long a provider takes after a minute to make its bar."""
_LOOK_S = 0.5
_PATIENT_AFTER = 5
_PATIENCE = 600 * SECOND
"""After so many failures in a row a symbol is asked for as rarely as this."""


_AGAIN_WITHIN_S = 3600.0
"""Who is refused for no longer than this may have been so by mistake, and goes on being owed."""


@dataclass(frozen=True, slots=True)
class Debt:
    """Bars from the minute of ``since`` on, not asked for before ``at`` (both µs)."""

    since: int
    at: int
    failures: int = 0


def _question(symbols: Sequence[str], since: int = 0, until: int = 0) -> Ask:
    return Ask("bars", tuple(symbols), "1m", since, until)


async def _at_once() -> None:
    """Where what is published is kept as soon as it is taken."""


@dataclass(eq=False)
class BarsOwed:
    """Asks as a task of ``group`` as long as something is owed.

    ``traded`` says whether a symbol's market was open at any time in [since, until) (µs); ``kept`` returns once no kill
    can lose what was published so far; ``store`` keeps the debts over a restart.
    """

    rest: Rest
    publish: Callable[[ProviderBar], object]
    clock: Clock
    group: asyncio.TaskGroup
    traded: Callable[[str, int, int], bool] = lambda _symbol, _since, _until: True
    kept: Callable[[], Awaitable[None]] = _at_once
    store: Store | None = None
    _debts: dict[str, Debt] = field(default_factory=dict)
    _elsewhere: dict[str, int] = field(default_factory=dict)
    _asking: bool = False

    def restore(self, symbols: Iterable[str]) -> None:
        """Take up what an earlier run owed of these; what it owed of others is kept for a run that wants them."""
        left = {symbol: int(since) for symbol, since in ((self.store.load() if self.store else None) or {}).items()}
        wanted = {symbol: left.pop(symbol) for symbol in symbols if symbol in left}
        oldest = self.clock() - DAY
        self._elsewhere = {symbol: since for symbol, since in left.items() if since > oldest}
        self.owe(wanted)

    def owe(self, since: Mapping[str, int]) -> None:
        """Bars of these symbols, each from the minute of its ``since`` to the one that runs now, once that is over."""
        at = minute_end(self.clock()) + _BAR_IS_MADE
        for symbol, begun in since.items():
            before = self._debts.get(symbol)
            # Reconnects in a row make one question, and so does what an earlier run owed of a symbol that is back.
            told = [begun, *([before.since] if before else []), self._elsewhere.pop(symbol, begun)]
            self._debts[symbol] = Debt(min(told), at)
        # Saved before they are asked for: a kill until then must not forget them.
        self._save()
        if self._debts and not self._asking:
            self._asking = True
            self.group.create_task(self._pay())

    def __len__(self) -> int:
        """How many symbols' bars are owed."""
        return len(self._debts)

    def _save(self) -> None:
        if self.store:
            self.store.save(self._elsewhere | {symbol: debt.since for symbol, debt in self._debts.items()})

    async def _pay(self) -> None:
        while self._debts:
            now = self.clock()
            if due := {symbol: debt for symbol, debt in self._debts.items() if debt.at <= now}:
                await self._ask_all(due, now)
            else:
                # In pieces: the next reconnect may owe something sooner.
                first = min(debt.at for debt in self._debts.values())
                await asyncio.sleep(max(0.0, min(_LOOK_S, (first - now) / SECOND)))
        self._asking = False

    async def _ask_all(self, due: Mapping[str, Debt], now: int) -> None:
        # The minute that runs now is left out: its bar would be one that still forms.
        until = now - now % MINUTE
        since = {symbol: max(debt.since - debt.since % MINUTE, until - DAY) for symbol, debt in due.items()}
        # Where nobody could trade there is no bar, and some providers answer with an error then.
        open_ = {symbol: at for symbol, at in since.items() if at < until and self.traded(symbol, at, until)}
        self._forget(due, due.keys() - open_)
        refused: dict[str, Terminal] = {}
        for batch in batches(self.rest.source, sorted(open_, key=lambda symbol: open_[symbol])):
            try:
                await self._ask(batch, open_[batch[0]], until)
                # While Kafka is away a kill would take them along, and nobody would ask for them again.
                await self.kept()
            except (Retryable, BadRecord) as error:
                self._later(due, batch, error)
                continue
            except Terminal as error:
                if isinstance(error, AccessDenied) and not self.rest.refuses(_question(batch), _AGAIN_WITHIN_S):
                    self._later(due, batch, error)
                    continue
                refused |= dict.fromkeys(batch, error)
            self._forget(due, batch)
        if refused:
            why = plain(str(next(iter(refused.values()))))
            _log.warning("%s: no bars for the gap of %s: %s", self.rest.source.name, named(refused), why)

    async def _ask(self, symbols: Sequence[str], since: int, until: int) -> None:
        """One attempt: trying again is for `_pay`."""
        async for events in self.rest.ask(_question(symbols, since, until), attempts=1):
            for event in events:
                if isinstance(event, ProviderBar) and event.closed:
                    self.publish(replace(event, fill=True))

    def _forget(self, due: Mapping[str, Debt], symbols: Iterable[str]) -> None:
        """Paid; unless a reconnect owed more while it was asked for."""
        for symbol in symbols:
            if self._debts.get(symbol) is due[symbol]:
                del self._debts[symbol]
        self._save()

    def _later(self, due: Mapping[str, Debt], symbols: Sequence[str], error: SparkTrendsError) -> None:
        _log.info("%s: the bars of %s wait: %s", self.rest.source.name, named(symbols), error)
        now = self.clock()
        for symbol in symbols:
            debt = due[symbol]
            if self._debts.get(symbol) is not debt:
                continue
            if now - debt.since > DAY:
                del self._debts[symbol]
                continue
            failures = debt.failures + 1
            wait = int(self.rest.backoff.wait(failures, getattr(error, "delay", None)) * SECOND)
            # Some have no bar to give, and say so with an error: that must not eat a quota.
            patience = _PATIENCE if failures > _PATIENT_AFTER else 0
            self._debts[symbol] = replace(debt, at=now + max(wait, patience), failures=failures)
        self._save()
