"""Ids that occur twice."""

from __future__ import annotations

from sparktrends.audit.repeats import Repeats


def test_the_second_and_third_of_an_id_are_repeats_in_any_partition() -> None:
    seen = Repeats()
    seen.begin("raw.trades", 0)
    seen.add("s", "A", "1", 0)
    seen.add("s", "A", "2", 1)
    seen.add("s", "A", "1", 2)
    seen.begin("raw.trades", 5)
    seen.add("s", "A", "1", 9)
    assert seen.found() == [("raw.trades", 0, 2), ("raw.trades", 5, 9)]


def test_which_one_repeats_does_not_depend_on_how_often_a_partition_was_left() -> None:
    seen = Repeats()
    for partition, offset in ((0, 3), (1, 7), (0, 9), (1, 8)):
        seen.begin("raw.trades", partition)
        seen.add("s", "A", "1" if offset > 3 else "2", offset)
    assert seen.found() == [("raw.trades", 1, 7), ("raw.trades", 1, 8)]


def test_one_id_of_two_series_is_no_repeat() -> None:
    seen = Repeats()
    seen.begin("raw.trades", 0)
    for offset, (source, symbol, id_) in enumerate(
        [("s", "A", "1"), ("s", "A1", ""), ("s", "B", "1"), ("t", "A", "1")]
    ):
        seen.add(source, symbol, id_, offset)
    assert seen.found() == []


def test_many_repeats_are_all_found() -> None:
    seen = Repeats()
    seen.begin("raw.trades", 0)
    for offset in range(2000):
        seen.add("s", "A", str(offset % 1000), offset)
    assert seen.found() == [("raw.trades", 0, offset) for offset in range(1000, 2000)]


def test_nothing_seen_is_nothing_found() -> None:
    assert Repeats().found() == []
