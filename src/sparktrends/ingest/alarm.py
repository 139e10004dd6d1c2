"""Raises an operational alert while records wait because Kafka is away, as soon as the database answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sparktrends.errors import Retryable
from sparktrends.store.conditions import Condition, Conditions
from sparktrends.telemetry import Clock

_log = logging.getLogger(__name__)
RULE, SUBJECT = "ops.ingest_waits", "ingest"
_EVERY_S = 2.0
_PATIENCE = 5_000_000


@dataclass(eq=False)
class Alarm:
    """Follows ``since`` (µs since when Kafka takes nothing; None: it does) in a thread of its own: the database may
    be slow or away too. One alert per outage: it is told when it began, and when it is over."""

    conditions: Callable[[], Conditions]
    clock: Clock
    since: Callable[[], int | None]
    waiting: Callable[[], int]
    channels: Sequence[str] = ("console",)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look, every two seconds."""
        self._thread = threading.Thread(target=self._run, name="alarm", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; what fires goes on firing until the next start finds that it is over."""
        self._over.set()
        if self._thread:
            self._thread.join(timeout=10.0)

    def _run(self) -> None:
        store = self.conditions()
        known: bool | None = None
        while not self._over.wait(_EVERY_S):
            since, now = self.since(), self.clock()
            fires = since is not None and now - since > _PATIENCE
            try:
                if fires and not known:
                    title = f"Kafka takes nothing: {self.waiting():,} records wait on the disk of ingest"
                    store.fire(Condition(RULE, SUBJECT, title, since or now, "critical"), self.channels, now)
                elif not fires and known is not False:
                    store.resolve(RULE, SUBJECT, now)
                known = fires
            except Retryable as error:
                _log.info("an alert about the broker waits for the database: %s", error)
        store.close()
