"""What Kafka does not take now, in one append-only file: nothing lost while the broker is away, and all in order.

A record is written (not buffered by us) before `Spool.append` returns, so a kill of the process loses none; the file is
synced to the disk once a second, so a power failure loses a second at most. A torn end, left by a kill in the middle
of a write, is recognised by its checksum and cut off. A second, tiny file says up to where Kafka has acknowledged all:
a kill while minutes of it are sent costs the next start neither the time nor the memory to find that out.
"""

from __future__ import annotations

import logging
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from sparktrends.errors import DiskFull
from sparktrends.telemetry import Clock

_log = logging.getLogger(__name__)
_HEAD = struct.Struct("<IHHI")  # checksum of what follows, lengths of topic, key and value
_SYNC_EVERY = 1_000_000
_MARK = struct.Struct("<Q")
_BLOCK = 2**20
# Some two million trades: minutes of an outage at full load, hours of an ordinary one.
MOST_BYTES = 512 * 2**20

Outgoing = tuple[str, str, bytes]
"""Topic, key, value."""


class Spool:
    """A queue of records on disk, first in, first out. ``most_bytes`` is when `full` says to stop reading.

    >>> import tempfile
    >>> with Spool(Path(tempfile.mkdtemp()) / "spool", clock=lambda: 0) as spool:
    ...     spool.append("raw.trades", "BTC/USDT", b"{}")
    ...     len(spool), spool.peek()
    (1, ('raw.trades', 'BTC/USDT', b'{}'))
    """

    def __init__(self, path: Path, clock: Clock, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._clock = clock
        self._most = most_bytes
        self._synced = clock()
        path.parent.mkdir(parents=True, exist_ok=True)
        # Append mode: each record goes behind the last one in a single write, whatever `_read_at` is.
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        # Beside it, and not in it: its end is where it is written.
        self._mark = path.with_name(path.name + ".at")
        self._settled = self._marked()
        self._read_at = self._settled
        self._next: Outgoing | None = None
        self._end, self._count = self._survey()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        """Whether there is so much that nothing more should be taken in."""
        return self._end >= self._most

    @property
    def position(self) -> int:
        """Where the oldest record begins."""
        return self._read_at

    def records(self) -> Iterator[tuple[int, Outgoing]]:
        """The position of each record and the record, oldest first; they stay."""
        for at, record in self._scan(self._read_at):
            yield at, _unpacked(record)

    def append(self, topic: str, key: str, value: bytes) -> None:
        """Write one record behind all others; DiskFull when there is no room, and then nothing was written."""
        record = _packed(topic, key, value)
        try:
            if os.write(self._file, record) != len(record):
                raise OSError("a part was written")
        except OSError as error:
            # Half a record would end the file for every later start, so what was written of it goes.
            os.ftruncate(self._file, self._end)
            raise DiskFull(f"the spool {self._path} cannot grow ({error.strerror or error})") from error
        self._end += len(record)
        self._count += 1
        # Either way: a clock that was set back must not put it off for as long.
        if abs(self._clock() - self._synced) > _SYNC_EVERY:
            self.sync()

    def peek(self) -> Outgoing | None:
        """The oldest record; None when there is none."""
        if self._next is None and self._count:
            self._next = _unpacked(os.pread(self._file, self._length(self._read_at), self._read_at))
        return self._next

    def pop(self) -> None:
        """Go on to the record behind the oldest. It leaves the disk with `clear`, when Kafka has it."""
        topic, key, value = self.peek() or ("", "", b"")
        self._read_at += _HEAD.size + len(topic.encode()) + len(key.encode()) + len(value)
        self._next = None
        self._count -= 1

    def clear(self) -> None:
        """Forget everything that was popped, which must be all."""
        # Only when all of it was popped: what is left would be cut off unsent.
        if self._end and not self._count:
            os.ftruncate(self._file, 0)
            self._read_at = self._end = 0
            self.settle(0)

    def settle(self, position: int) -> None:
        """What lies before that position need not be sent by a later start.

        Where the disk has no room for the mark the one of before holds: a later start compares more with the log.
        """
        if position == self._settled:
            return
        try:
            self._note(position)
        except OSError as error:
            _log.info("it cannot be noted how far the spool was sent: %s", error)
        else:
            self._settled = position

    def _note(self, position: int) -> None:
        # A file that begins anew needs none, and to remove it no room: of other records it would say what is not true.
        if not position:
            self._mark.unlink(missing_ok=True)
            return
        # In its place, not emptied first: what stood there is true for as long as the rest is.
        mark = os.open(self._mark, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(mark, _MARK.pack(position), 0)
            os.ftruncate(mark, _MARK.size)
        finally:
            os.close(mark)

    def rewrite(self, keep: Callable[[Outgoing], bool], before: Iterator[Outgoing]) -> None:
        """Replace the file in one step: first ``before``, then of what is there what ``keep`` says."""
        fresh = self._path.with_suffix(".new")
        # Left by a kill in the middle of an earlier rewrite: the old file was still whole then.
        fresh.unlink(missing_ok=True)
        with Spool(fresh, self._clock) as other:
            for record in before:
                other.append(*record)
            while (record_ := self.peek()) is not None:
                if keep(record_):
                    other.append(*record_)
                self.pop()
            # To the disk before the name changes, or a power failure could leave the new name with nothing behind it.
            other.sync()
            # Before the name changes: of the new file it would say something else.
            self.settle(0)
            os.replace(fresh, self._path)
            os.close(self._file)
            self._file, other._file = other._file, os.open(os.devnull, os.O_RDONLY)
            self._end, self._count, self._read_at = other._end, other._count, 0

    def sync(self) -> None:
        """Bring it to the disk."""
        self._synced = self._clock()
        # Not fsync: the times of the file need no write of their own.
        os.fdatasync(self._file)

    def close(self) -> None:
        """Let go of the file; what is in it stays."""
        os.close(self._file)

    def _survey(self) -> tuple[int, int]:
        """(where the last whole record ends, how many wait); what follows is cut off."""
        at, count = self._read_at, 0
        for begin, record in self._scan(self._read_at):
            at, count = begin + len(record), count + 1
        os.ftruncate(self._file, at)
        return at, count

    def _scan(self, at: int) -> Iterator[tuple[int, bytes]]:
        """Each whole record from there on, and where it begins."""
        # In blocks: an outage of minutes leaves a million records, and a call for each would take seconds.
        size = os.fstat(self._file).st_size
        while at < size:
            block = os.pread(self._file, max(_BLOCK, min(self._length(at), size - at)), at)
            begin = at
            for record in _whole(block):
                yield at, record
                at += len(record)
            # A torn end and a damaged middle look alike: nothing behind them can be trusted, lengths least of all.
            if at == begin:
                return

    def _length(self, at: int) -> int:
        raw = os.pread(self._file, _HEAD.size, at)
        return _HEAD.size + sum(_HEAD.unpack(raw)[1:]) if len(raw) == _HEAD.size else 0

    def _marked(self) -> int:
        """Up to where Kafka has all; 0 when the mark is not of this file."""
        try:
            (at,) = _MARK.unpack(self._mark.read_bytes())
        except (FileNotFoundError, struct.error):
            return 0
        size = os.fstat(self._file).st_size
        if at == size or (at < size and next(self._scan(at), None)):
            return int(at)
        # At once: the file may grow beyond it, and then nobody would see that it means another one.
        self._note(0)
        return 0


def _whole(block: bytes) -> Iterator[bytes]:
    """The records that a block begins with, up to one that it does not hold whole or that was damaged."""
    at, size = 0, len(block)
    while at + _HEAD.size <= size:
        checksum, topic, key, value = _HEAD.unpack_from(block, at)
        end = at + _HEAD.size + topic + key + value
        record = block[at:end]
        if end > size or zlib.crc32(record[4:]) != checksum:
            return
        yield record
        at = end


def _packed(topic: str, key: str, value: bytes) -> bytes:
    names = topic.encode(), key.encode()
    rest = _HEAD.pack(0, len(names[0]), len(names[1]), len(value))[4:] + names[0] + names[1] + value
    return struct.pack("<I", zlib.crc32(rest)) + rest


def _unpacked(record: bytes) -> Outgoing:
    _, topic, key, _ = _HEAD.unpack_from(record)
    names = record[_HEAD.size : _HEAD.size + topic + key]
    return names[:topic].decode(), names[topic:].decode(), record[_HEAD.size + topic + key :]
