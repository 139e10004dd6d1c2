"""Minutes to metrics, Parquet to Parquet, by Spark on this machine's cores."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import polars as pl

from sparktrends import spark
from sparktrends.batch.history import by_spark
from sparktrends.errors import IntegrityError
from sparktrends.ops import java
from sparktrends.ops.bench.kernel import walk
from sparktrends.ops.bench.lab import temporary_home
from sparktrends.ops.cluster import enter_spark
from sparktrends.ops.settings import Settings

_A_YEAR = 525_600
_MINUTE = 60_000_000


def run(settings: Settings, bars: int) -> dict[str, Any]:
    """The figures for so many bars, a year of minutes a series; the metrics are counted before they go."""
    enter_spark(settings, java.find(settings.env, settings.cache))
    with temporary_home() as home:
        work = _write(home.scratch / "bars", home.scratch / "metrics", bars)
        session = spark.session("bench history", spark.Settings(settings.spark_master, (), home.scratch / "spark"))
        try:
            begin = time.perf_counter()
            made = by_spark(session, work)
            seconds = time.perf_counter() - begin
        finally:
            session.stop()
        found = sum(pl.scan_parquet(metrics).select(pl.len()).collect().item() for _, metrics in work)
        if not made == found == bars:
            raise IntegrityError(f"{bars} bars gave {found} rows of metrics")
        size = sum(Path(metrics).stat().st_size for _, metrics in work)
    return {
        "bars": bars,
        "series": len(work),
        "seconds": round(seconds, 1),
        "bars_per_s": round(bars / seconds),
        "metrics_bytes": size,
    }


def _write(bars: Path, metrics: Path, count: int) -> list[tuple[str, str]]:
    bars.mkdir(parents=True)
    work = []
    for number, first in enumerate(range(0, count, _A_YEAR)):
        length = min(_A_YEAR, count - first)
        table = pl.from_numpy(
            walk(length, seed=number)[:, :6], schema=["open", "high", "low", "close", "volume", "turnover"]
        )
        keys = pl.select(pl.lit(f"S{number:04d}").alias("symbol"), (pl.int_range(length) * _MINUTE).alias("start"))
        file = bars / f"S{number:04d}.parquet"
        keys.select(pl.col("symbol").first().repeat_by(length).explode(), "start").hstack(table).write_parquet(file)
        work.append((str(file), str(metrics / file.name)))
    return work
