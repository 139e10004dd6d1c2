"""Ids that occur twice."""

from __future__ import annotations

from sparktrends.audit.repeats import EXAMPLES, Repeats


def test_the_second_and_third_of_an_id_are_repeats_in_any_partition() -> None:
    seen = Repeats()
    seen.begin("raw.trades", 0)
    seen.add("s", "A", "1", 0)
    seen.add("s", "A", "2", 1)
    seen.add("s", "A", "1", 2)
    seen.begin("raw.trades", 5)
    seen.add("s", "A", "1", 9)
    assert seen.found() == (2, ("raw.trades[0]@2", "raw.trades[5]@9"))


def test_one_id_of_two_series_is_no_repeat() -> None:
    seen = Repeats()
    seen.begin("raw.trades", 0)
    for offset, (source, symbol, id_) in enumerate(
        [("s", "A", "1"), ("s", "A1", ""), ("s", "B", "1"), ("t", "A", "1")]
    ):
        seen.add(source, symbol, id_, offset)
    assert seen.found() == (0, ())


def test_many_repeats_are_counted_and_some_are_named() -> None:
    seen = Repeats()
    seen.begin("raw.trades", 0)
    for offset in range(2000):
        seen.add("s", "A", str(offset % 1000), offset)
    count, examples = seen.found()
    assert count == 1000
    assert len(examples) == EXAMPLES
    assert examples[0] == "raw.trades[0]@1000"


def test_nothing_seen_is_nothing_found() -> None:
    assert Repeats().found() == (0, ())
