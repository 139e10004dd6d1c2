"""Reaching the broker: options, secrets, errors, waiting."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError

from librdkafka_broker import Broker
from sparktrends.bus.connection import Connection, translated
from sparktrends.bus.kafka import Admin, Producer, Reader, wait_ready
from sparktrends.bus.rights import Rights
from sparktrends.errors import AccessDenied, BadRecord, BadSetting, NotFound, Unavailable


def test_security_wins_and_never_shows() -> None:
    connection = Connection("host:1", {"sasl.password": "hunter2", "linger.ms": 1})
    assert connection.options(linger_ms=5)["linger.ms"] == 1
    assert connection.options()["sasl.password"] == "hunter2"
    assert "hunter2" not in repr(connection)


def test_a_restarted_broker_is_found_within_half_a_second() -> None:
    assert Connection("host:1").options()["reconnect.backoff.max.ms"] == 500


def test_a_broker_that_is_away_is_told_once_and_not_on_the_terminal(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(0)
    with Reader(Connection("127.0.0.1:1"), patience_s=2) as reader, pytest.raises(Unavailable):
        reader.partitions("any")
    refused = [record for record in caplog.records if "refused" in record.getMessage()]
    assert {record.name for record in refused} == {"sparktrends.bus.connection", "sparktrends.bus.librdkafka"}
    assert len(refused) <= 4  # for a name with two addresses, each of them
    assert not any(capsys.readouterr())
    assert logging.getLogger("sparktrends.bus.librdkafka").handlers, "else Python prints what nobody handles"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, AccessDenied),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, NotFound),
        (KafkaError.MSG_SIZE_TOO_LARGE, BadRecord),
        (KafkaError._INVALID_ARG, BadSetting),
        (KafkaError._ALL_BROKERS_DOWN, Unavailable),
        (KafkaError.NOT_LEADER_FOR_PARTITION, Unavailable),
    ],
)
def test_errors_become_ours_and_say_what_was_done(code: int, kind: type[Exception]) -> None:
    error = translated(KafkaError(code), "doing this")
    assert type(error) is kind
    assert "doing this" in str(error)


@pytest.mark.parametrize("client", [Admin, Rights, Reader, Producer, lambda connection: wait_ready(connection, 1)])
@pytest.mark.parametrize(
    ("option", "value"),
    [("sasl.mechanism", "CRAM-MD5"), ("ssl.ca.location", "/nowhere/ca.crt"), ("no.such.option", "hunter2")],
)
def test_options_that_the_client_does_not_take_are_a_wrong_setting(
    client: Callable[[Connection], object], option: str, value: str
) -> None:
    account = {"security.protocol": "SASL_SSL", "sasl.username": "u", "sasl.password": "hunter2"}
    with pytest.raises(BadSetting, match=r"Kafka's client.*\[kafka\]") as refused:
        client(Connection("127.0.0.1:1", {"sasl.mechanism": "PLAIN", **account, option: value}))
    assert "hunter2" not in str(refused.value)


def test_ready_at_once(broker: Broker) -> None:
    wait_ready(broker.connection, 10)


def test_not_ready_says_where_it_looked() -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        wait_ready(Connection("127.0.0.1:1"), 0.3)
    assert time.monotonic() - began < 5
