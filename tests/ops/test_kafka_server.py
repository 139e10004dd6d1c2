"""The embedded broker answers, stays on loopback, and forgets nothing when it is killed."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from sparktrends.ops import java, ports
from sparktrends.ops.home import Home
from sparktrends.ops.jars import BROKER, Resolver
from sparktrends.ops.kafka_server import KafkaServer, java_property
from sparktrends.ops.supervise import Keeper


def server(home: Home, resolver: Resolver) -> KafkaServer:
    jars = resolver.ensure([BROKER])[BROKER]
    return KafkaServer(resolver.java, jars, home.kafka, home.logs, ports.any_free(), os.environ)


def make_topic(address: str, name: str) -> None:
    client = AdminClient({"bootstrap.servers": address})
    client.create_topics([NewTopic(name, 1, 1)])[name].result(30)


def write(address: str, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True})
    for number in range(count):
        producer.produce(topic, str(number))
    assert producer.flush(30) == 0


def read(address: str, topic: str, count: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "t", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[bytes | None] = []
    deadline = time.monotonic() + 30
    while len(found) < count and time.monotonic() < deadline:
        found += [message.value() for message in consumer.consume(count, 0.5)]
    consumer.close()
    return found


@pytest.mark.e2e
def test_records_survive_a_kill_and_the_broker_is_soon_back(home: Home, resolver: Resolver) -> None:
    keeper = Keeper(broker := server(home, resolver))
    began = time.monotonic()
    keeper.start()
    usual = time.monotonic() - began
    try:
        make_topic(broker.address, "t")
        write(broker.address, "t", 1000)
        assert keeper.process
        keeper.process.kill()
        began = time.monotonic()
        keeper.start()
        # The session of the dead one has to end, which is 2 s more; the machine may be busier now.
        assert time.monotonic() - began < 2 * usual + 3
        assert read(broker.address, "t", 1000) == [str(number).encode() for number in range(1000)]
    finally:
        keeper.stop()


@pytest.mark.e2e
def test_it_runs_on_the_bundled_java_and_listens_on_loopback_only(home: Home, resolver: Resolver) -> None:
    bundled = java.bundled(os.environ, home.scratch)
    keeper = Keeper(server(home, Resolver(bundled, resolver.cache, resolver.env)))
    keeper.start()
    try:
        assert keeper.process
        sockets = psutil.Process(keeper.process.pid).net_connections("tcp")
        listening = {found.laddr.ip for found in sockets if found.status == psutil.CONN_LISTEN}
        assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    finally:
        keeper.stop()


@pytest.mark.e2e
def test_a_clean_stop_is_quick(home: Home, resolver: Resolver) -> None:
    keeper = Keeper(server(home, resolver))
    keeper.start()
    process = keeper.process
    began = time.monotonic()
    keeper.stop()
    assert time.monotonic() - began < 30
    assert process
    assert process.exit_code == 143  # ended by itself after SIGTERM, as Java says it


def answering(reply: bytes) -> KafkaServer:
    """A broker's door with somebody behind it who says ``reply`` whatever is asked."""
    listener = socket.create_server((ports.LOOPBACK, 0))

    def serve() -> None:
        # Suppressed: who asked has little patience, and may be gone.
        with listener, suppress(OSError), listener.accept()[0] as connection:
            connection.recv(100)
            connection.sendall(reply)

    threading.Thread(target=serve, daemon=True).start()
    nowhere = Path("/nowhere")
    return KafkaServer(java.Java(nowhere, 17), (), nowhere, nowhere, listener.getsockname()[1], {})


@pytest.mark.parametrize(
    ("reply", "ready"),
    [
        (b"\0\0\0\x08\0\0\0\x07\0\0\0\x01", True),
        (b"\0\0\0\x08\0\0\0\x07\0\0\0\0", False),  # no broker is registered yet
        (b"\0\0\0\x08\0\0\0\x09\0\0\0\x01", False),  # an answer to somebody else
        (b"\0\0\0\x08\0\0", False),
        (b"\0\0\0\x02\0\0", False),
        (b"HTTP", False),
        (b"", False),
    ],
)
def test_ready_means_a_broker_in_the_metadata(reply: bytes, ready: bool) -> None:
    assert answering(reply).ready() is ready


def test_nobody_there_is_not_ready() -> None:
    nowhere = answering(b"")
    assert not nowhere.ready()
    assert not nowhere.ready()


@pytest.mark.parametrize("text", ["/var/lib/sparktrends", "/home/josé/my data", "/home/a\\b", "/x/🎈"])
def test_java_reads_a_path_back_as_it_is(text: str) -> None:
    written = java_property(text)
    assert written.isascii()
    units = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), written)
    assert units.encode("utf-16-be", "surrogatepass").decode("utf-16-be") == text
