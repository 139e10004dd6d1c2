"""From committed rows to `out.bars` and `out.signals`: at least once, idempotent by key and revision, in order.

A record tells the newest state of its row, read after the commit that changed it, so nothing is ever published that
was not committed. The cursor moves when the broker has acknowledged: after an accident some records come again, none
is missing. While the broker is away the stream goes on, and what it commits waits in the table of changes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sparktrends import telemetry
from sparktrends.bus.codec import encode_out_bar, encode_out_signal
from sparktrends.bus.connection import Connection
from sparktrends.bus.producer import Producer
from sparktrends.bus.topics import OUT_BARS, OUT_SIGNALS
from sparktrends.errors import SparkTrendsError, Unavailable
from sparktrends.model import HOUR, SECOND
from sparktrends.store.changes import Ear, bars_at
from sparktrends.store.followers import (
    Page,
    move_cursor,
    next_page,
    prune,
    shards_followed,
    signals_with_revision,
)
from sparktrends.store.session import Session

log = logging.getLogger(__name__)

PUBLISHED = telemetry.counter("out_records", "Records of out.* that the broker has acknowledged", ["topic"])
READER = "out"
# Bounds what a page holds in memory after a long outage.
_KEYS = 5_000
# An SSE client that was away for longer is told to load its pages anew (`reset`).
_KEPT = HOUR
_PRUNE_EVERY = 60 * SECOND
# Rounds are paced: a minute that forms changes with every batch, and one record for several of them is enough.
_PACE_S, _PATIENCE_S, _DRAIN_S = 0.75, 1.0, 5.0


@dataclass
class OutPublisher:
    """Publishes what one shard commits, in a thread of its own (`run`), until ``ended`` is set.

    ``flushed`` is called between the broker's acknowledgement and the move of the cursor (for tests of accidents).
    """

    kafka: Connection
    database: str = field(repr=False)
    shard: str
    ended: threading.Event
    clock: telemetry.Clock = telemetry.system_clock
    flushed: Callable[[Page], None] = lambda _: None
    _pruned: int = 0

    def run(self) -> None:
        """Follow the commits; waits out every error of ours. What is committed when ``ended`` is set still goes."""
        delay = 0.2
        while True:
            began = time.monotonic()
            try:
                self._follow()
                return
            except SparkTrendsError as error:
                log.warning("out.* waits: %s", error)
            if self.ended.wait(delay):
                return
            # What ran for a minute failed by accident; what fails at once will fail again.
            delay = 0.2 if time.monotonic() - began > 60 else min(delay * 2, 10.0)

    def _follow(self) -> None:
        producer, session, ear = Producer(self.kafka), Session(self.database, "out"), Ear(self.database)
        try:
            # What the last batch committed should still go out, but an end may not wait for a broker that is away.
            last_chance: float | None = None
            while True:
                if self.ended.is_set() and last_chance is None:
                    last_chance = time.monotonic() + _DRAIN_S
                more = self.step(producer, session)
                if last_chance is not None and (not more or time.monotonic() > last_chance):
                    return
                # The ear is only a hint that saves latency: what it misses is found when the wait is over.
                if not more:
                    ear.wait(_PATIENCE_S)
                self.ended.wait(_PACE_S)
        finally:
            session.close()
            ear.close()
            # Whatever is not acknowledged lies behind the cursor, and is sent again.
            with suppress(SparkTrendsError):
                producer.close(_PATIENCE_S)

    def step(self, producer: Producer, session: Session) -> bool:
        """Publish the next page of each shard; False when there was none."""
        # No transaction is open while the broker is waited for.
        with session.transaction() as cursor:
            shards = shards_followed(cursor, self.shard)
            pages = [page for shard in shards if (page := next_page(cursor, READER, shard, _KEYS)) is not None]
        for page in pages:
            self._publish(page, producer, session)
        if self.clock() - self._pruned > _PRUNE_EVERY:
            self._pruned = self.clock()
            with session.transaction() as cursor:
                prune(cursor, shards, self.clock() - _KEPT)
        return bool(pages)

    def _publish(self, page: Page, producer: Producer, session: Session) -> None:
        keys = sorted(page.bars)
        for first in range(0, len(keys), _KEYS):
            with session.transaction() as cursor:
                bars = bars_at(cursor, keys[first : first + _KEYS])
            for bar in bars:
                self._send(producer, OUT_BARS, bar["symbol"], encode_out_bar(bar))
        with session.transaction() as cursor:
            signals = signals_with_revision(cursor, page.signals)
        for signal in signals:
            self._send(producer, OUT_SIGNALS, signal["symbol"], encode_out_signal(signal))
        self._patiently(lambda: producer.flush(_PATIENCE_S))
        self.flushed(page)
        with session.transaction() as cursor:
            move_cursor(cursor, READER, page)
        PUBLISHED.labels(OUT_BARS).inc(len(page.bars))
        PUBLISHED.labels(OUT_SIGNALS).inc(len(signals))

    def _send(self, producer: Producer, topic: str, key: str, value: bytes) -> None:
        self._patiently(lambda: producer.send(topic, key, value))

    def _patiently(self, call: Callable[[], None]) -> None:
        """The same producer goes on when the broker is back: another one might overtake what this one has sent."""
        while True:
            try:
                return call()
            except Unavailable as error:
                if self.ended.wait(_PATIENCE_S):
                    raise
                log.warning("out.* waits for the broker: %s", error)


@contextmanager
def publishing(publisher: OutPublisher, failed: Callable[[], None]) -> Iterator[None]:
    """Run a publisher beside the block, and end it in order; calls ``failed`` when it breaks, and raises why."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            publisher.run()
        # Whatever it was: a publisher that died in silence would let the stream run on with nobody told.
        except BaseException as error:
            problems.append(error)
            failed()

    thread = threading.Thread(target=run, name="out", daemon=True)
    thread.start()
    try:
        yield
    finally:
        publisher.ended.set()
        thread.join()
    if problems:
        raise problems[0]
