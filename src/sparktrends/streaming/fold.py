"""From Kafka's records, as Arrow batches, to a `FoldResult`: in the driver for a small batch, else in the executors.

Columns: topic (string), partition (int32), offset (int64), timestamp (append time; Arrow timestamp of any unit, or
integer microseconds), value (binary). Workers import this module: no session is made or needed here.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from sparktrends.bars import FoldResult, Limits, merge_results
from sparktrends.streaming.scan import Scanner

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COLUMNS = ("topic", "partition", "offset", "timestamp", "value")
"""What `fold_dataframe` selects from Spark's Kafka source."""
DRIVER_RECORDS = 50_000
"""Up to this many records a batch is folded in the driver: no Python worker, no hand-over."""
RESULT_SCHEMA = "result binary"
_PIECE = 4 * 1024 * 1024


def fold_batches(batches: Iterable[pa.RecordBatch], limits: Limits) -> FoldResult:
    """Judge and fold every record of some batches. Pure: the same records give the same result, however cut."""
    scanner = Scanner(limits)
    for batch in batches:
        scanner.add(batch)
    return scanner.result()


def fold_dataframe(df: DataFrame, records: int, limits: Limits, threshold: int = DRIVER_RECORDS) -> FoldResult:
    """Fold a Kafka DataFrame of about ``records`` rows (from the offset ranges); where depends on ``threshold``."""
    rows = df.select(*COLUMNS)
    if records <= threshold:
        return fold_batches(rows.toArrow().to_batches(), limits)
    answers = rows.mapInArrow(partial(fold_task, limits=limits), RESULT_SCHEMA).toArrow()
    return merge_results(decode_results(answers.to_batches()), limits.payloads)


def fold_task(batches: Iterator[pa.RecordBatch], limits: Limits) -> Iterator[pa.RecordBatch]:
    """The work of one executor task: fold its batches, answer with one result."""
    yield from encode_result(fold_batches(batches, limits))


def encode_result(result: FoldResult) -> Iterator[pa.RecordBatch]:
    """A result as Arrow for the way back to the driver, in rows of at most 4 MiB.

    Pickle is safe here: Spark itself carries our functions and results so, between processes that we started.
    """
    data = pickle.dumps(result, protocol=pickle.HIGHEST_PROTOCOL)
    for start in range(0, len(data), _PIECE):
        yield pa.RecordBatch.from_arrays([pa.array([data[start : start + _PIECE]], pa.binary())], ["result"])


def decode_results(batches: Iterable[pa.RecordBatch]) -> Iterator[FoldResult]:
    """The results of all tasks, from their rows in order (Spark keeps the rows of one task together)."""
    stream = io.BytesIO(b"".join(piece for batch in batches for piece in batch.column(0).to_pylist()))
    while stream.tell() < stream.getbuffer().nbytes:
        yield pickle.load(stream)
