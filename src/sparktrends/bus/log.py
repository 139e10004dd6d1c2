"""What a reader of the log needs of Kafka's client, for those that take any: audit and repair."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class LogRecord(Protocol):
    """A record as `reader.Record` holds it; ``appended`` in microseconds."""

    @property
    def offset(self) -> int: ...
    @property
    def appended(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...


class LogReader(Protocol):
    """`reader.Reader` is one."""

    def range(self, topic: str, partition: int, start: int, end: int) -> Iterator[LogRecord]:
        """The records with ``start <= offset < end``; raises LogGap where some are not there, and Unavailable."""

    def partitions(self, topic: str) -> list[int]:
        """The partitions that the topic has; raises NotFound where there is no such topic, and Unavailable."""

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        """(first offset held, next offset to be written); raises Unavailable."""


def ends_of(log: LogReader, topic: str, partition: int, folded: int) -> tuple[int, int]:
    """The ends of a partition that was folded up to ``folded``: both lie there where the topic lacks it.

    Kafka takes no partition away, so then the topic is another one, made anew with fewer: nothing is left of that one.
    """
    return log.watermarks(topic, partition) if partition in log.partitions(topic) else (folded, folded)
