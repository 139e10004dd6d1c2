"""The event stream: one connection hears of commits, one thread tells every listener.

Who stands at the head is told each commit as it is read, once, whatever the number of listeners. Who comes back is
first told what it missed, from the store, by the same thread: nothing is told twice and nothing is left out.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

from sparktrends.errors import Retryable, SparkTrendsError
from sparktrends.model import SECOND
from sparktrends.serve.api import events
from sparktrends.serve.api.events import Choice, Place, Told
from sparktrends.serve.api.problems import Problem
from sparktrends.store.changes import Change, Ear, Heads, bars_at, changes_after, heads, heads_and_changes, signals_of
from sparktrends.store.connect import Cursor
from sparktrends.store.sessions import Sessions
from sparktrends.telemetry import Clock, gauge

_LOG = logging.getLogger(__name__)
_LISTENERS = gauge("api_listeners", "Who follows the stream of the API")
ENVIRON_KEY = "sparktrends.listener"
HEARTBEAT_S = 10
_PAGE = 50
_KEPT = 64
_OLD = "what happened since then is kept no longer: load the pages you need, then go on from here"
_SLOW = "this connection takes less than what happens: come back with Last-Event-ID, and choose symbols"


class Wire(Protocol):
    """The way to one listener. ``pending`` bytes wait to be taken; ``send`` never blocks; both outlive the peer."""

    @property
    def alive(self) -> bool: ...
    @property
    def pending(self) -> int: ...
    def send(self, data: bytes) -> None: ...
    def end(self) -> None: ...


PENDING_LIMIT = 1_000_000
"""A listener with more bytes than this waiting is closed, with a hint."""


@dataclass(slots=True, eq=False)
class Listener:
    """Somebody who follows: what it chose, where it stands, and (once its headers are out) the way to it."""

    hub: Hub = field(repr=False)
    choice: Choice
    places: dict[str, Place]
    wire: Wire | None = None

    @property
    def greeting(self) -> bytes:
        """The first bytes: how soon to come back, and the id to come back with."""
        return b"retry: 1000\n" + events.heartbeat(self.places)

    def attach(self, wire: Wire) -> None:
        """The headers are out: begin."""
        self.wire = wire
        self.hub.admit(self)


class Hub:
    """Starts its two threads with the first listener; ``close`` ends them."""

    def __init__(self, conninfo: str, sessions: Sessions, clock: Clock, most: int) -> None:
        self._ear = Ear(conninfo)
        self._sessions = sessions
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._new: list[Listener] = []
        self._live: list[Listener] = []
        self._behind: list[Listener] = []
        self._head: dict[str, Place] = {}
        self._told: OrderedDict[tuple[str, int], Told] = OrderedDict()
        self._beat_at = 0

    @property
    def listening(self) -> int:
        """How many follow."""
        return len(self._live) + len(self._behind) + len(self._new)

    def listen(self, choice: Choice, last_id: str) -> Listener:
        """A listener that begins behind ``last_id``, or now; raises Problem 400 and 503, and Retryable."""
        if self.listening >= self._most:
            raise Problem(503, f"{self._most} listeners follow already", headers={"Retry-After": "5"})
        places = events.read_id(last_id) if last_id else None
        if last_id and places is None:
            raise Problem(400, "Last-Event-ID is not an id of this stream")
        # The head of this moment, from the store: what is committed after this line is told.
        return Listener(self, choice, _places(self._sessions.read(heads)) if places is None else places)

    def admit(self, listener: Listener) -> None:
        """Take a listener over from the server."""
        with self._lock:
            self._new.append(listener)
            if not self._threads and not self._over.is_set():
                self._threads = [threading.Thread(target=work, daemon=True) for work in (self._hear, self._tell)]
                for thread in self._threads:
                    thread.start()
        self._wake.set()

    def close(self) -> None:
        """End every stream and both threads."""
        self._over.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(3)
        for listener in (*self._live, *self._behind, *self._new):
            if listener.wire is not None:
                listener.wire.end()

    def _hear(self) -> None:
        while not self._over.is_set():
            try:
                self._ear.wait(1.0)
            # Also what is Terminal: a database that fails over refuses LISTEN for a while, and is asked again.
            except SparkTrendsError as error:
                _LOG.warning("the stream waits: %s", error)
                self._ear.close()
                self._over.wait(0.5)
            # After an error and after each second too: a word that was missed costs a second, no more.
            self._wake.set()
        self._ear.close()

    def _tell(self) -> None:
        while not self._over.is_set():
            self._wake.wait(1.0)
            # Before the step: what wakes it meanwhile is not lost.
            self._wake.clear()
            try:
                self.step()
            except Retryable:
                self._over.wait(0.5)
            except Exception:
                _LOG.exception("the stream stumbled; it goes on")
                self._over.wait(0.5)

    def step(self) -> None:
        """Tell what is new, let those behind catch up, and send heartbeats when it is time."""
        self._beat()
        self._welcome()
        # Nobody listens, so the database is left alone.
        if not self._live and not self._behind:
            return
        if self._live:
            # Page by page, each in a transaction of its own, so that none is long.
            while self._sessions.read(self._advance):
                pass
        else:
            # Nobody is at the head, so nothing has to be told on the way there.
            self._go_to(self._sessions.read(heads))
        for listener in list(self._behind):
            self._sessions.read(lambda cursor, who=listener: self._catch_up(cursor, who))  # type: ignore[misc]
        self._forget_dead()

    def _welcome(self) -> None:
        with self._lock:
            added, self._new = self._new, []
            self._behind += added
        self._forget_dead()

    def _advance(self, cursor: Cursor) -> bool:
        """Tell those at the head a page of the commits behind it; False when there was none."""
        newest, found = heads_and_changes(cursor, _commits(self._head), _PAGE)
        if self._is_older(newest):
            self._begin_anew(newest)
            return False
        for change in found:
            # A hole: the commits between were pruned.
            if change.commit != self._head.get(change.shard, (1, 0))[0]:
                self._begin_anew(newest)
                break
            told = self._rendered(cursor, change)
            ready: dict[Choice, bytes] = {}
            for listener in self._live:
                # Rendered once for each choice, not for each listener.
                if listener.choice not in ready:
                    ready[listener.choice] = b"".join(told.frames(listener.choice, self._head))
                self._send(listener, ready[listener.choice], self._head)
            self._head = {**self._head, change.shard: (change.commit + 1, 0)}
        return bool(found)

    def _catch_up(self, cursor: Cursor, listener: Listener) -> None:
        """Tell one listener a page of what it missed, no further than the head; at the head it joins the others."""
        wire = listener.wire
        # Catching up goes as fast as the listener takes it, and never fills its buffer.
        if wire is None or wire.pending > PENDING_LIMIT // 4:
            return  # it takes its time; the next step tries again
        if any(place > self._head.get(shard, (1, 0)) for shard, place in listener.places.items()):
            self._reset(listener)  # the store is older than the listener: it was restored
        for change in changes_after(cursor, _commits(listener.places), _PAGE):
            # At the head it joins the others and hears this one with them: told here too it would come twice.
            if change.commit >= self._head.get(change.shard, (1, 0))[0]:
                continue
            commit, sent = listener.places.get(change.shard, (1, 0))
            if change.commit != commit:
                self._reset(listener)
                break
            told = self._rendered(cursor, change)
            self._send(listener, b"".join(told.frames(listener.choice, listener.places, sent)), listener.places)
            listener.places[change.shard] = (change.commit + 1, 0)
        if all(listener.places.get(shard, (1, 0)) >= place for shard, place in self._head.items()):
            self._behind.remove(listener)
            self._live.append(listener)
        else:
            self._wake.set()

    def _rendered(self, cursor: Cursor, change: Change) -> Told:
        """A commit with its rows; kept for a while, because after a break many ask for the same."""
        key = (change.shard, change.commit)
        if key not in self._told:
            parts = [events.part_of("bars", bars_at(cursor, keys)) for keys in events.batches(change)]
            parts += [events.part_of("signals", signals_of(cursor, change.signals))] if change.signals else []
            self._told[key] = Told(change.shard, change.commit, change.at, tuple(parts))
            if len(self._told) > _KEPT:
                self._told.popitem(last=False)
        return self._told[key]

    def _is_older(self, newest: Heads) -> bool:
        """Whether the store lacks what was told: it was restored."""
        return any(newest.get(shard, 0) < commit for shard, commit in _commits(self._head).items())

    def _go_to(self, newest: Heads) -> None:
        """Stand at these commits without telling what lies before them: nobody may be live who is not told so."""
        if self._is_older(newest):
            # The same numbers mean other commits from here on.
            self._told.clear()
        self._head = _places(newest)

    def _begin_anew(self, newest: Heads) -> None:
        """Everybody at the head goes on from the newest commits, and is told so."""
        self._go_to(newest)
        for listener in self._live:
            self._reset(listener)

    def _reset(self, listener: Listener) -> None:
        """One goes on from the head, where it stands: to move it would leave something out for all others."""
        listener.places = dict(self._head)
        self._send(listener, events.notice("reset", _OLD, self._head), self._head)

    def _beat(self) -> None:
        now = self._clock()
        # `abs`: a clock that was set back must not silence the heartbeats.
        if abs(now - self._beat_at) >= HEARTBEAT_S * SECOND:
            self._beat_at = now
            for listener in self._live:
                self._send(listener, events.heartbeat(self._head), self._head)
            for listener in self._behind:
                self._send(listener, b": catching up\n\n", listener.places)

    def _send(self, listener: Listener, data: bytes, places: dict[str, Place]) -> None:
        """Send, or say goodbye to who takes too little: ``places`` is where it stands before ``data``."""
        wire = listener.wire
        if wire is None or not data or not wire.alive:
            return
        if wire.pending > PENDING_LIMIT:
            wire.send(events.notice("slow", _SLOW, places))
            wire.end()
            listener.wire = None
            return
        wire.send(data)

    def _forget_dead(self) -> None:
        for group in (self._live, self._behind):
            group[:] = [listener for listener in group if listener.wire is not None and listener.wire.alive]
        with contextlib.suppress(ValueError):
            _LISTENERS.set(self.listening)


def _places(newest: Heads) -> dict[str, Place]:
    """Where somebody stands who was told these commits."""
    return {shard: (commit + 1, 0) for shard, commit in newest.items()}


def _commits(places: dict[str, Place]) -> dict[str, int]:
    """The newest commit that was told whole, by shard."""
    return {shard: commit - 1 for shard, (commit, _) in places.items()}
