"""Whole tables of bars through the kernel: what the command ``metrics`` and notebooks use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, overload

import numpy as np
import polars as pl

from sparktrends.errors import BadFile
from sparktrends.indicators.kernel import WARM, Kernel
from sparktrends.indicators.layout import BAR_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("source", "symbol", "interval")
"""Columns that tell series apart, where a table has them."""

PRICES = ("open", "high", "low", "close")
_ROW, _SERIES = "_row", "_series"  # where a row stood, and the first row of its series


@overload
def compute(
    frame: pl.DataFrame, extra: Mapping[str, Sequence[int]] | None = None, *, kernel: Kernel | None = None
) -> pl.DataFrame: ...


@overload
def compute(
    frame: pd.DataFrame, extra: Mapping[str, Sequence[int]] | None = None, *, kernel: Kernel | None = None
) -> pd.DataFrame: ...


def compute(
    frame: pl.DataFrame | pd.DataFrame,
    extra: Mapping[str, Sequence[int]] | None = None,
    *,
    kernel: Kernel | None = None,
) -> pl.DataFrame | pd.DataFrame:
    """The metrics of a table of bars, by the same kernel as everywhere, as a table of the same kind.

    ``frame`` has ``start`` (datetime, date, or integer microseconds UTC), ``open high low close volume``, and may
    have ``source symbol interval`` (each combination is a series of its own), ``turnover`` (without it the session's
    VWAP comes from (high + low + close) / 3 · volume, as for provider bars), ``origin`` as in ``market.bars``, and
    ``session`` (a number that changes when a session starts; default the UTC day). Rows without prices are minutes
    without a trade: they get no metrics. ``extra`` and ``kernel``: see `Kernel`.

    Returns the key columns, ``start``, the kernel's columns (null while not warm or undefined), ``warm`` as a
    boolean; series in order of first appearance, each by ``start``. Raises BadFile for a missing column, a number
    that is none, a bar that cannot be, or two bars of one series with the same start; BadSetting for ``extra``.

    >>> from datetime import date
    >>> days = [date(2025, 1, 1), date(2025, 1, 2)]
    >>> bars = pl.DataFrame({"start": days, "open": 1, "high": 3, "low": 1, "close": [2, 3], "volume": [1, 0]})
    >>> compute(bars)["return"].to_list()
    [None, 0.5]
    """
    if isinstance(frame, pl.DataFrame):
        return _compute(frame, kernel or Kernel(extra))
    return _compute(pl.from_pandas(frame), kernel or Kernel(extra)).to_pandas()


def _compute(frame: pl.DataFrame, kernel: Kernel) -> pl.DataFrame:
    keys = [name for name in KEYS if name in frame.columns]
    _check_columns(frame)
    # Everything as one array, so that each series is a slice of it and the kernel is called once for each.
    table = _series_in_order(frame.with_row_index(_ROW), keys)
    bars = _bars(table)
    values = np.empty((len(bars), len(kernel.columns)))
    for first, last in _spans(table):
        values[first:last] = kernel.run(kernel.new(1)[0], bars[first:last])
    metrics = pl.from_numpy(values, schema=list(kernel.columns)).fill_nan(None)
    # A row that holds no bar has no outputs at all, not even warm.
    warm = metrics.select(pl.col(WARM).cast(pl.Boolean).fill_null(False))
    return table.select(*keys, "start").hstack(metrics.with_columns(warm))


def _check_columns(frame: pl.DataFrame) -> None:
    missing = [name for name in ("start", *PRICES, "volume") if name not in frame.columns]
    if missing:
        raise BadFile(f"the table has no column {', '.join(missing)}", hint=f"it has {', '.join(frame.columns)}")
    if not (frame["start"].dtype.is_temporal() or frame["start"].dtype.is_integer()):
        raise BadFile(f"start is {frame['start'].dtype}", hint="give a datetime, a date, or integer microseconds UTC")
    if frame["start"].null_count():
        raise BadFile("some rows have no start")


def _series_in_order(frame: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    first = pl.col(_ROW).min().over(keys) if keys else pl.lit(0)
    table = frame.with_columns(first.alias(_SERIES)).sort(_SERIES, "start", _ROW)
    twice = table.select(_SERIES, "start").is_duplicated()
    if twice.any():
        raise BadFile(f"two bars of one series start at {table.filter(twice)['start'][0]}")
    return table


def _spans(table: pl.DataFrame) -> list[tuple[int, int]]:
    borders = np.flatnonzero(np.diff(table[_SERIES].to_numpy())) + 1
    return list(pairwise([0, *borders.tolist(), len(table)]))


def _bars(table: pl.DataFrame) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    given = table.columns
    turnover = _number("turnover") if "turnover" in given else pl.lit(None, dtype=pl.Float64)
    provider = turnover.is_null()
    if "origin" in given:
        provider = provider | (pl.col("origin") == "provider").fill_null(False)
    session = _number("session") if "session" in given else _day(table["start"].dtype)
    columns = {name: _number(name) for name in (*PRICES, "volume")}
    columns |= {"volume": columns["volume"].fill_null(0.0), "turnover": turnover, "session": session}
    try:
        bars = table.select(**columns, provider=provider.cast(pl.Float64)).select(BAR_COLUMNS)
    except pl.exceptions.PolarsError as error:
        raise BadFile(f"a column of bars is not numeric ({error})") from error
    _check_bars(bars, table[_ROW])
    # NaN is how the kernel is told that a row holds no bar.
    return bars.fill_null(float("nan")).to_numpy(order="c")


def _number(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float64).fill_nan(None)


def _day(dtype: pl.DataType) -> pl.Expr:
    start = pl.col("start")
    if dtype.is_integer():
        return (start // 86_400_000_000).cast(pl.Float64)
    utc = start.dt.convert_time_zone("UTC") if getattr(dtype, "time_zone", None) else start
    return utc.cast(pl.Date).to_physical().cast(pl.Float64)


def _check_bars(bars: pl.DataFrame, rows: pl.Series) -> None:
    # The kernel passes over what is no bar; in a person's file that would hide a fault, so it is refused here.
    empty = pl.all_horizontal(pl.col(PRICES).is_null())
    priced = pl.all_horizontal(((pl.col(PRICES) > 0) & pl.col(PRICES).is_finite()).fill_null(False))
    volume = (pl.col("volume") >= 0) & pl.col("volume").is_finite()
    turnover = (pl.col("turnover") >= 0).fill_null(True)
    bad = bars.select((~(empty | priced) | ~volume | ~turnover).alias("bad"))["bad"]
    if bad.any():
        row = int(rows.filter(bad)[0])
        hint = "prices are finite and above 0 (or all absent), volume and turnover not below 0"
        raise BadFile(f"row {row} of the table is no bar", hint=hint)
