"""What a parser could not use, on its way to `ops.quarantine`: the reason, where it came from, and what it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from sparktrends.bus.topics import QUARANTINE
from sparktrends.telemetry import counter

_REJECTED = counter("rejected", "payloads and rows that could not be used, by source and reason", ["source", "reason"])
KEPT_BYTES = 64 * 1024


def quarantined(
    source: str,
    reason: str,
    payload: str | bytes,
    received: int,
    message: str = "",
    redact: Callable[[str], str] = str,
) -> tuple[str, str, bytes]:
    """(topic, key, value) of the record; counts it. The first 64 KiB are kept, hash and size are of the whole.

    ``redact`` takes secrets out of what is kept.

    >>> topic, key, value = quarantined("binance", "not_json", "{", 5)
    >>> topic, key, json.loads(value)["payload"]
    ('ops.quarantine', 'binance', '{')
    """
    _REJECTED.labels(source, reason).inc()
    # A lone surrogate is among the very things that are refused.
    raw = payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else payload
    record = {
        "reason": reason,
        "topic": f"source:{source}",
        "partition": None,
        "offset": None,
        "received": received,
        "message": redact(message)[:1000],
        # Cut last: of a secret that a cut goes through, a half would be left.
        "payload": redact(raw[: 2 * KEPT_BYTES].decode("utf-8", "backslashreplace"))[:KEPT_BYTES],
        "size": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
    }
    # ASCII: whatever the payload held, no reader of quarantine stumbles over it.
    return QUARANTINE, source, json.dumps(record, ensure_ascii=True).encode("ascii")
