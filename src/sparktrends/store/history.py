"""Whole histories of bars as arrays: what backtests and batches read, a series at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sparktrends.store.analysis_rows import FINAL_BARS
from sparktrends.store.connect import Connection, translated

SeriesKey = tuple[str, str]
_COLUMNS = ("open", "high", "low", "close", "volume", "turnover", "provider")
# A row of PostgreSQL's binary COPY: the number of fields, then each field's length and value, in network order.
_FIELDS = [("series", ">i4"), ("start", ">i8"), ("revision", ">i8"), *((name, ">f8") for name in _COLUMNS)]
_ROW = np.dtype(
    [("fields", ">i2"), *(part for name, kind in _FIELDS for part in ((f"{name}_length", ">i4"), (name, kind)))]
)
# Bytes before the first row (signature, flags, length of the extension) and behind the last (a count of -1).
_HEADER, _TRAILER = 19, 2


def series_with_bars(connection: Connection, interval: str, symbols: Sequence[str]) -> list[tuple[int, SeriesKey]]:
    """Id, source and symbol of every series (of these symbols, if any are given) that has bars of an interval."""
    with translated():
        found = connection.execute(_SERIES, {"interval": interval, "symbols": list(symbols)}).fetchall()
    return [(series, (source, symbol)) for series, source, symbol in found]


def final_bars(connection: Connection, interval: str, series: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The final bars of a series that show and have prices, oldest first: starts (µs UTC), and rows of open, high,
    low, close, volume, turnover, session (0: the caller's to fill) and 1.0 for a provider's bar."""
    words = {"series": [series], "after": [-1], "interval": interval}
    with translated(), connection.cursor().copy(f"COPY ({FINAL_BARS}) TO STDOUT (FORMAT BINARY)", words) as copy:
        content = b"".join(bytes(piece) for piece in copy)
    table = np.frombuffer(content[_HEADER:-_TRAILER], dtype=_ROW)
    rows = np.zeros((len(table), len(_COLUMNS) + 1))
    for column, name in enumerate(_COLUMNS[:-1]):
        rows[:, column] = table[name]
    rows[:, -1] = table["provider"]
    return table["start"].astype(np.int64), rows


def histories(
    connection: Connection, interval: str, symbols: Sequence[str] = ()
) -> Iterator[tuple[SeriesKey, NDArray[np.int64], NDArray[np.float64]]]:
    """`final_bars` of every series of `series_with_bars` that has any, one after the other."""
    for series, key in series_with_bars(connection, interval, symbols):
        starts, rows = final_bars(connection, interval, series)
        if len(starts):
            yield key, starts, rows


_SERIES = """
SELECT s.id, s.source, s.symbol FROM core.series s
WHERE (cardinality(%(symbols)s::text[]) = 0 OR s.symbol = ANY(%(symbols)s)) AND (
    EXISTS (SELECT FROM core.bars b WHERE b.series = s.id AND b.interval = %(interval)s)
    OR EXISTS (SELECT FROM core.provider_bars p WHERE p.series = s.id AND p.interval = %(interval)s))
ORDER BY s.source, s.symbol
"""
