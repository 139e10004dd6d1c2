"""Files of bars to files of metrics, as the kernel makes them anywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from sparktrends.batch.history import make_metrics
from sparktrends.indicators.frames import compute


def bars(symbol: str, count: int) -> pl.DataFrame:
    close = [100 + (n * 7919 % 13) / 10 for n in range(count)]
    first = datetime(2024, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "symbol": [symbol] * count,
            "start": [first + timedelta(minutes=n) for n in range(count)],
            "open": close,
            "high": [price + 1 for price in close],
            "low": [price - 1 for price in close],
            "close": close,
            "volume": [float(n % 5) for n in range(count)],
        }
    )


def test_each_file_gets_the_metrics_of_its_bars(tmp_path: Path) -> None:
    work = []
    for symbol, count in (("A", 300), ("B", 20)):
        bars(symbol, count).write_parquet(tmp_path / f"{symbol}.parquet")
        work.append((str(tmp_path / f"{symbol}.parquet"), str(tmp_path / "metrics" / f"{symbol}.parquet")))
    assert make_metrics(work) == [300, 20]
    assert_frame_equal(pl.read_parquet(work[0][1]), compute(bars("A", 300)))
    assert sorted(file.name for file in (tmp_path / "metrics").iterdir()) == ["A.parquet", "B.parquet"]
