"""The producer against librdkafka's built-in broker: order, counts, and what happens when nobody answers."""

from __future__ import annotations

import socket
import time

import pytest

from librdkafka_broker import Broker
from sparktrends.bus.kafka import Connection, Producer, Reader
from sparktrends.errors import Unavailable


@pytest.fixture
def nobody() -> Connection:
    """An address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return Connection(f"127.0.0.1:{port}")


def test_everything_sent_is_acknowledged_and_counted(broker: Broker) -> None:
    producer = Producer(broker.connection)
    for number in range(1_000):
        producer.send("raw.trades", f"S{number % 7}", b"%d" % number)
    producer.flush()
    assert (producer.sent, producer.delivered, producer.rejected, producer.pending) == (1_000, 1_000, 0, 0)
    assert sum(producer.positions.values()) == 1_000


def test_a_key_stays_in_one_partition_and_in_order(broker: Broker) -> None:
    producer = Producer(broker.connection)
    for number in range(5_000):
        producer.send("raw.trades", "BTC/USD", b"%d" % number)
    producer.flush()
    [(topic, partition)] = producer.positions
    with Reader(broker.connection) as reader:
        values = [int(r.value or b"") for r in reader.range(topic, partition, 0, 5_000)]
    assert values == list(range(5_000))


def test_keys_are_placed_where_java_clients_place_them(broker: Broker) -> None:
    producer = Producer(broker.connection)
    producer.send("raw.trades", "BTC/USD", b"x")
    producer.flush()
    # murmur2("BTC/USD") & 0x7fffffff of the Java client, modulo the built-in broker's four partitions.
    assert list(producer.positions) == [("raw.trades", _murmur2(b"BTC/USD") % 4)]


def test_flush_names_how_many_records_are_not_acknowledged(nobody: Connection) -> None:
    producer = Producer(nobody)
    for _ in range(3):
        producer.send("raw.trades", "A", b"x")
    with pytest.raises(Unavailable, match="not acknowledged 3 records"):
        producer.flush(0.2)
    assert producer.pending == 3


def test_a_full_queue_makes_send_wait_and_then_say_so() -> None:
    small = Connection("127.0.0.1:1", {"queue.buffering.max.messages": 10})
    producer = Producer(small, patience_s=0.2)
    for number in range(10):
        producer.send("raw.trades", "A", b"%d" % number)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="10 are waiting"):
        producer.send("raw.trades", "A", b"one too many")
    assert 0.2 <= time.monotonic() - began < 5
    assert producer.sent == producer.pending == 10


def test_closing_lets_go_even_when_nobody_answers(nobody: Connection) -> None:
    producer = Producer(nobody)
    producer.send("raw.trades", "A", b"x")
    with pytest.raises(Unavailable):
        producer.close(0.1)


def _murmur2(data: bytes) -> int:
    """`org.apache.kafka.common.utils.Utils.murmur2`, written from its description."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    for i in range(0, len(data) - len(data) % 4, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    rest = data[len(data) - len(data) % 4 :]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return (h ^ (h >> 15)) & 0x7FFFFFFF
