"""What repair and rebuild read of the log: every record that the stream took, whatever nobody reads in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from sparktrends.bars import RAW_TRADES, Limits, fold_records
from sparktrends.batch.rebuild import fold_ranges
from sparktrends.batch.repair import Wanted
from sparktrends.batch.repeats import Range, Read, find_repeats, records_of
from sparktrends.bus.reader import Record
from sparktrends.model import MINUTE, Coordinates

NOW = 1_732_147_200_000_000
KEY = ("demo", "X")
LIMITS = Limits()
ODD = ['"note":"\\ud800"', '"x":1e400', '"x":' + "9" * 400, '"x":-1e999999', '"\\ud800":1']


def trade(n: int, more: str = '"x":1', id_: str = "") -> bytes:
    id_ = id_ or f'"{n}"'
    return f'{{"source":"demo","symbol":"X","ts":{NOW + n},"price":"{n + 1}","size":"1","id":{id_},{more}}}'.encode()


def read_of(values: Sequence[bytes]) -> tuple[Read, list[Range]]:
    def read(topic: str, _partition: int, start: int, end: int) -> Iterator[Record]:
        assert topic == RAW_TRADES
        for offset in range(start, end):
            yield Record(offset, NOW + MINUTE, None, values[offset])

    return read, [Range(0, 0, len(values))]


def places(values: Sequence[bytes]) -> list[int]:
    """The offsets of the repeats in a log of these."""
    read, ranges = read_of(values)
    return [repeat.place[2] for repeat in find_repeats(read, ranges, LIMITS)]


@pytest.mark.parametrize("more", ODD)
def test_a_record_with_an_oddity_that_nobody_reads_stays_in_its_bar(more: str) -> None:
    values = [trade(0), trade(1, more), trade(2)]
    read, ranges = read_of(values)
    stream = fold_records([(v, Coordinates(RAW_TRADES, 0, n, NOW + MINUTE)) for n, v in enumerate(values)], LIMITS)
    assert stream.bars[0].trades == 3
    assert fold_ranges(read, LIMITS, ranges, Wanted(["X"]), set()).bars == stream.bars
    kept = records_of(read, ranges, {KEY: {NOW}})
    assert [(key, record[0]) for key, record in kept] == [(KEY, value) for value in values]


@pytest.mark.parametrize("more", ODD)
def test_a_repeat_with_an_oddity_that_nobody_reads_is_found(more: str) -> None:
    assert places([trade(1, more), trade(2), trade(1, more), trade(2, more)]) == [2, 3]


@pytest.mark.parametrize(
    "number", ["7", "0", "-0", "18446744073709551616", "99999999999999999999", "-9223372036854775809"]
)
def test_an_id_is_the_same_as_a_number_and_as_its_digits(number: str) -> None:
    assert places([trade(1, id_=number), trade(2, id_=f'"{number}"')]) == [1]


def test_ids_of_many_digits_that_differ_in_the_last_are_two() -> None:
    assert places([trade(1, id_="99999999999999999998"), trade(2, id_="99999999999999999999")]) == []


@pytest.mark.parametrize("value", [b"[]", b"{}", b"7", b"", b'{"source":[],"symbol":{},"ts":5}', b'{"ts":[5]}'])
@pytest.mark.parametrize("more", [b"", b',"id":"1"', b',"x":1e400', b',"id":"1","x":1e400'])
def test_what_is_no_trade_is_passed_over(value: bytes, more: bytes) -> None:
    value = value.removesuffix(b"}") + more + b"}" if value.endswith(b"}") else value
    read, ranges = read_of([value, value, trade(1)])
    assert [record[0] for _, record in records_of(read, ranges, {KEY: {NOW}})] == [trade(1)]
    assert fold_ranges(read, LIMITS, ranges, Wanted({"X"}), set()).bars[0].trades == 1
    assert places([value, value]) == []
