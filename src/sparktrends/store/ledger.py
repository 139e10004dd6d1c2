"""The ledger outside a batch: opening it at a start, and accepting a gap in the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparktrends.errors import LogGap
from sparktrends.store.connect import Connection, connect, translated

_LOST = "~lost"


@dataclass(frozen=True, slots=True)
class PartitionLog:
    """What the broker holds of one partition: records [low, high) of the topic with this id."""

    topic: str
    partition: int
    topic_id: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the ledger stands in the topic with this id; ``appended`` (µs UTC) is of the newest record it stored."""

    topic_id: str
    next_offset: int
    appended: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Records that the ledger wants and the log does not hold; ``why`` is a sentence.

    ``stored``: something was stored of this partition before.
    """

    log: PartitionLog
    old_topic_id: str
    start: int
    end: int
    why: str
    stored: bool


def is_lost_end(name: str, topic_id: str) -> bool:
    """Whether a gap of this name is an end of the topic that was lost when it had been folded.

    >>> is_lost_end("one~lost2", "one"), is_lost_end("one", "one")
    (True, False)
    """
    return name.startswith(f"{topic_id}{_LOST}")


def standings(conninfo: str) -> dict[tuple[str, int], Standing]:
    """Where the ledger stands in each (topic, partition) of which it has stored anything."""
    with connect(conninfo, application="ledger") as connection, translated():
        rows = connection.execute(
            "SELECT topic, partition, topic_id, next_offset, (extract(epoch FROM appended_at) * 1000000)::bigint "
            "FROM core.ledger WHERE appended_at IS NOT NULL"
        ).fetchall()
    return {(topic, partition): Standing(*rest) for topic, partition, *rest in rows}


def open_ledger(
    conninfo: str, shard: str, logs: Sequence[PartitionLog], *, accept_gap: bool = False
) -> dict[tuple[str, int], int]:
    """The next offset of each partition of this shard; partitions seen for the first time begin at the log's start.

    Raises LogGap, naming topic, partition and range, when the log does not hold what the ledger wants next; with
    ``accept_gap`` the gap is recorded in ``core.log_gaps`` and the ledger moves to what is there.
    """
    with connect(conninfo, application="ledger") as connection, translated():
        for log in logs:
            connection.execute(_OPEN, (log.topic, log.partition, log.topic_id, log.low, log.low, shard))
        gaps = [gap for log in logs if (gap := _gap(connection, log)) is not None]
        if gaps and not accept_gap:
            raise LogGap("; ".join(gap.why for gap in gaps), hint=_hint(gaps))
        for gap in gaps:
            _accept(connection, gap)
        # Shards may be cut anew between two starts: whoever reads a partition owns its row from now on.
        names = [(log.topic, log.partition) for log in logs]
        found = connection.execute("SELECT topic, partition, next_offset FROM core.ledger").fetchall()
        connection.execute(
            "UPDATE core.ledger SET shard = %s WHERE (topic, partition) IN "
            "(SELECT * FROM unnest(%s::text[], %s::integer[]))",
            (shard, [topic for topic, _ in names], [partition for _, partition in names]),
        )
    return {(topic, partition): offset for topic, partition, offset in found if (topic, partition) in names}


_OPEN = """
INSERT INTO core.ledger (topic, partition, topic_id, first_offset, next_offset, shard)
VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


def _gap(connection: Connection, log: PartitionLog) -> Gap | None:
    row = connection.execute(
        "SELECT topic_id, next_offset, appended_at IS NOT NULL FROM core.ledger WHERE topic = %s AND partition = %s",
        (log.topic, log.partition),
    ).fetchone()
    assert row is not None
    topic_id, wanted, stored = row
    name = f"{log.topic}[{log.partition}]"
    if topic_id != log.topic_id:
        why = f"{name} is another topic than the ledger's (it was deleted and made again after offset {wanted})"
        return Gap(log, topic_id, wanted, wanted, why, stored)
    if wanted < log.low:
        why = f"{name}: records {wanted} to {log.low - 1} are no longer in the log"
        return Gap(log, topic_id, wanted, log.low, why, stored)
    if wanted > log.high:
        why = f"{name}: the ledger stands at {wanted}, but the log that it folded ends at {log.high}"
        return Gap(log, topic_id, log.high, wanted, why, stored)
    return None


def _hint(gaps: Sequence[Gap]) -> str:
    hint = "start again with --accept-gap to record the loss and go on"
    if any(_is_lost_end(gap) for gap in gaps):
        hint += "; bars keep what was folded of a lost end, and count again what a source still sends of that time"
    return hint


def _is_lost_end(gap: Gap) -> bool:
    """Whether the ledger stands behind the end of its own log: after a power cut, or with an older copy of it."""
    return gap.old_topic_id == gap.log.topic_id and gap.start == gap.log.high


def _accept(connection: Connection, gap: Gap) -> None:
    log = gap.log
    lost_end = _is_lost_end(gap)
    name = _set_aside(connection, gap) if lost_end else gap.old_topic_id
    # Of a former topic that gave nothing, nothing is lost: a row would say that bars are made of what is gone.
    if gap.stored or gap.old_topic_id == log.topic_id:
        connection.execute(
            "INSERT INTO core.log_gaps (topic, partition, topic_id, from_offset, to_offset) "
            "VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (log.topic, log.partition, name, gap.start, gap.end),
        )
    # Trimmed: the same log goes on where it begins now, and what was counted of it stays true.
    if gap.old_topic_id == log.topic_id and not lost_end:
        connection.execute(
            "UPDATE core.ledger SET next_offset = %s WHERE topic = %s AND partition = %s",
            (log.low, log.topic, log.partition),
        )
        return
    begin = log.high if lost_end else log.low
    connection.execute(_BEGIN_ANEW, (log.topic_id, begin, begin, log.topic, log.partition))


# Another log from here on: its counts begin anew, or they could never agree with what can be read. What was counted
# before is stored all the same, and stays in what is told of the whole.
_BEGIN_ANEW = """
UPDATE core.ledger SET topic_id = %s, first_offset = %s, next_offset = %s, records = 0,
    trades_before = trades_before + trades, trades = 0, prices_before = prices_before + prices, prices = 0,
    heartbeats_before = heartbeats_before + heartbeats, heartbeats = 0, bars_before = bars_before + bars, bars = 0,
    late_before = late_before + late, late = 0, quarantined_before = quarantined_before + quarantined, quarantined = 0
WHERE topic = %s AND partition = %s
"""


def _set_aside(connection: Connection, gap: Gap) -> str:
    """The offsets of the lost end will be given out again: what was stored under them needs another name, returned."""
    log = gap.log
    row = connection.execute(
        "SELECT count(*) FROM core.log_gaps WHERE topic = %s AND partition = %s AND starts_with(topic_id, %s)",
        (log.topic, log.partition, f"{log.topic_id}{_LOST}"),
    ).fetchone()
    assert row is not None
    # By number: the same offsets may be lost again, up to the same end.
    name = f"{log.topic_id}{_LOST}{row[0] + 1}"
    for statement in _RENAMES:
        connection.execute(statement, (name, log.topic, log.partition, log.topic_id, gap.start))
    if log.topic == "raw.payloads":
        connection.execute(_RENAME_PAYLOADS, (name, log.partition, log.topic_id, gap.start))
    return name


_RENAMES = (
    """UPDATE core.late_trades SET topic_id = %s
    WHERE topic = %s AND partition = %s AND topic_id = %s AND log_offset >= %s""",
    """UPDATE core.quarantine SET topic_id = %s
    WHERE topic = %s AND partition = %s AND topic_id = %s AND log_offset >= %s""",
    """UPDATE core.repeats SET topic_id = %s
    WHERE topic = %s AND partition = %s AND topic_id = %s AND log_offset >= %s""",
)
_RENAME_PAYLOADS = """
UPDATE raw.payloads SET topic_id = %s WHERE log_partition = %s AND topic_id = %s AND log_offset >= %s
"""
