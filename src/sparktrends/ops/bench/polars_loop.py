"""The yardstick of `bench throughput`: what somebody would write by hand with confluent-kafka and Polars.

It does the same fold on the same topic — open, high, low, close, volume, turnover and trades of each minute, sums
exact, open and close by (event time, partition, offset) — and nothing else: it judges nothing, stores nothing and
forgets where it was. ``python -m sparktrends.ops.bench.polars_loop BOOTSTRAP TOPIC RECORDS [OUT]`` prints JSON.
"""

from __future__ import annotations

import json
import sys
import time

import confluent_kafka as ck
import polars as pl

from sparktrends.model import MINUTE

FETCH = 100_000
BATCH = 1_000_000
KEY = ["source", "symbol", "minute"]
_SCHEMA = {"source": pl.String, "symbol": pl.String, "ts": pl.Int64, "price": pl.String, "size": pl.String}
_DIGITS = 9  # as many as the product's fast road takes; 10**-9 is the unit of price and size here


def consumer(bootstrap: str, topic: str) -> ck.Consumer:
    """A consumer of every partition from its start, with room to read ahead."""
    client = ck.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "queued.min.messages": 500_000,
            "queued.max.messages.kbytes": 262_144,
            "fetch.max.bytes": 64 * 2**20,
            "max.partition.fetch.bytes": 16 * 2**20,
            "check.crcs": False,
        }
    )
    partitions = client.list_topics(topic, timeout=10).topics[topic].partitions
    client.assign([ck.TopicPartition(topic, number, 0) for number in partitions])
    return client


def fold(values: list[bytes], order: list[int]) -> pl.DataFrame:
    """Bars of one batch: ``order`` places records of one instant (partition, then offset)."""
    frame = pl.read_ndjson(b"\n".join(values), schema=_SCHEMA)
    frame = frame.with_columns(
        _units("price"),
        _units("size"),
        minute=pl.col("ts") // MINUTE,
        at=pl.col("ts") % MINUTE * 2**37 + pl.Series(order, dtype=pl.Int64),
    )
    price = pl.col("price")
    return frame.group_by(KEY).agg(
        open_at=pl.col("at").min(),
        close_at=pl.col("at").max(),
        open=price.get(pl.col("at").arg_min()),
        high=price.max(),
        low=price.min(),
        close=price.get(pl.col("at").arg_max()),
        volume=pl.col("size").sum(),
        turnover=(price.cast(pl.Int128) * pl.col("size")).sum(),
        trades=pl.len(),
    )


def merge(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """The bars of all batches."""
    return (
        pl.concat(parts)
        .group_by(KEY)
        .agg(
            open=pl.col("open").get(pl.col("open_at").arg_min()),
            high=pl.col("high").max(),
            low=pl.col("low").min(),
            close=pl.col("close").get(pl.col("close_at").arg_max()),
            volume=pl.col("volume").sum(),
            turnover=pl.col("turnover").sum(),
            trades=pl.col("trades").sum(),
        )
        .sort(KEY)
    )


def run(bootstrap: str, topic: str, records: int) -> tuple[pl.DataFrame, float]:
    """All bars of the topic's first ``records`` records, and the seconds from the first fetch to the last bar."""
    client = consumer(bootstrap, topic)
    begin = time.perf_counter()
    parts: list[pl.DataFrame] = []
    done = 0
    while done < records:
        values: list[bytes] = []
        order: list[int] = []
        while len(values) < BATCH and done + len(values) < records:
            for message in client.consume(FETCH, timeout=1.0):
                if message.error():
                    raise SystemExit(str(message.error()))
                values.append(message.value())  # type: ignore[arg-type]
                order.append(message.partition() << 33 | message.offset())  # type: ignore[operator]
        parts.append(fold(values, order))
        done += len(values)
    bars = merge(parts)
    span = time.perf_counter() - begin
    client.close()
    return bars, span


def _units(name: str) -> pl.Expr:
    """A decimal string as a whole number of 10**-9, exactly."""
    return pl.col(name).str.to_decimal(scale=_DIGITS).cast(pl.Decimal(38, _DIGITS)).to_physical().cast(pl.Int64)


def main(bootstrap: str, topic: str, records: str, out: str = "") -> None:
    """Run, print records a second, and keep the bars in ``out`` (Parquet) for whoever compares."""
    bars, span = run(bootstrap, topic, int(records))
    if out:
        bars.write_parquet(out)
    print(json.dumps({"seconds": span, "bars": len(bars), "trades": int(bars["trades"].sum())}))


if __name__ == "__main__":
    main(*sys.argv[1:])
