"""What the log shows of each minute's records."""

from __future__ import annotations

from typing import Any

import pytest

from sparktrends.model import MINUTE
from sparktrends.quality import Counts, Tally

ROW = {"source": "x", "symbol": "A", "ts": 5, "price": "1", "size": "1", "id": "1", "received": 6}


def tallied(*rows: dict[str, Any], partition: int = 0) -> Counts:
    tally = Tally()
    for row in rows:
        tally.add(partition, {**ROW, **row})
    return tally.minutes["x", "A", 0]


def test_order_is_that_of_each_partition_by_itself() -> None:
    tally = Tally()
    for partition, ts in ((0, 10), (1, 5), (0, 11), (1, 4)):
        tally.add(partition, {**ROW, "ts": ts, "id": ""})
    assert tally.minutes["x", "A", 0].disordered == 1


def test_what_is_fetched_afterwards_is_no_disorder() -> None:
    assert tallied({"ts": 9, "id": "2"}, {"fill": True}, {"ts": 10, "id": "3"}).disordered == 0


def test_a_repeat_is_counted_where_it_stands() -> None:
    tally = Tally()
    tally.add(0, ROW)
    tally.add(0, {**ROW, "ts": MINUTE})
    assert [counts.repeated for counts in tally.minutes.values()] == [0, 1]


def test_unknown_and_missing_fields() -> None:
    assert tallied({}, {"id": "2", "venue": "Y"}).odd_fields == 1
    bare = {key: value for key, value in ROW.items() if key != "received"}
    tally = Tally()
    tally.add(0, bare)
    assert tally.minutes["x", "A", 0].odd_fields == 1


@pytest.mark.parametrize("row", [{}, {"ts": "5"}, {"ts": True}, {"ts": -1}, {"source": 5}, {"kind": "heartbeat"}])
def test_what_is_no_trade_of_a_series_is_passed_over(row: dict[str, Any]) -> None:
    tally = Tally()
    tally.add(0, {**ROW, **row} if row else {})
    assert tally.minutes == {}


def test_a_kind_that_is_null_is_absent_as_the_stream_has_it() -> None:
    assert tallied({"kind": None}).records == 1


@pytest.mark.parametrize("size", [0, 0.0, "0", "0.000", "0e7", -0.0])
def test_a_trade_of_size_zero_is_a_price_and_makes_no_other_older(size: object) -> None:
    assert tallied({"ts": 9, "id": "2", "size": size}, {"ts": 8}) == Counts(records=1)


@pytest.mark.parametrize("size", ["1e-18", 1e-9, None, "much", [0], "9" * 400])
def test_whatever_else_stands_as_a_size_is_a_record(size: object) -> None:
    assert tallied({"size": size}).records == 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparktrends.quality.tally._REMEMBERED", 100)
    tally = Tally()
    for n in range(1000):
        tally.add(0, {**ROW, "id": str(n)})
    assert len(tally._young["x", "A"]) + len(tally._old["x", "A"]) <= 200
    tally.add(0, {**ROW, "id": "950"})
    assert tally.minutes["x", "A", 0].repeated == 1
