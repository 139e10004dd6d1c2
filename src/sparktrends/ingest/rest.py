"""Asks a provider by REST: within its quota, with its key where the provider wants it, and never twice for a refusal.

The HTTP client blocks, so a call runs on a worker thread; everything else runs on the loop of the ingest process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field

from sparktrends.errors import AccessDenied, BadRecord, RateLimited, Retryable, SparkTrendsError, Terminal
from sparktrends.model import SECOND
from sparktrends.net import Backoff, Http, Planner, Secret
from sparktrends.sources.base import Answer, Ask, Event, Notice, Reject, Reply, Request, Source
from sparktrends.sources.transport import call
from sparktrends.telemetry import Clock, counter, gauge

_log = logging.getLogger(__name__)
_CALLS = counter("rest_calls", "calls to a provider, by source and what became of them", ["source", "outcome"])
_HELD = gauge("quota_wait_seconds", "how long the quota holds the next call of a source back", ["source"])


@dataclass(slots=True)
class Denial:
    """An endpoint was refused: why, how often in a row, and until when (µs) it is not asked."""

    why: str
    until: int
    times: int


@dataclass(slots=True)
class Rest:
    """The REST side of one source.

    ``refuse`` takes (reason, payload, message) of every answer, and every row of one, that could not be used.
    ``trouble`` is why the last call failed, empty when it did not.
    """

    source: Source
    http: Http
    planner: Planner
    backoff: Backoff
    executor: Executor
    clock: Clock
    key: Secret | None = None
    trouble: str = ""
    denied: dict[str, Denial] = field(default_factory=dict)
    refuse: Callable[[str, str | bytes, str], object] = lambda _reason, _payload, _message: None
    _waiting: int = 0

    async def ask(self, question: Ask, attempts: int = 4) -> AsyncIterator[list[Event]]:
        """The events of each answer in order, page by page.

        An endpoint that was refused is not asked for a day (AccessDenied at once, in the log the first time only);
        where no key is involved it is asked again after 5, 10, 20 … seconds, at most an hour. A Retryable error is
        raised after so many ``attempts``; other errors of the tree at once.
        """
        for first in self.source.requests(question):
            request: Request | None = first
            while request is not None:
                self._remember(request)
                answer = await self._answer(request, attempts)
                yield answer.events
                request = answer.next

    async def _answer(self, request: Request, attempts: int) -> Answer:
        for attempt in range(attempts):
            await self._turn(request.weight)
            try:
                reply = await asyncio.get_running_loop().run_in_executor(
                    self.executor, call, self.http, self.source, request, self.key
                )
                # Before the answer is read: a refusal says most about the quota, and reading it raises.
                self.planner.observe(self.source.usage(reply))
                answer = self._read(request, reply)
            except Retryable as error:
                self._failed(error)
                if attempt + 1 == attempts:
                    raise
                with self._holding(isinstance(error, RateLimited)):
                    await asyncio.sleep(self.backoff.wait(attempt, error.delay))
            # Remembered by endpoint: a free plan lacks some calls and has others.
            except AccessDenied as error:
                self._deny(request, error)
                raise
            except Terminal as error:
                self._failed(error)
                raise
            else:
                _CALLS.labels(self.source.name, "ok").inc()
                self.trouble = ""
                # A plan may be extended, a firewall opened: how long the next denial lasts is counted anew.
                self.denied.pop(request.endpoint, None)
                return answer
        raise AssertionError("the last attempt returns or raises")

    def _read(self, request: Request, reply: Reply) -> Answer:
        try:
            answer = self.source.parse_rest(request, reply)
        except BadRecord as error:
            self.refuse(error.reason, reply.body, f"{request.endpoint}: {error}")
            raise
        self._tell(request, answer.events)
        return answer

    def _tell(self, request: Request, events: Iterable[Event]) -> None:
        """Nobody who asks for bars or trades looks at what came beside them."""
        for event in events:
            if isinstance(event, Reject):
                self.refuse(event.reason, event.payload, f"{request.endpoint}: {event.message}")
            elif isinstance(event, Notice) and event.kind == "refused":
                _log.warning("%s refuses %s: %s", self.source.name, ", ".join(event.symbols), event.message)

    async def _turn(self, weight: int) -> None:
        """Wait until the quota lets a call of that weight go, and spend it."""
        with self._holding(self.planner.wait(weight) > 0):
            while wait := self.planner.wait(weight):
                _HELD.labels(self.source.name).set(wait)
                # In pieces: what a provider says meanwhile may shorten the wait.
                await asyncio.sleep(min(wait, 5.0))
        _HELD.labels(self.source.name).set(0)
        self.planner.spend(weight)

    @property
    def held(self) -> bool:
        """Whether a call waits for the quota, or for the time that a refusal asked for."""
        return self._waiting > 0

    @contextmanager
    def _holding(self, waits: bool) -> Iterator[None]:
        # Counted, because several calls may wait, and one that goes on must not speak for the others.
        self._waiting += waits
        try:
            yield
        finally:
            self._waiting -= waits

    def _remember(self, request: Request) -> None:
        denial = self.denied.get(request.endpoint)
        if denial and self.clock() < denial.until:
            raise AccessDenied(denial.why)

    def _failed(self, error: SparkTrendsError) -> None:
        _CALLS.labels(self.source.name, type(error).__name__).inc()
        self.trouble = str(error)

    def _deny(self, request: Request, error: AccessDenied) -> None:
        self._failed(error)
        before = self.denied.get(request.endpoint)
        times = before.times + 1 if before else 1
        # A plan does not change within a day; a country or a firewall in the way may.
        wait = 86_400 if self.source.auth else min(3600, 5 * 2 ** min(times - 1, 12))
        self.denied[request.endpoint] = Denial(str(error), self.clock() + wait * SECOND, times)
        if before is None:
            _log.warning("%s: %s is not asked for now: %s", self.source.name, request.endpoint, error)
