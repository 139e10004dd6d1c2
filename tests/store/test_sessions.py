"""Shared connections: whatever ends one of them, the others are cut in time."""

from __future__ import annotations

import socket
import time
from typing import Any, cast

import psycopg

from sparktrends.store.connect import Connection
from sparktrends.store.sessions import Sessions, _Use


class Lost:
    """A connection whose server has gone, as psycopg has it: it has no descriptor any more."""

    def fileno(self) -> int:
        raise psycopg.OperationalError("the connection is lost")


def used(sessions: Sessions, connection: Any) -> _Use:
    """A connection in use that is overdue already."""
    use = _Use(cast(Connection, connection), 0.0)
    with sessions._lock:
        sessions._used.add(use)
    return use


def test_one_that_was_lost_keeps_no_other_from_being_cut() -> None:
    sessions = Sessions("", "test")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        lost, deadline = used(sessions, Lost()), time.monotonic() + 30
        while lost.until == 0.0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        used(sessions, ours)
        theirs.settimeout(30)
        assert theirs.recv(1) == b""
    sessions.close()
