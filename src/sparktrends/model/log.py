"""Places in the log, and what became of the records there."""

from __future__ import annotations

from dataclasses import dataclass

from sparktrends.model.events import ProviderBar, Trade


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Records [start, end) of one partition of one topic (``topic_id`` tells topics of the same name apart)."""

    topic: str
    partition: int
    topic_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SeriesMark:
    """What a batch says of one series beside its bars: its clock and the minutes a closed exchange covers.

    ``clock`` is the largest arrival among accepted records, price updates and heartbeats. ``closed`` holds
    half-open spans [from, to) of whole minutes.
    """

    source: str
    symbol: str
    clock: int
    closed: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where a record lies in Kafka, and when the broker appended it."""

    topic: str
    partition: int
    offset: int
    appended: int


@dataclass(frozen=True, slots=True)
class LateTrade:
    """A trade that came more than the grace after its time: kept in the late ledger, in no bar until repair."""

    trade: Trade
    arrival: int
    at: Coordinates


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that cannot be used: why, where it lies, the first 64 KiB of it, and the hash of the whole.

    ``source`` is known of what a source's own parser refused.
    """

    reason: str
    at: Coordinates
    payload: bytes
    sha256: bytes
    size: int
    source: str | None = None


@dataclass(frozen=True, slots=True)
class StoredProviderBar:
    """A provider's bar with its order among others of the same key: (closed, arrival, partition, offset)."""

    bar: ProviderBar
    arrival: int
    at: Coordinates

    @property
    def rank(self) -> tuple[bool, int, int, int]:
        """The larger rank wins (law 6)."""
        return (self.bar.closed, self.arrival, self.at.partition, self.at.offset)


@dataclass(frozen=True, slots=True)
class PartitionCounts:
    """What became of the records of one partition in one batch: law 1 in numbers. Their sum is ``records``;
    ``newest`` is when the broker appended the last of them (µs)."""

    topic: str
    partition: int
    records: int = 0
    trades: int = 0
    prices: int = 0
    heartbeats: int = 0
    bars: int = 0
    late: int = 0
    quarantined: int = 0
    newest: int = 0
