"""From the topic to the table: each record once, whoever wrote it and whenever the job was killed."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from batch.world import ask_rows
from sparktrends.batch import load as module
from sparktrends.batch.load import Loaded, Loader
from sparktrends.bus.admin import Admin
from sparktrends.bus.codec import encode_payload
from sparktrends.bus.connection import Connection
from sparktrends.bus.producer import Producer
from sparktrends.bus.topics import TABLE
from sparktrends.errors import Fenced
from sparktrends.model import Payload
from sparktrends.ops.stack import Stack

pytestmark = pytest.mark.e2e
_NUMBERS = itertools.count()
AT = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def topic(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> str:
    """A topic of the test's own in the place of raw.payloads."""
    (wanted,) = (t for t in TABLE if t.name == module.RAW_PAYLOADS)
    name = f"payloads-{next(_NUMBERS)}"
    Admin(Connection(stack.kafka)).create(replace(wanted, name=name))
    monkeypatch.setattr(module, "RAW_PAYLOADS", name)
    return name


def write(stack: Stack, topic: str, *values: bytes) -> None:
    producer = Producer(Connection(stack.kafka))
    for value in values:
        producer.send(topic, "k", value)
    producer.close()


def load(stack: Stack, database: str) -> Loaded:
    with Loader(Connection(stack.kafka), database) as loader:
        return loader.run()


def payload(body: object, request: dict[str, object] | None = None) -> bytes:
    return encode_payload(Payload("finnhub", "company-news", AT, request or {}, body))


def test_records_are_stored_untouched_and_once(stack: Stack, topic: str, database: str) -> None:
    body = b'{"price": 97123.450000000000000001, "list": [1, {"a": null}]}'
    write(stack, topic, payload(body, {"symbol": "AAPL"}), payload([1, 2]), payload({"k": "v"}))
    assert load(stack, database) == Loaded(3, 0)
    assert load(stack, database) == Loaded(0, 0)
    rows = ask_rows(
        database, "SELECT source, endpoint, fetched_at, request, payload::text FROM raw.payloads ORDER BY id"
    )
    assert rows[0][:4] == ("finnhub", "company-news", AT, {"symbol": "AAPL"})
    assert json.loads(rows[0][4], parse_float=Decimal) == json.loads(body, parse_float=Decimal)
    assert [row[4] for row in rows[1:]] == ["[1, 2]", '{"k": "v"}']


def test_what_comes_later_is_added(stack: Stack, topic: str, database: str) -> None:
    write(stack, topic, payload([1]))
    load(stack, database)
    write(stack, topic, payload([2]))
    assert load(stack, database) == Loaded(1, 0)


def test_what_is_no_payload_is_set_aside(stack: Stack, topic: str, database: str) -> None:
    bad = (
        b"not json",
        b"[]",
        b'{"source": "a"}',
        b'{"source": "a", "endpoint": "e", "fetched_at": "now", "payload": 1}',
        b'{"source": "a", "endpoint": "e", "fetched_at": 1}',
        b'{"source": "a", "endpoint": "e", "fetched_at": 1, "payload": "nul \\u0000 inside"}',
    )
    write(stack, topic, payload([1]), *bad, payload([2]))
    assert load(stack, database) == Loaded(2, len(bad))
    found = ask_rows(database, "SELECT reason FROM market.quarantine ORDER BY 1")
    assert [row[0] for row in found] == [
        "bad_endpoint", "bad_payload", "bad_payload", "bad_time", "not_an_object", "not_json",
    ]  # fmt: skip


def test_a_kill_between_two_chunks_loses_and_doubles_nothing(
    stack: Stack, topic: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 2)
    write(stack, topic, *(payload([n]) for n in range(7)))

    def die(total: Loaded) -> None:
        if total.stored == 4:
            raise KeyboardInterrupt

    with Loader(Connection(stack.kafka), database) as loader, pytest.raises(KeyboardInterrupt):
        loader.run(die)
    assert load(stack, database) == Loaded(3, 0)
    stored = ask_rows(database, "SELECT payload FROM raw.payloads ORDER BY log_offset")
    assert [row[0] for row in stored] == [[n] for n in range(7)]


def test_two_loaders_at_once_are_refused(stack: Stack, topic: str, database: str) -> None:
    write(stack, topic, payload([1]))
    with Loader(Connection(stack.kafka), database) as first:
        first.run()
        with Loader(Connection(stack.kafka), database) as second, pytest.raises(Fenced):
            second.run()
