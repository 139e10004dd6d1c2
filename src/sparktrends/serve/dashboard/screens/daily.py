"""Daily: what the daily run made of each day."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import streamlit as st

from sparktrends.serve.dashboard import tables, view
from sparktrends.serve.dashboard.reading import SLOWLY_S, ask, said_plainly
from sparktrends.store import board


def show() -> None:
    """Draw the page."""
    st.title("Daily")
    view.renewed(SLOWLY_S, _body)


def _body() -> None:
    with said_plainly():
        if "daily_trends" not in ask(board.views):
            st.info("**No daily run yet:** this installation has no view `market.daily_trends`.")
            st.caption("Run it with `sparktrends batch daily`; Airflow does the same every day.")
            return
        found = ask(board.daily_trends)
        if not found:
            st.info("**No daily run yet.** `sparktrends batch daily` makes the first.")
            return
        names = {name: name.replace("_", " ").capitalize() for name in found[0] if name != "series"}
        tables.table([{name: _plain(row[name]) for name in names} for row in found], names, height=640)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if isinstance(value, dict | list) else value
