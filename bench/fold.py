"""The fold alone, one core: nanoseconds a record of both roads, and the parts of a live batch. One JSON line.

``python bench/fold.py [RECORDS]``; records are the contract's full ones, 500 symbols, in batches of 10,000 as Spark
hands them over. ``load_s`` is what a new process waits for the compiled code.
"""

from __future__ import annotations

import json
import platform
import random
import sys
import time
from collections.abc import Callable

import numba
import pyarrow as pa

from sparktrends.bars import RAW_TRADES, FoldResult, Limits, fold_records
from sparktrends.model import Coordinates
from sparktrends.streaming.fold import decode_results, encode_result, fold_batches
from sparktrends.streaming.scan import warm_scanner

NOW = 1_732_147_200_000_000
BATCH = 10_000
LIVE = 1_000


def record(rng: random.Random, index: int, rate: int = 5_000) -> bytes:
    """A full record: id, received, and as long as those that ingest writes."""
    ts = NOW + index * 1_000_000 // rate
    fields = {
        "source": "binance~sim",
        "symbol": f"SYM{rng.randrange(500):03d}/USD",
        "ts": ts,
        "price": f"{rng.uniform(1, 90_000):.2f}",
        "size": f"{rng.uniform(0.0001, 3):.4f}",
        "id": f"{rng.getrandbits(128):032x}",
        "received": ts + 6_544,
        "conditions": [],
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def batches(values: list[bytes]) -> list[pa.RecordBatch]:
    """The records as Arrow, in four partitions."""
    rows = [
        {"topic": RAW_TRADES, "partition": i % 4, "offset": i, "timestamp": NOW + i * 200 + 9_000, "value": value}
        for i, value in enumerate(values)
    ]
    kinds = (pa.string(), pa.int32(), pa.int64(), pa.timestamp("us", "UTC"), pa.binary())
    schema = pa.schema(list(zip(rows[0], kinds, strict=True)))
    return list(pa.Table.from_pylist(rows, schema).to_batches(max_chunksize=BATCH))


def best(work: Callable[[], object], times: int = 5) -> float:
    """The shortest of several runs, seconds."""
    spans = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        spans.append(time.perf_counter() - begin)
    return min(spans)


def exact(values: list[bytes]) -> FoldResult:
    """The same records by the definition alone."""
    places = (Coordinates(RAW_TRADES, i % 4, i, NOW + i * 200 + 9_000) for i in range(len(values)))
    return fold_records(zip(values, places, strict=True), Limits())


def main(number: int) -> None:
    """Measure and print."""
    load = best(warm_scanner, 1)
    rng = random.Random(1)
    values = [record(rng, index) for index in range(number)]
    cut = batches(values)
    result = fold_batches(cut, Limits())
    few = values[: min(number, 20_000)]
    assert fold_batches(batches(few), Limits()) == exact(few)
    figures = {
        "bench": "fold",
        "records": number,
        "bytes": round(sum(map(len, values)) / number),
        "scan_ns": round(best(lambda: fold_batches(cut, Limits())) / number * 1e9),
        "exact_ns": round(best(lambda: exact(few), 2) / len(few) * 1e9),
        "live_ms": round(best(lambda: fold_batches([cut[0].slice(0, LIVE)], Limits())) * 1e3, 2),
        "transport_ms": round(best(lambda: list(decode_results(encode_result(result)))) * 1e3, 2),
        "bars": len(result.bars),
        "load_s": round(load, 2),
        "versions": {"python": platform.python_version(), "numba": numba.__version__, "pyarrow": pa.__version__},
        "machine": platform.processor() or platform.machine(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
