"""How a start of ingest looks at the log: only when nobody's requests are still being carried out."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from librdkafka_broker import Broker
from sparktrends.bus.codec import encode_heartbeat
from sparktrends.bus.kafka import Connection, Producer, Reader
from sparktrends.errors import DiskFull
from sparktrends.ingest import run
from sparktrends.ingest.dedupe import Door, Numbers
from sparktrends.ingest.outlet import Outlet
from sparktrends.ingest.publish import Publisher
from sparktrends.ingest.spool import Spool
from sparktrends.ingest.wanted import Wanted
from sparktrends.model import DAY, HOUR, Heartbeat
from sparktrends.net import AddressGuard, JsonFile
from sparktrends.sources import make_source
from sparktrends.sources.recording import LastSeen
from sparktrends.telemetry import system_clock


@pytest.mark.parametrize("written", [0, 1])
def test_a_start_waits_until_the_log_stands_still_if_anybody_ever_wrote(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    waited: list[str] = []
    monkeypatch.setattr(Reader, "wait_still", lambda _, topic: waited.append(topic))
    producer = Producer(broker.connection)
    topic = broker.topic(run.RAW_TRADES)
    for _ in range(written):
        producer.send(topic, "A", b"{}")
    producer.flush(60)
    ingest = run.Ingest(run.Config(broker.connection, tmp_path, []), system_clock, random.Random(1))
    with Spool(tmp_path / "spool", system_clock) as spool:
        outlet = Outlet(producer, spool, system_clock)
        ingest._recall(Publisher(outlet, Door()), outlet)
    assert waited == [topic] * written


def test_a_start_knows_when_what_waits_on_disk_began(broker: Broker, tmp_path: Path) -> None:
    broker.topic(run.RAW_TRADES)
    ingest = run.Ingest(run.Config(broker.connection, tmp_path, []), system_clock, random.Random(1))
    with Spool(tmp_path / "spool", system_clock) as spool:
        for received in (7, 9):
            spool.append(run.RAW_TRADES, "AAPL", encode_heartbeat(Heartbeat("finnhub", "AAPL", 5, received=received)))
        outlet = Outlet(Producer(broker.connection), spool, system_clock)
        assert ingest._recall(Publisher(outlet, Door()), outlet).spooled == {("finnhub", "AAPL"): 7}


def test_what_somebody_wrote_of_tomorrow_ends_no_series(broker: Broker, tmp_path: Path) -> None:
    producer, now = Producer(broker.connection), system_clock()
    topic = broker.topic(run.RAW_TRADES)
    for received in (now - DAY, now + DAY):
        beat = Heartbeat("finnhub", "AAPL", received, received=received)
        producer.send(topic, "AAPL", encode_heartbeat(beat))
    producer.flush(60)
    feeder = run.Feeder(make_source("finnhub"), ("AAPL",))
    ingest = run.Ingest(run.Config(broker.connection, tmp_path, [feeder]), system_clock, random.Random(1))
    with Spool(tmp_path / "spool", system_clock) as spool:
        outlet = Outlet(producer, spool, system_clock)
        past = ingest._recall(Publisher(outlet, Door()), outlet)
    assert past.ends["finnhub", "AAPL"].received == now - DAY


@pytest.mark.anyio
async def test_the_hours_of_a_symbol_that_is_added_are_not_computed_on_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes seconds, and other sources take in meanwhile."""
    done: list[tuple[str, bool]] = []
    loop = threading.get_ident()
    monkeypatch.setattr(run, "_LOOK_S", 0.01)
    monkeypatch.setattr(run, "calendar", lambda exchange: done.append((exchange, threading.get_ident() == loop)))
    ingest = run.Ingest(run.Config(cast(Any, None), tmp_path, []), system_clock, random.Random(1))
    added = asyncio.Event()

    def add(symbols: list[str]) -> None:
        done.append((symbols[0], True))
        added.set()

    ingest.lives = [cast(Any, SimpleNamespace(source=make_source("yahoo"), feeds={"7203.T": None}, take=add))]
    Wanted(tmp_path / "symbols.json").add(["7203.T", "SAP.DE"])
    following = asyncio.create_task(ingest._follow())
    await asyncio.wait_for(added.wait(), 10)
    following.cancel()
    assert done[:2] == [("XETR", False), ("SAP.DE", True)]


@contextmanager
def cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Thread, Callable[[], None]]]:
    """Ingest of a host without a network, as a thread, when it has begun to dial, and what asks it to end.

    One record waits for Kafka, and the resolver answers when the block is over.
    """
    asked, answered, stop = threading.Event(), threading.Event(), threading.Event()

    def resolver(_host: str, _port: int) -> list[str]:
        asked.set()
        answered.wait(60)
        return []

    def recall(_ingest: run.Ingest, _publisher: Publisher, outlet: Outlet) -> run._Past:
        outlet.send(run.RAW_TRADES, "A", b"{}")
        ends = {("binance", "BTC/USDT"): LastSeen("", "1", system_clock())}
        return run._Past(ends, Numbers(set()), {})

    close = Outlet.close
    monkeypatch.setattr(run, "AddressGuard", lambda hosts: AddressGuard(hosts, resolver))
    monkeypatch.setattr(run.Ingest, "_recall", recall)
    monkeypatch.setattr(Outlet, "close", lambda outlet: close(outlet, 0.1))
    feeder = run.Feeder(make_source("binance"), ("BTC/USDT",))
    ingest = run.Ingest(run.Config(Connection("127.0.0.1:1"), folder, [feeder]), system_clock, random.Random(1))
    thread = threading.Thread(target=ingest.run, args=(stop,))
    thread.start()
    try:
        assert asked.wait(30)
        yield thread, stop.set
    finally:
        stop.set()
        answered.set()
        thread.join()


def test_an_end_keeps_what_kafka_did_not_take_and_waits_for_no_resolver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cut_off(tmp_path, monkeypatch) as (ingest, stop):
        stop()
        ingest.join(10)
        assert not ingest.is_alive()
        with Spool(tmp_path / "ingest.spool", system_clock) as spool:
            assert (run.RAW_TRADES, "A", b"{}") in [record for _, record in spool.records()]


def test_an_end_keeps_what_kafka_did_not_take_before_it_waits_for_any_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that in which the hours of an exchange are computed."""
    kept, begun, computed, stop = (threading.Event() for _ in range(4))

    def compute() -> None:
        begun.set()
        computed.wait(60)

    async def work(_: run.Ingest) -> None:
        await asyncio.to_thread(compute)

    monkeypatch.setattr(run.Ingest, "_work", work)
    monkeypatch.setattr(run.Ingest, "_recall", lambda *_: run._Past({}, Numbers(set()), {}))
    monkeypatch.setattr(Outlet, "close", lambda _: kept.set())
    ingest = run.Ingest(run.Config(Connection("127.0.0.1:1"), tmp_path, []), system_clock, random.Random(1))
    thread = threading.Thread(target=ingest.run, args=(stop,))
    thread.start()
    assert begun.wait(10)
    stop.set()
    try:
        assert kept.wait(10)
    finally:
        computed.set()
        thread.join()


def test_a_full_disk_does_not_end_the_taking_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise DiskFull("no room")

    monkeypatch.setattr(JsonFile, "save", full)
    with cut_off(tmp_path, monkeypatch) as (ingest, _):
        assert ingest.is_alive()


@pytest.mark.anyio
async def test_a_clock_that_is_set_back_does_not_silence_the_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_REPORT_S", 0.01, raising=False)
    times, reports, stop = iter([2 * HOUR]), list[int](), threading.Event()
    ingest = run.Ingest(run.Config(cast(Any, None), tmp_path, []), lambda: next(times, HOUR), random.Random(1))

    def report() -> None:
        reports.append(1)
        stop.set()

    ends = time.monotonic() + 10

    def tend() -> None:
        assert time.monotonic() < ends

    outlet, publisher = SimpleNamespace(tend=tend), SimpleNamespace(report=report)
    await ingest._main(cast(Any, outlet), cast(Any, publisher), stop)
    assert reports
