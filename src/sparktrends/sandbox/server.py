"""The one server: REST and sockets of every provider on one port of loopback, and the beat that moves the market.

``http://127.0.0.1:PORT/<provider>/…`` is REST, the same path with an upgrade is a socket. A REST answer ends its
connection. Everything that decides is in the providers, `faults` and `distortion`; this file only moves bytes.
"""

from __future__ import annotations

import asyncio
import http
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from urllib.parse import parse_qsl, unquote, urlsplit

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State

from sparktrends.errors import Unavailable
from sparktrends.model import SECOND
from sparktrends.sandbox.binance import shutdown_notice
from sparktrends.sandbox.distortion import changed, distort, instead
from sparktrends.sandbox.exchange import Answer, Call, Close, Frame, Provider, Session, World
from sparktrends.sandbox.faults import Fault, Plan
from sparktrends.sandbox.instruments import Instrument
from sparktrends.sandbox.ledger import SYNC_EVERY, Writer
from sparktrends.sandbox.meters import Meters
from sparktrends.sandbox.providers import PROVIDERS
from sparktrends.sandbox.recordings import Recordings
from sparktrends.sandbox.tape import Tape
from sparktrends.telemetry import Clock

HOST = "127.0.0.1"
BEAT = 0.025
"""Seconds between two looks at the clock."""
MAX_BACKLOG = 8 * 1024 * 1024
"""Bytes a client may leave unread before it is thrown out."""
_PING_EVERY, _PONG_WITHIN = 20.0, 60.0
_LONGEST_CALL = 120.0
_NOTICE = 10 * SECOND
_log = logging.getLogger("sparktrends.sandbox")


@dataclass(frozen=True, slots=True)
class Config:
    """How a twin runs. ``history`` is how many seconds of trades are made before it opens; port 0 = any free one."""

    instruments: tuple[Instrument, ...]
    port: int = 0
    seed: int = 7
    rate: float = 50.0
    plan: Plan = field(default_factory=Plan)
    ledger: Path | None = None
    history: int = 600
    hostile: bool = False
    recordings: Recordings = field(default_factory=Recordings)


@dataclass(slots=True)
class _Open:
    """A socket that is open, and when it must end (0 = when the client wants)."""

    provider: Provider
    session: Session
    connection: ServerConnection
    ends: int = 0


class Twin:
    """A running sandbox. All of it lives in one event loop; only fsync runs beside it."""

    def __init__(self, config: Config, clock: Clock) -> None:
        now = clock()
        self._config, self._clock = config, clock
        tape = Tape(config.instruments, now - config.history * SECOND, config.seed, config.rate)
        self._world = World(tape, now, Meters(), Random(config.seed), config.seed, config.hostile)
        self._ledger = Writer(config.ledger)
        self._open: dict[ServerConnection, _Open] = {}
        self._admitted: dict[ServerConnection, tuple[Provider, Session]] = {}
        self._numbers = 0
        self._begun = self._told = now
        self._closing: set[asyncio.Task[None]] = set()

    async def run(self, stopping: asyncio.Event, ready: Callable[[int], None]) -> None:
        """Serve until ``stopping``; ``ready`` is called with the port. Unavailable when the port is taken."""
        self._tick(self._clock())
        quiet = logging.getLogger("sparktrends.sandbox.wire")
        quiet.setLevel(logging.CRITICAL)  # it would log every refused handshake and every cut connection
        try:
            server = await serve(
                self._handle, HOST, self._config.port, process_request=self._request, compression=None, logger=quiet,
                ping_interval=_PING_EVERY, ping_timeout=_PONG_WITHIN, open_timeout=_LONGEST_CALL, close_timeout=1,
            )  # fmt: skip
        except OSError as error:
            raise Unavailable(f"port {self._config.port} cannot be opened ({error.strerror})") from None
        try:
            self._begun = self._told = self._clock()
            self._ledger.write("ready", at=self._begun)
            ready(server.sockets[0].getsockname()[1])
            await self._beats(stopping)
        finally:
            server.close(code=1001)
            await server.wait_closed()
            self._ledger.close()

    async def _beats(self, stopping: asyncio.Event) -> None:
        syncing: asyncio.Future[None] | None = None
        synced = self._clock()
        loop = asyncio.get_running_loop()
        while not stopping.is_set():
            now = self._clock()
            self._tick(now)
            if now - synced >= (SYNC_EVERY - BEAT) * SECOND / 2 and (syncing is None or syncing.done()):
                number, synced = self._ledger.flush(), now
                # fsync takes milliseconds: beside the loop, or every socket would feel it.
                syncing = loop.run_in_executor(None, os.fsync, number) if number is not None else None
            try:
                await asyncio.wait_for(stopping.wait(), BEAT)
            except TimeoutError:
                continue
        if syncing:
            await syncing

    # -- the market moves ------------------------------------------------------------------------------------

    def _tick(self, now: int) -> None:
        world = self._world
        before = {name: series.end for name, series in world.tape.series.items()}
        world.now = max(world.now, now)
        world.tape.advance(world.now)
        for name, series in world.tape.series.items():
            self._ledger.made(name, series.rows(before[name], series.end))
        t0, t1 = ((at - self._begun) / SECOND for at in (self._told, world.now))
        self._told = world.now
        faults: dict[str, list[Fault]] = {}
        for entry in list(self._open.values()):
            name = entry.provider.name
            if name not in faults:
                faults[name] = self._config.plan.active(name, t1) + self._config.plan.fired(name, t0, t1)
            self._serve(entry, faults[name])

    def _serve(self, entry: _Open, faults: Sequence[Fault]) -> None:
        if entry.connection.state is not State.OPEN:  # the client is leaving: nothing sent now would be read
            self._forget(entry, entry.connection.close_code or 1005)
            return
        frames = entry.provider.tell(entry.session, self._world)
        for fault in faults:
            if fault.kind == "disconnect":
                self._cut(entry, fault.code, frames)
                return
            if fault.kind == "shutdown":
                frames.append(shutdown_notice(self._world))
                entry.ends = self._world.now + (_NOTICE if entry.provider.name == "binance" else 0)
                self._note(entry, "shutdown", [])
        outcome = distort(frames, faults, entry.provider, self._world.random)
        for kind, items in outcome.notes:
            self._note(entry, kind, items)
        self._send(entry, outcome.frames)
        if entry.provider.spent(entry.session, self._world) or 0 < entry.ends <= self._world.now:
            self._close(entry, 1001, "")

    def _send(self, entry: _Open, frames: Sequence[Frame]) -> None:
        items = [item for frame in frames for item in frame.items]
        for frame in frames:
            # Not `send`: it waits for a slow reader, and everybody else would wait with it.
            broadcast([entry.connection], frame.text)
        if items:
            where = {"provider": entry.provider.name, "connection": entry.session.number}
            self._ledger.write("delivered", at=self._world.now, **where, items=items)
        if entry.connection.transport.get_write_buffer_size() > MAX_BACKLOG:
            self._close(entry, 1008, "slow consumer")

    def _cut(self, entry: _Open, code: int, frames: Sequence[Frame]) -> None:
        """End a connection without a word (1006: in the middle of a frame), or with a code."""
        self._note(entry, "disconnect", [item for frame in frames for item in frame.items])
        if code != 1006:
            self._close(entry, code, "")
            return
        text = frames[0].text if frames else '{"e":"cut"}'
        raw = WireFrame(Opcode.TEXT, text.encode()).serialize(mask=False)
        entry.connection.transport.write(raw[: len(raw) // 2])
        # What was sent before is still delivered; the half frame and the end of the stream follow it.
        entry.connection.transport.close()
        self._forget(entry, 1006)

    def _close(self, entry: _Open, code: int, reason: str) -> None:
        self._forget(entry, code)
        task = asyncio.ensure_future(entry.connection.close(code, reason))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _forget(self, entry: _Open, code: int) -> None:
        if self._open.pop(entry.connection, None):
            self._world.sessions[entry.provider.name].remove(entry.session)
            where = {"provider": entry.provider.name, "connection": entry.session.number}
            self._ledger.write("closed", at=self._world.now, **where, code=code)

    def _note(self, entry: _Open, kind: str, items: list[tuple[str, str]]) -> None:
        where = {"provider": entry.provider.name, "connection": entry.session.number}
        self._ledger.write("fault", at=self._world.now, **where, fault=kind, items=items)

    # -- sockets ---------------------------------------------------------------------------------------------

    async def _handle(self, connection: ServerConnection) -> None:
        provider, session = self._admitted.pop(connection)
        self._numbers += 1
        session.number = self._numbers
        entry = _Open(provider, session, connection)
        same = [e for e in self._open.values() if e.provider is provider and e.session.key == session.key]
        for oldest in same[: max(0, len(same) + 1 - provider.most())]:
            self._close(oldest, 1008, "another connection was opened with this key")
        self._open[connection] = entry
        self._world.sessions.setdefault(provider.name, []).append(session)
        self._ledger.write("opened", at=self._world.now, provider=provider.name, connection=session.number)
        self._send(entry, self._config.recordings.frames.get(provider.name, ()))
        try:
            async for message in connection:
                self._hear(entry, message if isinstance(message, str) else message.decode("utf-8", "replace"))
        except ConnectionClosed:
            _log.debug("connection %d of %s was cut", session.number, provider.name)
        finally:
            self._forget(entry, connection.close_code or 1006)

    def _hear(self, entry: _Open, text: str) -> None:
        self._world.now = max(self._world.now, self._clock())
        for message in entry.provider.hear(entry.session, text, self._world):
            if isinstance(message, Close):
                self._close(entry, message.code, message.reason)
                return
            self._send(entry, [message])

    # -- REST and handshakes ---------------------------------------------------------------------------------

    async def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        name, call = _read(connection, request)
        provider = PROVIDERS.get(name)
        if provider is None:
            return _response(Answer(404, f"the sandbox has {', '.join(PROVIDERS)}\n".encode()))
        self._tick(self._clock())
        t = (self._world.now - self._begun) / SECOND
        faults = self._config.plan.active(name, t)
        if "websocket" in request.headers.get("Upgrade", "").lower():
            return self._admit(connection, provider, call, faults)
        answer = await self._answer(provider, call, faults)
        self._ledger.write(
            "call", at=self._world.now, provider=name, path=call.path, status=answer.status, weight=answer.weight
        )
        return _response(answer)

    def _admit(
        self, connection: ServerConnection, provider: Provider, call: Call, faults: list[Fault]
    ) -> Response | None:
        refused = next((f for f in faults if f.kind == "refuse"), None)
        if refused:
            self._told_fault(provider, refused)
        admitted = instead(refused, provider, call, self._world) if refused else provider.admit(call, self._world)
        if isinstance(admitted, Session):
            self._admitted[connection] = (provider, admitted)
            return None
        return _response(admitted or Answer(503, b""))

    async def _answer(self, provider: Provider, call: Call, faults: list[Fault]) -> Answer:
        rest = [f for f in faults if f.kind in _REST]
        for fault in rest:
            self._told_fault(provider, fault)
            if fault.kind == "slow":
                await asyncio.sleep(fault.seconds)
        for fault in rest:
            answer = instead(fault, provider, call, self._world)
            if answer:
                return answer
        recorded = self._config.recordings.answer(provider.name, call)
        return changed(recorded or provider.answer(call, self._world), rest)

    def _told_fault(self, provider: Provider, fault: Fault) -> None:
        self._ledger.write(
            "fault", at=self._world.now, provider=provider.name, connection=0, fault=fault.kind, items=[]
        )


_REST = ("status", "words", "slow", "redirect", "half_answer", "wrong_answer", "huge_answer")


def _read(connection: ServerConnection, request: Request) -> tuple[str, Call]:
    parts = urlsplit(request.path)
    name, _, path = parts.path.lstrip("/").partition("/")
    headers = {key.lower(): value for key, value in request.headers.raw_items()}
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return name, Call("/" + unquote(path) if path else "", query, headers, connection.remote_address[0])


def _response(answer: Answer) -> Response:
    try:
        reason = http.HTTPStatus(answer.status).phrase
    except ValueError:
        reason = "Unknown"
    headers = Headers({"Connection": "close", "Content-Length": str(len(answer.body))} | dict(answer.headers))
    return Response(answer.status, reason, headers, answer.body)
