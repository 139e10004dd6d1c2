"""How a start of ingest looks at the log: only when nobody's requests are still being carried out."""

from __future__ import annotations

import threading
import time

import pytest

from librdkafka_broker import Broker
from sparktrends.bus.kafka import Producer, Reader
from sparktrends.ingest import run


def test_a_start_waits_until_the_log_stands_still(broker: Broker) -> None:
    topic, producer = broker.topic(run.RAW_TRADES), Producer(broker.connection)
    producer.send(topic, "A", b"first")
    producer.flush(60)

    def go_on() -> None:
        for number in range(5):
            time.sleep(0.2)  # the pace of what a killed process left behind
            producer.send(topic, "A", b"%d" % number)
            producer.flush(60)

    late = threading.Thread(target=go_on)
    late.start()
    with Reader(broker.connection) as reader:
        run._settle(reader)
        assert not late.is_alive()
        assert sum(run._ends(reader).values()) == 6


def test_a_first_start_waits_for_nobody(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    broker.topic(run.RAW_TRADES)
    monkeypatch.setattr(run.time, "sleep", lambda _: pytest.fail("it waited"))
    with Reader(broker.connection) as reader:
        run._settle(reader)
