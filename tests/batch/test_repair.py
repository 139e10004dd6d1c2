"""Repair on a real database: afterwards all is as if the log had been without fault, and the audit says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest

from commit.stored import everything, expect_as_recomputed
from commit.world import BOTH, HOUR, MINUTE, SECOND, Log, Pen, Record, Road, T, random_log, rows
from sparktrends.audit.run import run as audit
from sparktrends.bars import RAW_TRADES, FoldResult
from sparktrends.bars.fold import late_bar
from sparktrends.batch.repair import Repair, Repaired, Wanted
from sparktrends.bus.reader import Record as LogRecord
from sparktrends.commit import Cache, Laws, fold_in
from sparktrends.errors import LogGap
from sparktrends.model import SeriesMark
from sparktrends.store.analysis_rows import TEMPORARY_METRICS
from sparktrends.store.audit_queries import AuditDatabase
from sparktrends.store.repair_rows import late_trades
from sparktrends.store.session import Session
from sparktrends.store.writer import Writer

pytestmark = pytest.mark.e2e
SETTLED = ("bars", "metrics", "signals", "alerts", "gaps")


class Shelf:
    """The log of a `Pen` as `bus.Reader` would hand it out; ``low`` is what was trimmed, ``gone`` a partition whose
    records have all expired, ``without`` one that the topic has no more."""

    def __init__(self, log: Log, low: int = 0, gone: int | None = None, without: int | None = None) -> None:
        self._log = log
        self._low = low
        self._gone = gone
        self._without = without

    def partitions(self, topic: str) -> list[int]:
        return sorted(part for name, part in self._log if name == topic and part != self._without)

    def range(self, topic: str, partition: int, start: int, end: int) -> Iterator[LogRecord]:
        if start >= end:
            return
        low, high = self.watermarks(topic, partition)
        if start < low or end > high:
            raise LogGap(f"{topic}-{partition} holds offsets {low} to {high}, not {start} to {end}")
        for value, at in self._log.get((topic, partition), ())[start:end]:
            yield LogRecord(at.offset, at.appended, None, value)

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        assert partition != self._without  # a broker would be waited for
        high = len(self._log.get((topic, partition), ()))
        return (high if partition == self._gone else self._low), high


def repair(
    road: Road,
    wanted: Wanted | None = None,
    low: int = 0,
    laws: Laws = BOTH,
    gone: int | None = None,
    without: int | None = None,
) -> Repaired:
    writer = Writer(road.dsn, "repair", [TEMPORARY_METRICS])
    try:
        return Repair(writer, Shelf(road.log, low, gone, without), laws, lambda: road.now).run(wanted or Wanted())
    finally:
        writer.close()


def audited(road: Road) -> Any:
    return audit(Shelf(road.log), AuditDatabase(road.dsn))


def with_ids(log: Log) -> Log:
    """The same log, each trade with an id of its own."""
    return {place: [_named(record) for record in held] for place, held in log.items()}


def _named(record: Record) -> Record:
    value, at = record
    return (value[:-1] + f',"id":"{at.partition}-{at.offset}"}}'.encode() if at.topic == RAW_TRADES else value), at


@pytest.fixture
def road_of(migrated_database: Callable[[], str]) -> Iterator[Callable[[Log], Road]]:
    made: list[Road] = []

    def of(log: Log) -> Road:
        made.append(Road(migrated_database(), log, laws=BOTH))
        return made[-1]

    yield of
    for road in made:
        road.close()


def quiet_hours(pen: Pen) -> None:
    """A trade a minute for an hour and a half, falling a little."""
    for n in range(90):
        pen.trade("A", T + n * MINUTE, 100 - n / 100, 1, id=f"n{n}")


def test_late_trades_are_folded_in_as_if_they_had_been_in_time(road_of: Callable[[Log], Road]) -> None:
    late, filled = Pen(), Pen()
    for pen, fill in ((late, False), (filled, True)):
        quiet_hours(pen)
        for minute, price in ((5, 300), (5, 2), (40, 250)):
            pen.trade("A", T + minute * MINUTE + SECOND, price, "0.5", at=T + 91 * MINUTE, fill=fill)
        # A fill moves its series' clock, a late trade does not: nothing else tells them apart.
        pen.trade("A", T + 92 * MINUTE, 100)
    one, two = road_of(late.log), road_of(filled.log)
    for road in (one, two):
        road.all()
    assert rows(one.dsn, "SELECT count(*) FROM core.late_trades WHERE folded_at IS NULL") == [(3,)]
    assert everything(one.dsn)["bars"] != everything(two.dsn)["bars"]
    done = repair(one)
    assert (done.late, done.repeats, done.series) == (3, 0, 1)
    for name in SETTLED:
        assert everything(one.dsn)[name] == everything(two.dsn)[name], name
    assert audited(one).ok
    assert repair(one) == Repaired()


def test_a_late_trade_of_an_archived_month_waits_until_its_minutes_are_back(road_of: Callable[[Log], Road]) -> None:
    pen = Pen()
    quiet_hours(pen)
    pen.trade("A", T + 5 * MINUTE + SECOND, 300, 1, at=T + 91 * MINUTE)
    pen.trade("A", T + 92 * MINUTE, 100)
    road = road_of(pen.log)
    road.all()
    longer = "SELECT interval, start, high, trades FROM core.bars WHERE interval <> '1m' ORDER BY 1, 2"
    session = Session(road.dsn, "test", 60)
    with session.transaction() as cursor:
        cursor.execute("INSERT INTO core.archived VALUES ('bars', '1m', '2024-01-01', now())")
        cursor.execute("CREATE TABLE away AS SELECT * FROM core.bars WHERE interval = '1m'")
        cursor.execute("DELETE FROM core.bars WHERE interval = '1m'")
    before = rows(road.dsn, longer)
    assert repair(road) == Repaired()
    assert rows(road.dsn, longer) == before  # the day was that of one trade
    with session.transaction() as cursor:
        cursor.execute("INSERT INTO core.bars SELECT * FROM away")
        cursor.execute("DELETE FROM core.archived")
    session.close()
    assert repair(road).late == 1
    assert max(high or 0 for _, _, high, _ in rows(road.dsn, longer)) == 300


def test_repeated_records_are_taken_out_of_their_bars(road_of: Callable[[Log], Road]) -> None:
    clean, doubled = Pen(), Pen()
    for pen in (clean, doubled):
        quiet_hours(pen)
        pen.trade("A", T + 50 * MINUTE + SECOND, 200, 3, at=T + 90 * MINUTE, fill=True, id="x")
        if pen is doubled:
            pen.trade("A", T + 50 * MINUTE + SECOND, 200, 3, at=T + 90 * MINUTE, fill=True, id="x")
            pen.trade("A", T + 60 * MINUTE + SECOND, 500, 3, at=T + 90 * MINUTE, fill=True, id="n3")
        pen.trade("A", T + 92 * MINUTE, 100)
    one, two = road_of(doubled.log), road_of(clean.log)
    for road in (one, two):
        road.all()
    assert audited(one).repeated_ids == 2
    done = repair(one)
    assert (done.repeats, done.late, done.stayed) == (2, 0, 0)
    for name in SETTLED:
        assert everything(one.dsn)[name] == everything(two.dsn)[name], name
    found = audited(one)
    assert found.ok
    assert found.repeats_removed == 2
    assert repair(one) == Repaired()


def test_a_late_trade_that_repeats_another_is_never_folded_in(road_of: Callable[[Log], Road]) -> None:
    pen = Pen()
    quiet_hours(pen)
    pen.trade("A", T + 5 * MINUTE, 300, at=T + 90 * MINUTE, id="n5")
    pen.trade("A", T + 6 * MINUTE, 300, at=T + 90 * MINUTE, id="late")
    road = road_of(pen.log)
    road.all()
    done = repair(road)
    assert (done.repeats, done.late) == (1, 1)
    assert audited(road).ok


def test_a_repeated_late_trade_does_not_hide_the_hole_it_lies_in(road_of: Callable[[Log], Road]) -> None:
    """Folded in, it cuts a hole of 25 hours so that what is left are rows."""
    pen = Pen()
    quiet_hours(pen)
    pen.trade("A", T + 92 * MINUTE + 25 * HOUR, 100)
    for _ in range(2):
        pen.trade("A", T + 80 * MINUTE + 24 * HOUR, 90, at=T + 92 * MINUTE + 25 * HOUR, id="late")
    road = road_of(pen.log)
    road.all()
    done = repair(road)
    assert (done.repeats, done.late) == (1, 1)
    assert rows(road.dsn, "SELECT 1 FROM core.gaps") == []
    assert audited(road).ok


def test_who_heard_an_alert_that_repair_undoes_hears_that_it_is_taken_back(road_of: Callable[[Log], Road]) -> None:
    pen = Pen()
    quiet_hours(pen)
    pen.trade("A", T + 90 * MINUTE, 101, 1, id="a")
    pen.trade("A", T + 90 * MINUTE + SECOND, 900, 1, id="n7")
    pen.trade("A", T + 92 * MINUTE, 99, 1, id="b")
    road = road_of(pen.log)
    road.now = T + 92 * MINUTE
    road.all()
    jump = "SELECT status FROM core.alerts WHERE rule = 'jump' AND interval = '1m' AND start = core.at(%s)"
    assert rows(road.dsn, jump, T + 90 * MINUTE) == [("firing",)]
    rows(road.dsn, "UPDATE core.deliveries SET state = 'sent', sent_at = now()")
    pen.trade("A", T + 90 * MINUTE + 2 * SECOND, "99.1", 1, at=T + 92 * MINUTE, fill=True)
    road.all()
    repair(road)
    assert rows(road.dsn, jump, T + 90 * MINUTE) == [("retracted",)]
    told = (
        "SELECT state FROM core.deliveries JOIN core.alerts ON id = alert WHERE rule = 'jump' AND kind = 'retraction'"
    )
    assert ("due",) in rows(road.dsn, told)
    assert rows(road.dsn, "SELECT DISTINCT silent FROM core.alerts WHERE created_at > core.at(%s)", road.now) == []


def test_a_stream_goes_on_beside_it(road_of: Callable[[Log], Road]) -> None:
    """Repair between two batches of a stream whose cache knows the minutes from before."""
    pen = Pen()
    quiet_hours(pen)
    pen.trade("A", T + 89 * MINUTE + SECOND, 500, 7, id="n89")
    pen.trade("A", T + 20 * MINUTE, 50, 7, at=T + 89 * MINUTE + 2 * SECOND)
    road = road_of(pen.log)
    road.all()
    done = repair(road)
    assert (done.repeats, done.late) == (1, 1)
    pen.trade("A", T + 89 * MINUTE + 30 * SECOND, "99.5", 2)
    pen.trade("A", T + 91 * MINUTE, 99)
    road.all()
    assert audited(road).ok
    for analysis in BOTH.analyses:
        expect_as_recomputed(road.dsn, analysis._chain)


def test_a_row_is_never_dated_before_the_one_that_it_replaces(road_of: Callable[[Log], Road]) -> None:
    """Also by a transaction that began before another wrote the row."""
    pen = Pen()
    quiet_hours(pen)
    pen.trade("A", T + 5 * MINUTE + SECOND, 300, at=T + 91 * MINUTE)
    road = road_of(pen.log)
    road.all()
    day = "SELECT updated_at FROM core.bars WHERE interval = '1d'"
    writer = Writer(road.dsn, "repair", [TEMPORARY_METRICS])
    with writer.transaction() as tx:
        tx.cursor.execute("SELECT now()")
        pen.trade("A", T + 93 * MINUTE, 100)
        road.all()
        before = rows(road.dsn, day)
        tx.lock_series([("demo", "A")])
        (late,) = late_trades(tx, ("demo", "A"), T, T + HOUR)
        part = FoldResult(bars=(late_bar(late, BOTH.limits),), marks=(SeriesMark("demo", "A", 0),))
        fold_in(tx, part, BOTH, Cache(), road.now)
    writer.close()
    assert rows(road.dsn, day) > before


def test_symbols_and_span_limit_what_is_repaired(road_of: Callable[[Log], Road]) -> None:
    pen = Pen()
    for symbol in "AC":
        for n in range(40):
            pen.trade(symbol, T + n * MINUTE, 100)
        for minute in (1, 11):
            pen.trade(symbol, T + minute * MINUTE + SECOND, 90, at=T + 41 * MINUTE)
    road = road_of(pen.log)
    road.all()
    assert repair(road, Wanted(("A",), T, T + 10 * MINUTE)).late == 1
    assert rows(road.dsn, "SELECT symbol, ts FROM market.late_trades WHERE folded_at IS NOT NULL")[0][0] == "A"
    assert repair(road).late == 3
    assert audited(road).ok


def test_minutes_that_the_log_no_longer_holds_whole_stay(road_of: Callable[[Log], Road]) -> None:
    pen = Pen()
    quiet_hours(pen)
    pen.trade("A", T + 3 * MINUTE + SECOND, 90, at=T + 90 * MINUTE, fill=True, id="n60")
    pen.trade("A", T + 80 * MINUTE + SECOND, 90, at=T + 90 * MINUTE, fill=True, id="n61")
    road = road_of(pen.log)
    road.all()
    done = repair(road, low=30)
    assert (done.repeats, done.stayed) == (1, 1)


@pytest.mark.parametrize("lacks", ["gone", "without"])
def test_a_partition_of_which_nothing_is_left_keeps_nobody_from_repair(
    road_of: Callable[[Log], Road], lacks: Literal["gone", "without"]
) -> None:
    pen = Pen()
    for n in range(5):
        pen.trade("B", T + n * MINUTE, 100, id=f"b{n}")
    for n in range(40):
        pen.trade("A", T + n * MINUTE, 100, id=f"a{n}")
    for n in (2, 20):  # one of a time of which the log may have lost something
        pen.trade("A", T + n * MINUTE, 100, at=T + 41 * MINUTE, fill=True, id=f"a{n}")
    pen.trade("A", T + 30 * MINUTE + SECOND, 90, at=T + 60 * MINUTE, id="late")
    road = road_of(pen.log)
    road.all()
    of_b = ord("B") % 2
    done = repair(road, gone=of_b) if lacks == "gone" else repair(road, without=of_b)
    assert (done.repeats, done.stayed, done.late) == (1, 1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_any_log_is_clean_afterwards(road_of: Callable[[Log], Road], seed: int) -> None:
    """With some records written twice and many late: what is stored is what the audit makes of the log."""
    log = {place: list(held) for place, held in with_ids(random_log(seed, 200)).items()}
    for (topic, partition), held in log.items():
        if topic == RAW_TRADES:
            again = [record for record in held if b'"kind"' not in record[0]][:: 3 + seed]
            for value, at in again:
                held.append((value, type(at)(topic, partition, len(held), at.appended)))
    road = road_of(log)
    while road.left:
        road.commit(road.ranges(dict.fromkeys(log, 17)))
        if road.left % 3 == 0:
            repair(road)
    repair(road)
    report = audited(road)
    assert report.ok, report.text()
    for analysis in BOTH.analyses:
        expect_as_recomputed(road.dsn, analysis._chain)
