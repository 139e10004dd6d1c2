"""What ingest refused is found again in quarantine, whatever lies in the topic."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.world import ask_rows
from sparktrends.batch import refused as module
from sparktrends.batch.refused import RefusedLoader, refused
from sparktrends.bus.admin import Admin
from sparktrends.bus.connection import Connection
from sparktrends.bus.producer import Producer
from sparktrends.bus.reader import Record
from sparktrends.bus.topics import QUARANTINE, TABLE
from sparktrends.ingest.rejects import quarantined
from sparktrends.model import Coordinates
from sparktrends.ops.stack import Stack

_NUMBERS = itertools.count()
AT = Coordinates(QUARANTINE, 0, 7, 5)
ROWS = 'SELECT source, reason, payload, size, sha256 FROM market.quarantine ORDER BY partition, "offset"'


def written(raw: str | bytes = "{half", **changes: object) -> bytes:
    """A record as ingest writes it, with some fields changed."""
    _, _, value = quarantined("binance", "not_json", raw, 5, "why")
    return json.dumps({**json.loads(value), **changes}).encode()


def test_a_record_of_ingest_keeps_its_reason_and_the_hash_of_the_whole() -> None:
    found = refused(Record(7, 5, b"k", written("x" * 70_000)), AT)
    assert (found.source, found.reason, found.size) == ("binance", "not_json", 70_000)
    assert (found.payload, found.sha256) == (b"x" * 65_536, hashlib.sha256(b"x" * 70_000).digest())


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": 5}, {"reason": ""}, {"reason": "a\x00"}, {"reason": "x" * 101}, {"payload": None}, {"size": -1},
        {"size": 2**31}, {"size": True}, {"sha256": "00"}, {"sha256": "zz"}, {"topic": 5}, {"topic": "source:\x00"},
    ],
)  # fmt: skip
def test_what_ingest_never_wrote_is_kept_as_it_is(changes: dict[str, object]) -> None:
    value = written(**changes)
    assert refused(Record(7, 5, None, value), AT) == replace(
        refused(Record(7, 5, None, b""), AT), payload=value, size=len(value), sha256=hashlib.sha256(value).digest()
    )


@given(st.binary(max_size=200) | st.builds(written, st.text(max_size=50), reason=st.text(max_size=120)))
def test_whatever_lies_there_becomes_a_row(value: bytes) -> None:
    found = refused(Record(7, 5, None, value), AT)
    assert len(found.sha256) == 32
    assert found.reason.isprintable()


@pytest.mark.e2e
def test_the_topic_is_loaded_once(stack: Stack, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (wanted,) = (t for t in TABLE if t.name == QUARANTINE)
    name = f"refused-{next(_NUMBERS)}"
    Admin(Connection(stack.kafka)).create(replace(wanted, name=name, partitions=1))
    monkeypatch.setattr(module, "QUARANTINE", name)
    producer = Producer(Connection(stack.kafka))
    for value in (written(), b"\xff\x00", written("\ud800", topic="raw.trades")):
        producer.send(name, "k", value)
    producer.close()
    for expected in (3, 0):
        with RefusedLoader(Connection(stack.kafka), database) as loader:
            assert loader.run().quarantined == expected
    rows = ask_rows(database, ROWS)
    assert [row[:3] for row in rows] == [
        ("binance", "not_json", b"{half"),
        (None, "unreadable", b"\xff\x00"),
        (None, "not_json", rb"\xed\xa0\x80"),
    ]
    assert [row[3] for row in rows][:2] == [5, 2]
