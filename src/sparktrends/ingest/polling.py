"""Asks for the newest bars again and again: for providers without a socket, and beside sockets that carry no trades."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from sparktrends.errors import AccessDenied, BadRecord, BadSetting, NotFound, NotInPlan, Retryable
from sparktrends.ingest.rest import Rest
from sparktrends.model import DAY, INTERVALS, MINUTE, SECOND, ProviderBar
from sparktrends.sources.base import Ask, Event, Source
from sparktrends.telemetry import Clock

_log = logging.getLogger(__name__)
SHARE = 0.2
"""As much of a quota goes into polling; the rest is for gaps and for the calls of the day."""
_LEAST_S = 60.0
# A small plan polls once an hour: after a failure that is too long to wait.
_AFTER_FAILURE_S = 300.0
_FALLBACK = "1d"


def pace(source: Source, symbols: int, share: float = SHARE) -> float:
    """Seconds between two rounds of bars of so many symbols, so that they spend that share of every window.

    >>> from sparktrends.sources import make_source
    >>> round(pace(make_source("yahoo"), 8)), round(pace(make_source("twelve_data"), 8)) // 60
    (60, 72)
    """
    units = symbols * source.endpoint("bars").weight
    return max([_LEAST_S, *(a.window * units / (a.units * share) for a in source.allowances)])


def retry_s(source: Source, symbols: int) -> float:
    """Seconds from a round that failed to the next."""
    return min(pace(source, max(1, symbols)), _AFTER_FAILURE_S)


@dataclass(eq=False)
class Poller:
    """Polls for as long as it runs. ``said`` hears (symbols, whether bars came) after each question.

    ``heard`` is when (µs) an earlier run last heard of a symbol, 0 for never: its first question begins there.
    """

    rest: Rest
    symbols: Callable[[], Sequence[str]]
    trading: Callable[[Iterable[str]], bool]
    publish: Callable[[ProviderBar], object]
    clock: Clock
    said: Callable[[Sequence[str], bool], None] = lambda _symbols, _came: None
    heard: Callable[[str], int] = lambda _symbol: 0
    interval: str = "1m"
    _last: dict[str, ProviderBar] = field(default_factory=dict)
    _unknown: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            wanted = [s for s in self.symbols() if s not in self._unknown and self.trading([s])]
            came = [await self._ask(batch) for batch in batches(self.rest.source, wanted)]
            rest = pace(self.rest.source, max(1, len(wanted)))
            await asyncio.sleep(rest if all(came) else retry_s(self.rest.source, len(wanted)))

    async def _ask(self, symbols: Sequence[str]) -> bool:
        try:
            came = await self._bars(symbols)
        except NotInPlan:
            # Intraday is what free plans leave out; the day's bar is what they have.
            if self.interval != _FALLBACK:
                _log.info("%s: polls bars of a day instead of %s", self.rest.source.name, self.interval)
                self.interval = _FALLBACK
                return await self._ask(symbols)
            came = False
        except NotFound as error:
            _log.warning("%s: %s is not polled any more: %s", self.rest.source.name, ", ".join(symbols), error)
            # A symbol that does not exist would cost a call of the quota in every round.
            self._unknown.update(symbols)
            came = False
        except (Retryable, AccessDenied, BadRecord, BadSetting) as error:
            _log.info("%s: no bars of %s: %s", self.rest.source.name, ", ".join(symbols), error)
            came = False
        self.said(symbols, came)
        return came

    async def _bars(self, symbols: Sequence[str]) -> bool:
        now, came = self.clock(), False
        length = INTERVALS[self.interval]
        # From the last bar on, which may have changed: it was forming when it was asked for.
        newest = min((self._known_to(symbol, now) for symbol in symbols), default=now)
        start = newest - newest % length - (length if self.interval == _FALLBACK else 0)
        async for events in self.rest.ask(Ask("bars", tuple(symbols), self.interval, start, now + SECOND), 2):
            came |= self._new(events)
        return came

    def _known_to(self, symbol: str, now: int) -> int:
        if symbol in self._last:
            return self._last[symbol].start
        recent = now - 30 * MINUTE
        # At most a day back: what lies before is the business of `batch backfill`.
        return max(min(recent, self.heard(symbol) or recent), now - DAY)

    def _new(self, events: Iterable[Event]) -> bool:
        """Publish the bars that say something new, oldest first; whether there was any bar."""
        bars = sorted((e for e in events if isinstance(e, ProviderBar)), key=lambda b: b.start)
        for bar in bars:
            # Answers overlap those of the last round: only what says something new goes into the log.
            last = self._last.get(bar.symbol)
            if last is None or bar.start > last.start or (bar.start == last.start and _differ(bar, last)):
                self.publish(bar)
                self._last[bar.symbol] = bar
        return bool(bars)


def _differ(bar: ProviderBar, last: ProviderBar) -> bool:
    # When it came is no news.
    return replace(bar, received=None) != replace(last, received=None)


def batches(source: Source, symbols: Sequence[str]) -> list[Sequence[str]]:
    """The symbols, as many at a time as one question for bars may name."""
    size = source.endpoint("bars").batch
    return [symbols[i : i + size] for i in range(0, len(symbols), size)]
