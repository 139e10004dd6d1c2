"""The API under the load of the contract: 200 requests a second, 80 % newest bars, 20 % 500 bars with metrics; then
200 listeners of the stream. One JSON line.

``python bench/api.py [SECONDS]`` starts its own database with 20 series of two days; the callers are a process of
their own. Latencies are counted from when a request was due, so that a stall counts for all who had to wait.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import platform
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import httpx
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from embedded import free_ports, temporary_home
from sparktrends.ops import java
from sparktrends.ops.home import default_cache
from sparktrends.ops.jars import Resolver
from sparktrends.ops.stack import External, Stack
from sparktrends.serve.api import Api, ApiConfig
from sparktrends.serve.api.server import Server
from sparktrends.store.migrate import migrate, set_reader_password

RATE = 200
LISTENERS = 200
SERIES = 20
MINUTES = 2880
COMMITS = 40
METRICS = (
    "return,log_return,volatility_20,sma_20,sma_50,sma_200,ema_20,rsi_14,macd,macd_signal,macd_hist,bb_upper,bb_middle,"
    "bb_lower,atr_14,vwap_session,volume_ratio,volume_z"
)

FILL = """
SELECT core.ensure_month(t, '2024-05-01') FROM unnest(ARRAY['bars', 'metrics', 'provider_bars']) t;
INSERT INTO core.series (source, symbol) SELECT 'bench~sim', 'SYM' || n || '/USD' FROM generate_series(1, %(series)s) n;
INSERT INTO core.series_state (series, version, clock) SELECT id, 1, 1 FROM core.series;
INSERT INTO core.bars (series, interval, start, open, high, low, close, volume, turnover, vwap, trades, after_final,
    statuses, state, updated_at)
SELECT s.id, '1m', timestamptz '2024-05-01Z' + n * interval '1 minute', 97123.45, 97200.12, 97001.99, 97150 + n,
    12.3456, 1199000.123456789, 97119.123456789012345678, 42, 0, 1, 'final', now()
FROM core.series s, generate_series(0, %(minutes)s - 1) n;
INSERT INTO core.metrics SELECT series, interval, start,
    random(), random(), random(), random(), random(), random(), random(), random(), random(), random(),
    random(), random(), random(), random(), random(), random(), random(), random(), random(), random(),
    random(), random(), random(), random(), random(), random(), random(), random(), random(), random(),
    true, 0, true, '{}', now() FROM core.bars;
ANALYZE;
"""


@contextmanager
def database() -> Iterator[tuple[str, str]]:
    """A database with the series: (owner, reader)."""
    cache = default_cache(os.environ)
    resolver = Resolver(java.find(os.environ, cache), cache, dict(os.environ))
    nowhere = External(kafka="127.0.0.1:1")
    with temporary_home() as home, home.owned(), Stack(home, resolver, external=nowhere, wanted=free_ports()) as stack:
        owner = stack.database.dsn()
        migrate(owner)
        set_reader_password(owner, stack.database.reader_password)
        with psycopg.connect(owner, autocommit=True) as connection:
            for statement in FILL.split(";\n"):
                connection.execute(statement.encode() % {b"series": b"%d" % SERIES, b"minutes": b"%d" % MINUTES})
        yield owner, stack.database.dsn(reader=True)


def serve(owner: str, reader: str, pipe: Pipe) -> None:
    """The API as a process of its own."""
    config = ApiConfig(reader, owner, port=0, rate=1e6, burst=1e6)
    api = Api(config)
    server = Server(api.app, config)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    pipe.send(server.port)
    server.run()
    api.close()
    pipe.send(time.process_time())


async def load(url: str, seconds: float) -> dict[str, Any]:
    """Ask at an even pace whatever the answers take; milliseconds."""
    rng, taken, wrong = random.Random(1), {"small": [], "large": []}, []  # type: ignore[var-annotated]
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=64), timeout=10) as client:

        async def ask(due: float, kind: str, query: str) -> None:
            answer = await client.get(f"{url}/api/v1/bars?{query}")
            taken[kind].append((time.perf_counter() - due) * 1e3)
            if answer.status_code != 200:
                wrong.append(answer.status_code)

        began, tasks = time.perf_counter() + 0.1, []
        for number in range(int(RATE * seconds)):
            due = began + number / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            symbol = f"symbol=SYM{rng.randrange(1, SERIES + 1)}/USD"
            small = rng.random() < 0.8
            query = f"{symbol}&limit={rng.randrange(1, 11)}" if small else f"{symbol}&limit=500&metrics={METRICS}"
            tasks.append(asyncio.create_task(ask(due, "small" if small else "large", query)))
        await asyncio.gather(*tasks)
    both = taken["small"] + taken["large"]
    return {
        "requests": len(both),
        "wrong": len(wrong),
        "p50_ms": quantile(both, 0.5),
        "p99_ms": quantile(both, 0.99),
        "large_p50_ms": quantile(taken["large"], 0.5),
        "large_p99_ms": quantile(taken["large"], 0.99),
    }


async def listen(url: str, owner: str) -> dict[str, Any]:
    """Milliseconds from a commit to each listener."""
    committed: dict[int, float] = {}
    heard: list[float] = []
    ready = asyncio.Semaphore(0)
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=LISTENERS + 8), timeout=30) as client:

        async def follow() -> None:
            seen = 0
            async with client.stream("GET", f"{url}/api/v1/stream") as answer:
                async for line in answer.aiter_lines():
                    if line.startswith(": heart") and not seen:
                        ready.release()
                        seen = 1
                    if line.startswith("data:"):
                        heard.append(
                            (time.perf_counter() - committed[int(line.split('"commit":')[1].split(",")[0])]) * 1e3
                        )
                        seen += 1
                        if seen > COMMITS:
                            return

        tasks = [asyncio.create_task(follow()) for _ in range(LISTENERS)]
        for _ in range(LISTENERS):
            await ready.acquire()
        await asyncio.sleep(0.5)
        connection = psycopg.connect(owner, autocommit=True)
        for number in range(1, COMMITS + 1):
            await asyncio.to_thread(commit, connection, number, committed)
            await asyncio.sleep(0.2)
        await asyncio.wait_for(asyncio.gather(*tasks), 30)
        connection.close()
    return {"events": len(heard), "event_p50_ms": quantile(heard, 0.5), "event_max_ms": round(max(heard), 1)}


def commit(connection: psycopg.Connection[Any], number: int, committed: dict[int, float]) -> None:
    """Twenty bars change. The time is taken before the commit: waiting for the disk counts too."""
    with connection.transaction():
        connection.execute("UPDATE core.bars SET trades = trades + 1 WHERE start = '2024-05-01 00:00Z'")
        connection.execute(
            "INSERT INTO core.shards VALUES ('1/1', %s) ON CONFLICT (shard) DO UPDATE SET commit = %s", (number, number)
        )
        connection.execute(
            "INSERT INTO core.changes SELECT '1/1', %s, now(), array_agg(id), array_agg('1m'::text), "
            "array_agg(1714521600000000) FROM core.series",
            (number,),
        )
        connection.execute("SELECT pg_notify('sparktrends_changes', %s)", (f"1/1:{number}",))
        committed[number] = time.perf_counter()


def quantile(values: list[float], share: float) -> float:
    """The smallest value that so large a share is not above."""
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))], 1)


def main(seconds: float) -> None:
    """Measure and print."""
    with database() as (owner, reader):
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(owner, reader, there))
        process.start()
        url = f"http://127.0.0.1:{here.recv()}"
        try:
            asyncio.run(load(url, 2))  # the first requests plan their statements
            asked = asyncio.run(load(url, seconds))
            told = asyncio.run(listen(url, owner))
        finally:
            process.terminate()
            cpu = here.recv() if here.poll(10) else None
            process.join(10)
    figures = {
        "bench": "api",
        "rate": RATE,
        "seconds": seconds,
        **asked,
        "listeners": LISTENERS,
        **told,
        "api_cpu_s": cpu,
    }
    print(json.dumps({**figures, "python": platform.python_version(), "machine": platform.machine()}))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
