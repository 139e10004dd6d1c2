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

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        """(first offset held, next offset to be written); raises Unavailable."""
