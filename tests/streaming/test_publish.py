"""What is committed, and nothing else, comes out on the real broker: whatever dies, none is lost, order is kept."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from batch.test_repair import Shelf
from commit.world import MINUTE, SECOND, Pen, Road, T, rows
from sparktrends.batch.repair import Repair, Wanted
from sparktrends.bus.codec import decode, to_micros
from sparktrends.bus.kafka import Admin, Connection, Reader, wait_ready
from sparktrends.bus.topics import OUT_BARS, OUT_SIGNALS
from sparktrends.ops.stack import Stack
from sparktrends.store.analysis_rows import TEMPORARY_METRICS
from sparktrends.store.connect import connect
from sparktrends.store.followers import (
    READ_FOR,
    WAITED_FOR,
    Missed,
    Page,
    move_cursor,
    next_page,
    prune,
    shards_followed,
)
from sparktrends.store.writer import Writer
from sparktrends.streaming.publish import OutPublisher, publishing

pytestmark = pytest.mark.e2e

DIES = """
import os, sys, threading
from sparktrends.bus.kafka import Connection
from sparktrends.streaming.publish import OutPublisher
publisher = OutPublisher(Connection(sys.argv[1]), sys.argv[2], "1/1", threading.Event())
publisher.flushed = lambda page: os.kill(os.getpid(), 9)
publisher.run()
"""


@pytest.fixture
def connection(stack: Stack) -> Connection:
    found = Connection(stack.kafka)
    wait_ready(found, 60)
    Admin(found).ensure()
    return found


@pytest.fixture
def road(database: str) -> Iterator[Road]:
    """A log of three symbols that no other test has, of which nothing is committed yet."""
    pen, name = Pen(), uuid.uuid4().hex[:8]
    for second in range(0, 20 * 60, 5):
        for letter in "ABC":
            symbol = f"{letter}/{name}"
            pen.trade(symbol, T + second * SECOND, 100 + second % 70 + second * 1e-3)
    made = Road(database, pen.log)
    yield made
    made.close()


def publisher_of(connection: Connection, road: Road) -> OutPublisher:
    return OutPublisher(connection, road.dsn, "1/1", threading.Event())


DECIMALS = ("open", "high", "low", "close", "volume", "turnover", "vwap")


def decoded(value: bytes | None) -> dict[str, Any]:
    """A record of `out.bars` or `out.signals` with numbers for prices, as a consumer reads it."""
    row = decode(value)
    return row | {name: Decimal(row[name]) for name in DECIMALS if isinstance(row.get(name), str)}


def out(connection: Connection, topic: str, road: Road) -> list[tuple[str, dict[str, Any]]]:
    """What lies in a topic of the symbols of this log, in order (of one key: that of the log)."""
    with Reader(connection) as reader:
        found = [(r.key, decoded(r.value)) for p in reader.partitions(topic) for r in reader.tail(topic, p, 10**9)]
    symbols = {symbol for (symbol,) in rows(road.dsn, "SELECT symbol FROM core.series")}
    return [((key or b"").decode(), row) for key, row in found if row["symbol"] in symbols]


def until(condition: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def at_end(road: Road) -> bool:
    heads = rows(road.dsn, "SELECT commit FROM core.shards")
    return bool(heads) and heads == rows(road.dsn, "SELECT commit FROM core.cursors WHERE reader = 'out'")


def expect_everything_in_order(connection: Connection, road: Road) -> None:
    """The last record of each bar is what is stored, and no record is older than one before it."""
    last: dict[tuple[str, str, int], dict[str, Any]] = {}
    for key, row in out(connection, OUT_BARS, road):
        assert key == row["symbol"]
        place = (row["symbol"], row["interval"], row["start"])
        if place in last:
            assert last[place]["updated_at"] <= row["updated_at"]
        last[place] = row
    stored = rows(road.dsn, "SELECT symbol, interval, start, close, volume, state, revision FROM market.bars")
    assert stored
    for symbol, interval, start, *values in stored:
        row = last.pop((symbol, interval, to_micros(start)))
        assert [row[name] for name in ("close", "volume", "state", "revision")] == values
    assert not last


def test_what_is_committed_comes_out(connection: Connection, road: Road) -> None:
    publisher = publisher_of(connection, road)
    with publishing(publisher, failed=pytest.fail):
        for _ in range(8):
            road.commit(road.ranges({("raw.trades", 0): 20, ("raw.trades", 1): 40}))
        road.all()
    assert at_end(road), "what was committed when it was told to end goes out too"
    expect_everything_in_order(connection, road)
    told = {row["id"]: row["retracted_at"] is None for _, row in out(connection, OUT_SIGNALS, road)}
    assert told == dict(rows(road.dsn, "SELECT id, retracted_at IS NULL FROM market.signals"))
    assert told


def test_a_revision_and_a_retraction_come_out(connection: Connection, road: Road) -> None:
    road.commit(road.ranges({("raw.trades", 0): 240, ("raw.trades", 1): 480}))
    pen = Pen(dict(road.log))
    symbol = json.loads(road.log["raw.trades", 1][0][0])["symbol"]
    start = T + 10 * MINUTE
    pen.trade(symbol, start, 900, at=T + 20 * MINUTE)
    with publishing(publisher_of(connection, road), failed=pytest.fail):
        road.all()
    told = [row for _, row in out(connection, OUT_BARS, road) if row["interval"] == "1m"]
    seen = [row for row in told if (row["symbol"], row["start"]) == (symbol, start)]
    assert [(row["state"], row["revision"], row["high"]) for row in seen][-1] == ("revised", 1, 900)


def test_a_bar_that_repair_lowered_the_revision_of_comes_out_last_and_later(connection: Connection, road: Road) -> None:
    pen = Pen(dict(road.log))
    symbol = json.loads(road.log["raw.trades", 1][0][0])["symbol"]
    for _ in range(2):
        pen.trade(symbol, T + 15 * MINUTE + SECOND, 900, 3, at=T + 20 * MINUTE, id="once")
    pen.trade(symbol, T + 22 * MINUTE, 100)
    writer = Writer(road.dsn, "repair", [TEMPORARY_METRICS])
    with publishing(publisher_of(connection, road), failed=pytest.fail):
        road.all()
        until(lambda: at_end(road))
        Repair(writer, Shelf(road.log), road.laws, lambda: road.now).run(Wanted())
        until(lambda: rows(road.dsn, "SELECT shard FROM core.cursors ORDER BY 1") == [("1/1",), ("repair",)])
    writer.close()
    expect_everything_in_order(connection, road)
    told = [row for _, row in out(connection, OUT_BARS, road) if row["interval"] == "1m"]
    seen = [row for row in told if (row["symbol"], row["start"]) == (symbol, T + 15 * MINUTE)]
    assert [row["revision"] for row in seen[-2:]] == [2, 1]


def test_what_is_rolled_back_never_comes_out(connection: Connection, road: Road) -> None:
    with publishing(publisher_of(connection, road), failed=pytest.fail):
        ranges = road.ranges({("raw.trades", 0): 30, ("raw.trades", 1): 60})
        with pytest.raises(ConnectionError):
            road.commit(ranges, fail=True)
        time.sleep(1)  # as long as a publisher that does not wait for commits would need
        assert out(connection, OUT_BARS, road) == []
        road.commit(ranges)
        until(lambda: at_end(road))
    assert out(connection, OUT_BARS, road)


def test_killed_between_acknowledgement_and_cursor_it_repeats_and_loses_nothing(
    connection: Connection, road: Road
) -> None:
    for _ in range(3):
        road.commit(road.ranges({("raw.trades", 0): 40, ("raw.trades", 1): 80}))
        died = subprocess.run([sys.executable, "-c", DIES, connection.bootstrap, road.dsn], timeout=60)
        assert died.returncode == -signal.SIGKILL
        assert rows(road.dsn, "SELECT * FROM core.cursors") == []
    road.all()
    before = len(out(connection, OUT_BARS, road))
    assert before
    with publishing(publisher_of(connection, road), failed=pytest.fail):
        until(lambda: at_end(road))
    expect_everything_in_order(connection, road)
    assert len(out(connection, OUT_BARS, road)) > before


def test_an_outage_of_the_broker_only_delays(stack: Stack, connection: Connection, road: Road) -> None:
    process = stack.keepers["kafka"].process
    assert process
    with publishing(publisher_of(connection, road), failed=pytest.fail):
        road.commit(road.ranges({("raw.trades", 0): 40, ("raw.trades", 1): 80}))
        until(lambda: at_end(road))
        os.kill(process.pid, signal.SIGKILL)
        road.all()
        until(lambda: at_end(road), 90)
    expect_everything_in_order(connection, road)


def test_a_database_that_is_away_only_delays(connection: Connection, road: Road) -> None:
    with publishing(publisher_of(connection, road), failed=pytest.fail):
        road.commit(road.ranges({("raw.trades", 0): 40, ("raw.trades", 1): 80}))
        until(lambda: at_end(road))
        rows(road.dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name <> '' "
             "AND datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip
        road.restart()
        road.all()
        until(lambda: at_end(road))
    expect_everything_in_order(connection, road)


def test_a_publisher_that_breaks_is_not_passed_over(connection: Connection, road: Road) -> None:
    def broken(_page: object) -> None:
        raise ZeroDivisionError

    publisher, failed = publisher_of(connection, road), threading.Event()
    publisher.flushed = broken
    road.all()
    with pytest.raises(ZeroDivisionError), publishing(publisher, failed=failed.set):
        assert failed.wait(60)


def test_changes_are_kept_until_every_reader_has_them(connection: Connection, road: Road) -> None:
    for _ in range(4):
        road.commit(road.ranges({("raw.trades", 0): 20, ("raw.trades", 1): 40}))
    rows(road.dsn, "INSERT INTO core.cursors VALUES ('out', '1/1', 3), ('other', '1/1', 2)")
    kept = "SELECT commit FROM core.changes ORDER BY commit"
    with connect(road.dsn) as writer, writer.cursor() as cursor:
        assert prune(cursor, ["1/1"], road.now + READ_FOR) == 0
        assert prune(cursor, ["2/2"], road.now + READ_FOR + 1) == 0
        assert prune(cursor, ["1/1"], road.now + READ_FOR + 1) == 2
    assert rows(road.dsn, kept) == [(3,), (4,)]


def prune_all_but(road: Road, kept: int) -> None:
    """A day later: changes are pruned that are too old, whoever has not read them."""
    rows(road.dsn, "UPDATE core.changes SET at = at + interval '2 days' WHERE commit > %s", kept)
    with connect(road.dsn) as writer, writer.cursor() as cursor:
        prune(cursor, ["1/1"], road.now + WAITED_FOR + 1)


def test_for_a_reader_that_stays_away_changes_are_kept_for_a_day(road: Road) -> None:
    for _ in range(4):
        road.commit(road.ranges({("raw.trades", 0): 20, ("raw.trades", 1): 40}))
    rows(road.dsn, "INSERT INTO core.cursors VALUES ('out', '1/1', 4), ('gone', '1/1', 1), ('new', '1/1', 0)")
    with connect(road.dsn) as writer, writer.cursor() as cursor:
        assert prune(cursor, ["1/1"], road.now + WAITED_FOR) == 0
    prune_all_but(road, 3)
    assert rows(road.dsn, "SELECT commit FROM core.changes") == [(4,)]
    with connect(road.dsn) as reader, reader.cursor() as cursor:
        assert next_page(cursor, "out", "1/1", 9) is None
        for name in ("gone", "new"):
            missed = next_page(cursor, name, "1/1", 9)
            assert isinstance(missed, Missed)
            assert missed.last == 3
            move_cursor(cursor, name, missed)
            page = next_page(cursor, name, "1/1", 9)
            assert isinstance(page, Page)
            assert page.last == 4
            move_cursor(cursor, name, page)
            assert next_page(cursor, name, "1/1", 9) is None


def test_a_reader_is_told_what_it_missed_where_nothing_is_kept(road: Road) -> None:
    road.commit(road.ranges({("raw.trades", 0): 20, ("raw.trades", 1): 40}))
    rows(road.dsn, "INSERT INTO core.cursors (reader, shard, commit) VALUES ('gone', '1/1', 0)")
    prune_all_but(road, 9)
    assert rows(road.dsn, "SELECT * FROM core.changes") == []
    with connect(road.dsn) as reader, reader.cursor() as cursor:
        missed = next_page(cursor, "gone", "1/1", 9)
    assert isinstance(missed, Missed)
    assert missed.last == 1


def test_after_days_without_a_broker_everything_comes_from_the_tables(connection: Connection, road: Road) -> None:
    road.commit(road.ranges({("raw.trades", 0): 20, ("raw.trades", 1): 40}))
    ticks = itertools.count(road.now, 2 * MINUTE)
    nowhere = OutPublisher(Connection("127.0.0.1:1"), road.dsn, "1/1", threading.Event(), clock=lambda: next(ticks))
    with publishing(nowhere, failed=pytest.fail):
        until(lambda: rows(road.dsn, "SELECT reader, commit FROM core.cursors") == [("out", 0)])
        road.commit(road.ranges({("raw.trades", 0): 40, ("raw.trades", 1): 80}))
        road.all()
    prune_all_but(road, 2)
    assert rows(road.dsn, "SELECT commit FROM core.changes") == [(3,)]
    with publishing(publisher_of(connection, road), failed=pytest.fail):
        until(lambda: at_end(road))
    expect_everything_in_order(connection, road)
    told = {row["id"] for _, row in out(connection, OUT_SIGNALS, road)}
    assert told == {name for (name,) in rows(road.dsn, "SELECT id FROM market.signals")}
    assert told


def test_the_first_shard_takes_what_no_process_of_the_layout_writes(connection: Connection, road: Road) -> None:
    rows(road.dsn, "INSERT INTO core.shards (shard) VALUES ('1/2'), ('2/2'), ('1/1'), ('repair')")
    with connect(road.dsn) as reader, reader.cursor() as cursor:
        assert shards_followed(cursor, "2/2") == ["2/2"]
        assert shards_followed(cursor, "1/2") == ["1/2", "1/1", "repair"]


def test_no_broker_is_waited_for_until_the_end(road: Road) -> None:
    road.all()
    publisher = OutPublisher(Connection("127.0.0.1:1"), road.dsn, "1/1", threading.Event())
    with publishing(publisher, failed=pytest.fail):
        time.sleep(0.5)
    assert rows(road.dsn, "SELECT * FROM core.cursors") == []
