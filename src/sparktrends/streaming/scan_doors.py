"""The two doors into the compiled fold. What is kept on disk stands behind them, under a hash of all its code."""

from __future__ import annotations

from collections.abc import Callable

from sparktrends.streaming import scan_record, scan_table
from sparktrends.streaming.scan_jit import kept, version
from sparktrends.streaming.scan_record import Row
from sparktrends.streaming.scan_table import Bounds, Rows, Tables

Fold = Callable[[Rows, Tables, Bounds, Row, int], int]
Fill = Callable[[Tables], None]


# Numba compares only this file and the closure with what it kept: without `code` a change of the scanner went
# unnoticed.
def _doors(code: str) -> tuple[Fold, Fill]:
    def fold_rows(rows: Rows, tables: Tables, bounds: Bounds, row: Row, done: int) -> int:
        code  # noqa: B018 - held, so that other code is never taken for this
        return scan_table.fold_rows(rows, tables, bounds, row, done)

    def fill_slots(tables: Tables) -> None:
        code  # noqa: B018
        scan_table.fill_slots(tables)

    return kept(fold_rows), kept(fill_slots)


fold_rows, fill_slots = _doors(version(scan_record.__file__, scan_table.__file__))
