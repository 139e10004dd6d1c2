"""One connection to a provider, held for ever by one owner: opened, subscribed, watched, and opened again.

Nothing else reconnects. It waits with full jitter and a cap, never gives up, and never opens more than `CONNECTS`
sockets a minute per source, however the other side behaves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection

from sparktrends.errors import AccessDenied, Retryable, SparkTrendsError, Unavailable
from sparktrends.ingest.dial import dial, translated
from sparktrends.model import SECOND
from sparktrends.net import AddressGuard, Backoff, Planner, Secret
from sparktrends.sources.base import Source, Stream
from sparktrends.telemetry import Clock, counter

_log = logging.getLogger(__name__)
_RECONNECTS = counter("reconnects", "connections that ended, by source and reason", ["source", "reason"])
# Half of the 300 attempts in 5 minutes that Binance allows.
CONNECTS = 30
"""Sockets that one source opens in a minute, at most."""
_LOOK_S = 0.2
# In a burst heartbeats and the way out to Kafka must not wait until a provider pauses.
_BREATH = 64
_LONGEST_SILENCE = 8


@dataclass(frozen=True, slots=True)
class Heard:
    """What a frame was: ``data`` (a price, a trade, a bar), a mere sign of life, or the word that the server leaves."""

    data: bool = False
    alive: bool = False
    shutdown: bool = False


class Listener(Protocol):
    """Who takes what a link brings: called on the loop, never concurrently."""

    def opened(self, symbols: Sequence[str]) -> None:
        """A connection for these symbols stands, or carries them as well now; their subscriptions are being sent."""

    def closed(self, symbols: Sequence[str]) -> None:
        """It is gone: until it is opened again nothing comes for them."""

    def frame(self, payload: bytes, received: int) -> Heard:
        """One frame; raises what means that the connection should be given up."""

    def unusable(self, error: SparkTrendsError) -> None:
        """The connection ended by something that waiting does not mend, as a frame too large to be read."""

    def trading(self, symbols: Iterable[str]) -> bool:
        """Whether data can be expected for any of them now."""

    async def room(self) -> None:
        """Return when more may be taken in: at once, as a rule."""


class _Over(Exception):
    """A connection ends for a good reason; the next one need not wait."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a link is handed: its clock, whom it may call, how it waits, and the sockets it may still open."""

    clock: Clock
    guard: AddressGuard
    backoff: Backoff
    gate: Planner
    key: Secret | None = None


@dataclass(eq=False)
class Link:
    """Holds one socket of ``source`` for the symbols of `carry`; `run` never returns by itself.

    ``trouble`` is why the last connection ended or could not be opened, empty while data comes.
    """

    source: Source
    listener: Listener
    around: Surroundings
    symbols: list[str] = field(default_factory=list)
    connects: int = 0
    trouble: str = ""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _again: set[str] = field(default_factory=set)
    _heard: int = 0
    _fruitful: bool = False
    _silences: int = 0
    _paused: bool = False
    _next_word: float = 0.0

    def carry(self, symbols: Iterable[str]) -> None:
        """From now on these symbols; what changed is subscribed or unsubscribed on the open connection."""
        self.symbols = list(dict.fromkeys(symbols))
        self._changed.set()

    def renew(self, symbol: str) -> None:
        """Subscribe to one symbol again: nothing has come for it for long."""
        self._again.add(symbol)
        self._changed.set()

    async def run(self) -> None:
        """Connect, and connect again, until cancelled; raises only what is no error of a connection."""
        attempt = 0
        while True:
            await self._turn()
            self._fruitful = False
            error, at_once = await self._one()
            attempt = 0 if self._fruitful else attempt + 1
            self.trouble = "" if at_once else str(error)
            reason = "planned" if at_once else type(error).__name__
            _RECONNECTS.labels(self.source.name, reason).inc()
            wait = 0.0 if at_once else self._wait(error, attempt)
            _log.info("%s: connects again in %.1f s: %s", self.source.name, wait, error)
            await asyncio.sleep(wait)

    async def _turn(self) -> None:
        while wait := self.around.gate.wait():
            await asyncio.sleep(wait)
        self.around.gate.spend()
        self.connects += 1

    def _wait(self, error: Exception, attempt: int) -> float:
        # What the other side asks for (a 429's Retry-After) is a lower bound.
        asked = error.delay if isinstance(error, Retryable) else None
        if isinstance(error, AccessDenied):
            # A key may be put right, a plan extended: asking on is cheap, asking often is not.
            asked = min(300.0, 5.0 * 2 ** min(attempt, 10))
        return self.around.backoff.wait(attempt, asked)

    async def _one(self) -> tuple[Exception, bool]:
        """One connection from its opening to its end: why it ended, and whether to open the next at once."""
        opened = False
        try:
            stream = self.source.stream
            assert stream is not None
            # Each time anew, address and all: a name may lead elsewhere after a failure.
            async with await dial(stream, self.around.key, self.around.guard) as socket:
                opened = True
                # From here on: a socket that never says a word is as dead as one that stopped.
                self._heard = self.around.clock()
                # Who talks begins: it says who is carried before the first frame of theirs is read.
                await _first(self._talk(socket, stream), self._read(socket), self._watch(stream))
        except _Over as over:
            return over, True
        except Exception as error:
            problem = translated(error, self.source.name)
            # Connecting again goes on either way, but a person should see in quarantine what it was.
            if not isinstance(problem, (Retryable, AccessDenied)):
                self.listener.unusable(problem)
            return problem, False
        finally:
            if opened:
                self.listener.closed(self.symbols)
        raise AssertionError("a connection ends by an exception")

    async def _read(self, socket: ClientConnection) -> None:
        clock, take = self.around.clock, self.listener.frame
        frames = 0
        while True:
            # Bytes: text would be decoded here and judged by `websockets`, and a bad letter would cost the connection.
            payload = await socket.recv(decode=False)
            # Before parsing, so that arrival does not depend on how busy we are with the frame.
            received = clock()
            heard = take(payload, received)
            # A half-open feed still pings: while its market trades, only data shows that it lives.
            if heard.data or (heard.alive and not self.listener.trading(self.symbols)):
                self._heard, self._fruitful, self._silences, self.trouble = received, True, 0, ""
            if heard.shutdown:
                raise _Over("the server announced that it leaves")
            frames += 1
            if not frames % _BREATH:
                self._paused = True
                await self.listener.room()
                # Frames that lie ready never make `recv` wait: the others must get their turn.
                await asyncio.sleep(0)
                self._paused = False

    async def _talk(self, socket: ClientConnection, stream: Stream) -> None:
        """Subscriptions as they change, keep-alives and repeats, never faster than the provider allows."""
        source, sent = self.source, set[str]()
        now = asyncio.get_running_loop().time
        # The loop's clock, not ours: setting the time must not silence a keep-alive.
        alive_at, repeat_at = now() + stream.every, now() + stream.resubscribe
        while True:
            # Before looking, so that a change made while messages are sent is seen in the next turn.
            self._changed.clear()
            symbols, again = self.symbols, self._again & sent
            gone, fresh = sent - set(symbols), [s for s in symbols if s not in sent]
            self._again.clear()
            # Also who joins a connection that stands: nobody else says that it carries them.
            if fresh:
                self.listener.opened(fresh)
            for message in source.unsubscribe(sorted(gone)) if gone else []:
                await self._say(socket, stream, message)
            for message in source.subscribe([s for s in symbols if s not in sent or s in again]):
                await self._say(socket, stream, message)
            sent = set(symbols)
            if stream.every and now() >= alive_at:
                await self._say(socket, stream, stream.keepalive)
                alive_at = now() + stream.every
            if stream.resubscribe and now() >= repeat_at:
                self._again |= sent
                self._changed.set()
                repeat_at = now() + stream.resubscribe
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 0.5)

    async def _say(self, socket: ClientConnection, stream: Stream, message: str) -> None:
        now = asyncio.get_running_loop().time()
        if self._next_word > now:
            await asyncio.sleep(self._next_word - now)
        # Kept over reconnects: a provider ends who subscribes too fast (Binance with 1008).
        self._next_word = max(now, self._next_word) + 1.0 / stream.per_second
        await socket.send(message)

    async def _watch(self, stream: Stream) -> None:
        """End a connection that is silent, or about as old as the server lets it become."""
        began = self.around.clock()
        # In a quiet market a new connection is as silent as the old one: each time it may be silent for longer.
        quiet = stream.idle * (1 if stream.always_talks else min(2**self._silences, _LONGEST_SILENCE))
        while True:
            await asyncio.sleep(_LOOK_S)
            now = self.around.clock()
            # While nothing is read, silence says nothing of the provider; where the clock was set back, it counts anew.
            if self._paused or not self.symbols or now < self._heard:
                self._heard = now
            elif now - self._heard > (stream.idle if self._fruitful else quiet) * SECOND:
                # What spoke and stopped is no quiet market yet: the next one has to speak as soon.
                self._silences += not self._fruitful
                raise Unavailable(f"{self.source.name}: the connection is silent", delay=0.0)
            if stream.lifetime and now - began > stream.lifetime * SECOND:
                raise _Over("the connection is as old as the server lets it become")


async def _first(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all until the first ends, end the others, and raise what it raised."""
    tasks = [asyncio.ensure_future(c) for c in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    # The others are awaited first: two readers on one socket would be an error of their own.
    for task in done:
        task.result()
