"""`sparktrends patterns FILE`: TA-Lib's values for the bars of a file."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
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


BARS = "timestamp,open,high,low,close,volume\n2024-01-02T00:00,1,2,1,2,5\n2024-01-02T00:01,2,3,2,3,5\n"


@pytest.mark.parametrize("command", ["metrics", "patterns", "signals"])
def test_rows_as_one_json_document(command: str, tmp_path: Path) -> None:
    file = tmp_path / "X.csv"
    file.write_text(BARS)
    result = CliRunner().invoke(main, ["--home", str(tmp_path), command, str(file), "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.output)
    starts = ["2024-01-02T00:00:00+00:00", "2024-01-02T00:01:00+00:00"] if command == "metrics" else []
    assert [row["start"] for row in rows] == starts


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "X.csv"
    file.write_text(BARS)
    below = file / "x.csv"  # no machine has a folder of this name: its parent is a file
    result = CliRunner().invoke(main, ["--home", str(tmp_path), "patterns", str(file), "-o", str(below)])
    assert result.exit_code == 1
    assert f"{below} cannot be written" in result.output
