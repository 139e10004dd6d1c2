"""The producer: idempotent, acknowledged by all replicas, and nothing forgotten until the broker has it.

Guarantee: within one partition records are written in the order of `send`, each once, across broker restarts and
outages of any length. When librdkafka gives up on a producer (a fatal error), a new one takes over: it looks in the
log which un-acknowledged records were written after all, and sends the others again in order.
One producer belongs to one thread; delivery reports are served inside `send`, `poll` and `flush`.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from functools import partial

import confluent_kafka as ck

from sparktrends.bus.connection import Connection, made, translated
from sparktrends.bus.reader import Reader
from sparktrends.errors import Terminal, Unavailable

log = logging.getLogger(__name__)

# librdkafka's own default; a full queue is what makes `send` wait, so it is the back-pressure.
_QUEUE = 100_000
# Delivery reports are served in polls: without any the queue never empties.
_POLL_EVERY = 128
# Read this far back when a partition has no acknowledged record yet to start from.
_BLIND_TAIL = 2 * _QUEUE


class Producer:
    """Sends bytes to topics. ``patience_s`` is how long `send` waits for room when the broker does not take records.

    ``sent`` counts records taken, ``rejected`` those that the broker refused for good (too large, no such topic, not
    allowed: raised by the next call). ``positions`` is the next offset after the last acknowledged record of each
    (topic, partition).
    """

    def __init__(self, connection: Connection, patience_s: float = 60.0) -> None:
        self._connection = connection
        self._patience = patience_s
        self._pending: dict[int, tuple[str, str, bytes]] = {}
        self._broken = False
        self._refusal: Terminal | None = None
        self.sent = 0
        self.rejected = 0
        self.positions: dict[tuple[str, int], int] = {}
        self._client = self._connect()

    @property
    def pending(self) -> int:
        """Records taken and not yet acknowledged."""
        return len(self._pending)

    @property
    def delivered(self) -> int:
        """Records taken and acknowledged."""
        # Not counted: every record passes here, and what is left of it says the same.
        return self.sent - len(self._pending) - self.rejected

    @property
    def oldest(self) -> int:
        """How many records, in the order of `send`, are acknowledged (or refused for good) without a gap."""
        return next(iter(self._pending), self.sent)

    def unacknowledged(self) -> list[tuple[str, str, bytes]]:
        """(topic, key, value) of every record taken and not acknowledged, in the order of `send`."""
        return list(self._pending.values())

    def send(self, topic: str, key: str, value: bytes) -> None:
        """Take one record. Raises Unavailable when there is no room for ``patience_s`` seconds: it was not taken."""
        # Before anything new is taken: it would overtake what the broken client still owes.
        if self._broken or self._refusal is not None:
            self._recover()
        seq = self.sent
        try:
            self._produce(seq, topic, key, value)
        except BufferError:
            self._wait_for_room(topic, key, value)
        # After the client took it: a record that raises was never ours.
        self._pending[seq] = (topic, key, value)
        self.sent = seq = seq + 1
        if not seq % _POLL_EVERY:
            self._client.poll(0)

    def poll(self, seconds: float = 0.0) -> None:
        """Serve delivery reports, waiting up to ``seconds`` for the first; raises what the broker refused."""
        self._client.poll(seconds)
        self._recover()

    def flush(self, deadline_s: float = 30.0) -> None:
        """Return when everything taken is acknowledged; Unavailable names how many records are not."""
        end = time.monotonic() + deadline_s
        while self._pending:
            self._recover()
            left = end - time.monotonic()
            if left <= 0:
                hint = "they are kept and will be sent when it answers"
                raise Unavailable(f"Kafka has not acknowledged {len(self._pending)} records", hint=hint)
            # In slices, so that Ctrl-C and fatal errors are seen in between.
            self._client.flush(min(left, 0.25))
        self._recover()

    def close(self, deadline_s: float = 10.0) -> None:
        """Flush and let go; raises as `flush` does, but lets go in any case."""
        try:
            self.flush(deadline_s)
        finally:
            # Else letting go waits for deliveries that nobody will acknowledge.
            self._client.purge()
            self._client.poll(0)

    def _connect(self) -> ck.Producer:
        return made(
            ck.Producer,
            self._connection.options(
                # librdkafka's default is false: measured, 15 s of a frozen broker then doubled 58 records and reordered
                # every key.
                enable_idempotence=True,
                acks="all",
                compression_type="lz4",
                # Long enough for a batch that compresses, short beside the 200 ms of a micro-batch.
                linger_ms=5,
                # No time limit: an outage of any length loses nothing; the queue's bound is the back-pressure.
                message_timeout_ms=0,
                # Above the 8 MiB of `raw.payloads`: the broker's limit of each topic decides, not the client's.
                message_max_bytes=9 * 2**20,
                queue_buffering_max_messages=_QUEUE,
                # Whole payloads may be megabytes each: 100,000 of them must not fit into the queue.
                queue_buffering_max_kbytes=131_072,
                # The Java clients' partitioner, so that a symbol stays in one partition whoever writes.
                partitioner="murmur2_random",
            ),
        )

    def _produce(self, seq: int, topic: str, key: str, value: bytes) -> None:
        try:
            self._client.produce(topic, value, key, on_delivery=partial(self._reported, seq))
        except ck.KafkaException as error:
            raise translated(error, f"sending to {topic}") from error

    def _wait_for_room(self, topic: str, key: str, value: bytes) -> None:
        end = time.monotonic() + self._patience
        while time.monotonic() < end:
            self.poll(0.05)
            try:
                self._produce(self.sent, topic, key, value)
            except BufferError:
                continue
            return
        raise Unavailable(f"Kafka took no record for {self._patience:g} s, {len(self._pending)} are waiting")

    def _reported(self, seq: int, error: ck.KafkaError | None, message: ck.Message) -> None:
        if error is None:
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None
            assert partition is not None
            assert offset is not None
            del self._pending[seq]
            self.positions[topic, partition] = offset + 1
            return
        problem = translated(error, "delivering a record")
        # Refused for good (too large, not allowed): kept, it would be sent again for ever and hold up all others.
        if isinstance(problem, Terminal):
            del self._pending[seq]
            self.rejected += 1
            self._refusal = self._refusal or problem
        else:
            self._broken = True

    def _recover(self) -> None:
        if self._refusal is not None:
            problem, self._refusal = self._refusal, None
            raise problem
        if self._broken:
            self._take_over()

    def _take_over(self) -> None:
        # Everything still queued in the broken client is reported as purged, which leaves it pending.
        self._client.purge()
        self._client.poll(0)
        log.warning("the Kafka producer failed for good; a new one sends %d records again", len(self._pending))
        # The idempotence of the old client ended with it: its successor has another producer id, and would write twice.
        written = self._written()
        self._broken = False
        self._client = self._connect()
        for seq, (topic, key, value) in list(self._pending.items()):
            # Counted, not looked up: equal records may have been sent on purpose.
            if written[topic, key.encode(), value] > 0:
                written[topic, key.encode(), value] -= 1
                del self._pending[seq]
            else:
                self._produce(seq, topic, key, value)

    def _written(self) -> Counter[tuple[str, bytes | None, bytes | None]]:
        """What the log holds after the last acknowledged record of each partition."""
        found: Counter[tuple[str, bytes | None, bytes | None]] = Counter()
        with Reader(self._connection, self._patience) as reader:
            topics = {topic for topic, _, _ in self._pending.values()}
            # A request of the failed client may still lie in the broker's hands when it answers again.
            for topic in topics:
                reader.wait_still(topic)
            for topic, partition in [(t, p) for t in topics for p in reader.partitions(t)]:
                low, high = reader.watermarks(topic, partition)
                start = self.positions.get((topic, partition), high - _BLIND_TAIL)
                records = reader.range(topic, partition, max(low, start), high)
                found.update((topic, record.key, record.value) for record in records)
        return found
