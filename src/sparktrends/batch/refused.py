"""The load job of `ops.quarantine`: what parsers of sources refused, into `market.quarantine`, exactly once."""

from __future__ import annotations

import hashlib

from sparktrends.batch.load import KEPT_BYTES, Loader
from sparktrends.bus.codec import decode
from sparktrends.bus.reader import Record
from sparktrends.bus.topics import QUARANTINE
from sparktrends.errors import BadRecord
from sparktrends.model import Coordinates, Quarantined
from sparktrends.store.ledger import PartitionLog
from sparktrends.store.writer import Transaction

_SOURCE = "source:"


class RefusedLoader(Loader):
    """Every record is kept with its own reason, payload and hash; one that cannot be read is kept as it is."""

    shard = "refused"

    @property
    def topic(self) -> str:
        """What is loaded."""
        return QUARANTINE

    def keep(self, _tx: Transaction, log: PartitionLog, chunk: list[Record]) -> list[Quarantined]:
        """Everything here is for quarantine."""
        place = (log.topic, log.partition)
        return [refused(record, Coordinates(*place, record.offset, record.appended)) for record in chunk]


def refused(record: Record, at: Coordinates) -> Quarantined:
    """The row of a record as ingest writes it; anyone may write to the topic, so anything may lie there."""
    value = record.value or b""
    try:
        told = decode(value)
        reason, payload, where = (told[name] for name in ("reason", "payload", "topic"))
        digest, size = bytes.fromhex(told["sha256"]), told["size"]
        source = where.removeprefix(_SOURCE) if where.startswith(_SOURCE) else None
        text = payload.encode("utf-8", "replace")[:KEPT_BYTES]
        if not (_word(reason) and (source is None or _word(source)) and _size(size) and len(digest) == 32):
            raise BadRecord("unreadable")
    except (BadRecord, KeyError, TypeError, ValueError, AttributeError):
        return Quarantined("unreadable", at, value[:KEPT_BYTES], hashlib.sha256(value).digest(), len(value))
    return Quarantined(reason, at, text, digest, size, source)


def _word(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= 100 and text.isprintable()


def _size(size: object) -> bool:
    return type(size) is int and 0 <= size < 2**31
