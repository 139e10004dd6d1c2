"""Ends of the log that were lost after they had been folded, and whose places have been taken by other records since.

After a power cut the broker may have forgotten records whose fold the database holds. As long as the log ends before
the ledger, `open_ledger` sees that. Where somebody went on publishing, the offsets are there again, and only the
broker's clock tells that other records lie there: what the ledger stored was appended before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sparktrends.bus.reader import Reader
from sparktrends.store.ledger import PartitionLog, Standing

_MILLISECOND = 1_000


def without_other_records(
    logs: Sequence[PartitionLog], stood: Mapping[tuple[str, int], Standing], reader: Reader
) -> list[PartitionLog]:
    """The logs as far as they are those that the ledger folded: each ends where others took the places of lost records.

    Raises Unavailable while the broker does not answer.
    """
    return [_cut(log, stood.get((log.topic, log.partition)), reader) for log in logs]


def _cut(log: PartitionLog, standing: Standing | None, reader: Reader) -> PartitionLog:
    if standing is None or standing.topic_id != log.topic_id or not log.low < standing.next_offset <= log.high:
        return log
    # One question, which in a log that is whole ends here: nothing that was folded is younger than the newest of it.
    first = reader.offset_at(log.topic, log.partition, standing.appended + _MILLISECOND)
    if first >= standing.next_offset:
        return log
    # A broker's clock may have been set back: the last record that is old enough decides, not the first that is not.
    records = reader.range(log.topic, log.partition, first, standing.next_offset)
    old = [record.offset for record in records if record.appended <= standing.appended]
    end = old[-1] + 1 if old else first
    return log if end == standing.next_offset else replace(log, high=end)
