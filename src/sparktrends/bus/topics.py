"""ONE table of topics, and what has to change at a broker so that it holds them as the table says.

`wanted` sizes the table for a cluster, `plan` compares it with what a broker has (`Admin.existing`) and returns
changes that only ever add: a topic, partitions, or a config value. Nothing is deleted and no partition count
shrinks, because Kafka cannot do that without losing records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MIB = 2**20

RAW_TRADES = "raw.trades"
RAW_BARS = "raw.bars"
RAW_PAYLOADS = "raw.payloads"
QUARANTINE = "ops.quarantine"
OUT_BARS = "out.bars"
OUT_SIGNALS = "out.signals"


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table. ``retention_ms`` and ``retention_bytes`` (per partition) bound the log together."""

    name: str
    what: str
    key: str
    partitions: int
    retention_ms: int
    retention_bytes: int
    max_bytes: int = MIB
    log_append: bool = False
    cleanup: str = "delete"

    @property
    def config(self) -> dict[str, str]:
        """The topic's settings at the broker, as Kafka spells them."""
        return {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            "retention.bytes": str(self.retention_bytes),
            "max.message.bytes": str(self.max_bytes),
            # Law 2: on raw.* the broker's clock decides, not that of whoever wrote the record.
            "message.timestamp.type": "LogAppendTime" if self.log_append else "CreateTime",
            # "producer" keeps the batches as they came (lz4): the broker never spends CPU on packing them again.
            "compression.type": "producer",
        }


TABLE: tuple[Topic, ...] = (
    Topic(RAW_TRADES, "trades, price updates and heartbeats", "symbol", 4, 7 * DAY_MS, 4096 * MIB, log_append=True),
    Topic(RAW_BARS, "bars that a provider made", "symbol", 2, 7 * DAY_MS, 1024 * MIB, log_append=True),
    Topic(
        RAW_PAYLOADS, "a provider's answer, untouched", "symbol or endpoint", 1, 7 * DAY_MS, 2048 * MIB, 8 * MIB, True
    ),
    Topic(QUARANTINE, "records that cannot be used, with reason", "topic", 1, 30 * DAY_MS, 1024 * MIB),
    Topic(OUT_BARS, "committed bars, with revision", "symbol", 4, 2 * DAY_MS, 1024 * MIB),
    Topic(OUT_SIGNALS, "committed signals", "symbol", 1, 7 * DAY_MS, 512 * MIB),
)
"""The topics of the contract, sized for one node. Retention counts from the append time on ``raw.*``."""


@dataclass(frozen=True, slots=True)
class Existing:
    """A topic as a broker has it: its partition count and its explicit or default settings."""

    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Create:
    """The topic is not there."""

    topic: Topic

    def __str__(self) -> str:
        return f"create {self.topic.name} with {self.topic.partitions} partitions"


@dataclass(frozen=True, slots=True)
class AddPartitions:
    """The topic has fewer partitions than wanted. A key may move: bars stay right, a symbol then lies in two."""

    name: str
    total: int

    def __str__(self) -> str:
        return f"grow {self.name} to {self.total} partitions"


@dataclass(frozen=True, slots=True)
class SetConfig:
    """Some settings differ from the table."""

    name: str
    config: Mapping[str, str]

    def __str__(self) -> str:
        return f"set {', '.join(f'{key}={value}' for key, value in self.config.items())} on {self.name}"


Change = Create | AddPartitions | SetConfig


def wanted(trade_partitions: int) -> tuple[Topic, ...]:
    """The table for a cluster, with ``trade_partitions`` of `raw.trades`."""
    return tuple(replace(t, partitions=trade_partitions) if t.name == RAW_TRADES else t for t in TABLE)


def plan(existing: Mapping[str, Existing], topics: Iterable[Topic] = TABLE) -> list[Change]:
    """What has to be done at a broker that has ``existing``; empty when it already is as wanted.

    >>> [str(c) for c in plan({}, TABLE[:1])]
    ['create raw.trades with 4 partitions']
    """
    changes: list[Change] = []
    for topic in topics:
        found = existing.get(topic.name)
        if found is None:
            changes.append(Create(topic))
            continue
        if found.partitions < topic.partitions:
            # More partitions than wanted stay: Kafka cannot take one away.
            changes.append(AddPartitions(topic.name, topic.partitions))
        # Only the keys of the table: an operator's other settings are none of our business.
        differing = {key: value for key, value in topic.config.items() if not _as_wanted(key, found.config, value)}
        if differing:
            changes.append(SetConfig(topic.name, differing))
    return changes


def _as_wanted(key: str, config: Mapping[str, str], value: str) -> bool:
    """Whether a setting is as it should be; who keeps more of the log than the table says, for ever (-1) too, may."""
    found = config.get(key)
    if found is None or not key.startswith("retention."):
        return found == value
    return int(found) == -1 or int(found) >= int(value)
