"""One fold, wherever it runs and however the log is cut."""

from __future__ import annotations

import dataclasses
import random

import pyarrow as pa
import pyarrow.compute
import pytest

from sparktrends.bars import FoldResult, Limits, fold_records, merge_results
from sparktrends.bars.record import MAX_BYTES
from sparktrends.streaming.fold import (
    CUT,
    DRIVER_RECORDS,
    SHORT_BYTES,
    decode_results,
    encode_result,
    fold_batches,
    fold_dataframe,
    fold_task,
)


class Frame:
    """What `fold_dataframe` needs of a Spark DataFrame, over Arrow: two tasks, rows of each kept in order."""

    def __init__(self, batches, ran):
        self.batches, self.ran = batches, ran

    def selectExpr(self, *columns):
        limit = MAX_BYTES if columns[4:] == CUT else SHORT_BYTES
        return Frame([with_sizes(batch, limit) for batch in self.batches], self.ran)

    def mapInArrow(self, task, schema):
        self.ran.append(schema)
        halves = self.batches[::2], self.batches[1::2]
        return Frame([answer for half in halves for answer in task(iter(half))], self.ran)

    def coalesce(self, tasks):
        return self

    def toArrow(self):
        return pa.Table.from_batches(self.batches)


def with_sizes(batch, limit):
    """What the SQL of `fold` adds: the length of values beyond ``limit``."""
    length = pa.compute.binary_length(batch.column("value"))
    size = pa.compute.if_else(pa.compute.greater(length, limit), length, None)
    columns = [*batch.columns[:5], size, pa.nulls(batch.num_rows, pa.binary())]
    return pa.RecordBatch.from_arrays(columns, [*batch.schema.names[:5], "size", "sha256"])


@pytest.mark.parametrize("seed", range(5))
def test_any_cut_gives_what_the_definition_gives(make, cut, seed):
    records = make.records(seed, 800)
    pieces = [make.batch(piece) for piece in cut(records, random.Random(seed))]
    assert fold_batches(pieces, Limits()) == fold_records(records, Limits())


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_merges_gives_the_same(make, cut, seed):
    records, rng = make.records(seed, 800), random.Random(seed)
    results = [fold_batches([make.batch(piece)], Limits()) for piece in cut(records, rng)]
    rng.shuffle(results)
    assert merge_results([merge_results(results[1:]), *results[:1]]) == fold_records(records, Limits())


def test_driver_and_executors_answer_alike(make):
    records, ran = make.records(7, 600), []
    frame = Frame([make.batch(records[at : at + 100]) for at in range(0, 600, 100)], ran)
    small = fold_dataframe(frame, DRIVER_RECORDS, Limits())
    assert ran == []
    assert fold_dataframe(frame, DRIVER_RECORDS + 1, Limits()) == small == fold_records(records, Limits())
    assert ran == ["result binary"]


def test_a_long_record_is_never_collected_into_the_driver(make):
    records, ran = make.trades({}, {"x": "a" * 2_048}, {}), []
    assert fold_dataframe(Frame([make.batch(records)], ran), 3, Limits()) == fold_records(records, Limits())
    assert ran == ["result binary"]


def test_what_was_cut_keeps_size_and_hash_of_the_whole(make):
    records = [(b"y" * 300_000, at) for _, at in make.trades({}, {})] + make.trades({})
    result = fold_batches([make.batch(records)], Limits())
    assert result == fold_records(records, Limits())
    assert [(bad.reason, bad.size, len(bad.payload)) for bad in result.quarantined] == [
        ("too_large", 300_000, 65_536)
    ] * 2


def test_results_survive_the_way_back(make):
    results = [fold_records(make.records(seed, 200), Limits()) for seed in range(3)]
    rows = [row for result in results for row in encode_result(result)]
    assert list(decode_results(rows)) == results


def test_a_large_result_comes_in_small_rows(make):
    records = [(b"?" * 60_000, dataclasses.replace(at, offset=i)) for i in range(200) for _, at in make.trades({})]
    rows = list(encode_result(fold_records(records, Limits())))
    assert len(rows) > 2
    assert max(len(row.column(0)[0].as_py()) for row in rows) <= 4 * 1024 * 1024
    assert len(next(decode_results(rows)).quarantined) == 200


def test_a_task_without_records_answers_with_nothing():
    (row,) = fold_task(iter([]), Limits())
    assert list(decode_results([row])) == [FoldResult()]
    assert list(decode_results([])) == []


def test_the_room_for_payloads_is_the_same_wherever_it_is_folded(make):
    limits = dataclasses.replace(Limits(), payloads=100_000)
    values = [(b"x" * 40_000, at) for _, at in make.trades(*[{}] * 6)]
    frame = Frame([make.batch(values[:1]), make.batch(values[1:2]), make.batch(values[2:])], [])
    kept = [len(bad.payload) for bad in fold_dataframe(frame, 6, limits, threshold=0).quarantined]
    assert kept == [len(bad.payload) for bad in fold_dataframe(frame, 6, limits).quarantined] == [40_000] * 2 + [0] * 4
