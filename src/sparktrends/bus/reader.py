"""Reads raw records by offset: no group, no commit, nothing decoded (audit, tail at start-up, tests).

Everything is read uncommitted, as the stream reads it (law 7), and every batch's CRC is checked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from sparktrends.bus.connection import Connection, Refusals, made, translated
from sparktrends.errors import LogGap, Unavailable

Answer = TypeVar("Answer")
_CHUNK = 10_000
_POLL_S = 0.1
_STILL_S, _STILL_AT_MOST_S = 1.0, 5.0
_STILL_LOOKS = 10
# What is said of a partition without a leader: by a broker that has just started and does not know yet what it leads,
# and by the client when a broker was shut out because the machine stood still for longer than its session.
_ELECTING = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError._UNKNOWN_PARTITION,
)


class Record(NamedTuple):
    """One record as it lies in the log; ``appended`` is the record's timestamp in microseconds."""

    offset: int
    appended: int
    key: bytes | None
    value: bytes | None


class Reader:
    """Reads ranges of partitions, one at a time; a context manager. ``patience_s`` bounds every wait."""

    def __init__(self, connection: Connection, patience_s: float = 30.0) -> None:
        self._patience = patience_s
        self._refusals = Refusals(connection)
        self._consumer = made(
            Consumer,
            connection.options(
                self._refusals,
                # The client insists on a group; nothing is ever committed to it.
                group_id="sparktrends-reader",
                enable_auto_commit=False,
                enable_auto_offset_store=False,
                isolation_level="read_uncommitted",
                check_crcs=True,
                # Any other word would jump over what was trimmed, and nobody would know.
                auto_offset_reset="error",
                fetch_wait_max_ms=20,
                # Reads ahead at most half the client's default: this process stands beside Spark.
                queued_max_messages_kbytes=32_768,
            ),
        )

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()

    def partitions(self, topic: str) -> list[int]:
        """The partitions of a topic; NotFound when there is no such topic."""
        try:
            found = self._consumer.list_topics(topic, timeout=self._patience).topics[topic]
        except KafkaException as error:
            raise self._refusals.translated(error, self._consumer, f"asking for {topic}") from error
        if found.error is not None:
            raise translated(found.error, f"asking for {topic}")
        return sorted(found.partitions)

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        """(first offset held, next offset to be written) as the broker has them now."""
        place = TopicPartition(topic, partition)
        low, high = self._asked(
            f"asking for the ends of {topic}-{partition}",
            lambda: self._consumer.get_watermark_offsets(place, timeout=self._patience),
        )
        return low, high

    def wait_still(self, topic: str) -> None:
        """Return when the topic has not grown for a second and ten answers, or after five and fifty: others may write
        too.

        Requests of a client that was killed or given up may still lie in a busy broker's hands: whoever sends again
        what the log does not hold looks only then. Answers count beside the time, because a broker that stands still
        itself writes nothing; those that it gives go in turn with what it was asked before.
        """
        begun = since = time.monotonic()
        ends, looks, still = self._ends(topic), 0, 0
        while still < _STILL_LOOKS or time.monotonic() - since < _STILL_S:
            if looks >= 5 * _STILL_LOOKS and time.monotonic() - begun > _STILL_AT_MOST_S:
                return
            time.sleep(_POLL_S)
            looks, still = looks + 1, still + 1
            if (now := self._ends(topic)) != ends:
                ends, since, still = now, time.monotonic(), 0

    def _ends(self, topic: str) -> dict[int, int]:
        return {partition: self.watermarks(topic, partition)[1] for partition in self.partitions(topic)}

    def offset_at(self, topic: str, partition: int, ts: int) -> int:
        """The first offset that was appended at ``ts`` (microseconds UTC) or later; the end when there is none."""
        place = TopicPartition(topic, partition, ts // 1000)
        (found,) = self._asked(
            f"asking {topic}-{partition} for a time",
            lambda: self._consumer.offsets_for_times([place], timeout=self._patience),
        )
        # Negative means that no record is that young.
        return found.offset if found.offset >= 0 else self.watermarks(topic, partition)[1]

    def _asked(self, doing: str, ask: Callable[[], Answer]) -> Answer:
        """The answer to a question about a partition, which may have no leader for a moment."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return ask()
            except KafkaException as error:
                if error.args[0].code() not in _ELECTING or time.monotonic() > deadline:
                    raise self._refusals.translated(error, self._consumer, doing) from error
                time.sleep(_POLL_S)

    def range(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        """The records with ``start <= offset < end``.

        Raises LogGap when the log does not hold the range (trimmed before ``start``, or not yet written up to
        ``end``) and Unavailable when nothing comes for ``patience_s`` seconds.
        """
        if start >= end:
            return
        low, high = self.watermarks(topic, partition)
        if start < low or end > high:
            raise LogGap(f"{topic}-{partition} holds offsets {low} to {high}, not {start} to {end}")
        place = TopicPartition(topic, partition, start)
        # `assign`, not `subscribe`: one reader, no group to wait for.
        self._consumer.assign([place])
        try:
            yield from self._until(place, end)
        finally:
            # Also when the caller leaves half way: what was read ahead must not turn up in the next range.
            self._consumer.unassign()

    def tail(self, topic: str, partition: int, count: int) -> Iterator[Record]:
        """The last ``count`` records (fewer when the log holds fewer), oldest first."""
        low, high = self.watermarks(topic, partition)
        yield from self.range(topic, partition, max(low, high - count), high)

    def _until(self, place: TopicPartition, end: int) -> Iterator[Record]:
        patience_ends = time.monotonic() + self._patience
        while True:
            messages = self._consumer.consume(_CHUNK, timeout=0.05)
            for message in messages:
                record = _record(message, place)
                if record.offset < end:
                    yield record
            # The position also moves over control records, which are never delivered.
            if self._consumer.position([place])[0].offset >= end:
                return
            if messages:
                patience_ends = time.monotonic() + self._patience
            elif time.monotonic() > patience_ends:
                raise Unavailable(f"nothing came from {place.topic}-{place.partition} for {self._patience:.0f} s")


def _record(message: Message, place: TopicPartition) -> Record:
    error: KafkaError | None = message.error()
    if error is not None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise LogGap(f"{place.topic}-{place.partition} was trimmed while it was read: {error.str()}")
        raise translated(error, f"reading {place.topic}-{place.partition}")
    offset = message.offset()
    assert offset is not None
    # Kafka counts in milliseconds.
    return Record(offset, message.timestamp()[1] * 1000, message.key(), message.value())
