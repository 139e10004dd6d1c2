from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparktrends.bars import Limits, fold_records, merge_bars, merge_results
from sparktrends.bars.merge import bound_payloads
from sparktrends.model import Coordinates, PartialBar, Quarantined

NOW = 1_732_147_200_000_000
positions = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 3))


@st.composite
def bars(draw: st.DrawFn) -> PartialBar:
    """A bar of one minute, with or without prices; a position has one price, as in a log."""
    if not draw(st.booleans()):
        return PartialBar("s", "A", 0, statuses=draw(st.integers(0, 31)), volume=draw(st.integers(0, 9)))
    first, last = sorted((draw(positions), draw(positions)))
    low, high = sorted((draw(st.integers(1, 9)), draw(st.integers(1, 9))))
    return PartialBar(
        "s", "A", 0, hash(first) % 97, first, high, low, hash(last) % 97, last, draw(st.integers(0, 10**30)),
        draw(st.integers(0, 10**60)), draw(st.integers(1, 5)), draw(st.integers(0, 5)), draw(st.integers(0, 31)),
        draw(st.integers(0, 5)),
    )  # fmt: skip


@given(bars(), bars(), bars())
def test_merging_bars_is_associative_and_commutative(a, b, c):
    assert merge_bars(a, b) == merge_bars(b, a)
    assert merge_bars(merge_bars(a, b), c) == merge_bars(a, merge_bars(b, c))


FIELDS = st.sampled_from(
    ["", ',"kind":"price"', ',"kind":"heartbeat"', ',"kind":"heartbeat","status":"closed"', ',"fill":true', ',"id":[]']
)


@st.composite
def logs(draw: st.DrawFn) -> list[tuple[bytes, Coordinates]]:
    """Some records of two series and partitions, a few minutes apart, some late, some bad."""
    records = []
    for offset in range(draw(st.integers(1, 25))):
        ts = NOW + draw(st.integers(-20, 2)) * 30_000_000
        head = f'{{"source":"s","symbol":"{draw(st.sampled_from("AB"))}","ts":{ts}'
        tail = f',"price":{draw(st.integers(1, 5))},"size":"{draw(st.integers(0, 3))}.5"{draw(FIELDS)}}}'
        records.append(
            ((head + tail).encode(), Coordinates("raw.trades", draw(st.integers(0, 1)), offset, NOW + 660_000_000))
        )
    return records


@given(logs(), st.data())
def test_any_cut_and_any_order_give_the_same(records, data):
    whole = fold_records(records, Limits())
    marks = sorted(data.draw(st.lists(st.integers(0, len(records)), max_size=5)))
    pieces = [records[a:b] for a, b in zip([0, *marks], [*marks, len(records)], strict=True)]
    results = [fold_records(piece, Limits()) for piece in data.draw(st.permutations(pieces))]
    assert merge_results(results) == whole
    assert merge_results([merge_results(results[:2]), *results[2:]]) == whole


@given(st.lists(st.integers(0, 100), max_size=12), st.integers(0, 300), st.integers(0, 12))
def test_bounding_in_parts_and_in_whole_is_the_same(sizes, room, mark):
    records = [Quarantined("x", Coordinates("t", i % 2, i, 0), b"p" * n, b"", n) for i, n in enumerate(sizes)]
    parts = bound_payloads(records[:mark], room) + bound_payloads(records[mark:], room)
    assert bound_payloads(parts, room) == bound_payloads(records, room)
    for partition in (0, 1):
        kept = (record.payload for record in bound_payloads(records, room) if record.at.partition == partition)
        assert sum(map(len, kept)) <= room


def test_nothing_merges_to_nothing():
    assert merge_results([]) == fold_records([], Limits())
