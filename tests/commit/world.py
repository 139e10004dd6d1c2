"""Logs with everything in them that can be between two bars, the road they take, and what is stored in the end."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from sparktrends.analysis.chain import Chain
from sparktrends.bars import Limits, fold_records
from sparktrends.commit import Analysis, Cache, Committed, Laws, commit_batch
from sparktrends.detectors import Detectors
from sparktrends.indicators import Kernel
from sparktrends.model import DAY, HOUR, MINUTE, SECOND, Coordinates, OffsetRange
from sparktrends.rules import Names, Rules
from sparktrends.store.analysis_rows import TEMPORARY_METRICS
from sparktrends.store.ledger import PartitionLog, open_ledger
from sparktrends.store.writer import Writer

T = 1_704_067_200 * SECOND  # 2024-01-01 00:00
LIMITS = Limits()
RULES = """
[[rule]]
name = "up"
when = "return > 0"
title = "{symbol} rose to {close}"
[[rule]]
name = "rising"
when = "close > prev(close)"
for = 2
cooldown = "3m"
title = "{symbol} keeps rising"
[[rule]]
name = "jump"
when = 'signal("price_move")'
title = "{symbol} jumped"
[[rule]]
name = "turn"
when = "close > prev(close)"
then = [{ when = 'close < prev(close)', within = 2 }]
unless = [{ when = 'signal("volume_spike")', before = "3m" }]
title = "{symbol} turned"
"""
Record = tuple[bytes, Coordinates]
Log = Mapping[tuple[str, int], Sequence[Record]]


def chain(rules: str = RULES, interval: str = "1m") -> Chain:
    """A chain that has something to say after a few bars."""
    kernel = Kernel()
    names = ("price_move", "volume_spike")
    eager = {name: {"warm": 2.0, "threshold": 0.7} for name in names}
    eager["surge"] = {"warm": 2.0, "threshold": 0.7}
    detectors = Detectors(kernel.columns, eager)
    return Chain(kernel, detectors, Rules.parse(rules, Names(kernel.columns, detectors.thresholds)), interval)


LAWS = Laws(LIMITS, (Analysis(chain(), LIMITS),))
BOTH = Laws(LIMITS, tuple(Analysis(chain(interval=interval), LIMITS) for interval in ("1m", "5m")))


@dataclass
class Pen:
    """Writes records, each at its own place of the log."""

    log: dict[tuple[str, int], list[Record]] = field(default_factory=dict)

    def write(self, topic: str, partition: int, appended: int, fields: Mapping[str, object]) -> None:
        held = self.log.setdefault((topic, partition), [])
        held.append((json.dumps(fields).encode(), Coordinates(topic, partition, len(held), appended)))

    def trade(self, symbol: str, ts: int, price: object = 100, size: object = 1, *, at: int = 0, **more: Any) -> None:
        """A trade (or, by ``kind``, something else) that arrives at ``at``, or in time."""
        arrival = at or ts
        head = {"source": "demo", "symbol": symbol, "ts": ts, "received": arrival}
        self.write("raw.trades", partition_of(symbol), arrival, {**head, "price": price, "size": size, **more})

    def beat(self, symbol: str, ts: int, status: str = "ok", *, at: int = 0) -> None:
        """A heartbeat."""
        self.trade(symbol, ts, at=at, kind="heartbeat", status=status)

    def bar(self, symbol: str, start: int, close: object, at: int, *, closed: bool = True, fill: bool = False) -> None:
        """A provider's bar of one minute."""
        prices = {"open": 90, "high": 200, "low": 80, "close": close, "volume": 7, "trades": 3, "closed": closed}
        prices["fill"] = fill
        head = {"source": "demo", "symbol": symbol, "interval": "1m", "start": start, "received": at}
        self.write("raw.bars", 0, at, {**head, **prices})


def partition_of(symbol: str) -> int:
    return ord(symbol[0]) % 2


def random_log(seed: int, records: int = 120) -> Log:
    """Trades, updates, heartbeats and providers' bars of three series: in order, out of order, late, filled."""
    rng, pen, now = random.Random(seed), Pen(), T
    for _ in range(records):
        symbol = rng.choice("ABC")
        now += rng.choice((0, 1, 4, 20, 61, 61, 130)) * SECOND
        if rng.random() < 0.02:
            now += rng.choice((2 * HOUR, 25 * HOUR, DAY))
        behind = rng.choice((0, 0, 0, 0, 3, 50, 70, 200, 800, 1000, 4000)) * SECOND
        match rng.choices(("trade", "fill", "beat", "price", "bar", "junk"), (10, 1, 4, 1, 2, 0.2))[0]:
            case "trade":
                price = round(100 + rng.gauss(0, 3), rng.randrange(7))
                pen.trade(symbol, now - behind, price, rng.choice(("0.5", "2", 3, "1e-18")), at=now)
            case "fill":
                pen.trade(symbol, now - behind * rng.choice((1, 30)), "101.25", 2, at=now, fill=True)
            case "beat":
                status = rng.choice(("ok", "ok", "ok", "stale", "throttled", "start", "closed", "closed"))
                pen.beat(symbol, now - behind, status, at=now)
            case "price":
                pen.trade(symbol, now - behind, "99", kind="price", at=now)
            case "bar":
                minute = now - now % MINUTE - rng.randrange(-1, 20) * MINUTE
                pen.bar(symbol, minute, rng.choice((95, "120.5", 180)), now, closed=rng.random() < 0.8)
            case "junk":
                pen.write("raw.trades", 0, now, {"source": "demo", "symbol": " "})
    for symbol in "ABC":
        pen.trade(symbol, now, "100", at=now)
    return pen.log


@dataclass
class Road:
    """Commits a log into one database, batch by batch, as the sink does."""

    dsn: str
    log: Log
    laws: Laws = LAWS
    now: int = T + 40 * DAY
    ids: Mapping[str, str] = field(default_factory=lambda: {"raw.trades": "one", "raw.bars": "two"})

    def __post_init__(self) -> None:
        logs = [PartitionLog(topic, part, self.ids[topic], 0, 0) for topic, part in self.log]
        self.next = open_ledger(self.dsn, "1/1", logs)
        self.restart()

    def restart(self) -> None:
        """A new process: nothing known but what is stored."""
        self.close()
        self.writer: Writer | None = Writer(self.dsn, "1/1", [TEMPORARY_METRICS])
        self.cache = Cache()

    def close(self) -> None:
        """End the process."""
        writer = getattr(self, "writer", None)
        if writer is not None:
            writer.close()

    def ranges(self, counts: Mapping[tuple[str, int], int]) -> list[OffsetRange]:
        """The next so many records of each partition."""
        return [
            OffsetRange(*place, self.ids[place[0]], start, min(len(self.log[place]), start + counts.get(place, 0)))
            for place, start in sorted(self.next.items())
        ]

    def commit(self, ranges: Sequence[OffsetRange], *, fail: bool = False) -> Committed | None:
        """One batch; ``fail`` rolls it back at the last moment."""
        assert self.writer is not None
        records = [record for r in ranges for record in self.log[r.topic, r.partition][r.start : r.end]]
        folded = fold_records(records, self.laws.limits)
        try:
            with self.writer.transaction() as tx:
                done = commit_batch(tx, ranges, folded, self.laws, self.cache, self.now)
                if fail:
                    raise ConnectionError("the power went off")
        except BaseException:
            self.cache = Cache()
            raise
        self.next = {(r.topic, r.partition): r.end for r in ranges}
        return done

    def all(self) -> None:
        """What is left, as one batch."""
        self.commit(self.ranges(dict.fromkeys(self.log, 10**9)))

    @property
    def left(self) -> int:
        """Records not committed yet."""
        return sum(len(records) - self.next[place] for place, records in self.log.items())


def rows(dsn: str, statement: str, *words: Any) -> list[tuple[Any, ...]]:
    """What a statement finds."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement, words)
        return cursor.fetchall() if cursor.description else []
