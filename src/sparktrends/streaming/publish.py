"""From committed rows to `out.bars` and `out.signals`: at least once, in order; of one key the last record holds.

A record tells the newest state of its row, read after the commit that changed it, so nothing is ever published that
was not committed. Nobody may go by `revision`, which repair lowers (decision 0264). The cursor moves when the broker
has acknowledged: after an accident some records come again, none is missing. While the broker is away the stream goes
on, and what it commits waits in the table of changes: for a day, then whatever changed since is published from the
tables.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sparktrends import telemetry
from sparktrends.bus.codec import encode_out_bar, encode_out_signal
from sparktrends.bus.connection import Connection
from sparktrends.bus.producer import Producer
from sparktrends.bus.topics import OUT_BARS, OUT_SIGNALS
from sparktrends.errors import SparkTrendsError, Unavailable
from sparktrends.model import SECOND
from sparktrends.store.changes import Ear, bars_at, series_names
from sparktrends.store.followers import (
    Missed,
    Page,
    begin,
    changed_bars,
    changed_signals,
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
    flushed: Callable[[Page | Missed], None] = lambda _: None
    _pruned: int | None = None

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
        self._prune(session)
        # No transaction is open while the broker is waited for.
        with session.transaction() as cursor:
            shards = shards_followed(cursor, self.shard)
            pages = [page for shard in shards if (page := next_page(cursor, READER, shard, _KEYS)) is not None]
        for page in pages:
            if isinstance(page, Missed):
                self._publish_tables(page, producer, session)
            else:
                self._publish(page.bars, page.signals, producer, session)
            self.flushed(page)
            with session.transaction() as cursor:
                move_cursor(cursor, READER, page)
        return bool(pages)

    def _prune(self, session: Session) -> None:
        """Once a minute, also while the broker is waited for: if it takes nothing for days the table must not grow."""
        # After a night with everything stopped each reader has a minute to read what is left.
        if self._pruned is None:
            self._pruned = self.clock()
        if self.clock() - self._pruned > _PRUNE_EVERY:
            self._pruned = self.clock()
            with session.transaction() as cursor:
                shards = shards_followed(cursor, self.shard)
                begin(cursor, READER, shards)
                prune(cursor, shards, self.clock())

    def _publish_tables(self, missed: Missed, producer: Producer, session: Session) -> None:
        """What changed since, series by series: which commits it was are kept no longer."""
        log.warning("out.*: commits of shard %s up to %d are read in the tables", missed.shard, missed.last)
        with session.transaction() as cursor:
            names = series_names(cursor)
        for series in names:
            with session.transaction() as cursor:
                bars = changed_bars(cursor, series, missed.since)
                signals = changed_signals(cursor, series, min(start for *_, start in bars)) if bars else ()
            self._publish(bars, signals, producer, session)

    def _publish(
        self, bars: Sequence[tuple[int, str, int]], signals: Sequence[str], producer: Producer, session: Session
    ) -> None:
        keys = sorted(bars)
        for first in range(0, len(keys), _KEYS):
            with session.transaction() as cursor:
                rows = bars_at(cursor, keys[first : first + _KEYS])
            for bar in rows:
                self._send(producer, session, OUT_BARS, bar["symbol"], encode_out_bar(bar))
        with session.transaction() as cursor:
            found = signals_with_revision(cursor, signals)
        for signal in found:
            self._send(producer, session, OUT_SIGNALS, signal["symbol"], encode_out_signal(signal))
        self._patiently(lambda: producer.flush(_PATIENCE_S), session)
        PUBLISHED.labels(OUT_BARS).inc(len(bars))
        PUBLISHED.labels(OUT_SIGNALS).inc(len(found))

    def _send(self, producer: Producer, session: Session, topic: str, key: str, value: bytes) -> None:
        self._patiently(lambda: producer.send(topic, key, value), session)

    def _patiently(self, call: Callable[[], None], session: Session) -> None:
        """The same producer goes on when the broker is back: another one might overtake what this one has sent."""
        while True:
            try:
                return call()
            except Unavailable as error:
                if self.ended.wait(_PATIENCE_S):
                    raise
                log.warning("out.* waits for the broker: %s", error)
                self._prune(session)


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
