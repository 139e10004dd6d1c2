"""Watching what the stream commits, from outside: one connection that listens, and reads the ledger when told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sparktrends.errors import Unavailable
from sparktrends.ops.supervise import Process
from sparktrends.store.connect import connect
from sparktrends.store.save import CHANNEL
from sparktrends.telemetry import Clock

Positions = dict[tuple[str, int], int]
"""Next offset by (topic, partition)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Where the ledger stood at ``at`` (µs since 1970 UTC), seen by another process."""

    at: int
    positions: Positions

    @property
    def records(self) -> int:
        """Records committed so far, for logs that begin at offset 0."""
        return sum(self.positions.values())


@dataclass(slots=True)
class Commits:
    """Every commit since `watching` began. The time is taken after the ledger was read: never too early."""

    seen: list[Seen] = field(default_factory=list)

    @property
    def records(self) -> int:
        """Records stored so far."""
        return self.seen[-1].records if self.seen else 0

    def wait_records(self, wanted: int, deadline_s: float, *processes: Process) -> Seen:
        """The commit with which that many records were stored; raises what a process says that ends before."""
        end = time.monotonic() + deadline_s
        while not self.seen or self.records < wanted:
            if ended := next((process for process in processes if process.exit_code is not None), None):
                raise ended.failure(f"{ended.spec.name} ended with code {ended.exit_code}")
            if time.monotonic() > end:
                raise Unavailable(f"{self.records} of {wanted} records were stored within {deadline_s:.0f} s")
            time.sleep(0.02)
        return next(seen for seen in self.seen if seen.records >= wanted)


@contextmanager
def watching(dsn: str, clock: Clock) -> Iterator[Commits]:
    """Collect commits in a thread for the time of the block."""
    commits, over, ready = Commits(), threading.Event(), threading.Event()
    thread = threading.Thread(target=_watch, args=(dsn, clock, commits, over, ready), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield commits
    finally:
        over.set()
        thread.join(5)


def _watch(dsn: str, clock: Clock, commits: Commits, over: threading.Event, ready: threading.Event) -> None:
    with connect(dsn, autocommit=True, application="bench") as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        ready.set()
        while not over.is_set():
            # To the end before the next statement: the generator holds the connection's lock.
            if list(connection.notifies(timeout=0.2, stop_after=1)):
                rows = connection.execute("SELECT topic, partition, next_offset FROM core.ledger").fetchall()
                commits.seen.append(Seen(clock(), {(topic, part): offset for topic, part, offset in rows}))
