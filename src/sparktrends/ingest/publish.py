"""The one way from an event to Kafka: encode, pass the door, send, count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from sparktrends.bus.codec import Event, encode
from sparktrends.errors import SparkTrendsError
from sparktrends.ingest.dedupe import Door
from sparktrends.model import Trade
from sparktrends.telemetry import counter

_PUBLISHED = counter("published", "events handed to Kafka, by source", ["source"])
_REPEATED = counter("repeated", "trades whose id was published before, by source", ["source"])


class Sender(Protocol):
    """Where records go: a `bus.Producer`, or the `Outlet` that spools while Kafka is away."""

    @property
    def positions(self) -> dict[tuple[str, int], int]:
        """The next offset after the last acknowledged record of each (topic, partition)."""

    def send(self, topic: str, key: str, value: bytes) -> None:
        """Take one record."""

    def poll(self, seconds: float = 0.0) -> None:
        """Serve delivery reports."""

    def flush(self, deadline_s: float = 30.0) -> None:
        """Return when everything taken is acknowledged."""


@dataclass(slots=True)
class Publisher:
    """Publishes events with their symbol as key. Without a ``door`` (recordings know where they are) ids pass as is.

    ``published`` and ``repeated`` count by source.
    """

    producer: Sender
    door: Door | None = None
    published: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    _told: Counter[str] = field(default_factory=Counter)
    _told_repeated: Counter[str] = field(default_factory=Counter)

    def publish(self, event: Event) -> bool:
        """Send one event; False when its id was published before.

        Raises Unavailable when Kafka takes no record: this event was not taken, try it again.
        """
        if self.door is not None and isinstance(event, Trade) and not self._admitted(self.door, event):
            return False
        try:
            self.producer.send(*encode(event))
        except SparkTrendsError:
            if self.door is not None and isinstance(event, Trade):
                # Else the next try would be taken for a repeat, and the trade would be lost.
                self.door.forget(event.source, event.symbol, event.id)
            raise
        self.published[event.source] += 1
        return True

    def flush(self, deadline_s: float = 30.0) -> None:
        """Wait until everything is acknowledged; Unavailable names how many records are not."""
        self.report()
        self.producer.flush(deadline_s)

    def report(self) -> None:
        """Bring the metrics up to date: a counter with a lock for every single trade would cost more than encoding."""
        for metric, now, told in (
            (_PUBLISHED, self.published, self._told),
            (_REPEATED, self.repeated, self._told_repeated),
        ):
            for source, total in now.items():
                metric.labels(source).inc(total - told[source])
                told[source] = total

    def _admitted(self, door: Door, trade: Trade) -> bool:
        if door.admit(trade.source, trade.symbol, trade.id):
            return True
        self.repeated[trade.source] += 1
        return False
