"""From a topic of full records to committed bars, and the same fold by hand beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from sparktrends.bus.kafka import Producer
from sparktrends.bus.topics import RAW_TRADES
from sparktrends.errors import Unavailable
from sparktrends.ops.bench.commits import Seen, watching
from sparktrends.ops.bench.lab import Lab, lab
from sparktrends.ops.bench.load import backlog, market
from sparktrends.ops.settings import Settings
from sparktrends.ops.supervise import Process
from sparktrends.store.connect import connect
from sparktrends.telemetry import Clock

START = 1_732_147_200_000_000
RATE = 5_000.0
"""Trades a second of simulated time: a backlog of ten million spans 33 minutes."""
PATIENCE_S = 900.0
"""How long a full topic may take."""


@dataclass(frozen=True, slots=True)
class Drained:
    """When (µs since 1970 UTC) the stream was started, began its first batch, and had stored everything."""

    started: int
    first_batch: int
    seen: Seen

    def rate(self, since: int) -> int:
        """Records a second since then."""
        return round(self.seen.records / (self.seen.at - since) * 1e6)


def run(settings: Settings, clock: Clock, trades: int, symbols: int) -> dict[str, Any]:
    """``trades_per_s``: from the beginning of Spark's first batch to the last commit, every law and the analysis on.

    ``polars_ratio`` is that to the loop of `polars_loop` on the same topic right after it; ``equal`` says whether
    both made the same bars.
    """
    with lab(settings) as place:
        published = publish(place, trades, symbols)
        drained = drain(place, clock, trades)
        loop, bars = by_hand(place, trades)
        return {
            "trades_per_s": drained.rate(drained.first_batch),
            "with_startup_s": round((drained.seen.at - drained.started) / 1e6, 1),
            "trades_per_s_with_startup": drained.rate(drained.started),
            "polars_trades_per_s": round(trades / loop),
            "polars_ratio": round(drained.rate(drained.first_batch) / (trades / loop), 2),
            "equal": bars.equals(stored_bars(place)),
            "trades": trades,
            "symbols": symbols,
            "bars": len(bars),
            **counts(place),
            **published,
        }


def publish(place: Lab, trades: int, symbols: int, start: int = START, rate: float = RATE) -> dict[str, Any]:
    """Fill the topic through the product's own producer, with ``rate`` trades a second from ``start`` (µs) on."""
    producer, size, begin = Producer(place.kafka), 0, time.monotonic()
    for frame in backlog(market(start, symbols, rate), trades):
        for key, value in zip(frame["key"].to_list(), frame["value"].to_list(), strict=True):
            producer.send(RAW_TRADES, key, value.encode("ascii"))
        size += int(frame["value"].str.len_bytes().sum())
    producer.flush(120)
    producer.close()
    span = time.monotonic() - begin
    return {"bytes_per_record": round(size / trades), "published_per_s": round(trades / span)}


def drain(place: Lab, clock: Clock, trades: int) -> Drained:
    """Let the stream of the product store all of it."""
    with watching(place.dsn, clock) as commits:
        started = clock()
        with place.running("stream") as process:
            first = _first_batch(place.home.scratch, process)
            return Drained(started, first, commits.wait_records(trades, PATIENCE_S, process))


def _first_batch(scratch: Path, process: Process) -> int:
    """When Spark began its first batch, from its own offset log."""
    log = scratch / "stream-1-of-1" / "checkpoint" / "offsets" / "0"
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if process.exit_code is not None:
            raise process.failure("the stream ended")
        lines = log.read_text().splitlines() if log.exists() else []
        if len(lines) > 2:
            return int(json.loads(lines[1])["batchTimestampMs"]) * 1000
        time.sleep(0.02)
    raise Unavailable("Spark began no batch within 120 s", hint=f"see {process.spec.output}")


def by_hand(place: Lab, trades: int) -> tuple[float, pl.DataFrame]:
    """Seconds and bars of the hand-written loop, in a process of its own as the stream had one."""
    out = place.home.scratch / "bars.parquet"
    command = [sys.executable, "-m", "sparktrends.ops.bench.polars_loop", place.kafka.bootstrap, RAW_TRADES]
    done = subprocess.run([*command, str(trades), str(out)], capture_output=True, text=True, timeout=PATIENCE_S)
    if done.returncode:
        raise Unavailable("the loop by hand failed", hint=done.stderr.strip().splitlines()[-1])
    return float(json.loads(done.stdout)["seconds"]), comparable(pl.read_parquet(out))


def comparable(bars: pl.DataFrame) -> pl.DataFrame:
    """Columns as both sides can have them: text of exact numbers."""
    prices = ("open", "high", "low", "close", "volume")
    return bars.select(
        "source",
        "symbol",
        pl.col("minute").cast(pl.Int64),
        *(pl.col(name).cast(pl.Int64) for name in prices),
        pl.col("turnover").cast(pl.String),
        pl.col("trades").cast(pl.Int64),
    ).sort("source", "symbol", "minute")


def stored_bars(place: Lab) -> pl.DataFrame:
    """What the product stored, in the units of the loop."""
    with connect(place.dsn, application="bench") as connection:
        rows = connection.execute(_STORED).fetchall()
    names = ("source", "symbol", "minute", "open", "high", "low", "close", "volume", "turnover", "trades")
    return comparable(pl.DataFrame(rows, schema=names, orient="row"))


_STORED = """
SELECT source, symbol, extract(epoch FROM start)::bigint / 60, (open * 1e9)::bigint, (high * 1e9)::bigint,
    (low * 1e9)::bigint, (close * 1e9)::bigint, (volume * 1e9)::bigint, trim_scale(turnover * 1e18)::text, trades
FROM market.bars WHERE interval = '1m' AND trades > 0
"""


def counts(place: Lab) -> Mapping[str, int]:
    """What else the stream made of it."""
    with connect(place.dsn, application="bench") as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM core.metrics), (SELECT count(*) FROM core.signals), "
            "(SELECT max(commit) FROM core.shards)"
        ).fetchone()
    assert row is not None
    return dict(zip(("metrics", "signals", "commits"), map(int, row), strict=True))
