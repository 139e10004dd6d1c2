"""Whole tables: the kernel's own bits, keyed and ordered, and refusals that name the row."""

from __future__ import annotations

import doctest
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from sparktrends.errors import BadFile, BadSetting
from sparktrends.indicators import Kernel, compute, frames

Floats = NDArray[np.float64]
COLUMNS = ["open", "high", "low", "close", "volume", "turnover"]
BEGIN = datetime(2025, 3, 3, 22, 0, tzinfo=UTC)


@pytest.fixture
def bars(walk: Callable[..., Floats]) -> Floats:
    """Trade bars over a midnight: the session is the UTC day."""
    values = walk(300)
    values[:, 6] = np.arange(300) >= 120
    values[:, 7] = 0.0
    return values


@pytest.fixture
def table(bars: Floats) -> pl.DataFrame:
    starts = [BEGIN + timedelta(minutes=i) for i in range(len(bars))]
    return pl.DataFrame({"start": starts} | {name: bars[:, i] for i, name in enumerate(COLUMNS)})


def _same_bits(metrics: pl.DataFrame, kernel: Kernel, bars: Floats) -> bool:
    expected = kernel.run(kernel.new(1)[0], bars)
    values = metrics.select(pl.col(kernel.columns).cast(pl.Float64).fill_null(math.nan)).to_numpy()
    return np.array_equal(values, expected, equal_nan=True)


def test_the_examples_run() -> None:
    assert doctest.testmod(frames).failed == 0


def test_a_table_gives_the_bits_of_the_kernel(kernel: Kernel, table: pl.DataFrame, bars: Floats) -> None:
    metrics = compute(table, kernel=kernel)
    assert _same_bits(metrics, kernel, bars)
    assert metrics.columns == ["start", *kernel.columns]
    assert metrics["start"].to_list() == table["start"].to_list()
    assert metrics["warm"].to_list() == [i >= 199 for i in range(300)]


def test_pandas_in_pandas_out(kernel: Kernel, table: pl.DataFrame, bars: Floats) -> None:
    metrics = compute(table.to_pandas(), kernel=kernel)
    assert type(metrics).__module__.startswith("pandas")
    assert _same_bits(pl.from_pandas(metrics), kernel, bars)


def test_the_order_of_rows_does_not_matter(kernel: Kernel, table: pl.DataFrame, bars: Floats) -> None:
    assert _same_bits(compute(table.reverse(), kernel=kernel), kernel, bars)


def test_series_are_told_apart(kernel: Kernel, table: pl.DataFrame, bars: Floats) -> None:
    both = pl.concat([table.with_columns(symbol=pl.lit(name)) for name in ("B", "A")]).sort("start", "symbol")
    metrics = compute(both, kernel=kernel)
    assert metrics["symbol"].unique(maintain_order=True).to_list() == ["A", "B"]
    for _, part in metrics.group_by("symbol"):
        assert _same_bits(part, kernel, bars)


@pytest.mark.parametrize("kind", [pl.Datetime("ms"), pl.Datetime("us", "America/New_York"), pl.Int64])
def test_any_kind_of_start_has_the_same_days(
    kernel: Kernel, table: pl.DataFrame, bars: Floats, kind: pl.DataType
) -> None:
    start = pl.col("start")
    zone = getattr(kind, "time_zone", None)
    other = start.dt.convert_time_zone(zone) if zone else start.dt.replace_time_zone(None).cast(kind)
    assert _same_bits(compute(table.with_columns(other), kernel=kernel), kernel, bars)


def test_without_turnover_bars_count_as_a_providers(kernel: Kernel, table: pl.DataFrame, bars: Floats) -> None:
    bars[:, 7] = 1.0
    assert _same_bits(compute(table.drop("turnover"), kernel=kernel), kernel, bars)
    marked = table.with_columns(origin=pl.lit("provider"))
    assert _same_bits(compute(marked, kernel=kernel), kernel, bars)


def test_a_session_column_is_obeyed(kernel: Kernel, table: pl.DataFrame, bars: Floats) -> None:
    bars[:, 6] = np.arange(300) // 50
    assert _same_bits(compute(table.with_columns(session=bars[:, 6]), kernel=kernel), kernel, bars)


def test_minutes_without_a_trade_have_no_metrics(kernel: Kernel, table: pl.DataFrame, bars: Floats) -> None:
    hole = pl.col("start") == BEGIN + timedelta(minutes=250)
    holed = table.with_columns(pl.when(~hole).then(pl.col(name)).alias(name) for name in COLUMNS)
    metrics = compute(holed, kernel=kernel)
    assert metrics.row(250)[1:] == (*[None] * (len(kernel.columns) - 1), False)
    assert _same_bits(metrics.filter(~hole), kernel, np.delete(bars, 250, axis=0))


def test_decimals_and_whole_numbers_are_numbers() -> None:
    one, two = Decimal("1.5"), Decimal("3")
    table = pl.DataFrame(
        {
            "start": [date(2025, 1, 1), date(2025, 1, 2)],
            "open": one,
            "high": 4,
            "low": 1,
            "close": [one, two],
            "volume": 0,
        }
    )
    assert compute(table)["return"].to_list() == [None, 1.0]


def test_an_empty_table_has_empty_metrics(table: pl.DataFrame) -> None:
    assert compute(table.clear()).height == 0


def test_windows_a_person_asked_for(table: pl.DataFrame) -> None:
    assert compute(table, {"sma": [7]})["sma_7"].null_count() == 6
    with pytest.raises(BadSetting):
        compute(table, {"nonsense": [7]})


@pytest.mark.parametrize(
    ("column", "value"),
    [("close", 0.0), ("close", -1.0), ("high", math.inf), ("open", None), ("volume", -1.0), ("volume", math.inf)],
)
def test_a_row_that_is_no_bar_is_named(table: pl.DataFrame, column: str, value: float | None) -> None:
    values = table[column].to_list()
    values[17] = value
    with pytest.raises(BadFile, match="row 17"):
        compute(table.with_columns(pl.Series(column, values)))


@pytest.mark.parametrize("spoil", [
    lambda t: t.drop("close"),
    lambda t: t.with_columns(start=pl.lit("yesterday")),
    lambda t: t.with_columns(start=pl.lit(None, dtype=pl.Datetime)),
    lambda t: t.with_columns(close=pl.lit("dear")),
    lambda t: pl.concat([t, t]),
])  # fmt: skip
def test_a_table_that_is_none_of_bars_is_refused(
    table: pl.DataFrame, spoil: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    with pytest.raises(BadFile):
        compute(spoil(table))
