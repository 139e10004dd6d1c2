"""The load job: `raw.payloads`, the topic, into `raw.payloads`, the table, exactly once.

The ledger moves in the transaction that stores the records, and a lock of its shard keeps a second loader away. What
is no payload, or holds what PostgreSQL's JSONB cannot, goes to quarantine with its place in the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from sparktrends.bus.admin import Admin
from sparktrends.bus.codec import decode
from sparktrends.bus.connection import Connection
from sparktrends.bus.reader import Reader, Record
from sparktrends.bus.topics import RAW_PAYLOADS
from sparktrends.commit.lost_end import without_other_records
from sparktrends.errors import BadRecord
from sparktrends.model import Coordinates, OffsetRange, PartitionCounts, Quarantined, check_name
from sparktrends.store import payloads, save
from sparktrends.store.ledger import PartitionLog, open_ledger, standings
from sparktrends.store.payloads import PayloadRow
from sparktrends.store.writer import Transaction, Writer

SHARD = "payloads"
_CHUNK = 64
# The contract's: so much of a refused record is kept, and the hash of all of it.
KEPT_BYTES = 65_536


@dataclass(slots=True)
class Loaded:
    """How many records were stored, and how many set aside."""

    stored: int = 0
    quarantined: int = 0


class Loader:
    """Stores what the log holds and the table does not; here `raw.payloads`, other topics derive from it.

    Close it: it holds the lock of its shard.

    Raises Fenced when another loader runs, LogGap when the log was trimmed before it was read (unless accepted).
    """

    shard = SHARD

    def __init__(self, kafka: Connection, dsn: str, *, accept_gap: bool = False) -> None:
        self._kafka = kafka
        self._dsn = dsn
        self._accept_gap = accept_gap
        self._writer = Writer(dsn, self.shard)

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    @property
    def topic(self) -> str:
        """What is loaded."""
        return RAW_PAYLOADS

    def keep(self, tx: Transaction, log: PartitionLog, chunk: list[Record]) -> list[Quarantined]:
        """Store some records; returns those that go to quarantine."""
        return _insert(tx, log, chunk)

    def run(self, told: Callable[[Loaded], None] = lambda _: None) -> Loaded:
        """Load up to where the log ends now; ``told`` hears the running total."""
        total = Loaded()
        with self._writer.transaction():
            pass  # the lock first: what another loader commits until then must be seen
        with Reader(self._kafka) as reader:
            logs = without_other_records(self._logs(), standings(self._dsn), reader)
            start = open_ledger(self._dsn, self.shard, logs, accept_gap=self._accept_gap)
            for log in logs:
                for begin in range(start[log.topic, log.partition], log.high, _CHUNK):
                    end = min(begin + _CHUNK, log.high)
                    chunk = list(reader.range(log.topic, log.partition, begin, end))
                    self._store(log, begin, end, chunk, total)
                    told(total)
        return total

    def _logs(self) -> list[PartitionLog]:
        admin = Admin(self._kafka)
        topic_id = str(admin.topic_id(self.topic))
        marks = sorted(admin.watermarks(self.topic).items())
        return [PartitionLog(self.topic, partition, topic_id, low, high) for partition, (low, high) in marks]

    def _store(self, log: PartitionLog, begin: int, end: int, chunk: list[Record], total: Loaded) -> None:
        span = OffsetRange(log.topic, log.partition, log.topic_id, begin, end)
        with self._writer.transaction() as tx:
            if not tx.claim([span]):
                return
            bad = self.keep(tx, log, chunk)
            save.quarantined(tx, bad, {log.topic: log.topic_id})
            newest = max((record.appended for record in chunk), default=0)
            counts = PartitionCounts(log.topic, log.partition, len(bad), quarantined=len(bad), newest=newest)
            tx.advance_ledger([span], [counts])
        total.stored += len(chunk) - len(bad)
        total.quarantined += len(bad)


def _insert(tx: Transaction, log: PartitionLog, chunk: list[Record]) -> list[Quarantined]:
    rows: list[PayloadRow] = []
    bad: list[Quarantined] = []
    by_offset = {record.offset: record for record in chunk}
    for record in chunk:
        try:
            rows.append(payload_row(log, record))
        except BadRecord as error:
            bad.append(_set_aside(log, record, error.reason))
    return bad + [_set_aside(log, by_offset[r.offset], "bad_payload") for r in payloads.insert(tx.cursor, rows)]


def payload_row(log: PartitionLog, record: Record) -> PayloadRow:
    """A record as a row; raises BadRecord when it is no payload of the contract."""
    fields = decode(record.value)
    source, endpoint = check_name(fields.get("source"), "source"), fields.get("endpoint")
    if not isinstance(endpoint, str) or not 0 < len(endpoint) <= 200:
        raise BadRecord("bad_endpoint")
    fetched_at = fields.get("fetched_at", record.appended)
    # The limit of law 2: nothing is fetched more than a minute after the broker has it.
    if type(fetched_at) is not int or not 0 <= fetched_at <= record.appended + 60_000_000:
        raise BadRecord("bad_time")
    if "payload" not in fields or not isinstance(fields.get("request", {}), dict):
        raise BadRecord("bad_payload")
    document = (record.value or b"").decode("utf-8")
    return PayloadRow(source, endpoint, fetched_at, document, log.topic_id, log.partition, record.offset)


def _set_aside(log: PartitionLog, record: Record, reason: str) -> Quarantined:
    value = record.value or b""
    at = Coordinates(log.topic, log.partition, record.offset, record.appended)
    return Quarantined(reason, at, value[:KEPT_BYTES], hashlib.sha256(value).digest(), len(value))
