"""The spool: every record it took is there again, in order, whatever happened to the process in between."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.errors import DiskFull
from sparktrends.ingest.spool import Outgoing, Spool

RECORDS: list[Outgoing] = [("raw.trades", f"S{i}", b"x" * i) for i in range(20)]


def spool(path: Path, most: int = 10**9) -> Spool:
    return Spool(path / "spool", lambda: 0, most)


def drained(queue: Spool) -> list[Outgoing]:
    found = []
    while (record := queue.peek()) is not None:
        found.append(record)
        queue.pop()
    return found


def test_first_in_first_out_over_a_restart(tmp_path: Path) -> None:
    with spool(tmp_path) as queue:
        for record in RECORDS:
            queue.append(*record)
    with spool(tmp_path) as again:
        assert len(again) == 20
        assert drained(again) == RECORDS


def test_what_was_popped_is_gone_only_after_clear(tmp_path: Path) -> None:
    with spool(tmp_path) as queue:
        queue.append(*RECORDS[1])
        queue.pop()
    with spool(tmp_path) as again:
        assert drained(again) == RECORDS[1:2]
        again.clear()
    with spool(tmp_path) as empty:
        assert (len(empty), empty.peek()) == (0, None)


def test_clear_forgets_nothing_that_still_waits(tmp_path: Path) -> None:
    with spool(tmp_path) as queue:
        for record in RECORDS[:2]:
            queue.append(*record)
        queue.pop()
        queue.clear()
        assert drained(queue) == RECORDS[1:2]


@given(cut=st.integers(1, 40))
@settings(max_examples=20)
def test_a_torn_end_costs_only_the_torn_record(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("torn")
    with spool(folder) as queue:
        for record in (("t", "k", b"v" * 50), ("t", "k", b"w" * 50)):
            queue.append(*record)
    file = folder / "spool"
    os.truncate(file, file.stat().st_size - cut)
    with spool(folder) as again:
        again.append("t", "k", b"new")
        assert drained(again) == [("t", "k", b"v" * 50), ("t", "k", b"new")]


def test_a_damaged_record_ends_what_can_be_trusted(tmp_path: Path) -> None:
    with spool(tmp_path) as queue:
        for record in RECORDS[5:8]:
            queue.append(*record)
    file = tmp_path / "spool"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    with spool(tmp_path) as again:
        assert drained(again) == RECORDS[5:7]


def test_rewrite_puts_records_before_and_drops_what_is_not_kept(tmp_path: Path) -> None:
    with spool(tmp_path) as queue:
        for record in RECORDS[:4]:
            queue.append(*record)
        queue.rewrite(lambda record: record[1] != "S2", iter([("t", "first", b"1")]))
        queue.append("t", "last", b"2")
        kept = [("t", "first", b"1"), RECORDS[0], RECORDS[1], RECORDS[3], ("t", "last", b"2")]
        assert drained(queue) == kept
    with spool(tmp_path) as again:
        assert drained(again) == kept


def test_what_is_settled_does_not_wait_at_the_next_start(tmp_path: Path) -> None:
    with spool(tmp_path) as queue:
        for record in RECORDS:
            queue.append(*record)
        for _ in range(7):
            queue.pop()
        queue.settle(queue.position)
    with spool(tmp_path) as again:
        assert len(again) == 13
        assert [record for _, record in again.records()] == RECORDS[7:]
        assert drained(again) == RECORDS[7:]
        again.settle(again.position)
    with spool(tmp_path) as empty:
        assert len(empty) == 0
        empty.clear()
        empty.append(*RECORDS[3])
    with spool(tmp_path) as last:
        assert drained(last) == RECORDS[3:4]


@pytest.mark.parametrize("mark", [b"", b"x", struct.pack("<Q", 7), struct.pack("<Q", 10**9)])
def test_a_mark_that_means_another_file_is_not_believed_now_or_later(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / "spool.at").write_bytes(mark)
    with spool(tmp_path) as queue:
        for record in RECORDS:
            queue.append(*record)
    with spool(tmp_path) as again:
        assert drained(again) == RECORDS


def test_a_rewritten_file_has_no_mark_of_the_old_one(tmp_path: Path) -> None:
    with spool(tmp_path) as queue:
        for record in RECORDS[5:15]:
            queue.append(*record)
        queue.pop()
        queue.settle(queue.position)
        queue.rewrite(lambda _: True, iter([("t", "first", b"1")]))
    with spool(tmp_path) as again:
        assert drained(again) == [("t", "first", b"1"), *RECORDS[6:15]]


def test_a_mark_that_cannot_be_written_costs_no_more_than_itself(tmp_path: Path) -> None:
    """The disk is full while Kafka takes what waited."""
    mark = tmp_path / "spool.at"
    with spool(tmp_path) as queue:
        for record in RECORDS[:4]:
            queue.append(*record)
        mark.mkdir()
        queue.pop()
        queue.settle(queue.position)
        mark.rmdir()
        queue.pop()
        queue.settle(queue.position)
    with spool(tmp_path) as again:
        assert drained(again) == RECORDS[2:4]


def test_a_clock_that_is_set_back_does_not_put_off_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    now = [3600 * 1_000_000]
    with Spool(tmp_path / "spool", lambda: now[0]) as queue:
        queue.append(*RECORDS[1])
        now[0] = 0
        queue.append(*RECORDS[2])
        assert len(synced) == 1


def test_records_longer_than_a_block_are_read_whole(tmp_path: Path) -> None:
    long: list[Outgoing] = [("t", "k", b"a" * 3_000_000), ("t", "k", b"b"), ("t", "k", b"c" * 1_048_570)]
    with spool(tmp_path) as queue:
        for record in long:
            queue.append(*record)
    with spool(tmp_path) as again:
        assert [record for _, record in again.records()] == drained(again) == long


def test_full_is_said_before_anything_is_refused(tmp_path: Path) -> None:
    with spool(tmp_path, most=100) as queue:
        while not queue.full:
            queue.append("t", "k", b"x" * 30)
        queue.append("t", "k", b"x" * 30)
        assert len(queue) == 4


_FILL_DISK = """
import resource, signal, sys
from pathlib import Path
from sparktrends.errors import DiskFull
from sparktrends.ingest.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
queue = Spool(Path(sys.argv[1]), lambda: 0)
taken = 0
try:
    while True:
        queue.append("t", "k", b"x" * 90)
        taken += 1
except DiskFull:
    print(taken)
"""


def test_a_full_disk_is_an_error_and_leaves_whole_records(tmp_path: Path) -> None:
    said = subprocess.run([sys.executable, "-c", _FILL_DISK, str(tmp_path / "spool")], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    with spool(tmp_path) as again:
        assert len(again) == int(said.stdout) == 9
        assert issubclass(DiskFull, Exception)


_WRITE_FOR_EVER = """
import sys
from pathlib import Path
from sparktrends.ingest.spool import Spool
queue = Spool(Path(sys.argv[1]), lambda: 0)
for i in range(10**9):
    queue.append("t", "k", str(i).encode())
    if i == 200:
        print("on it", flush=True)
"""


def test_a_kill_loses_nothing_that_was_taken(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", _WRITE_FOR_EVER, str(tmp_path / "spool")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline()
        child.send_signal(signal.SIGKILL)
    with spool(tmp_path) as again:
        values = [int(value) for _, _, value in drained(again)]
    assert len(values) > 200
    assert values == list(range(len(values)))
