"""A stored day judged: a clean one is whole, what is planted costs its share, and judging again changes nothing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from commit.world import DAY, LIMITS, MINUTE, SECOND, Pen, Road, T, rows
from sparktrends.batch import quality as module
from sparktrends.batch.quality import Quality, run
from sparktrends.bus.admin import Admin
from sparktrends.bus.connection import Connection
from sparktrends.bus.producer import Producer
from sparktrends.bus.reader import Reader
from sparktrends.bus.topics import RAW_TRADES, TABLE
from sparktrends.commit import Laws
from sparktrends.ops.stack import Stack

pytestmark = pytest.mark.e2e

SCORES = "SELECT source, symbol, score, minutes, reasons, faulty, updated_at FROM market.quality ORDER BY 1, 2"
WORST = "SELECT source, symbol, start, score, reasons FROM market.quality_minutes ORDER BY 1, 2, 3"
HOUR = range(60)
_NUMBERS = itertools.count()
Judge = Callable[[Pen], dict[str, Quality]]


@pytest.fixture
def topic(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> str:
    """A topic of the test's own in the place of raw.trades; all of it was appended on the day in question."""
    (wanted,) = (t for t in TABLE if t.name == RAW_TRADES)
    name = f"quality-{next(_NUMBERS)}"
    Admin(Connection(stack.kafka)).create(replace(wanted, name=name, partitions=1))
    monkeypatch.setattr(module, "RAW_TRADES", name)
    ends = lambda self, topic, partition, ts: self.watermarks(topic, partition)[ts > T]  # noqa: E731
    monkeypatch.setattr(Reader, "offset_at", ends)
    return name


@pytest.fixture
def judge(stack: Stack, topic: str, database: str) -> Judge:
    """Store a log as the stream does, and judge its day."""

    def judged(pen: Pen, now: int = T + 2 * DAY) -> dict[str, Quality]:
        sent = [record for (name, _), records in pen.log.items() for record in records if name == RAW_TRADES]
        producer = Producer(Connection(stack.kafka))
        for value, _ in sent:
            producer.send(topic, "k", value)
        producer.close()
        log = {(topic, 0): [(v, replace(at, topic=topic, partition=0, offset=n)) for n, (v, at) in enumerate(sent)]}
        road = Road(database, log if sent else {}, Laws(LIMITS), ids={topic: "one"})
        try:
            road.all()
        finally:
            road.close()
        found = run(database, Connection(stack.kafka), date(2024, 1, 1), now)
        return {f"{q.source} {q.symbol}": q for q in found}

    return judged


def hour(
    pen: Pen, symbol: str = "A/USD", *, source: str = "demo~sim", skip: range = range(0), price: int = 100
) -> None:
    """An hour of a made-up market: a trade every ten seconds, and heartbeats."""
    for second in range(0, 3600, 10):
        if second // 60 not in skip:
            trade = {"id": f"{source}{second}", "source": source}
            pen.trade(symbol, T + second * SECOND, price + second % 7 / 100, 1, **trade)
        pen.beat(symbol, T + second * SECOND, "stale" if second // 60 in skip else "ok", at=T + second * SECOND)
        pen.log["raw.trades", ord(symbol[0]) % 2][-1] = _of(source, pen.log["raw.trades", ord(symbol[0]) % 2][-1])
    pen.trade(symbol, T + 3602 * SECOND, 100, 1, id=f"{source}end", source=source)


def _of(source: str, record: tuple[bytes, object]) -> tuple[bytes, object]:
    return json.dumps({**json.loads(record[0]), "source": source}).encode(), record[1]


def test_a_clean_hour_is_whole(judge: Judge, database: str) -> None:
    pen = Pen()
    hour(pen)
    assert judge(pen) == {"demo~sim A/USD": Quality("demo~sim", "A/USD", 100.0, 59, {})}
    assert rows(database, WORST) == []


def test_silence_costs_its_share_and_says_why_and_again_changes_nothing(
    judge: Judge, database: str, stack: Stack
) -> None:
    pen = Pen()
    hour(pen, skip=range(10, 22))
    (found,) = judge(pen).values()
    assert found.points == {"missing_feed_stale": pytest.approx(100 * 12 / found.minutes)}
    before = rows(database, SCORES), rows(database, WORST)
    assert len(before[1]) == 12
    run(database, Connection(stack.kafka), date(2024, 1, 1), T + 3 * DAY)
    assert (rows(database, SCORES), rows(database, WORST)) == before


def test_a_judged_day_keeps_its_score_when_the_log_no_longer_has_it(
    judge: Judge, database: str, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    pen = Pen()
    hour(pen)
    pen.trade("A/USD", T + 30 * MINUTE, 100, 1, at=T + 40 * MINUTE, source="demo~sim", id="demo~sim0")
    (found,) = judge(pen).values()
    assert "repeated" in found.points
    before = rows(database, SCORES), rows(database, WORST)
    whole = Reader.watermarks
    trimmed = lambda self, topic, partition: (whole(self, topic, partition)[1],) * 2  # noqa: E731
    monkeypatch.setattr(Reader, "watermarks", trimmed)
    assert run(database, Connection(stack.kafka), date(2024, 1, 1), T + 3 * DAY) == []
    assert (rows(database, SCORES), rows(database, WORST)) == before
    # Who was never judged is judged by what is there; of minutes in the archive nothing can be said.
    rows(database, "DELETE FROM core.quality RETURNING 1")
    assert len(run(database, Connection(stack.kafka), date(2024, 1, 1), T + 3 * DAY)) == 1
    rows(database, "DELETE FROM core.quality RETURNING 1")
    rows(database, "INSERT INTO core.archived VALUES ('bars', '1m', '2024-01-01', now()) RETURNING 1")
    assert run(database, Connection(stack.kafka), date(2024, 1, 1), T + 3 * DAY) == []


def test_repeats_disorder_and_odd_fields_are_counted_from_the_log(judge: Judge) -> None:
    pen = Pen()
    hour(pen)
    at = T + 40 * MINUTE
    for extra in ({"id": "demo~sim0"}, {"id": "x", "venue": "Z"}):
        pen.trade("A/USD", T + 30 * MINUTE, 100, 1, at=at, source="demo~sim", **extra)
    (found,) = judge(pen).values()
    assert set(found.points) == {"repeated", "out_of_order", "fields"}
    # Two of eight records of that minute came out of order, one of them with a known id, one with a field too many.
    assert found.points["out_of_order"] == pytest.approx(100 * 0.25 * 2 / 8 / found.minutes)


def test_what_is_impossible_or_late_counts_against_its_series(judge: Judge) -> None:
    pen = Pen()
    hour(pen)
    pen.trade("A/USD", T + 20 * MINUTE, -5, 1, source="demo~sim")
    pen.trade("A/USD", T + 25 * MINUTE, 100, 1, at=T + 25 * MINUTE + 16 * MINUTE, source="demo~sim", id="late")
    (found,) = judge(pen).values()
    # Each of them one of seven records of its minute.
    assert found.points["impossible"] == pytest.approx(100 * 1 / 7 / found.minutes)
    assert found.points["late"] == pytest.approx(50 * 1 / 7 / found.minutes)


def test_a_refused_record_of_a_time_far_ahead_makes_no_later_trade_old(judge: Judge) -> None:
    pen = Pen()
    pen.trade("A/USD", (T + SECOND) * 1000, 100, 1, at=T + SECOND, source="demo~sim", id="nanoseconds")
    hour(pen)
    (found,) = judge(pen).values()
    assert found.points == {"impossible": pytest.approx(100 * 1 / 7 / found.minutes)}


def test_of_a_log_that_is_not_read_a_fault_costs_its_part_of_the_trades_that_are_stored(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    pen = Pen()
    hour(pen)
    pen.trade("A/USD", T + 20 * MINUTE, -5, 1, source="demo~sim")
    monkeypatch.setattr(module, "_MOST", 20)
    (found,) = judge(pen).values()
    assert found.points == {"impossible": pytest.approx(100 * 1 / 7 / found.minutes)}


def test_what_a_quiet_partition_leaves_of_what_is_read_is_for_the_busier_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    class Held:
        """A log in which each partition holds so many records of the day, behind a hundred of days before."""

        def partitions(self, topic: str) -> list[int]:
            return [0, 1, 2]

        def offset_at(self, topic: str, partition: int, ts: int) -> int:
            return 100 if ts <= T else 100 + (500, 10, 40)[partition]

    span = module.Span(date(2024, 1, 1), T, T + DAY)
    held: Any = Held()
    monkeypatch.setattr(module, "_MOST", 300)
    assert sorted(module._parts(held, span)) == [(0, 350, 600), (1, 100, 110), (2, 100, 140)]
    monkeypatch.setattr(module, "_MOST", 60)
    assert sorted(end - start for _, start, end in module._parts(held, span)) == [10, 25, 25]


def test_what_a_parser_refused_counts_against_the_series_that_it_names_or_all_of_its_source(
    judge: Judge, database: str
) -> None:
    pen = Pen()
    for symbol in ("BTC/USDT", "ETH/USDT"):
        hour(pen, symbol, source="binance~sim")
    judge(pen)
    refuse = (
        "INSERT INTO core.quarantine"
        " (topic, topic_id, partition, log_offset, appended, reason, payload, sha256, size, source)"
        " VALUES ('ops.quarantine', '', 0, %s, %s, 'bad_price', %s, '', 9, 'binance~sim') RETURNING 1"
    )
    minute = T + 20 * MINUTE
    # One names it behind a sentence that is longer than any name.
    long = b'{"headline":"He said \\"%s\\"","n":1,"s":"BTCUSDT"}' % (b"x" * 50)
    for place, frame in enumerate((b'{"s":"BTCUSDT","p":"-1"}', b'{"s":"BTCUSDT","p', b'{"s":"ETHUSDT', long)):
        rows(database, refuse, place, minute + place * MINUTE, frame)
    found = judge(Pen())
    faulty = "SELECT symbol, start FROM market.quality_minutes WHERE reasons ? 'impossible' ORDER BY 1, 2"
    starts = [(symbol, (start.timestamp() * SECOND - minute) // MINUTE) for symbol, start in rows(database, faulty)]
    assert starts == [("BTC/USDT", 0), ("BTC/USDT", 1), ("BTC/USDT", 2), ("BTC/USDT", 3), ("ETH/USDT", 2)]
    assert found["binance~sim ETH/USDT"].points["impossible"] < found["binance~sim BTC/USDT"].points["impossible"]


def test_a_real_market_that_nobody_listened_to_is_missing_to_the_end_of_the_day(judge: Judge) -> None:
    pen = Pen()
    hour(pen, source="binance")
    (found,) = judge(pen).values()
    assert found.minutes == 1440
    assert found.points["missing_hole"] == pytest.approx(100 * (1440 - 59) / 1440)


def test_a_real_market_that_nobody_listened_to_all_day_has_nothing_of_it_for_a_week(
    judge: Judge, database: str, stack: Stack
) -> None:
    pen = Pen()
    hour(pen, source="binance")
    hour(pen, "B/USD")
    judge(pen)
    found = {day: run(database, Connection(stack.kafka), date(2024, 1, day), T + 30 * DAY) for day in (2, 8, 9)}
    nothing = Quality("binance", "A/USD", 0.0, 1440, {"missing_hole": 100.0})
    # What was made up ends where it ends, and who is silent for a week has been given up.
    assert found == {2: [nothing], 8: [nothing], 9: []}


def test_a_closed_exchange_owes_nothing(judge: Judge) -> None:
    pen = Pen()  # the first of January is a holiday
    hour(pen, symbol="AAPL", source="finnhub", skip=range(60))
    pen.trade("AAPL", T + 2 * MINUTE, 100, 1, source="finnhub", id="odd")
    assert judge(pen)["finnhub AAPL"].minutes < 62


def test_a_move_that_one_of_two_sources_saw_is_labelled(judge: Judge, database: str) -> None:
    pen = Pen()
    hour(pen, source="a~sim")
    hour(pen, "A/USDT", source="b~sim")
    for second in range(1800, 3600, 10):
        pen.trade("A/USDT", T + second * SECOND + 5, 103, 1, id=f"m{second}", source="b~sim")
    found = judge(pen)
    assert "uncorroborated" in found["b~sim A/USDT"].points
    assert "uncorroborated" not in found["a~sim A/USD"].points
    labelled = [row[1] for row in rows(database, WORST) if "uncorroborated" in row[4]]
    assert set(labelled) == {"A/USDT"}


def test_the_volume_of_two_sources_is_held_beside_each_other(judge: Judge, database: str) -> None:
    pen = Pen()
    hour(pen, source="a~sim")
    hour(pen, source="b~sim")
    for second in range(0, 3600, 10):
        pen.trade("A/USD", T + second * SECOND + 5, 100, 1, id=f"m{second}", source="b~sim")
    found = judge(pen)
    assert (found["a~sim A/USD"].coverage, found["a~sim A/USD"].against) == (0.5, "b~sim A/USD")
    stored = rows(database, "SELECT source, coverage, against FROM market.quality ORDER BY 1")
    assert stored == [("a~sim", 0.5, "b~sim A/USD"), ("b~sim", 2.0, "a~sim A/USD")]


def test_only_the_named_symbols_are_judged(judge: Judge, database: str, stack: Stack) -> None:
    pen = Pen()
    hour(pen)
    hour(pen, "B/USD")
    assert len(judge(pen)) == 2
    again = run(database, Connection(stack.kafka), date(2024, 1, 1), T + 2 * DAY, ["B/USD"])
    assert [q.symbol for q in again] == ["B/USD"]


def test_a_named_symbol_is_judged_beside_its_whole_market(judge: Judge, database: str, stack: Stack) -> None:
    pen = Pen()
    hour(pen, source="a~sim")
    hour(pen, "A/USDT", source="b~sim")
    for second in range(1800, 3600, 10):
        pen.trade("A/USDT", T + second * SECOND + 5, 103, 1, id=f"m{second}", source="b~sim")
    judge(pen)
    before = rows(database, SCORES)
    (again,) = run(database, Connection(stack.kafka), date(2024, 1, 1), T + 2 * DAY, ["A/USDT"])
    assert "uncorroborated" in again.points
    assert rows(database, SCORES) == before


def test_the_same_score_after_the_day_is_the_last_one(judge: Judge, database: str, stack: Stack) -> None:
    pen = Pen()
    hour(pen)
    judge(pen)
    evening = "UPDATE core.quality SET updated_at = day + interval '22 hours' RETURNING 1"
    assert len(rows(database, evening)) == 1
    run(database, Connection(stack.kafka), date(2024, 1, 1), T + 2 * DAY)
    assert rows(database, "SELECT updated_at >= day + 1 FROM core.quality") == [(True,)]


def test_a_move_that_one_source_saw_at_midnight_is_labelled(judge: Judge, database: str) -> None:
    pen = Pen()
    for minute in range(-5, 5):
        for source, price in (("a~sim", 100), ("b~sim", 100 if minute < 0 else 103)):
            pen.trade("A/USD", T + minute * MINUTE + SECOND, price, 1, source=source, id=f"{minute}")
    found = judge(pen)
    assert (found["a~sim A/USD"].points, list(found["b~sim A/USD"].points)) == ({}, ["uncorroborated"])
    assert len(rows(database, WORST)) == 1
