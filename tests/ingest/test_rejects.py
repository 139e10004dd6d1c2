"""What goes to quarantine: cut, hashed, and harmless whatever was in it."""

from __future__ import annotations

import hashlib
import json

import pytest
from prometheus_client import REGISTRY

from sparktrends.ingest.rejects import KEPT_BYTES, quarantined
from sparktrends.net import Redactor, Secret


@pytest.mark.parametrize("payload", [b"{", b"\xff\xfe\x00", "\ud800 lone", "é" * 10, b"x" * (KEPT_BYTES + 5)])
def test_any_payload_is_kept_as_ascii_json_with_its_hash(payload: str | bytes) -> None:
    raw = payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else payload
    topic, key, value = quarantined("binance", "not_json", payload, 5)
    record = json.loads(value.decode("ascii"))
    assert (topic, key, record["size"]) == ("ops.quarantine", "binance", len(raw))
    assert record["sha256"] == hashlib.sha256(raw).hexdigest()
    assert len(value) < 5 * KEPT_BYTES


def test_each_is_counted_by_reason() -> None:
    labels = {"source": "rejecting", "reason": "bad_price"}
    for _ in range(2):
        quarantined("rejecting", "bad_price", "{}", 5)
    assert REGISTRY.get_sample_value("sparktrends_rejected_total", labels) == 2


def test_a_key_that_an_answer_repeats_is_taken_out_wherever_the_cut_falls() -> None:
    key = "tiger-canary-31337"
    for before in range(KEPT_BYTES - len(key) - 2, KEPT_BYTES + 3):
        payload = "x" * before + key + "y" * 9
        value = quarantined("finnhub", "not_json", payload, 5, f"says {key}", Redactor([Secret(key)]))[2]
        record = json.loads(value)
        assert "tiger" not in value.decode()
        assert len(record["payload"]) <= KEPT_BYTES
        assert record["sha256"] == hashlib.sha256(payload.encode()).hexdigest()
