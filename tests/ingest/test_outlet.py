"""The way out: straight while the broker answers, over the disk while it does not, and nothing overtakes."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path

import pytest

from librdkafka_broker import Broker
from sparktrends.bus.codec import decode, encode
from sparktrends.bus.kafka import Connection, Producer, Reader
from sparktrends.ingest import outlet as module
from sparktrends.ingest.dedupe import Door
from sparktrends.ingest.outlet import Outlet
from sparktrends.ingest.spool import Spool
from sparktrends.model import HOUR, SECOND, Trade
from sparktrends.telemetry import system_clock

NOWHERE = Connection("127.0.0.1:1")


def outlet(connection: Connection, folder: Path) -> Outlet:
    return Outlet(Producer(connection, patience_s=0.1), Spool(folder / "spool", system_clock), system_clock)


def trade(i: int) -> tuple[str, str, bytes]:
    return encode(Trade("out", "A", i, Decimal(1), Decimal(1), str(i)))


def ids(broker: Broker) -> list[str]:
    with Reader(broker.connection) as reader:
        found = [r for p in reader.partitions("raw.trades") for r in reader.tail("raw.trades", p, 10**6)]
    return [str(decode(record.value)["id"]) for record in found]


def test_while_the_broker_answers_the_disk_is_not_touched(broker: Broker, tmp_path: Path) -> None:
    broker.topic("raw.trades")
    way = outlet(broker.connection, tmp_path)
    for i in range(100):
        way.send(*trade(i))
    way.flush()
    assert (way.waiting, (tmp_path / "spool").stat().st_size, way.away_since) == (0, 0, None)
    assert ids(broker) == [str(i) for i in range(100)]
    way.close()


@pytest.mark.anyio
async def test_kept_is_what_kafka_has_acknowledged_or_the_disk_holds(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PENDING", 5)
    broker.topic("raw.trades")
    away, near = outlet(NOWHERE, tmp_path / "a"), outlet(broker.connection, tmp_path / "b")
    for i in range(10):
        away.send(*trade(i))
        near.send(*trade(i))
    assert away.waiting == 5  # those are on disk, the first five nowhere
    waits = [asyncio.ensure_future(way.kept()) for way in (away, near)]
    near.flush()
    await waits[1]
    assert not waits[0].done()
    waits[0].cancel()
    for way in (away, near):
        way.close(0.1)


def test_what_a_broker_that_is_away_does_not_take_waits_for_the_next_start(broker: Broker, tmp_path: Path) -> None:
    broker.topic("raw.trades")
    way = outlet(NOWHERE, tmp_path)
    wanted = module.MOST_PENDING + 500
    for i in range(wanted):
        way.send(*trade(i))
    assert way.waiting == 500
    assert way.away_since is not None
    way.close(0.1)
    again = outlet(broker.connection, tmp_path)
    assert again.recover(Door()) == wanted
    again.send(*trade(wanted))  # new data goes behind
    deadline = time.monotonic() + 20
    while again.waiting and time.monotonic() < deadline:
        again.tend()
    again.close()
    assert ids(broker) == [str(i) for i in range(wanted + 1)]
    assert (tmp_path / "spool").stat().st_size == 0


def test_a_clock_that_is_set_back_hides_no_broker_that_is_away(tmp_path: Path) -> None:
    now = [2 * HOUR]
    spool = Spool(tmp_path / "spool", lambda: now[0])
    way = Outlet(Producer(NOWHERE, patience_s=0.1), spool, lambda: now[0])
    way.send(*trade(1))
    # Once before it is known that the broker is away, and once after.
    for _ in range(2):
        now[0] -= HOUR
        for _ in range(2):
            way.tend()
            now[0] += 2 * SECOND
        assert way.away_since is not None
        assert way.away_since < now[0]
    way.close(0.1)


def test_a_kill_while_a_long_spool_is_sent_repeats_nothing(broker: Broker, tmp_path: Path) -> None:
    broker.topic("raw.trades")
    wanted, stops = module.MOST_PENDING + 30_000, iter((9_000, 21_000, 10**9))
    with Spool(tmp_path / "spool", system_clock) as spool:
        for i in range(wanted):
            spool.append(*trade(i))
    for stop in stops:
        way = outlet(broker.connection, tmp_path)
        # As after a start: of each series a door knows the newest ids of the log, and no more.
        door = Door(capacity=1)
        for id_ in ids(broker)[-module.MOST_PENDING - 1_000 :]:
            door._old.setdefault(("out", "A"), set()).add(id_)
        way.recover(door)
        deadline = time.monotonic() + 60
        while way.waiting and way._producer.delivered < stop and time.monotonic() < deadline:
            way.tend()
        way._producer.flush()  # what the client had may arrive even after a kill
        if stop > wanted:
            way.close()
    assert ids(broker) == [str(i) for i in range(wanted)]


def test_a_kill_long_after_the_spool_was_sent_repeats_nothing(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New records come without end: at no moment has Kafka all of them, and the file is not emptied."""
    monkeypatch.setattr(Producer, "pending", property(lambda self: len(self._pending) + 1))
    broker.topic("raw.trades")
    with Spool(tmp_path / "spool", system_clock) as spool:
        for i in range(module._MARK_EVERY + 200):
            spool.append(*trade(i))
    way, sent, deadline = outlet(broker.connection, tmp_path), module._MARK_EVERY + 200, time.monotonic() + 60
    way.recover(Door())
    while way._spool._settled < way._spool.position or way.waiting:
        assert time.monotonic() < deadline
        way.send(*trade(sent))
        sent += 1
        way.tend()
    way._producer.flush()
    assert (tmp_path / "spool").stat().st_size > 0
    # A kill; and the ids of the log's tail are not among those of the spool any more.
    assert outlet(broker.connection, tmp_path).recover(Door()) == 0
    assert ids(broker) == [str(i) for i in range(sent)]


def test_what_the_log_holds_already_is_not_sent_again(broker: Broker, tmp_path: Path) -> None:
    broker.topic("raw.trades")
    way = outlet(NOWHERE, tmp_path)
    for i in range(5):
        way.send(*trade(i))
    way.close(0.1)
    door = Door()
    for i in (0, 1):
        door.admit("out", "A", str(i))
    again = outlet(broker.connection, tmp_path)
    assert again.recover(door) == 3
    assert not door.admit("out", "A", "4")
    until_sent(again)
    assert ids(broker) == ["2", "3", "4"]
    # What stands later where the known ones stood is not known.
    for i in (5, 6):
        again._spool.append(*trade(i))
    until_sent(again)
    assert ids(broker) == ["2", "3", "4", "5", "6"]
    again.close()


def until_sent(way: Outlet) -> None:
    deadline = time.monotonic() + 20
    while (way.waiting or way._producer.pending) and time.monotonic() < deadline:
        way.tend()
    way.tend()
