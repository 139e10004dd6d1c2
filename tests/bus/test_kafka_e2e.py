"""The bus on the real broker: topics, append times, trimming, refusals, and accidents without loss or repetition."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from embedded import delete_topic
from sparktrends.bus.kafka import Admin, Connection, Producer, Reader, Record, wait_ready
from sparktrends.bus.topics import TABLE, AddPartitions, SetConfig, Topic
from sparktrends.errors import BadRecord, LogGap, NotFound
from sparktrends.model import MINUTE
from sparktrends.ops.stack import Stack
from sparktrends.telemetry import system_clock

pytestmark = pytest.mark.e2e


@pytest.fixture
def connection(stack: Stack) -> Connection:
    found = Connection(stack.kafka)
    wait_ready(found, 60)
    return found


@pytest.fixture
def topic(connection: Connection) -> Iterator[Topic]:
    """A topic like `raw.trades`, for one test."""
    made = replace(TABLE[0], name=f"test.{uuid.uuid4().hex}")
    admin = Admin(connection)
    admin.create(made)
    yield made
    wait_ready(connection, 60)
    delete_topic(connection, made.name)


def everything(connection: Connection, topic: str) -> dict[int, list[Record]]:
    with Reader(connection) as reader:
        return {p: list(reader.range(topic, p, *reader.watermarks(topic, p))) for p in reader.partitions(topic)}


def fill(producer: Producer, topic: Topic, numbers: range) -> None:
    for number in numbers:
        producer.send(topic.name, f"S{number % 10}", b"%d" % number)


def expect_each_once_in_order(connection: Connection, topic: Topic, count: int) -> None:
    lists = [[int(r.value or b"") for r in records] for records in everything(connection, topic.name).values()]
    assert sorted(n for numbers in lists for n in numbers) == list(range(count))
    assert all(numbers == sorted(numbers) for numbers in lists)


def test_the_table_is_brought_to_the_broker_once(connection: Connection) -> None:
    admin = Admin(connection)
    admin.ensure()
    assert admin.ensure() == []
    assert {t.name for t in TABLE} <= admin.names()


def test_what_somebody_changed_is_put_right(connection: Connection, topic: Topic) -> None:
    admin = Admin(connection)
    admin.apply([SetConfig(topic.name, {"retention.ms": "5000"}), AddPartitions(topic.name, 5)])
    wanted = replace(topic, partitions=6)
    assert admin.ensure([wanted]) == [
        AddPartitions(topic.name, 6),
        SetConfig(topic.name, {"retention.ms": str(topic.retention_ms)}),
    ]
    assert admin.existing([topic.name])[topic.name].partitions == 6


def test_a_topic_that_only_another_broker_knows_yet_is_not_there(connection: Connection, topic: Topic) -> None:
    """Of three brokers the one that is asked next may be the last to hear of a new topic."""

    class Ahead(Admin):
        def names(self) -> set[str]:
            return {*super().names(), "raw.elsewhere"}

    assert set(Ahead(connection).existing([topic.name, "raw.elsewhere"])) == {topic.name}


def test_a_topic_of_the_same_name_has_another_id(connection: Connection, topic: Topic) -> None:
    admin = Admin(connection)
    before = admin.topic_id(topic.name)
    assert before == admin.topic_id(topic.name)
    delete_topic(connection, topic.name)
    admin.create(topic)
    assert admin.topic_id(topic.name) != before


def test_the_broker_stamps_the_append_time(connection: Connection, topic: Topic) -> None:
    before = system_clock()
    producer = Producer(connection)
    fill(producer, topic, range(100))
    producer.flush()
    stamps = [r.appended for records in everything(connection, topic.name).values() for r in records]
    assert len(stamps) == 100
    assert all(before - 1_000 <= stamp <= before + MINUTE for stamp in stamps)


def test_positions_are_the_ends_of_the_log(connection: Connection, topic: Topic) -> None:
    producer = Producer(connection)
    fill(producer, topic, range(500))
    producer.flush()
    ends = {(topic.name, p): high for p, (_, high) in Admin(connection).watermarks(topic.name).items() if high}
    assert producer.positions == ends


def test_a_broker_that_has_just_started_is_asked_until_it_leads(
    stack: Stack, connection: Connection, topic: Topic
) -> None:
    """It answers before it knows of its partitions, the later the more there are."""
    many = [replace(topic, name=f"{topic.name}.{n}") for n in range(8)]
    for one in many:
        Admin(connection).create(one)
    stack.restart("kafka")
    with Reader(connection) as reader:
        ends = [reader.watermarks(one.name, p) for one in many for p in range(one.partitions)]
    for one in many:
        delete_topic(connection, one.name)
    assert set(ends) == {(0, 0)}


def test_a_trimmed_log_is_a_gap(connection: Connection, topic: Topic) -> None:
    producer = Producer(connection)
    fill(producer, topic, range(500))
    producer.flush()
    [(_, partition), *_] = producer.positions
    Admin(connection).delete_records(topic.name, {partition: 10})
    assert Admin(connection).watermarks(topic.name)[partition][0] == 10
    with Reader(connection) as reader:
        assert next(reader.range(topic.name, partition, 10, 11)).offset == 10
        with pytest.raises(LogGap, match="holds offsets 10"):
            next(reader.range(topic.name, partition, 9, 11))


def test_a_record_that_is_too_large_is_refused_alone(connection: Connection, topic: Topic) -> None:
    producer = Producer(connection)
    fill(producer, topic, range(10))
    producer.flush()
    producer.send(topic.name, "S1", os.urandom(2 * 2**20))
    with pytest.raises(BadRecord):
        producer.flush()
    fill(producer, topic, range(10, 20))
    producer.flush()
    assert (producer.delivered, producer.rejected, producer.pending) == (20, 1, 0)
    expect_each_once_in_order(connection, topic, 20)


def test_a_record_of_almost_a_mebibyte_passes(connection: Connection, topic: Topic) -> None:
    producer = Producer(connection)
    value = os.urandom(2**20 - 200)
    producer.send(topic.name, "S1", value)
    producer.flush()
    assert [r.value for records in everything(connection, topic.name).values() for r in records] == [value]


def test_no_such_topic_is_said(connection: Connection) -> None:
    producer = Producer(Connection(connection.bootstrap, {"topic.metadata.propagation.max.ms": 500}))
    producer.send("test.never", "A", b"x")
    with pytest.raises(NotFound, match="topics --apply"):
        producer.flush(20)


def test_a_killed_broker_loses_and_repeats_nothing(stack: Stack, connection: Connection, topic: Topic) -> None:
    producer = Producer(connection)
    fill(producer, topic, range(20_000))
    process = stack.keepers["kafka"].process
    assert process
    os.kill(process.pid, signal.SIGKILL)
    fill(producer, topic, range(20_000, 40_000))
    producer.flush(90)
    expect_each_once_in_order(connection, topic, 40_000)


@pytest.mark.slow  # on a busy machine the broker may still work on old requests when the new client begins: known gap
def test_a_producer_that_fails_for_good_is_replaced(stack: Stack, connection: Connection, topic: Topic) -> None:
    # Giving up after a second turns a broker that hangs into a fatal error, with its requests half done.
    hasty = Connection(connection.bootstrap, {"message.timeout.ms": 1_000, "enable.gapless.guarantee": True})
    producer = Producer(hasty)
    fill(producer, topic, range(2_000))
    producer.flush()
    process = stack.keepers["kafka"].process
    assert process
    os.kill(process.pid, signal.SIGSTOP)
    wake = threading.Timer(3.0, os.kill, (process.pid, signal.SIGCONT))
    wake.start()
    try:
        fill(producer, topic, range(2_000, 4_000))
        first = producer._client
        producer.flush(60)
    finally:
        wake.join()
    assert producer._client is not first
    assert (producer.delivered, producer.rejected) == (4_000, 0)
    expect_each_once_in_order(connection, topic, 4_000)


@pytest.mark.slow
def test_a_broker_frozen_for_15_seconds_doubles_nothing_and_keeps_the_order(
    connection: Connection, topic: Topic, stack: Stack
) -> None:
    process = stack.keepers["kafka"].process
    assert process
    # A client that gives up on a request within the frost sends it again, while the first still lies in the broker.
    producer = Producer(Connection(connection.bootstrap, {"socket.timeout.ms": 4_000}))
    fill(producer, topic, range(1_000))
    producer.flush()
    thaw = threading.Timer(15.0, os.kill, (process.pid, signal.SIGCONT))
    os.kill(process.pid, signal.SIGSTOP)
    thaw.start()
    try:
        for number in range(1_000, 5_000, 10):
            fill(producer, topic, range(number, number + 10))
            producer.poll(0.02)
        assert producer.pending == 4_000
    finally:
        thaw.join()
    producer.flush(60)
    expect_each_once_in_order(connection, topic, 5_000)
