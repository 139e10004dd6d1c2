"""Per trade, from the moment it was due to the commit that holds its bar, under a steady load."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from sparktrends.bus.kafka import Producer, Reader
from sparktrends.bus.topics import RAW_TRADES
from sparktrends.model import SECOND
from sparktrends.ops.bench.commits import Seen, watching
from sparktrends.ops.bench.lab import Lab, lab
from sparktrends.ops.bench.report import percentile
from sparktrends.ops.settings import Settings
from sparktrends.simulator import SOURCE
from sparktrends.telemetry import Clock

_TICK_S = 0.001
Ints = NDArray[np.int64]


@dataclass(slots=True)
class Feed:
    """Sends ``rate`` trades a second, spread evenly; each is stamped with the moment it was due.

    A sender that falls behind sends late and the stamp stays: waiting in the sender counts as latency.
    """

    producer: Producer
    clock: Clock
    rate: float
    symbols: int
    over: threading.Event = field(default_factory=threading.Event)
    worst_lag: int = 0

    def run(self) -> None:
        """Until ``over`` is set."""
        begin = self.clock()
        rng = np.random.default_rng(1)
        names = [f"SIM{index:03d}/USD" for index in range(self.symbols)]
        levels = np.exp(rng.uniform(0, 8, self.symbols)).tolist()
        for index in count():
            due = begin + int(index * SECOND / self.rate)
            while (now := self.clock()) < due:
                if self.over.is_set():
                    return
                self.producer.poll()
                time.sleep(_TICK_S)
            self.worst_lag = max(self.worst_lag, now - due)
            which = index % self.symbols if index < self.symbols else int(rng.integers(self.symbols))
            price = levels[which] * (1 + (index % 97 - 48) * 1e-5)
            self.producer.send(RAW_TRADES, names[which], _record(names[which], due, price, index))


def _record(symbol: str, due: int, price: float, index: int) -> bytes:
    return (
        f'{{"source":"{SOURCE}","symbol":"{symbol}","ts":{due},"price":"{price:.4f}","size":"0.{index % 9999 + 1:04d}",'
        f'"id":"bench-{index:034d}","received":{due}}}'
    ).encode("ascii")


def run(settings: Settings, clock: Clock, seconds: float, warm_up: float, rate: float, symbols: int) -> dict[str, Any]:
    """``p50_ms``, ``p99_ms`` and the worst, of every trade due in ``seconds`` after ``warm_up`` seconds of load."""
    with lab(settings) as place, watching(place.dsn, clock) as commits, place.running("stream") as process:
        producer = Producer(place.kafka)
        feed = Feed(producer, clock, rate, symbols)
        thread = threading.Thread(target=feed.run, daemon=True)
        thread.start()
        commits.wait_records(1, 120, process)  # the process has started: the warm-up begins
        time.sleep(warm_up)
        since = clock()
        feed.worst_lag = 0
        time.sleep(seconds)
        until = clock()
        feed.over.set()
        thread.join()
        producer.close()
        commits.wait_records(producer.delivered, 60, process)
        waits, batches = waited(place, commits.seen, since, until)
    return {
        "p50_ms": round(percentile(waits, 0.5), 1),
        "p99_ms": round(percentile(waits, 0.99), 1),
        "max_ms": round(max(waits), 1),
        "trades": len(waits),
        "rate": rate,
        "symbols": symbols,
        "seconds": seconds,
        "batch_ms": round((until - since) / 1000 / max(1, batches), 1),
        "sender_lag_ms": round(feed.worst_lag / 1000, 1),
    }


def waited(place: Lab, seen: Sequence[Seen], since: int, until: int) -> tuple[list[float], int]:
    """Milliseconds from due to commit of each trade due in that time, and the number of commits in it."""
    found: list[float] = []
    commits = np.array([commit.at for commit in seen], np.int64)
    with Reader(place.kafka) as reader:
        for partition in reader.partitions(RAW_TRADES):
            ends = np.array([commit.positions.get((RAW_TRADES, partition), 0) for commit in seen], np.int64)
            offsets, due = _sent(reader, partition, since, until)
            found += ((committed_at(commits, ends, offsets) - due) / 1000).tolist()
    return found, int(((commits >= since) & (commits < until)).sum())


def committed_at(commits: Ints, ends: Ints, offsets: Ints) -> Ints:
    """When each record was committed: ``ends`` is the next offset of its partition after each of ``commits``.

    >>> committed_at(np.array([100, 200]), np.array([5, 9]), np.array([4, 5, 8])).tolist()
    [100, 200, 200]
    """
    found: Ints = commits[np.searchsorted(ends, offsets, side="right")]
    return found


def _sent(reader: Reader, partition: int, since: int, until: int) -> tuple[Ints, Ints]:
    low, high = reader.watermarks(RAW_TRADES, partition)
    rows = [
        (record.offset, int(orjson.loads(record.value or b"{}")["received"]))
        for record in reader.range(RAW_TRADES, partition, low, high)
    ]
    table = np.array([row for row in rows if since <= row[1] < until], np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
