"""What a new symbol begins with: hundreds of bars of its past, so that its metrics are warm at its first live bar."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from sparktrends.errors import AccessDenied, Retryable, Terminal
from sparktrends.ingest.polling import batches
from sparktrends.ingest.rest import Rest
from sparktrends.model import DAY, INTERVALS, ProviderBar
from sparktrends.sessions import ALWAYS, calendar
from sparktrends.sources.base import Ask
from sparktrends.telemetry import Clock

_log = logging.getLogger(__name__)
WANTED = {"1m": 300, "1d": 250}
"""Bars of each interval that a new symbol begins with, at least; every indicator is warm after fewer."""
_SESSIONS = 3
_DAYS = 400


def begin(interval: str, exchange: str, now: int) -> int:
    """From when on (µs) there are as many bars as wanted, for a market that trades in each of its open minutes.

    >>> (1_732_147_200_000_000 - begin("1m", "24/7", 1_732_147_230_000_000)) // 60_000_000
    330
    """
    if exchange == ALWAYS:
        # A tenth more: providers leave a bar out here and there.
        return now - now % INTERVALS[interval] - WANTED[interval] * 11 // 10 * INTERVALS[interval]
    if interval == "1d":
        return now - now % DAY - _DAYS * DAY  # 250 trading days are a year
    start, hours = now, calendar(exchange)
    # The present session may have just begun, and the one before it may have been a half day.
    for _ in range(_SESSIONS):
        start = hours.session_start(start - 1)
    return start


@dataclass(frozen=True, slots=True)
class History:
    """Fetches the past of new symbols of one source; ``exchange`` says whose hours hold for a symbol."""

    rest: Rest
    publish: Callable[[ProviderBar], object]
    exchange: Callable[[str], str]
    clock: Clock

    async def fetch(self, symbols: Sequence[str]) -> int:
        """Publish what the source has of its ``history``, closed bars only, and return how many; raises nothing of
        the tree: a symbol without a past begins without it."""
        return sum([await self._interval(interval, symbols) for interval in self.rest.source.history])

    async def _interval(self, interval: str, symbols: Sequence[str]) -> int:
        count = 0
        for start, batch in self._questions(interval, symbols):
            try:
                async for events in self.rest.ask(Ask("bars", tuple(batch), interval, start, self.clock())):
                    bars = [e for e in events if isinstance(e, ProviderBar) and e.closed]
                    for bar in bars:
                        # A fill: nobody is alerted of what happened before the symbol was wanted.
                        self.publish(replace(bar, fill=True))
                    count += len(bars)
            except AccessDenied:
                # Not in the plan, said once by `Rest`, which knows whether that is about others too.
                continue
            except (Retryable, Terminal) as error:
                _log.warning("%s: no history of %s: %s", self.rest.source.name, ", ".join(batch), error)
        return count

    def _questions(self, interval: str, symbols: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
        groups: dict[int, list[str]] = defaultdict(list)
        for symbol in symbols:
            # One question may name many symbols, but only with one beginning: exchanges differ in when they opened.
            groups[begin(interval, self.exchange(symbol), self.clock())].append(symbol)
        for start, group in groups.items():
            for batch in batches(self.rest.source, group):
                yield start, batch
