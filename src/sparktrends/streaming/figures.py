"""What Spark says of itself, for `/metrics`: the newest progress of its query, and its memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError

from sparktrends.errors import Unavailable
from sparktrends.telemetry import Figure

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def spark_figures(session: SparkSession) -> Iterable[Figure]:
    """Figures of the query's newest batch and of the Java heap; raises Unavailable when Spark is gone."""
    try:
        progress = [query.lastProgress for query in session.streams.active]
        # There is no public way to the heap; in local mode it is driver and executors together.
        runtime = session._jvm.java.lang.Runtime.getRuntime()  # type: ignore[union-attr]
        heap = runtime.totalMemory() - runtime.freeMemory()
    except (Py4JError, OSError, AttributeError) as error:
        raise Unavailable("Spark does not answer") from error
    yield Figure("spark_queries", "queries that run", {(): len(progress)})
    yield Figure("spark_heap_bytes", "Java heap in use", {(): heap})
    for found in filter(None, progress):
        yield from of_progress(found)


def of_progress(progress: Any) -> Iterable[Figure]:
    """Figures of one `StreamingQueryProgress` (or of its JSON as a mapping).

    >>> [figure.name for figure in of_progress({"batchId": 7, "numInputRows": 3, "durationMs": {"addBatch": 12}})]
    ['spark_batch', 'spark_batch_rows', 'spark_batch_part_seconds']
    """
    yield Figure("spark_batch", "number of the newest batch of this query", {(): progress["batchId"]})
    yield Figure("spark_batch_rows", "records in it", {(): progress["numInputRows"]})
    parts = {(name,): ms / 1000 for name, ms in progress["durationMs"].items()}
    yield Figure("spark_batch_part_seconds", "how long its parts took", parts, ("part",))
