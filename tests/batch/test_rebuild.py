"""Rebuilt from the log on a real database: what was lost is back as the stream had made it, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import pytest

from batch.test_repair import Shelf, with_ids
from commit.stored import everything, expect_as_recomputed
from commit.world import BOTH, DAY, MINUTE, SECOND, Log, Pen, Road, T, chain, random_log, rows
from sparktrends.bars import FoldResult, merge_results
from sparktrends.batch.rebuild import FoldLog, Rebuild, Rebuilt, cut, fold_ranges
from sparktrends.batch.repair import Repair, Wanted
from sparktrends.batch.repeats import Range
from sparktrends.bus.reader import Record
from sparktrends.model import Coordinates
from sparktrends.store.analysis_rows import TEMPORARY_METRICS
from sparktrends.store.repair_rows import Place
from sparktrends.store.writer import Writer

pytestmark = pytest.mark.e2e


def in_pieces(shelf: Shelf) -> FoldLog:
    """What Spark's workers do, one piece after the other."""

    def fold(ranges: Sequence[Range], wanted: Wanted, removed: Collection[Place]) -> FoldResult:
        return merge_results(
            fold_ranges(shelf.range, BOTH.limits, [piece], wanted, removed) for piece in cut(ranges, 7)
        )

    return fold


class Timed(Shelf):
    """A shelf whose records can be found by the time at which they were appended; ``begun`` is where reading began."""

    def __init__(self, log: Log, low: int = 0, without: int | None = None) -> None:
        super().__init__(log, low, without=without)
        self.begun: dict[int, int] = {}

    def offset_at(self, topic: str, partition: int, ts: int) -> int:
        assert partition != self._without
        held = self._log.get((topic, partition), ())
        return next((at.offset for _, at in held if at.appended >= ts), len(held))

    def range(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        if start + 1 < end:  # one record alone is only asked for its age
            self.begun[partition] = min(start, self.begun.get(partition, start))
        return super().range(topic, partition, start, end)


def rebuild(
    road: Road, wanted: Wanted | None = None, low: int = 0, shelf: Timed | None = None, most: int | None = None
) -> list[Rebuilt]:
    """Rebuild what is wanted, and stop as if killed after ``most`` months of series."""
    writer, shelf = Writer(road.dsn, "repair", [TEMPORARY_METRICS]), shelf or Timed(road.log, low)
    try:
        work = Rebuild(writer, shelf, in_pieces(shelf), BOTH, lambda: road.now).run(wanted or Wanted())
        return list(islice(work, most))
    finally:
        writer.close()


def written(found: Sequence[Rebuilt]) -> int:
    return sum(month.written for month in found)


def lose(road: Road, since: int, until: int) -> None:
    """Rows of bars vanish as if a partition had been dropped, and the metrics from the first of them on."""
    stretch = "start >= core.at(%s) AND start < core.at(%s)"
    first = "(SELECT min(start) FROM core.bars b WHERE b.series = m.series AND b.interval = m.interval)"
    rows(road.dsn, f"DELETE FROM core.metrics m WHERE {stretch} AND start >= {first}", since, until)  # noqa: S608
    rows(road.dsn, f"DELETE FROM core.bars WHERE {stretch}", since, until)  # noqa: S608


@pytest.fixture
def road_of(migrated_database: Callable[[], str]) -> Iterator[Callable[[Log], Road]]:
    made: list[Road] = []

    def of(log: Log) -> Road:
        made.append(Road(migrated_database(), log, laws=BOTH))
        return made[-1]

    yield of
    for road in made:
        road.close()


@pytest.mark.parametrize("seed", range(4))
def test_lost_hours_come_back_as_they_were(road_of: Callable[[Log], Road], seed: int) -> None:
    road = road_of(with_ids(random_log(seed)))
    road.all()
    before = everything(road.dsn)
    assert written(rebuild(road)) == 0  # the log says what is stored: nothing to write
    (first, last), *_ = rows(
        road.dsn, "SELECT min(extract(epoch FROM start))::bigint, max(extract(epoch FROM start))::bigint "
        "FROM core.bars WHERE interval = '1m' AND state <> 'forming'"
    )  # fmt: skip
    middle = (first + last) // 2 // 300 * 300 * SECOND
    lose(road, T - DAY, middle)
    assert everything(road.dsn)["bars"] != before["bars"]
    assert written(rebuild(road)) > 0
    after = everything(road.dsn)
    for name in ("bars", "metrics", "signals", "gaps", "states"):
        assert after[name] == before[name], name
    assert written(rebuild(road)) == 0


def test_only_what_is_wanted_is_written(road_of: Callable[[Log], Road]) -> None:
    pen = Pen()
    for symbol in "AB":
        for n in range(60):
            pen.trade(symbol, T + n * MINUTE, 100 + n % 7, 1)
    road = road_of(pen.log)
    road.all()
    lose(road, T, T + 50 * MINUTE)
    found = rebuild(road, Wanted(["A"], T + 10 * MINUTE, T + 20 * MINUTE))
    assert [(month.key, month.minutes, month.written) for month in found] == [(("demo", "A"), 10, 10)]
    assert rows(
        road.dsn, "SELECT count(*) FROM core.bars WHERE interval = '1m' AND start < core.at(%s)", T + 50 * MINUTE
    ) == [(10,)]


def test_what_repair_folded_in_and_took_out_stays_so(road_of: Callable[[Log], Road]) -> None:
    pen = Pen()
    for n in range(40):
        pen.trade("A", T + n * MINUTE, 100 + n % 3, 1, id=f"n{n}")
    pen.trade("A", T + 5 * MINUTE, 300, at=T + 40 * MINUTE, id="late")
    pen.trade("A", T + 40 * MINUTE, 500, 7, id="n3")
    pen.trade("A", T + 42 * MINUTE, 100, 1, id="end")
    road = road_of(pen.log)
    road.all()
    writer = Writer(road.dsn, "repair", [TEMPORARY_METRICS])
    done = Repair(writer, Shelf(road.log), BOTH, lambda: road.now).run(Wanted())
    writer.close()
    assert (done.late, done.repeats) == (1, 1)
    before = everything(road.dsn)
    assert written(rebuild(road)) == 0
    lose(road, T, T + 30 * MINUTE)
    rebuild(road)
    for name in ("bars", "metrics", "signals"):
        assert everything(road.dsn)[name] == before[name], name


def test_a_stream_goes_on_beside_it(road_of: Callable[[Log], Road]) -> None:
    pen = Pen()
    for n in range(60):
        pen.trade("A", T + n * MINUTE, 100 + n % 5, 1)
    road = road_of(pen.log)
    road.all()
    lose(road, T + 10 * MINUTE, T + 20 * MINUTE)
    rebuild(road)
    for n in range(60, 90):
        pen.trade("A", T + n * MINUTE, 100 + n % 5, 1)
    road.all()
    for interval in ("1m", "5m"):
        expect_as_recomputed(road.dsn, chain(interval=interval))
    assert written(rebuild(road)) == 0


def test_partitions_that_are_added_beside_it_are_read_too(road_of: Callable[[Log], Road]) -> None:
    pen = Pen()
    for n in range(60):
        for symbol in "AB":
            pen.trade(symbol, T + n * MINUTE, 100, 1)
    road = road_of(pen.log)
    road.all()
    lose(road, T + 10 * MINUTE, T + 20 * MINUTE)
    writer, shelf = Writer(road.dsn, "repair", [TEMPORARY_METRICS]), Timed(road.log)
    try:
        work = Rebuild(writer, shelf, in_pieces(shelf), BOTH, lambda: road.now).run(Wanted())
        next(work)
        rows(
            road.dsn,
            "INSERT INTO core.ledger (topic, partition, topic_id, first_offset, next_offset, shard) "
            "SELECT topic, 7, topic_id, 0, 0, shard FROM core.ledger WHERE topic = 'raw.trades' LIMIT 1",
        )
        assert len(list(work)) == 1
    finally:
        writer.close()
    assert written(rebuild(road)) == 0


def test_minutes_that_the_log_has_lost_stay_as_they_are(road_of: Callable[[Log], Road]) -> None:
    pen = Pen()
    for n in range(60):
        pen.trade("A", T + n * MINUTE, 100, 1)
    road = road_of(pen.log)
    road.all()
    before = everything(road.dsn)
    found = rebuild(road, low=30)
    assert written(found) == 0
    assert 0 < sum(month.minutes for month in found) < 30
    assert everything(road.dsn) == before


def test_minutes_of_a_partition_that_a_topic_made_anew_lacks_stay_as_they_are(road_of: Callable[[Log], Road]) -> None:
    pen = Pen()
    for n in range(60):
        pen.trade("A", T + n * MINUTE, 100, 1)
    for n in range(30):
        pen.trade("B", T + n * MINUTE, 100, 1)
    road = road_of(pen.log)
    road.all()
    lose(road, T + 40 * MINUTE, T + 50 * MINUTE)
    of_b = "SELECT * FROM market.bars WHERE symbol = 'B' ORDER BY interval, start"
    before = rows(road.dsn, of_b)
    found = rebuild(road, shelf=Timed(road.log, without=ord("B") % 2))
    assert [(month.key[1], month.written) for month in found] == [("A", 10)]
    assert rows(road.dsn, of_b) == before


def test_what_was_appended_before_the_wanted_days_is_not_read(road_of: Callable[[Log], Road]) -> None:
    pen = Pen()
    for n in range(120):
        # Its own clock goes ahead of the broker's by nearly as much as is let in.
        pen.trade("A", T + n * MINUTE, 100 + n % 7, 1, at=T + n * MINUTE - 59 * SECOND)
    pen.log = {place: [_earlier(record) for record in held] for place, held in pen.log.items()}
    road = road_of(pen.log)
    road.all()
    before = everything(road.dsn)
    lose(road, T + 90 * MINUTE, T + 100 * MINUTE)
    shelf = Timed(road.log)
    found = rebuild(road, Wanted(["A"], T + 90 * MINUTE, T + 100 * MINUTE), shelf=shelf)
    assert [(month.minutes, month.written) for month in found] == [(10, 10)]
    assert everything(road.dsn)["bars"] == before["bars"]
    assert set(shelf.begun.values()) == {90}


def _earlier(record: tuple[bytes, Coordinates]) -> tuple[bytes, Coordinates]:
    value, at = record
    return value, replace(at, appended=at.appended - 59 * SECOND)


def test_one_that_was_stopped_goes_on(road_of: Callable[[Log], Road]) -> None:
    pen = Pen()
    for symbol in "ABC":
        for n in range(30):
            pen.trade(symbol, T + n * MINUTE, 100 + n % 7, 1)
    road = road_of(pen.log)
    road.all()
    before = everything(road.dsn)
    lose(road, T, T + 20 * MINUTE)
    assert [(month.key[1], month.written) for month in rebuild(road, most=1)] == [("A", 20)]
    assert [(month.key[1], month.written) for month in rebuild(road)] == [("A", 0), ("B", 20), ("C", 20)]
    for name in ("bars", "metrics", "signals"):
        assert everything(road.dsn)[name] == before[name], name
