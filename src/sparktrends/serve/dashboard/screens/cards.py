"""Cards of series that moved: name, price and change. A part of *Overview* and *Daily*."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from sparktrends.serve.dashboard import words

Row = Mapping[str, Any]


def show(rows: Sequence[Row], change: str, about: Callable[[Row], str]) -> None:
    """One card a row, side by side; ``change`` names the column of its change, ``about`` gives what its help says."""
    for column, row in zip(st.columns(max(len(rows), 1)), rows, strict=False):
        moved = words.percent(row[change])
        # An arrow only where something rose or fell: Streamlit takes whatever has no minus for a rise.
        arrow: Mapping[str, Any] = {} if moved[0] in "+-" else {"delta_arrow": "off", "delta_color": "off"}
        column.metric(
            words.literal(row["symbol"]), words.number(row["close"], 6), moved, border=True, help=about(row), **arrow
        )
