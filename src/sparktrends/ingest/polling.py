"""Asks for the newest bars again and again: for providers without a socket, and beside sockets that carry no trades."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from sparktrends.errors import AccessDenied, BadRecord, BadSetting, NotFound, Retryable
from sparktrends.ingest.rest import Rest
from sparktrends.model import DAY, INTERVALS, MINUTE, SECOND, ProviderBar
from sparktrends.sources.base import Ask, Event, Notice, Source
from sparktrends.telemetry import Clock

_log = logging.getLogger(__name__)
SHARE = 0.2
"""As much of a quota goes into polling; the rest is for gaps and for the calls of the day."""
_LEAST_S = 60.0
# A small plan polls once an hour: after a failure that is too long to wait.
_AFTER_FAILURE_S = 300.0
_FALLBACK = "1d"
_LOOK_S, _TICK_S = 5.0, 0.05
# After the end of a session, as long as none is answered.
_ROUNDS_AFTER = 12
_LATEST = 30 * MINUTE
"""Who is told of an exchange late (µs) is told this late at most; an old bar of a quiet symbol looks the same."""


def pace(source: Source, symbols: int, share: float = SHARE) -> float:
    """Seconds between two questions for each of so many symbols, so that they spend that share of every window.

    >>> from sparktrends.sources import make_source
    >>> round(pace(make_source("yahoo"), 8)), round(pace(make_source("twelve_data"), 8)) // 60
    (60, 72)
    """
    units = symbols * source.endpoint("bars").weight
    return max([_LEAST_S, *(a.window * units / (a.units * share) for a in source.allowances)])


def retry_s(source: Source, symbols: int) -> float:
    """Seconds from a question that failed to the next."""
    return min(pace(source, max(1, symbols)), _AFTER_FAILURE_S)


class Turns:
    """When each symbol is asked for again, so that it keeps to its pace whatever fails. Seconds of any clock.

    A failure is followed by one early question, which is paid back: the next one comes as much later. So however
    answers and failures follow each other, in any time T a symbol is asked for at most T / pace + 2 times. Kept in
    memory: each start of the process begins anew.

    >>> turns = Turns()
    >>> for now, came in ((0.0, False), (300.0, True)):
    ...     turns.asked("AAPL", now, 3600.0, came)
    >>> turns.wait("AAPL", 300.0)
    6900.0
    """

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._paid: dict[str, float] = {}

    def wait(self, symbol: str, now: float) -> float:
        """Seconds until the symbol's turn; 0 now."""
        return max(0.0, self._due.get(symbol, now) - now)

    def asked(self, symbol: str, now: float, every: float, came: bool) -> None:
        """A question was answered, or failed."""
        # Until then its pace is used up; at most one question ahead of it.
        paid = max(self._paid.get(symbol, now), now) + every
        self._paid[symbol] = paid
        self._due[symbol] = paid if came else max(now + min(every, _AFTER_FAILURE_S), paid - every)


@dataclass(eq=False)
class Poller:
    """Polls for as long as it runs. ``said`` hears (symbols, whether bars came) after each question.

    ``heard`` is when (µs) an earlier run last heard of a symbol, 0 for never: its first question begins there.
    A symbol whose minutes are refused has bars of a day, until it is known no more that they are (`Rest.refuses`).
    """

    rest: Rest
    symbols: Callable[[], Sequence[str]]
    trading: Callable[[Iterable[str]], bool]
    publish: Callable[[ProviderBar], object]
    clock: Clock
    said: Callable[[Sequence[str], bool], None] = lambda _symbols, _came: None
    heard: Callable[[str], int] = lambda _symbol: 0
    interval: str = "1m"
    _last: dict[tuple[str, str], ProviderBar] = field(default_factory=dict)
    _unknown: dict[str, int] = field(default_factory=dict)
    _coarse: set[str] = field(default_factory=set)
    _after: dict[str, int] = field(default_factory=dict)
    _late: dict[str, int] = field(default_factory=dict)
    _told_at: dict[str, int] = field(default_factory=dict)
    _turns: Turns = field(default_factory=Turns)

    async def run(self) -> None:
        """Poll until cancelled."""
        now = asyncio.get_running_loop().time
        while True:
            await self._round(now)
            waits = [self._turns.wait(symbol, now()) for symbol in self._wanted()]
            # Looked at often: a market may open, a symbol be added.
            await asyncio.sleep(max(_TICK_S, min([_LOOK_S, *waits])))

    async def _round(self, now: Callable[[], float]) -> None:
        """Ask for every symbol whose turn it is."""
        wanted = self._wanted()
        every = pace(self.rest.source, max(1, len(wanted)))
        due = [symbol for symbol in wanted if not self._turns.wait(symbol, now())]
        for batch in batches(self.rest.source, due):
            came = await self._ask(batch)
            for symbol in batch:
                # When it was over: the quota may have held the call back for hours.
                self._turns.asked(symbol, now(), every, symbol in came)
                if not self.trading([symbol]) and self.clock() >= self._told_at.get(symbol, 0):
                    left = self._after[symbol] - 1
                    self._after[symbol] = min(left, 1) if symbol in came else left

    def _wanted(self) -> list[str]:
        """Who trades, and who has just stopped: the last bars of a session are whole only after it.

        They come with the second answer after it, a pace later, or, where the provider is told of an exchange late,
        after as much time; where answers fail it is given up after some rounds.
        """
        now = self.clock()
        known = [symbol for symbol in self.symbols() if self._unknown.get(symbol, 0) <= now]
        for symbol in known:
            if self.trading([symbol]):
                self._after[symbol] = _ROUNDS_AFTER
                self._told_at[symbol] = self.clock() + self._late.get(symbol, 0)
        return [symbol for symbol in known if self._after.get(symbol)]

    async def _ask(self, symbols: Sequence[str]) -> set[str]:
        """Those of which bars came; who is refused minutes, now or before, is asked for days."""
        fine = [symbol for symbol in symbols if not self._refused(symbol)]
        came = await self._try(fine, self.interval) if fine else set()
        # Intraday is what free plans leave out; the day's bar is what they have.
        coarse = [symbol for symbol in symbols if self._refused(symbol)]
        self._tell(symbols, coarse)
        came -= set(coarse)
        if coarse:
            came |= await self._try(coarse, _FALLBACK)
        for brought in (True, False):
            if group := [symbol for symbol in symbols if (symbol in came) == brought]:
                self.said(group, brought)
        return came

    def _refused(self, symbol: str) -> bool:
        return self.interval != _FALLBACK and self.rest.refuses(Ask("bars", (symbol,), self.interval))

    def _tell(self, symbols: Sequence[str], coarse: Sequence[str]) -> None:
        if fresh := [symbol for symbol in coarse if symbol not in self._coarse]:
            words = "%s: polls bars of a day instead of %s of %s"
            _log.info(words, self.rest.source.name, self.interval, ", ".join(fresh))
        self._coarse = (self._coarse - set(symbols)) | set(coarse)

    async def _try(self, symbols: Sequence[str], interval: str) -> set[str]:
        """Those of which a bar came."""
        try:
            return await self._bars(symbols, interval)
        except NotFound as error:
            self._poll_tomorrow(symbols, str(error))
        except (AccessDenied, Retryable, BadRecord, BadSetting) as error:
            _log.info("%s: no bars of %s: %s", self.rest.source.name, ", ".join(symbols), error)
        return set()

    def _poll_tomorrow(self, symbols: Sequence[str], why: str) -> None:
        """A symbol that does not exist would cost a call of the quota in every round; but providers err in that."""
        _log.warning("%s: %s is not polled for a day: %s", self.rest.source.name, ", ".join(symbols), why)
        self._unknown |= dict.fromkeys(symbols, self.clock() + DAY)

    async def _bars(self, symbols: Sequence[str], interval: str) -> set[str]:
        now, came = self.clock(), set[str]()
        length = INTERVALS[interval]
        # From the last bar on, which may have changed: it was forming when it was asked for.
        newest = min((self._known_to(symbol, interval, now) for symbol in symbols), default=now)
        start = newest - newest % length - (length if interval == _FALLBACK else 0)
        # One attempt: asking again is for `Turns`, which counts it.
        async for events in self.rest.ask(Ask("bars", tuple(symbols), interval, start, now + SECOND), 1):
            came |= self._new(events)
        return came

    def _known_to(self, symbol: str, interval: str, now: int) -> int:
        if last := self._last.get((symbol, interval)):
            return last.start
        recent = now - 30 * MINUTE
        # At most a day back: what lies before is the business of `batch backfill`.
        return max(min(recent, self.heard(symbol) or recent), now - DAY)

    def _new(self, events: Sequence[Event]) -> set[str]:
        """Publish the bars that say something new, oldest first; of which symbols there was any bar."""
        for notice in (e for e in events if isinstance(e, Notice) and e.unknown):
            self._poll_tomorrow(notice.symbols, notice.message)
        bars = sorted((e for e in events if isinstance(e, ProviderBar)), key=lambda b: b.start)
        for bar in bars:
            # Answers overlap those of the last round: only what says something new goes into the log.
            last = self._last.get((bar.symbol, bar.interval))
            if last is None or bar.start > last.start or (bar.start == last.start and _differ(bar, last)):
                self.publish(bar)
                self._last[bar.symbol, bar.interval] = bar
                self._late[bar.symbol] = min(_LATEST, max(0, self.clock() - bar.start - INTERVALS[bar.interval]))
        return {bar.symbol for bar in bars}


def _differ(bar: ProviderBar, last: ProviderBar) -> bool:
    # When it came is no news.
    return replace(bar, received=None) != replace(last, received=None)


def batches(source: Source, symbols: Sequence[str]) -> list[Sequence[str]]:
    """The symbols, as many at a time as one question for bars may name."""
    size = source.endpoint("bars").batch
    return [symbols[i : i + size] for i in range(0, len(symbols), size)]
