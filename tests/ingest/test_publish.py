"""Publishing: once each, counted, and tried again when Kafka would not take it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from prometheus_client import REGISTRY

from librdkafka_broker import Broker
from sparktrends.bus.kafka import Connection, Producer
from sparktrends.errors import Unavailable
from sparktrends.ingest.dedupe import Door
from sparktrends.ingest.publish import Publisher
from sparktrends.model import Heartbeat, Trade

TRADE = Trade("pub", "A", 1, Decimal(1), Decimal(1), "7")


def test_an_id_is_published_once_and_the_rest_counted(broker: Broker) -> None:
    publisher = Publisher(Producer(broker.connection), Door())
    assert [publisher.publish(TRADE), publisher.publish(TRADE), publisher.publish(Heartbeat("pub", "A", 2))] == [
        True,
        False,
        True,
    ]
    publisher.flush()
    assert (publisher.published["pub"], publisher.repeated["pub"]) == (2, 1)
    assert sum(publisher.producer.positions.values()) == 2


def test_without_a_door_everything_passes(broker: Broker) -> None:
    publisher = Publisher(Producer(broker.connection))
    assert publisher.publish(TRADE)
    assert publisher.publish(TRADE)


def test_the_metrics_follow_the_counts(broker: Broker) -> None:
    publisher = Publisher(Producer(broker.connection))
    before = REGISTRY.get_sample_value("sparktrends_published_total", {"source": "pub"}) or 0
    for _ in range(3):
        publisher.publish(TRADE)
        publisher.report()
    assert REGISTRY.get_sample_value("sparktrends_published_total", {"source": "pub"}) == before + 3


def test_what_kafka_did_not_take_may_be_tried_again() -> None:
    full = Connection("127.0.0.1:1", {"queue.buffering.max.messages": 1})
    publisher = Publisher(Producer(full, patience_s=0.05), Door())
    publisher.publish(Heartbeat("pub", "A", 1))
    for _ in range(2):
        with pytest.raises(Unavailable):
            publisher.publish(TRADE)
    assert publisher.repeated["pub"] == 0
