"""From frame to Kafka, one core: trades or prices a second of each socket source, and the share of each stage.

The process is held to one core, librdkafka's threads with it; the broker (librdkafka's own, in a process of its own) is
on another. Frames are as the providers send them: one trade each from Binance, five in a message from Finnhub, one
price each from Twelve Data and Yahoo.
"""

from __future__ import annotations

import base64
import gc
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sparktrends.bus.codec import encode
from sparktrends.bus.kafka import Connection, Producer
from sparktrends.ingest.dedupe import Door
from sparktrends.ingest.outlet import Outlet
from sparktrends.ingest.publish import Publisher
from sparktrends.ingest.seam import Seam
from sparktrends.ingest.spool import Spool
from sparktrends.model import Trade
from sparktrends.sources import make_source
from sparktrends.sources.base import Source
from sparktrends.telemetry import system_clock

_BROKER = """
import confluent_kafka as ck, sys
owner = ck.Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
found = next(iter(owner.list_topics(timeout=10).brokers.values()))
owner.list_topics("raw.trades", timeout=10)
print(f"{found.host}:{found.port}", flush=True)
sys.stdin.read()
"""
_PER_MESSAGE = 5
_BLOCK = 2_000


def binance_frame(i: int) -> bytes:
    """An aggregate trade."""
    return (
        f'{{"e":"aggTrade","E":{1732147200000 + i},"s":"BTCUSDT","a":{i},"p":"97123.{i % 100:02d}","q":"0.0125",'
        f'"f":{i},"l":{i},"T":{1732147200000 + i},"m":true,"M":true}}'
    ).encode()


def finnhub_frame(i: int) -> bytes:
    """A message of five trades."""
    rows = [
        {"c": ["1", "12"], "p": 231.5 + j / 100, "s": "AAPL", "t": 1732147200000 + i, "v": j + 1}
        for j in range(_PER_MESSAGE)
    ]
    return json.dumps({"data": rows, "type": "trade"}, separators=(",", ":")).encode()


def twelve_data_frame(i: int) -> bytes:
    """A price with the day's volume so far."""
    return (
        f'{{"event":"price","symbol":"AAPL","currency":"USD","exchange":"NASDAQ","type":"Common Stock",'
        f'"timestamp":{1732147200 + i},"price":231.{i % 100:02d},"day_volume":{100 * i}}}'
    ).encode()


def yahoo_frame(i: int) -> bytes:
    """A quote: identifier, price, time, in protobuf and base64."""
    stamp = (1732147200000 + i) << 1
    varint = bytearray()
    while stamp > 0x7F:
        varint.append(stamp & 0x7F | 0x80)
        stamp >>= 7
    varint.append(stamp)
    raw = b"\x0a\x04AAPL" + b"\x15" + struct.pack("<f", 231.5 + i % 100 / 100) + b"\x18" + bytes(varint)
    return json.dumps({"type": "pricing", "message": base64.b64encode(raw).decode()}).encode()


FRAMES: dict[str, tuple[Callable[[int], bytes], str]] = {
    "binance": (binance_frame, "BTC/USDT"),
    "finnhub": (finnhub_frame, "AAPL"),
    "twelve_data": (twelve_data_frame, "AAPL"),
    "yahoo": (yahoo_frame, "AAPL"),
}


def measure(provider: str, frames: Sequence[bytes], symbol: str, kafka: Connection, folder: Path) -> dict[str, Any]:
    """Parse and publish all frames, as `ingest.live` does."""
    source = make_source(provider)
    outlet = Outlet(Producer(kafka), Spool(folder / provider, system_clock), system_clock)
    publisher = Publisher(outlet, Door())
    memory, seam = source.memory([symbol]), Seam()
    published = 0
    began, cpu = time.perf_counter(), time.process_time()
    for number, frame in enumerate(frames, start=1):
        now = system_clock()
        for event in source.parse(frame, now, memory):
            assert isinstance(event, Trade)
            for ready in seam.take(event, now) if source.ids else (event,):
                published += publisher.publish(ready)
        if not number % _BLOCK:
            outlet.tend()
    publisher.flush()
    seconds, busy = time.perf_counter() - began, time.process_time() - cpu
    assert not outlet.waiting
    outlet.close()
    # The processor's own time is what a busy machine does not change.
    whole = {"per_s": round(published / seconds), "per_cpu_s": round(published / busy)}
    return {**whole, "cpu_share": round(busy / seconds, 2), **_shares(source, frames, symbol)}


def _shares(source: Source, frames: Sequence[bytes], symbol: str) -> dict[str, Any]:
    """Nanoseconds a record of what can be timed alone: reading the frame, and writing the record."""
    gc.disable()  # as timeit does: a collection of a large heap would be counted for the stage it happens in
    try:
        return _stages(source, frames, symbol)
    finally:
        gc.enable()


def _stages(source: Source, frames: Sequence[bytes], symbol: str) -> dict[str, Any]:
    sample = frames[:20_000]
    memory, door = source.memory([symbol]), Door()
    marks = [time.thread_time()]
    events = [event for frame in sample for event in source.parse(frame, 1, memory)]
    marks.append(time.thread_time())
    trades = [event for event in events if isinstance(event, Trade)]
    for trade in trades:
        door.admit(trade.source, trade.symbol, trade.id)
    marks.append(time.thread_time())
    for trade in trades:
        encode(trade)
    marks.append(time.thread_time())
    names = ("parse_ns", "door_ns", "encode_ns")
    return {n: round((b - a) / len(trades) * 1e9) for n, (a, b) in zip(names, pairwise(marks), strict=True)}


def run(count: int) -> dict[str, Any]:
    """Measure every socket source with ``count`` records, on one core; the cores are given back afterwards."""
    cores = os.sched_getaffinity(0)
    with TemporaryDirectory() as folder, _broker() as kafka:
        os.sched_setaffinity(0, {min(cores)})
        try:
            return {"records": count, "sources": {name: _source(name, count, kafka, Path(folder)) for name in FRAMES}}
        finally:
            os.sched_setaffinity(0, cores)


def _source(provider: str, count: int, kafka: Connection, folder: Path) -> dict[str, Any]:
    make, symbol = FRAMES[provider]
    number = count // _PER_MESSAGE if provider == "finnhub" else count
    return measure(provider, [make(i) for i in range(1, number + 1)], symbol, kafka, folder)


@contextmanager
def _broker() -> Iterator[Connection]:
    argv = [sys.executable, "-c", _BROKER]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Connection(process.stdout.readline().strip())
        finally:
            process.communicate("")
