"""Overview: every series at a glance, and what moves most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from sparktrends.serve.dashboard import figures, tables, view, words
from sparktrends.serve.dashboard.reading import EVERY_S, ask, said_plainly
from sparktrends.serve.dashboard.screens import cards
from sparktrends.store import board

_KINDS = ("All", "Live", "Replayed", "Simulated")


def show() -> None:
    """Draw the page."""
    st.title("Overview")
    kind = view.one("Data", _KINDS, "data")
    view.renewed(EVERY_S, lambda: _body(kind))


def _body(kind: str) -> None:
    with said_plainly():
        found = [row for row in ask(board.overview) if kind == "All" or _kind(row) == kind]
        if not found:
            st.info("Nothing of this kind is stored yet. A series appears here with its first trade.")
            return
        _movers(found)
        told = [row for row in found if row["closes"]]
        if told:
            st.plotly_chart(figures.heat_map(told), width="stretch", key="heat", config=figures.STILL)
        # Of the others we have heard that they live, and nothing more yet.
        _table([*told, *(row for row in found if not row["closes"])])


def _kind(row: Mapping[str, Any]) -> str:
    return words.mark(row["source"]).capitalize() or "Live"


def _movers(rows: Sequence[Mapping[str, Any]]) -> None:
    """The three that rose and the three that fell most."""
    known = sorted((row for row in rows if row["change"] is not None), key=lambda row: row["change"])
    chosen = known[::-1][:3] + known[:3] if len(known) >= 6 else known[::-1]
    cards.show(chosen, "change", lambda row: f"{_kind(row)}; change within the last day of its own time")


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    shown = [
        {
            **row,
            "link": words.link("market", symbol=row["symbol"], source=row["source"]),
            "kind": _kind(row),
            "trend": _trend(row),
            "fresh": words.freshness(row),
            "feed": words.feed(row),
        }
        for row in rows
    ]
    columns = {
        "link": st.column_config.LinkColumn("", display_text="chart", width=55),
        "symbol": "Symbol",
        "kind": text("Data", width=80),
        "name": text("Company", help="As the newest provider says"),
        "closes": st.column_config.LineChartColumn("Last 60 minutes", width=160, help="Minutes with trades"),
        "close": tables.price("Last"),
        "change": tables.percent("Change", help="Within the last day of its own time", width=80),
        "volume_ratio": number("Volume ÷ usual", format="%.2f", help="Of the newest minute", width=105),
        "roc_10": number("Momentum", format="%.2f", help="ROC 10 in per cent, one-minute bars", width=90),
        "rsi_14": number("RSI 14", format="%.0f", width=65),
        "trend": text("Trend", help="SMA 50 against SMA 200 of one-minute bars", width=60),
        "sentiment": number("Sentiment", format="%+.2f", help="Mean of the stories of a week", width=85),
        "signals": number("Signals", help="Within the last day of its own time", width=70),
        "fresh": text("Last word", width=100),
        "feed": text("Feed", help="Quiet market, dead feed or closed exchange: all of them send words", width=120),
        "source": "Source",
    }
    if not any(row["name"] for row in rows):
        del columns["name"]
    tables.table(shown, columns, height=38 + 35 * min(len(shown), 24), key="overview")


def _trend(row: Mapping[str, Any]) -> str:
    short, long = row["sma_50"], row["sma_200"]
    if short is None or long is None:
        return "–"
    return "up" if short > long else "down" if short < long else "flat"
