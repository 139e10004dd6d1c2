"""Asks a provider by REST: within its quota, with its key where the provider wants it, and never twice for a refusal.

Whom a refusal is about is told by `sources.refusals`.

The HTTP client blocks, so a call runs on a worker thread; everything else runs on the loop of the ingest process.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sparktrends.errors import AccessDenied, BadRecord, BadSetting, RateLimited, Retryable, SparkTrendsError, Terminal
from sparktrends.ingest.trouble import named, plain
from sparktrends.model import INTERVALS, SECOND, ProviderBar
from sparktrends.net import Backoff, Http, Planner, Secret
from sparktrends.sources.base import Answer, Ask, Event, Notice, Reject, Reply, Request, Source
from sparktrends.sources.refusals import EVERYBODY, Refusals
from sparktrends.sources.transport import call
from sparktrends.telemetry import Clock, counter, gauge

_log = logging.getLogger(__name__)
_CALLS = counter("rest_calls", "calls to a provider, by source and what became of them", ["source", "outcome"])
_DAY_S, _HOUR_S = 86_400, 3_600
_MISTAKES = 6
"""So many refusals in a row, five minutes in all, of somebody who was answered before may be a mistake."""
_HELD = gauge("quota_wait_seconds", "how long the quota holds the next call of a source back", ["source"])


@dataclass(slots=True)
class Denial:
    """An endpoint was refused to a symbol or to all: why, how often in a row, and until when (µs) it is not asked."""

    why: str
    until: int
    times: int


@dataclass(slots=True)
class Rest:
    """The REST side of one source.

    ``refuse`` takes (reason, payload, message) of every answer, and every row of one, that could not be used.
    ``trouble`` is why the last call failed, empty when it did not. ``denied`` is by (endpoint, symbol), and what holds
    for all of them under the empty name.
    """

    source: Source
    http: Http
    planner: Planner
    backoff: Backoff
    executor: Executor
    clock: Clock
    key: Secret | None = None
    trouble: str = ""
    denied: dict[tuple[str, str], Denial] = field(default_factory=dict)
    refuse: Callable[[str, str | bytes, str], object] = lambda _reason, _payload, _message: None
    _held: dict[object, int] = field(default_factory=dict)
    _refused_until: int = 0
    _served: set[tuple[str, str]] = field(default_factory=set)
    _refusals: Refusals = field(init=False)

    def __post_init__(self) -> None:
        self._refusals = Refusals(self.source)

    async def ask(self, question: Ask, attempts: int = 4) -> AsyncIterator[list[Event]]:
        """The events of each answer in order, page by page.

        What was refused is not asked for a day (in the log the first time only); where no key is involved, or who was
        answered before is refused, it is asked again after 5, 10, 20 … seconds, at most an hour. AccessDenied says that
        nobody was answered, or not all of what was asked of one symbol. A Retryable error is raised after so many
        ``attempts``; others of the tree at once.
        """
        refused: AccessDenied | None = None
        answered = False
        for first in self._requests(question):
            request: Request | None = first
            while request is not None:
                try:
                    self._remember(request)
                    answer = await self._answer(request, attempts)
                # Of one symbol: the others have requests of their own.
                except AccessDenied as error:
                    refused = error
                    break
                answered = True
                yield answer.events
                request = answer.next
        # Who asks for all of one symbol must not take a part of it for all there is.
        if refused and (not answered or len(question.symbols) == 1):
            raise refused

    def refuses(self, question: Ask, for_s: float = 0.0) -> bool:
        """Whether it is known that nothing of this would be answered for longer than that; costs no call."""
        try:
            requests = self.source.requests(question)
        except BadSetting:
            return False
        asked = [(r.endpoint, symbol) for r in requests for symbol in r.ask.symbols or (EVERYBODY,)]
        return all(self._denial(endpoint, symbol, for_s) for endpoint, symbol in asked)

    def refusals(self) -> list[str]:
        """What is not asked for and why, in sentences."""
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        for (endpoint, symbol), denial in self.denied.items():
            groups[endpoint, denial.why].append(symbol)
        return [
            f"{endpoint}{'' if EVERYBODY in symbols else f' of {named(symbols)}'} is not asked for: {plain(why)}"
            for (endpoint, why), symbols in groups.items()
        ]

    def _requests(self, question: Ask) -> list[Request]:
        """Its requests, without the refused symbols of a batch: each would cost its units again."""
        found = []
        for request in self.source.requests(question):
            symbols = request.ask.symbols
            left = tuple(s for s in symbols if not self._denial(request.endpoint, s))
            if len(left) in (0, len(symbols)):
                found.append(request)
                continue
            narrower = self.source.requests(replace(request.ask, symbols=left))
            found += [r for r in narrower if r.endpoint == request.endpoint]
        return found

    async def _answer(self, request: Request, attempts: int) -> Answer:
        for attempt in range(attempts):
            try:
                # Within: a quota that a full disk cannot keep lets nothing go, and a person should hear why.
                await self._turn(request.weight)
                asked = self.clock()
                reply = await asyncio.get_running_loop().run_in_executor(
                    self.executor, call, self.http, self.source, request, self.key
                )
                # Before the answer is read: a refusal says most about the quota, and reading it raises.
                self.planner.observe(self.source.usage(reply))
                answer = self._read(request, reply, asked)
            except Retryable as error:
                self._failed(error)
                if attempt + 1 == attempts:
                    raise
                wait = self.backoff.wait(attempt, error.delay)
                with self._holding(wait if isinstance(error, RateLimited) else 0.0):
                    await asyncio.sleep(wait)
            except AccessDenied as error:
                self._failed(error)
                self._deny(request.endpoint, self._refusals.whose(request, error), str(error))
                raise
            except Terminal as error:
                self._failed(error)
                raise
            else:
                _CALLS.labels(self.source.name, "ok").inc()
                self.trouble, self._refused_until = "", 0
                self._allow(request, answer.events)
                return answer
        raise AssertionError("the last attempt returns or raises")

    def _read(self, request: Request, reply: Reply, asked: int) -> Answer:
        try:
            answer = self.source.parse_rest(request, reply)
        except BadRecord as error:
            self.refuse(error.reason, reply.body, f"{request.endpoint}: {error}")
            raise
        self._tell(request, answer.events)
        return replace(answer, events=[_as_told(event, asked, reply.received) for event in answer.events])

    def _tell(self, request: Request, events: Iterable[Event]) -> None:
        """Nobody who asks for bars or trades looks at what came beside them."""
        for event in events:
            if isinstance(event, Reject):
                self.refuse(event.reason, event.payload, f"{request.endpoint}: {event.message}")
            elif isinstance(event, Notice) and event.kind == "refused" and not event.plan:
                _log.warning("%s refuses %s: %s", self.source.name, ", ".join(event.symbols), event.message)

    async def _turn(self, weight: int) -> None:
        """Wait until the quota lets a call of that weight go, and spend it."""
        while wait := self.planner.take(weight):
            with self._holding(wait):
                # In pieces: what a provider says meanwhile may shorten the wait.
                await asyncio.sleep(min(wait, 5.0))

    @property
    def held_s(self) -> float:
        """Seconds that a call still waits, or the next one would, for the quota or a time that a refusal asked for."""
        return max(0, max([self._refused_until, *self._held.values()]) - self.clock()) / SECOND

    @contextmanager
    def _holding(self, seconds: float) -> Iterator[None]:
        # Each for itself, because several calls may wait, and one that goes on must not speak for the others.
        call = object()
        self._held[call] = self.clock() + int(seconds * SECOND)
        _HELD.labels(self.source.name).set(self.held_s)
        try:
            yield
        finally:
            del self._held[call]
            _HELD.labels(self.source.name).set(self.held_s)

    def _denial(self, endpoint: str, symbol: str, for_s: float = 0.0) -> Denial | None:
        """The denial that holds now, and in so many seconds."""
        known = (self.denied.get((endpoint, EVERYBODY)), self.denied.get((endpoint, symbol)))
        at = self.clock() + for_s * SECOND
        return next((denial for denial in known if denial and at < denial.until), None)

    def _remember(self, request: Request) -> None:
        denials = [self._denial(request.endpoint, symbol) for symbol in request.ask.symbols or (EVERYBODY,)]
        if denials[0] and all(denials):
            raise AccessDenied(denials[0].why)

    def _allow(self, request: Request, events: Sequence[Event]) -> None:
        """Forget the denials of who was answered: a plan may be extended, a firewall opened, and how long the next one
        lasts is counted anew. Who was refused among others is denied."""
        if answered := self._refusals.answered(request, events):
            for symbol in (EVERYBODY, *answered):
                self._served.add((request.endpoint, symbol))
                self.denied.pop((request.endpoint, symbol), None)
        for event in events:
            if isinstance(event, Notice) and event.kind == "refused" and event.plan:
                self._deny(request.endpoint, event.symbols, event.message)

    def _failed(self, error: SparkTrendsError) -> None:
        _CALLS.labels(self.source.name, type(error).__name__).inc()
        self.trouble = str(error)
        if isinstance(error, RateLimited):
            # Also while nobody waits: whoever asks next will have to.
            self._refused_until = self.clock() + int(self.planner.wait() * SECOND)

    def _deny(self, endpoint: str, symbols: Collection[str], why: str) -> None:
        for symbol in symbols:
            before = self.denied.get((endpoint, symbol))
            times = before.times + 1 if before else 1
            # A plan does not change within a day; a country or a firewall in the way may, and providers err.
            perhaps = not self.source.auth or ((endpoint, symbol) in self._served and times <= _MISTAKES)
            wait = min(_HOUR_S, 5 * 2 ** min(times - 1, 12)) if perhaps else _DAY_S
            self.denied[endpoint, symbol] = Denial(why, self.clock() + wait * SECOND, times)
            if before is None:
                what = f"{endpoint} of {symbol}" if symbol else endpoint
                _log.warning("%s: %s is not asked for now: %s", self.source.name, what, why)
        if EVERYBODY in symbols:
            # Everybody's denial holds for each of them.
            self.denied = {k: d for k, d in self.denied.items() if k[0] != endpoint or not k[1]}


def _as_told(event: Event, asked: int, received: int) -> Event:
    """A bar that ended while its answer was on its way (µs) still formed when the provider wrote it."""
    if isinstance(event, ProviderBar) and event.closed and asked < event.start + INTERVALS[event.interval] <= received:
        return replace(event, closed=False)
    return event
