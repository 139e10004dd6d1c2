"""Metrics of long histories, from Parquet to Parquet, by the kernel that everybody uses: a file a series, side by side
in Spark's workers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from sparktrends.indicators import Kernel
from sparktrends.indicators.frames import compute

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Work = tuple[str, str]
"""A file of bars, and the file of their metrics."""


def by_spark(session: SparkSession, work: Sequence[Work]) -> int:
    """Make every file of metrics that is not there yet; how many bars that took. Started again it goes on."""
    left = [(bars, metrics) for bars, metrics in work if not Path(metrics).exists()]
    if not left:
        return 0
    # A partition each: a worker that is done takes the next series, however long the others are.
    return sum(session.sparkContext.parallelize(left, len(left)).mapPartitions(make_metrics).collect())


def make_metrics(work: Iterable[Work]) -> list[int]:
    """Bars a file, for each: what a worker does. Files as `indicators.compute` wants them."""
    kernel = Kernel()
    return [_make(kernel, Path(bars), Path(metrics)) for bars, metrics in work]


def _make(kernel: Kernel, bars: Path, metrics: Path) -> int:
    made = compute(pl.read_parquet(bars), kernel=kernel)
    metrics.parent.mkdir(parents=True, exist_ok=True)
    fresh = metrics.with_suffix(".new")
    # Doubles hardly shrink: what a stronger codec saves in space it costs many times over in time.
    made.write_parquet(fresh, compression="lz4", statistics=False)
    os.replace(fresh, metrics)
    return len(made)
