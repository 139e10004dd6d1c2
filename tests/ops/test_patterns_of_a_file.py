"""`sparktrends patterns FILE`: TA-Lib's values for the bars of a file."""

from __future__ import annotations

import polars as pl
from click.testing import CliRunner

from sparktrends.ops.cli import main


def test_the_patterns_of_real_bars_are_those_recorded(shared_data, tmp_path):
    out = tmp_path / "patterns.parquet"
    file = shared_data / "market" / "equities_daily_20180102_20190215.csv.gz"
    result = CliRunner().invoke(main, ["--home", str(tmp_path), "patterns", str(file), "-o", str(out)])
    assert result.exit_code == 0, result.output
    found = pl.read_parquet(out).filter(pl.col("symbol") == "AAPL")
    recorded = pl.read_csv(shared_data / "candles" / "eqker_AAPL_daily.patterns.csv.gz")
    ours = set(found.select(pl.col("start").dt.strftime("%Y-%m-%d"), "talib", "value").iter_rows())
    assert ours == set(recorded.select("ts", "pattern", "value").iter_rows())
