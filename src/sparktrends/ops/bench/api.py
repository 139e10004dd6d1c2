"""The API beside a running pipeline: broker, Spark, database and a steady feed share the machine with it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from sparktrends.bus.kafka import Producer
from sparktrends.errors import Unavailable
from sparktrends.model import MINUTE
from sparktrends.ops import ports
from sparktrends.ops.bench.commits import Commits, watching
from sparktrends.ops.bench.lab import Lab, lab
from sparktrends.ops.bench.latency import Feed
from sparktrends.ops.bench.throughput import publish
from sparktrends.ops.settings import Settings
from sparktrends.ops.supervise import Process
from sparktrends.telemetry import Clock

_MINUTES = 600
_A_MINUTE = 6
"""History before the feed begins: minutes, and trades of each symbol in one."""
_SLACK_S = 60.0


def run(
    settings: Settings, clock: Clock, seconds: float, rate: float, symbols: int, trades: float, listeners: int
) -> dict[str, Any]:
    """``p50_ms`` and ``p99_ms`` of requests from when each was due, while ``trades`` a second are folded."""
    with lab(settings) as place, watching(place.dsn, clock) as commits, place.running("stream") as stream:
        past = _MINUTES * _A_MINUTE * symbols
        begin = clock() - clock() % MINUTE - _MINUTES * MINUTE
        publish(place, past, symbols, begin, _A_MINUTE * symbols / 60)
        commits.wait_records(past, 300, stream)
        with _api(place) as (url, api), _feeding(place, clock, trades, symbols):
            commits.wait_records(past + int(trades * 3), 60, stream)
            before, committed = _cpu_s(api), len(commits.seen)
            heard = _callers(url, rate, seconds, symbols, listeners)
            return heard | {
                "rate": rate,
                "seconds": seconds,
                "symbols": symbols,
                "trades_per_s": trades,
                "commits_per_s": _per_second(commits, committed),
                "api_cpu_s": round(_cpu_s(api) - before, 1),
            }


@contextmanager
def _api(place: Lab) -> Iterator[tuple[str, Process]]:
    port = ports.any_free()
    with place.running("api", ["--port", str(port)]) as process:
        url = f"http://{ports.LOOPBACK}:{port}"
        end = time.monotonic() + 60
        while not _ready(url):
            if process.exit_code is not None or time.monotonic() > end:
                raise process.failure("the API does not answer")
            time.sleep(0.1)
        yield url, process


def _ready(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/api/v1/ready", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


@contextmanager
def _feeding(place: Lab, clock: Clock, trades: float, symbols: int) -> Iterator[None]:
    producer = Producer(place.kafka)
    feed = Feed(producer, clock, trades, symbols)
    thread = threading.Thread(target=feed.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        feed.over.set()
        thread.join()
        producer.close()


def _callers(url: str, rate: float, seconds: float, symbols: int, listeners: int) -> dict[str, Any]:
    words = [url, rate, seconds, symbols, listeners]
    command = [sys.executable, "-m", "sparktrends.ops.bench.callers", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * seconds + _SLACK_S)
    if done.returncode:
        raise Unavailable("the callers failed", hint=done.stderr.strip().splitlines()[-1])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _cpu_s(process: Process) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


def _per_second(commits: Commits, since: int) -> float:
    seen = commits.seen[since:]
    return round((len(seen) - 1) / max(1e-6, (seen[-1].at - seen[0].at) / 1e6), 1) if len(seen) > 1 else 0.0
