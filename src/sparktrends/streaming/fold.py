"""From Kafka's records, as Arrow batches, to a `FoldResult`: in the driver for a small batch, else in the executors.

Columns: topic (string), partition (int32), offset (int64), timestamp (append time; Arrow timestamp of any unit, or
integer microseconds), value (binary); and where values were cut, size and sha256 of the whole, null for those that
were not. Workers import this module: no session is made or needed here.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from sparktrends.bars import FoldResult, Limits, merge_results
from sparktrends.bars.record import MAX_BYTES
from sparktrends.streaming.scan import Scanner

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PLACE = ("topic", "partition", "offset", "timestamp")
# Anyone may write messages of a megabyte. What is not looked into is cut, measured and hashed before the hand-over, so
# that neither an Arrow batch nor a worker ever holds many of them.
CUT = (
    f"CASE WHEN length(value) > {MAX_BYTES} THEN substring(value, 1, {MAX_BYTES}) ELSE value END AS value",
    f"CASE WHEN length(value) > {MAX_BYTES} THEN length(value) END AS size",
    f"CASE WHEN length(value) > {MAX_BYTES} THEN unhex(sha2(value, 256)) END AS sha256",
)
# A trade is some 200 bytes: whatever is longer than this goes to the executors, whose memory a flood may take.
SHORT_BYTES = 2_048
"""A batch with a longer record is never collected into the driver."""
SHORT = (
    f"CASE WHEN length(value) <= {SHORT_BYTES} THEN value END AS value",
    f"CASE WHEN length(value) > {SHORT_BYTES} THEN length(value) END AS size",
    "CAST(NULL AS BINARY) AS sha256",
)
# Ten seconds of 5,000 trades/s: live batches stay below, only a backlog pays for the hand-over to workers.
DRIVER_RECORDS = 50_000
"""Up to this many records a batch is folded in the driver: no Python worker, no hand-over."""
# A small batch is read by no more tasks than this, however many partitions: a task costs milliseconds.
_DRIVER_TASKS = 2
# Spark weighs its Arrow batch anew after each row that it adds: three tenths of its tasks in a profile of a backlog.
# Values are cut, so the number of rows bounds the bytes as well; together they are Spark's own limit, 256 MiB.
HAND_OVER = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(256 * 2**20 // MAX_BYTES),
    "spark.sql.execution.arrow.maxBytesPerBatch": str(2**31 - 1),
}
"""What a session must be told before records are handed to workers."""
RESULT_SCHEMA = "result binary"
_PIECE = 4 * 1024 * 1024


def fold_batches(batches: Iterable[pa.RecordBatch], limits: Limits) -> FoldResult:
    """Judge and fold every record of some batches. Pure: the same records give the same result, however cut."""
    scanner = Scanner(limits)
    for batch in batches:
        scanner.add(batch)
    return scanner.result()


def fold_dataframe(df: DataFrame, records: int, limits: Limits, threshold: int = DRIVER_RECORDS) -> FoldResult:
    """Fold a Kafka DataFrame of about ``records`` rows (from the offset ranges).

    Up to ``threshold`` short records in this process (at 5,000 trades/s that answers soonest), else in the executors,
    whose few rows are merged here. Same records, same result. Raises what Spark raises.
    """
    if records <= threshold:
        # Long values stay in Java: only their lengths come over, and tell that this batch needs the other road.
        table = df.selectExpr(*PLACE, *SHORT).coalesce(_DRIVER_TASKS).toArrow()
        # Else something long is among them: the same records are read again, by the executors.
        if table.column("size").null_count == table.num_rows:
            return fold_batches(table.to_batches(), limits)
    answers = df.selectExpr(*PLACE, *CUT).mapInArrow(partial(fold_task, limits=limits), RESULT_SCHEMA).toArrow()
    return merge_results(decode_results(answers.to_batches()), limits.payloads)


def fold_task(batches: Iterator[pa.RecordBatch], limits: Limits) -> Iterator[pa.RecordBatch]:
    """The work of one executor task: fold its batches, answer with one result."""
    yield from encode_result(fold_batches(batches, limits))


def encode_result(result: FoldResult) -> Iterator[pa.RecordBatch]:
    """A result as Arrow for the way back to the driver, in rows of at most 4 MiB.

    Pickle is safe here: Spark itself carries our functions and results so, between processes that we started.
    """
    data = pickle.dumps(result, protocol=pickle.HIGHEST_PROTOCOL)
    # Bad records may keep 64 MiB of payloads: in one cell that would be a single value of Spark's row.
    for start in range(0, len(data), _PIECE):
        yield pa.RecordBatch.from_arrays([pa.array([data[start : start + _PIECE]], pa.binary())], ["result"])


def decode_results(batches: Iterable[pa.RecordBatch]) -> Iterator[FoldResult]:
    """The results of all tasks, from their rows in order (Spark keeps the rows of one task together)."""
    stream = io.BytesIO(b"".join(piece for batch in batches for piece in batch.column(0).to_pylist()))
    while stream.tell() < stream.getbuffer().nbytes:
        yield pickle.load(stream)
