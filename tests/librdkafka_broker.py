"""librdkafka's built-in broker: real sockets and the real protocol within this process, up in milliseconds.

It has four partitions for every topic, but no topic settings, no append times and no trimming: what needs those is
tested on the embedded stack (mark ``e2e``).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import confluent_kafka as ck
import pytest

from sparktrends.bus.kafka import Connection


@dataclass
class Broker:
    """A broker that lives as long as ``owner``, the client that carries it."""

    owner: ck.Producer
    connection: Connection

    def topic(self, name: str) -> str:
        """Make a topic by asking for it."""
        self.owner.list_topics(name, timeout=60)
        return name


@pytest.fixture
def broker() -> Broker:
    """A fresh broker with no topics."""
    return fresh_broker()


def fresh_broker() -> Broker:
    """Another one."""
    quiet = logging.getLogger("test.librdkafka")
    owner = ck.Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "logger": quiet})
    found = next(iter(owner.list_topics(timeout=60).brokers.values()))
    return Broker(owner, Connection(f"{found.host}:{found.port}"))
