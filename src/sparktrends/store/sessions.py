"""Some connections shared by the threads of a server, which never waits longer for the database than it promised.

Not psycopg_pool: after a restart of the database it hands out dead connections, or waits seconds between attempts.
Here a dead connection is dropped by whoever meets it, and one new attempt is made at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg

from sparktrends.errors import Retryable, Unavailable
from sparktrends.store.connect import Connection, Cursor, connect, translated

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
_QUIET_S = 0.5
_SLACK_S = 1.0
# Stands for a time that no clock reaches: marks a connection that was cut from here.
_CUT = float("inf")


@dataclass(slots=True, eq=False)
class _Use:
    """A connection in somebody's hands, to be cut at ``until`` (monotonic seconds)."""

    connection: Connection
    until: float


@dataclass(slots=True)
class Sessions:
    """At most ``size`` connections; each read ends after ``timeout_s`` on the server, and a second later here.

    ``read`` raises Retryable: Unavailable when the database is away, when all connections are busy, or (for half a
    second after an attempt that failed) without asking again, so that a dead database costs nobody a wait.
    """

    conninfo: str = field(repr=False)
    application: str
    size: int = 8
    timeout_s: float = 2.0
    _idle: list[Connection] = field(default_factory=list, init=False)
    _used: set[_Use] = field(default_factory=set, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _free: threading.BoundedSemaphore = field(init=False)
    _quiet_until: float = field(default=0.0, init=False)
    _over: threading.Event = field(default_factory=threading.Event, init=False)

    def __post_init__(self) -> None:
        self._free = threading.BoundedSemaphore(self.size)
        threading.Thread(target=self._cut_overdue, name="sessions", daemon=True).start()

    def read(self, work: Callable[[Cursor], T]) -> T:
        """What ``work`` returns; done once more when the connection turns out to be dead.

        Each of its statements sees what is committed by then: a transaction around them would see no other snapshot,
        and cost two round trips.
        """
        if not self._free.acquire(timeout=self.timeout_s):
            raise Unavailable("every connection to PostgreSQL is in use", hint="ask for less at a time")
        try:
            try:
                return self._attempt(work)
            except Unavailable:
                self._drop_idle()  # they died with the one that was met
                return self._attempt(work)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close what is idle; connections in use are closed when they come back."""
        self._over.set()
        self._drop_idle()

    def _attempt(self, work: Callable[[Cursor], T]) -> T:
        use = _Use(self._take(), time.monotonic() + self.timeout_s + _SLACK_S)
        with self._lock:
            self._used.add(use)
        try:
            with translated(), use.connection.cursor(binary=True) as cursor:
                return work(cursor)
        except Retryable as error:
            if use.until == _CUT:
                # It was alive and silent: asking once more would only double the wait.
                self._quiet_until = time.monotonic() + _QUIET_S
                raise Retryable("PostgreSQL does not answer in time") from error
            if use.connection.closed:
                raise Unavailable(f"this connection has ended: {error}") from error
            raise
        finally:
            self._give_back(use)

    def _take(self) -> Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if time.monotonic() < self._quiet_until:
                raise Unavailable("PostgreSQL does not answer", hint="it was asked a moment ago")
        try:
            return connect(self.conninfo, autocommit=True, timeout_s=self.timeout_s, application=self.application)
        except Unavailable as error:
            self._quiet_until = time.monotonic() + _QUIET_S
            _LOG.warning("%s: %s", self.application, error)
            raise

    def _give_back(self, use: _Use) -> None:
        with self._lock:
            self._used.discard(use)
            if not use.connection.closed and not self._over.is_set():
                self._idle.append(use.connection)
                return
        use.connection.close()

    def _drop_idle(self) -> None:
        with self._lock:
            dropped, self._idle = self._idle, []
        for connection in dropped:
            connection.close()

    def _cut_overdue(self) -> None:
        """A stopped or unreachable server ends no statement: shutting the socket down wakes who waits for it."""
        while not self._over.wait(0.25):
            with self._lock:
                overdue = [use for use in self._used if time.monotonic() > use.until]
                for use in overdue:
                    use.until = _CUT
                    _shut(use.connection)


def _shut(connection: Connection) -> None:
    # A copy of the descriptor: closing it leaves libpq's own open, and a shutdown is felt through either.
    # One that was lost meanwhile has none (the driver's own error): the round goes on with the others.
    ended = contextlib.suppress(OSError, ValueError, psycopg.Error)
    with ended, socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)
