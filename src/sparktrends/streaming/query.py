"""The Spark query: from the ledger's offsets to the end of the log and on, with a checkpoint that is only scratch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sparktrends.streaming.fold import HAND_OVER

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

# A backlog comes in large pieces; a live batch is as small as it is.
_FETCH = {
    "max.poll.records": "20000",
    "max.partition.fetch.bytes": str(8 * 2**20),
    "receive.buffer.bytes": str(2**20),
}

Positions = Mapping[tuple[str, int], int]
"""Next offset by (topic, partition)."""


def start_query(
    spark: SparkSession,
    kafka: Mapping[str, str],
    start: Positions,
    checkpoint: Path,
    process: Callable[[DataFrame, int], None],
    *,
    max_records: int,
    trigger_ms: int = 50,
) -> StreamingQuery:
    """Start reading at ``start``; every record from there on goes through ``process`` once.

    ``kafka`` are the client's options (``bootstrap.servers`` and what security needs). ``max_records`` bounds a
    batch, so that a long backlog is drained in steps that fit into memory.
    """
    # An old checkpoint would win over `startingOffsets`, and a torn one stops the query for ever.
    shutil.rmtree(checkpoint, ignore_errors=True)
    checkpoint.mkdir(parents=True)
    for name, value in HAND_OVER.items():
        spark.conf.set(name, value)
    reader = spark.readStream.format("kafka")
    for name, value in {**_FETCH, **kafka}.items():
        reader = reader.option(f"kafka.{name}", value)
    frame = (
        # By partition: a shard reads only its share, and nothing that the ledger does not know.
        reader.option("assign", _assignment(start))
        .option("startingOffsets", _offsets(start))
        .option("maxOffsetsPerTrigger", max_records)
        # False would skip what was trimmed without a word; the ledger must see it as a gap.
        .option("failOnDataLoss", "true")
        .option("includeHeaders", "false")
        .load()
    )
    return (
        frame.writeStream.foreachBatch(process)
        # Hadoop takes the text as it stands: escaped, a home with a space or an é would be another folder.
        .option("checkpointLocation", f"file://{checkpoint}")
        .trigger(processingTime=f"{trigger_ms} milliseconds")
        .queryName("sparktrends")
        .start()
    )


def _assignment(start: Positions) -> str:
    topics: dict[str, list[int]] = {}
    for topic, partition in sorted(start):
        topics.setdefault(topic, []).append(partition)
    return json.dumps(topics)


def _offsets(start: Positions) -> str:
    topics: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in sorted(start.items()):
        topics.setdefault(topic, {})[str(partition)] = offset
    return json.dumps(topics)
