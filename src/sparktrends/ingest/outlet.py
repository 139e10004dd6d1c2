"""The way out to Kafka that never refuses: straight while the broker answers, through the spool while it does not.

It stands where a `bus.Producer` stands: `Publisher` sends through either. Nothing overtakes: as long as the spool holds
a record, new ones go behind it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from sparktrends.bus.codec import decode
from sparktrends.bus.kafka import Producer
from sparktrends.errors import BadRecord, SparkTrendsError, Unavailable
from sparktrends.ingest.dedupe import Door
from sparktrends.ingest.spool import Outgoing, Spool
from sparktrends.model import SECOND
from sparktrends.telemetry import Clock, gauge

_log = logging.getLogger(__name__)
_SPOOLED = gauge("spooled", "records that wait on disk because Kafka does not take them")
MOST_PENDING = 10_000
"""As many records may be with Kafka and not acknowledged: what a kill in an outage can cost a source without ids."""
_AWAY = SECOND
_LOOK_S = 0.05
# A long spool must not keep the loop from reading sockets.
_TURN = 2_000
_MARK_EVERY = 500


class Outlet:
    """Takes every record; `tend` must be called often (every few milliseconds) from the thread that sends.

    ``full`` asks the readers of sockets to pause: the spool has reached its size.
    """

    def __init__(self, producer: Producer, spool: Spool, clock: Clock) -> None:
        self._producer = producer
        self._spool = spool
        self._clock = clock
        self._progress = (0, clock())
        self._away_since: int | None = None
        self._known: set[int] = set()
        self._marks: deque[tuple[int, int]] = deque()

    @property
    def full(self) -> bool:
        """Whether nothing more should be taken in."""
        return self._spool.full

    @property
    def waiting(self) -> int:
        """Records on disk."""
        return len(self._spool)

    @property
    def away_since(self) -> int | None:
        """Since when records wait for a broker that acknowledges nothing (µs); None while it answers."""
        return self._away_since

    @property
    def positions(self) -> dict[tuple[str, int], int]:
        """As of `Producer`."""
        return self._producer.positions

    def send(self, topic: str, key: str, value: bytes) -> None:
        """Take one record; raises only DiskFull, and Terminal errors that Kafka told of an earlier one."""
        # Whatever waits on disk goes first: a new record that overtook it would break the order of its symbol.
        if self._spool or (self._producer.pending >= MOST_PENDING and not self._made_room()):
            self._spool.append(topic, key, value)
            return
        try:
            self._producer.send(topic, key, value)
        except Unavailable:
            self._spool.append(topic, key, value)

    def poll(self, seconds: float = 0.0) -> None:
        """Serve delivery reports."""
        self._producer.poll(seconds)

    async def kept(self) -> None:
        """Return once no kill can lose what was sent so far: Kafka has it, or the disk. Somebody else must `tend`."""
        taken = self._producer.sent
        while self._producer.oldest < taken:
            await asyncio.sleep(_LOOK_S)

    def tend(self) -> None:
        """Serve delivery reports, and send what waits on disk as far as Kafka takes it."""
        try:
            self._producer.poll(0.0)
            self._drain()
            self._settle()
        except Unavailable as error:
            # The producer keeps what it took, the spool what it did not: the next turn goes on.
            _log.info("Kafka is away: %s", error)
        self._watch()
        # Only now: up to here a kill leaves the file, and the next start drops what the log already holds.
        if not self._spool and not self._producer.pending:
            self._marks.clear()
            self._spool.clear()
        _SPOOLED.set(len(self._spool))

    def _drain(self) -> None:
        for _ in range(_TURN):
            record = self._spool.peek() if self._producer.pending < MOST_PENDING else None
            if record is None:
                break
            if self._spool.position in self._known:
                # Out of the set too: when the file was emptied, another record will stand there.
                self._known.discard(self._spool.position)
                self._spool.pop()
                continue
            self._producer.send(*record)
            # After the producer took it; on disk it stays until Kafka has acknowledged all (`tend`).
            self._spool.pop()
            if not self._producer.sent % _MARK_EVERY:
                self._mark()
        # While new records come something is always with Kafka, and the file is not emptied: a kill an hour later must
        # not find its last ones unsettled, when no door knows their ids any more.
        if not self._spool:
            self._mark()

    def _mark(self) -> None:
        """Up to here the spool is settled when Kafka has all that was sent so far."""
        if not self._marks or self._marks[-1][1] != self._spool.position:
            self._marks.append((self._producer.sent, self._spool.position))

    def _settle(self) -> None:
        """Note how far Kafka has everything, so that a kill does not make the next start send it again."""
        done, position = self._producer.oldest, None
        while self._marks and self._marks[0][0] <= done:
            position = self._marks.popleft()[1]
        if position is not None:
            self._spool.settle(position)

    def recover(self, door: Door, tell: Callable[[Mapping[str, Any]], None] = lambda _: None) -> int:
        """Find in an earlier run's spool what the log holds already; the door must know the log. How many wait.

        ``tell`` hears every record that can be decoded.
        """
        self._known = {at for at, record in self._spool.records() if not _is_new(door, record, tell)}
        return len(self._spool) - len(self._known)

    def flush(self, deadline_s: float = 30.0) -> None:
        """Wait until Kafka has everything that is not on disk; as `Producer.flush`."""
        self._producer.flush(deadline_s)

    def close(self, deadline_s: float = 5.0) -> None:
        """Hand over what Kafka takes within the deadline and keep the rest on disk for the next start."""
        try:
            self._producer.flush(deadline_s)
            if not self._spool:
                self._spool.clear()
        except SparkTrendsError:
            # They may have arrived: the next start compares their ids with the log.
            # Before what waits: they were taken earlier.
            self._spool.rewrite(lambda _: True, iter(self._producer.unacknowledged()))
        finally:
            self._spool.sync()
            self._spool.close()

    def _made_room(self) -> bool:
        """Whether a broker that is merely slow acknowledged something: then waiting a moment is better than a disk."""
        # Silence counts from here: nobody may have looked for a while before.
        self._progress = (self._producer.delivered, self._clock())
        while self._away_since is None and self._producer.pending >= MOST_PENDING:
            self._producer.poll(0.005)
            self._watch()
        return self._away_since is None

    def _watch(self) -> None:
        delivered, since = self._progress
        now = self._clock()
        if self._producer.delivered != delivered or not self._producer.pending:
            self._progress = (self._producer.delivered, now)
            self._away_since = None
        # The clock was set back: silence counts from here, or for as long nobody would see it.
        elif now < since:
            self._progress = (delivered, now)
        elif now - since > _AWAY:
            self._away_since = since


def _is_new(door: Door, record: Outgoing, tell: Callable[[Mapping[str, Any]], None]) -> bool:
    try:
        row = decode(record[2])
    # It cannot be compared, so it is sent: a repeat is counted later, a loss is not.
    except BadRecord:
        return True
    tell(row)
    return door.admit(str(row.get("source")), str(row.get("symbol")), str(row.get("id") or ""))
