"""`raw.payloads`: stored inside the transaction that moves the ledger, read by the flatten job alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from psycopg import DataError
from psycopg.errors import ProgramLimitExceeded, StatementTooComplex

from sparktrends.store.connect import Cursor

# What PostgreSQL refuses in a document that other JSON parsers take: NUL, numbers beyond numeric, endless nesting.
_REFUSED = (DataError, ProgramLimitExceeded, StatementTooComplex)


class PayloadRow(NamedTuple):
    """A record of the topic: ``document`` is the whole record (JSON text), the rest is where it lies."""

    source: str
    endpoint: str
    fetched_at: int
    document: str
    topic_id: str
    partition: int
    offset: int


class StoredPayload(NamedTuple):
    """A payload as the flatten job reads it; ``request`` and ``payload`` are JSON texts, ``fetched_at`` in µs."""

    id: int
    source: str
    endpoint: str
    fetched_at: int
    request: str
    payload: str


_INSERT = """
INSERT INTO raw.payloads (source, endpoint, fetched_at, request, payload, topic_id, log_partition, log_offset)
SELECT %s, %s, core.at(%s), coalesce(d -> 'request', '{}'), d -> 'payload', %s, %s, %s FROM (SELECT %s::jsonb AS d) r
"""


def insert(cursor: Cursor, rows: Sequence[PayloadRow]) -> list[PayloadRow]:
    """Store records digit for digit; returns those that PostgreSQL cannot hold as JSONB."""
    # Savepoints: a record that is refused must not end the caller's transaction. All at once first, for few ever are.
    try:
        with cursor.connection.transaction():
            cursor.executemany(_INSERT, [_values(row) for row in rows])
    except _REFUSED:
        return [row for row in rows if not _insert_alone(cursor, row)]
    return []


def _insert_alone(cursor: Cursor, row: PayloadRow) -> bool:
    try:
        with cursor.connection.transaction():
            cursor.execute(_INSERT, _values(row))
    except _REFUSED:
        return False
    return True


def _values(row: PayloadRow) -> tuple[object, ...]:
    return (row.source, row.endpoint, row.fetched_at, row.topic_id, row.partition, row.offset, row.document)


_COUNT = "SELECT count(*) FROM raw.payloads p WHERE NOT EXISTS (SELECT FROM core.readings r WHERE r.payload = p.id)"
_NEXT = """
SELECT id, source, endpoint, (extract(epoch FROM fetched_at) * 1000000)::bigint, request::text, payload::text
FROM (
    SELECT q.*, sum(pg_column_size(q.payload)) OVER (ORDER BY q.id) - pg_column_size(q.payload) AS before
    FROM (SELECT p.* FROM raw.payloads p WHERE NOT EXISTS (SELECT FROM core.readings r WHERE r.payload = p.id)
          ORDER BY p.id LIMIT %s) q) w
WHERE before <= %s ORDER BY id
"""


def waiting(cursor: Cursor) -> int:
    """How many payloads the flatten job has not read."""
    cursor.execute(_COUNT)
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def next_waiting(cursor: Cursor, most: int, most_bytes: int) -> list[StoredPayload]:
    """The oldest payloads that nobody read: so many, and (but for the first) no more bytes than that."""
    cursor.execute(_NEXT, (most, most_bytes))
    return [StoredPayload(*row) for row in cursor]
