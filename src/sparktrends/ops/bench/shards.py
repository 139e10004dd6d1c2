"""One stream and several on the same records: what a trade costs, how much faster they are, and the same bars."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import psutil

from sparktrends.errors import Unavailable
from sparktrends.ops.bench.commits import Commits, watching
from sparktrends.ops.bench.lab import lab
from sparktrends.ops.bench.throughput import PATIENCE_S, publish, stored_bars
from sparktrends.ops.settings import Settings
from sparktrends.telemetry import Clock

_EVERY_S = 0.25
_SETTLED = 0.4
"""From this share of the records on Java has compiled what it needs, in each of the streams."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one arrangement took. ``settled_*`` is measured over the records after the first `_SETTLED` of them."""

    trades_per_s: int
    settled_trades_per_s: int
    cpu_s_per_million: float
    settled_cpu_s_per_million: float
    bars: pl.DataFrame

    def told(self) -> dict[str, float]:
        """The figures alone."""
        names = [name for name in self.__slots__ if name != "bars"]
        return {name: getattr(self, name) for name in names}


@dataclass(slots=True)
class Meter:
    """Records stored, and CPU seconds of every process of the run, at moments of a monotonic clock."""

    moments: list[float] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)

    def take(self, records: int) -> None:
        """One sample."""
        self.moments.append(time.monotonic())
        self.records.append(records)
        self.spent.append(cpu_seconds())

    def since(self, records: int) -> tuple[float, float]:
        """Records a second, and CPU seconds per million, from the first sample with so many records to the last.

        >>> meter = Meter([0.0, 1.0, 3.0], [0, 100, 500], [0.0, 4.0, 4.5])
        >>> meter.since(100)
        (200.0, 1250.0)
        """
        first = next(i for i, found in enumerate(self.records) if found >= records)
        done = self.records[-1] - self.records[first]
        if not done:
            raise Unavailable("everything was stored between two samples", hint="give it more --trades")
        rate = done / (self.moments[-1] - self.moments[first])
        return rate, (self.spent[-1] - self.spent[first]) / done * 1e6


def run(settings: Settings, clock: Clock, trades: int, symbols: int, shards: int) -> dict[str, Any]:
    """``cpu_ratio`` and ``speed_up``: several shards against one, once settled; ``equal``: both made the same bars.

    CPU is that of everything: streams, Java, workers, broker and database.
    """
    one, several = (_drain(settings, clock, trades, symbols, count) for count in (1, shards))
    return {
        "cpu_ratio": round(several.settled_cpu_s_per_million / one.settled_cpu_s_per_million, 2),
        "speed_up": round(several.settled_trades_per_s / one.settled_trades_per_s, 2),
        "equal": several.bars.equals(one.bars),
        "shards": shards,
        "one": one.told(),
        "several": several.told(),
        "trades": trades,
        "symbols": symbols,
        "bars": len(one.bars),
    }


def _drain(settings: Settings, clock: Clock, trades: int, symbols: int, count: int) -> Run:
    with lab(settings) as place:
        publish(place, trades, symbols)
        with watching(place.dsn, clock) as commits, ExitStack() as stack:
            begun, names = cpu_seconds(), [f"{k}/{count}" for k in range(1, count + 1)]
            streams = [stack.enter_context(place.running("stream", ["--shard", name])) for name in names]
            meter = Meter([time.monotonic()], [0], [begun])
            with _sampling(meter, commits):
                commits.wait_records(trades, PATIENCE_S, *streams)
            meter.take(trades)
            (rate, cpu), (settled_rate, settled_cpu) = meter.since(0), meter.since(int(trades * _SETTLED))
        bars = stored_bars(place)
    return Run(round(rate), round(settled_rate), round(cpu, 2), round(settled_cpu, 2), bars)


@contextmanager
def _sampling(meter: Meter, commits: Commits) -> Iterator[None]:
    over = threading.Event()

    def sample() -> None:
        while not over.wait(_EVERY_S):
            meter.take(commits.records)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(5)


def cpu_seconds() -> float:
    """User and system time of all processes that this one started, and of those that they have seen end."""
    spent = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            used = process.cpu_times()
            spent += used.user + used.system + used.children_user + used.children_system
    return spent
