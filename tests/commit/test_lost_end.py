"""Whose records lie at the end of the log: those that were folded, or others in their places."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from embedded import delete_topic
from sparktrends.bus.kafka import Admin, Connection, Producer, Reader, Record, wait_ready
from sparktrends.bus.topics import TABLE
from sparktrends.commit.lost_end import without_other_records
from sparktrends.ops.stack import Stack
from sparktrends.store.ledger import PartitionLog, Standing

pytestmark = pytest.mark.e2e


@pytest.fixture
def reader(stack: Stack) -> Iterator[Reader]:
    wait_ready(Connection(stack.kafka), 60)
    with Reader(Connection(stack.kafka)) as made:
        yield made


@pytest.fixture
def log(stack: Stack) -> Iterator[PartitionLog]:
    """Ten records of one partition, each appended at another millisecond."""
    connection = Connection(stack.kafka)
    wait_ready(connection, 60)
    made = replace(TABLE[0], name=f"test.{uuid.uuid4().hex}", partitions=1)
    Admin(connection).create(made)
    producer = Producer(connection)
    for number in range(10):
        producer.send(made.name, "A", b"%d" % number)
        producer.flush(60)
        time.sleep(0.003)  # the broker's clock has milliseconds
    yield PartitionLog(made.name, 0, "one", 0, 10)
    delete_topic(connection, made.name)


@pytest.fixture
def records(reader: Reader, log: PartitionLog) -> list[Record]:
    return list(reader.range(log.topic, 0, 0, 10))


def seen(reader: Reader, log: PartitionLog, next_offset: int, appended: int, topic_id: str = "one") -> int:
    """Where the log ends for a ledger that stands there."""
    stood = {(log.topic, 0): Standing(topic_id, next_offset, appended)}
    (found,) = without_other_records([log], stood, reader)
    assert replace(found, high=log.high) == log
    return found.high


@pytest.mark.parametrize("stands", [1, 6, 10])
def test_a_log_that_is_whole_is_left_as_it_is(
    reader: Reader, log: PartitionLog, records: list[Record], stands: int
) -> None:
    assert seen(reader, log, stands, records[stands - 1].appended) == 10


@pytest.mark.parametrize("lost", [0, 4, 8])
@pytest.mark.parametrize("stands", [9, 10])
def test_records_in_the_places_of_lost_ones_are_cut_off(
    reader: Reader, log: PartitionLog, records: list[Record], lost: int, stands: int
) -> None:
    # What was folded last was appended before the first of those that lie there now.
    assert seen(reader, log, stands, records[lost].appended - 1_000) == lost


def test_a_clock_that_was_set_back_is_no_loss(stack: Stack, log: PartitionLog, records: list[Record]) -> None:
    class SetBack(Reader):
        """Of records 3 to 5 it tells a time that came later than those after them."""

        def offset_at(self, topic: str, partition: int, ts: int) -> int:
            return 3

        def range(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
            for record in super().range(topic, partition, start, end):
                yield record._replace(appended=record.appended + 60_000_000 * (record.offset < 6))

    with SetBack(Connection(stack.kafka)) as backwards:
        assert seen(backwards, log, 8, records[7].appended) == 10
        assert seen(backwards, log, 10, records[7].appended) == 8


def test_of_another_topic_and_of_what_is_not_there_nothing_is_said(reader: Reader, log: PartitionLog) -> None:
    assert seen(reader, log, 10, 0, topic_id="another") == 10
    assert seen(reader, log, 11, 0) == 10
    assert without_other_records([log], {}, reader) == [log]
