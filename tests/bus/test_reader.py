"""Reading by offset, against librdkafka's built-in broker."""

from __future__ import annotations

import threading
import time

import pytest

from librdkafka_broker import Broker
from sparktrends.bus.kafka import Producer, Reader, Record
from sparktrends.bus.log import ends_of
from sparktrends.errors import LogGap, NotFound, Unavailable


@pytest.fixture
def place(broker: Broker) -> tuple[str, int]:
    """(topic, partition) that holds the records 0 to 99."""
    producer = Producer(broker.connection)
    for number in range(100):
        producer.send("raw.trades", "A", b"%d" % number)
    producer.flush()
    [found] = producer.positions
    return found


def read(broker: Broker, topic: str, partition: int, start: int, end: int) -> list[Record]:
    with Reader(broker.connection) as reader:
        return list(reader.range(topic, partition, start, end))


def test_a_range_is_half_open(broker: Broker, place: tuple[str, int]) -> None:
    records = read(broker, *place, 10, 13)
    assert [(r.offset, r.key, r.value) for r in records] == [(10, b"A", b"10"), (11, b"A", b"11"), (12, b"A", b"12")]


def test_an_empty_range_asks_nobody(broker: Broker) -> None:
    assert read(broker, "no.such.topic", 0, 5, 5) == []


def test_one_reader_reads_many_ranges(broker: Broker, place: tuple[str, int]) -> None:
    with Reader(broker.connection) as reader:
        again = [[r.offset for r in reader.range(*place, start, start + 2)] for start in (50, 0, 98)]
    assert again == [[50, 51], [0, 1], [98, 99]]


def test_a_range_left_half_way_does_not_disturb_the_next(broker: Broker, place: tuple[str, int]) -> None:
    with Reader(broker.connection) as reader:
        half = reader.range(*place, 0, 100)
        assert next(half).offset == 0
        half.close()  # type: ignore[attr-defined]
        assert next(reader.range(*place, 7, 8)).offset == 7


@pytest.mark.parametrize(("count", "first"), [(1, 99), (30, 70), (1_000, 0)])
def test_the_tail_is_oldest_first(broker: Broker, place: tuple[str, int], count: int, first: int) -> None:
    with Reader(broker.connection) as reader:
        assert [r.offset for r in reader.tail(*place, count)] == list(range(first, 100))


def test_more_than_the_log_holds_is_a_gap(broker: Broker, place: tuple[str, int]) -> None:
    with pytest.raises(LogGap, match="holds offsets 0 to 100, not 90 to 101"):
        read(broker, *place, 90, 101)


def test_an_unknown_topic_is_not_found(broker: Broker) -> None:
    with Reader(broker.connection) as reader, pytest.raises(NotFound, match="topics --apply"):
        reader.partitions("no.such.topic")


def test_a_partition_without_a_leader_is_waited_for(broker: Broker, place: tuple[str, int]) -> None:
    # The client says the same of a partition that is not there, which is what this broker can show.
    began = time.monotonic()
    with Reader(broker.connection, patience_s=2) as reader, pytest.raises(Unavailable, match="Unknown partition"):
        reader.watermarks(place[0], 77)
    assert time.monotonic() - began > 2


def test_nothing_is_left_of_a_partition_that_the_topic_lacks(broker: Broker, place: tuple[str, int]) -> None:
    began = time.monotonic()
    with Reader(broker.connection) as reader:
        assert ends_of(reader, place[0], 77, 12) == (12, 12)
        assert ends_of(reader, *place, 12) == (0, 100)
    assert time.monotonic() - began < 15  # nothing was waited for: that takes 30 s


def test_a_topic_that_still_grows_is_waited_for(broker: Broker) -> None:
    topic, producer = broker.topic("growing"), Producer(broker.connection)

    def go_on() -> None:
        for number in range(6):
            producer.send(topic, "A", b"%d" % number)
            producer.flush(60)
            time.sleep(0.2)  # the pace of what a killed process left behind

    late = threading.Thread(target=go_on)
    late.start()
    with Reader(broker.connection) as reader:
        until_first = time.monotonic() + 60
        while not any(reader.watermarks(topic, p)[1] for p in reader.partitions(topic)):
            assert time.monotonic() < until_first
        reader.wait_still(topic)
        assert sum(reader.watermarks(topic, p)[1] for p in reader.partitions(topic)) == 6
    late.join(60)
