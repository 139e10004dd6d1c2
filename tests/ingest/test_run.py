"""How a start of ingest looks at the log: only when nobody's requests are still being carried out."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from librdkafka_broker import Broker
from sparktrends.bus.codec import encode_heartbeat
from sparktrends.bus.kafka import Producer, Reader
from sparktrends.ingest import run
from sparktrends.ingest.dedupe import Door
from sparktrends.ingest.outlet import Outlet
from sparktrends.ingest.publish import Publisher
from sparktrends.ingest.spool import Spool
from sparktrends.ingest.wanted import Wanted
from sparktrends.model import DAY, Heartbeat
from sparktrends.sources import make_source
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
