"""Makes the calls of a day within each provider's quota and hands every answer on untouched.

Sources are asked side by side, each by a thread of its own; answers are published and calls marked by the caller's
thread. A call is marked only after its answers are safely in the log: a kill in between costs a call, never an answer.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from sparktrends.batch.plan import Call, Stored
from sparktrends.errors import AccessDenied, BadRecord, NotFound, NotInPlan, RateLimited, Retryable, Terminal
from sparktrends.model import Payload
from sparktrends.net import Backoff, Http, Planner, Secret
from sparktrends.net.quota import in_words
from sparktrends.sources.base import Answer, Notice, Reply, Request, Source
from sparktrends.sources.refusals import EVERYBODY, Refusals
from sparktrends.sources.transport import call as call_provider
from sparktrends.telemetry import counter

PATIENCE_S = 150.0
"""Longest wait for a quota; what would have to wait longer is left for the next run."""
_ATTEMPTS = 3
_CALLS = counter("daily_calls", "calls of the daily run, by source and what became of them", ["source", "state"])


@dataclass(frozen=True, slots=True)
class Provider:
    """A source with its key and its quota."""

    source: Source
    planner: Planner
    key: Secret | None = None


_Place = tuple[str, str]
"""A source and its endpoint."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call: ``done``, ``refused`` (it will not be answered), ``failed``, or ``waiting``.

    A call of several symbols is done when any was answered; ``reason`` then names those that were refused, or
    says that further pages were left.
    Only what a plan leaves out and what does not exist is refused: a key can be put right, and then it is answered."""

    call: Call
    state: str
    reason: str | None = None
    payloads: tuple[Payload, ...] = ()


class _Postponed(Exception):
    """The quota has no room for a call within our patience, by our count or by the provider's words."""


@dataclass(slots=True)
class Fetcher:
    """Asks providers. ``wait`` sleeps so many seconds; by default it ends, truly, when nobody listens any more."""

    http: Http
    backoff: Backoff
    wait: Callable[[float], object] | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _denied: dict[_Place, AccessDenied] = field(default_factory=dict)
    _refusals: dict[str, Refusals] = field(default_factory=dict)

    def run(
        self, work: Sequence[tuple[Provider, Sequence[Call]]], stored: Mapping[str, Mapping[str, Stored]]
    ) -> Iterator[Outcome]:
        """Every call's outcome, as they come; ``stored`` by the source's name. Who stops listening stops the calls."""
        outcomes: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        with ThreadPoolExecutor(max(1, len(work)), thread_name_prefix="fetch") as pool:
            threads = [
                pool.submit(self._run_source, provider, calls, stored.get(provider.source.name, {}), outcomes.put)
                for provider, calls in work
            ]
            left = len(threads)
            try:
                while left:
                    outcome = outcomes.get()
                    if outcome is None:
                        left -= 1
                    else:
                        _CALLS.labels(outcome.call.source, outcome.state).inc()
                        yield outcome
            finally:
                self._over.set()
            for thread in threads:
                # Says nothing, but raises what a thread fell over.
                thread.result()

    def _run_source(
        self,
        provider: Provider,
        calls: Sequence[Call],
        stored: Mapping[str, Stored],
        tell: Callable[[Outcome | None], None],
    ) -> None:
        try:
            postponed = ""
            for call in calls:
                if self._over.is_set():
                    return
                # The quota is the source's: what one of its calls waits for, the others wait for too.
                if postponed:
                    tell(Outcome(call, "waiting", postponed))
                    continue
                outcome = self._ask(provider, call, stored)
                postponed = outcome.reason or "" if outcome.state == "waiting" else ""
                tell(outcome)
        finally:
            tell(None)

    def _ask(self, provider: Provider, call: Call, stored: Mapping[str, Stored]) -> Outcome:
        payloads: list[Payload] = []
        refused: list[str] = []
        try:
            for first in call.requests(provider.source, stored):
                request: Request | None = first
                pages = 0
                while request is not None:
                    if pages and pages == provider.source.pages:
                        refused.append(f"only the newest {pages} pages are asked for")
                        break
                    answer = self._answer(provider, request, payloads)
                    refused += _refusals(answer)
                    request, pages = answer.next, pages + 1
        except _Postponed as wait:
            # Pages that came are kept: the next run asks for all of them again, and may not come so far.
            return Outcome(call, "waiting", str(wait), tuple(payloads))
        except (NotInPlan, NotFound) as error:
            return Outcome(call, "refused", str(error), tuple(payloads))
        except (Retryable, Terminal) as error:
            return Outcome(call, "failed", str(error), tuple(payloads))
        return Outcome(call, "done", "; ".join(refused) or None, tuple(payloads))

    def _answer(self, provider: Provider, request: Request, payloads: list[Payload]) -> Answer:
        place = (provider.source.name, request.endpoint)
        refusals = self._refusals.setdefault(provider.source.name, Refusals(provider.source))
        if place in self._denied:
            known = self._denied[place]
            raise type(known)(str(known))
        for attempt in range(_ATTEMPTS):
            try:
                answer = self._call(provider, request, payloads)
            except AccessDenied as error:
                if EVERYBODY in refusals.whose(request, error):
                    # Each further try would cost a call.
                    self._denied[place] = error
                raise
            except Retryable as error:
                wait = self.backoff.wait(attempt, error.delay)
                over = attempt + 1 == _ATTEMPTS or wait > PATIENCE_S
                if over and isinstance(error, RateLimited):
                    # The next call would hear the same, and cost a unit of the quota too.
                    raise _Postponed(f"{error}; {in_words(wait)} to wait") from None
                if over:
                    raise
                self._pause(wait)
            else:
                refusals.answered(request, answer.events)
                return answer
        raise AssertionError("the last attempt returns or raises")

    def _call(self, provider: Provider, request: Request, payloads: list[Payload]) -> Answer:
        self._take_turn(provider.planner, request.weight)
        reply = call_provider(self.http, provider.source, request, provider.key)
        provider.planner.observe(provider.source.usage(reply))
        try:
            answer = provider.source.parse_rest(request, reply)
        except (BadRecord, NotFound):
            payloads.append(payload_of(provider, request, reply))  # what it said may be wanted to understand it
            raise
        payloads.append(payload_of(provider, request, reply))
        return answer

    def _take_turn(self, planner: Planner, weight: int) -> None:
        while wait := planner.take(weight):
            if wait > PATIENCE_S:
                raise _Postponed(f"the quota is spent for {in_words(wait)}")
            if self._pause(wait):
                raise _Postponed("the run was stopped")

    def _pause(self, seconds: float) -> object:
        return (self.wait or self._over.wait)(seconds)


def _refusals(answer: Answer) -> list[str]:
    refused = [event for event in answer.events if isinstance(event, Notice) and event.kind == "refused"]
    return [f"{', '.join(notice.symbols)} refused: {notice.message}" for notice in refused]


def payload_of(provider: Provider, request: Request, reply: Reply) -> Payload:
    """The answer as it goes to the log: as it came, but for our own key, which some providers repeat."""
    body = reply.body
    if provider.key:
        body = body.replace(provider.key.reveal().encode(), b"***")
    fetched_at = datetime.fromtimestamp(reply.received // 1_000_000, UTC).replace(
        microsecond=reply.received % 1_000_000
    )
    return Payload(provider.source.name, request.endpoint, fetched_at, request_fields(request, reply), _document(body))


def _document(body: bytes) -> bytes | str:
    """JSON stays as it is, digit for digit; a table or a page of HTML becomes a JSON string."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")
    return body


def request_fields(request: Request, reply: Reply) -> dict[str, Any]:
    """What `reading.request_of` needs to read the answer again, as JSON."""
    ask = request.ask
    one = {"symbol": ask.symbols[0]} if len(ask.symbols) == 1 else {}
    return one | {
        "path": request.path,
        "params": dict(request.params),
        "what": ask.what,
        "symbols": list(ask.symbols),
        "interval": ask.interval,
        "start": ask.start,
        "end": ask.end,
        "status": reply.status,
    }
