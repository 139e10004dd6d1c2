"""A recording played through the real broker by a process that is killed again and again: each trade is there once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from fault_seed import SEED
from sparktrends.bus.codec import decode
from sparktrends.bus.kafka import Admin, Connection, Reader, wait_ready
from sparktrends.ops.stack import Stack

pytestmark = pytest.mark.e2e

_PLAY = """
import sys, threading
from pathlib import Path
from sparktrends.bus.kafka import Connection, Producer, Reader
from sparktrends.ingest.playback import Playback, Track
from sparktrends.ingest.publish import Publisher
from sparktrends.sources.replay import Replay
from sparktrends.telemetry import system_clock
connection = Connection(sys.argv[1])
recording = Replay(Path(sys.argv[2]), symbol="E2E")
publisher = Publisher(Producer(connection))
print("ready", flush=True)
with Reader(connection) as reader:
    summary = Playback([Track(recording, float(sys.argv[3]))], publisher, system_clock, threading.Event()).run(reader)
assert summary.done
"""


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """30,000 trades over five hours, named after the run: no other test plays it."""
    path = tmp_path / f"{tmp_path.name}.csv"
    path.write_text("ts,price,size\n" + "".join(f"{1385337600 + i * 6 / 10:.1f},1.5,{i}\n" for i in range(30_000)))
    return path


def start(stack: Stack, tape: Path, speed: float) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", _PLAY, stack.kafka, str(tape), str(speed)]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "ready\n"
    return child


def until_it_plays(child: subprocess.Popen[str], connection: Connection, held: int) -> None:
    """A run that goes on waits for a second first: to be killed then is no accident of a playing one."""
    while child.poll() is None and ends(connection) == held:
        time.sleep(0.01)


def ends(connection: Connection) -> int:
    with Reader(connection) as reader:
        return sum(reader.watermarks("raw.trades", partition)[1] for partition in reader.partitions("raw.trades"))


def published(connection: Connection, source: str) -> Counter[str]:
    with Reader(connection) as reader:
        rows = [
            decode(record.value)
            for partition in reader.partitions("raw.trades")
            for record in reader.tail("raw.trades", partition, 10**9)
            if source.encode() in (record.value or b"")
        ]
    return Counter(row["id"] for row in rows if "id" in row)


def test_killed_at_random_moments_each_trade_is_there_once(stack: Stack, tape: Path) -> None:
    connection = Connection(stack.kafka)
    wait_ready(connection, 60)
    Admin(connection).ensure()
    rng = random.Random(SEED)
    for _ in range(4):
        held = ends(connection)
        # 6,000 times life plays the tape in three seconds.
        with start(stack, tape, 6_000.0) as child:
            until_it_plays(child, connection, held)
            time.sleep(rng.uniform(0.05, 0.9))  # the moment of the accident, not a wait for something
            child.kill()
    with start(stack, tape, 1e9) as child:
        assert child.wait(60) == 0
    found = published(connection, f"{tape.stem}~replay")
    assert len(found) == 30_000
    assert set(found.values()) == {1}
