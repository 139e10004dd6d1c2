"""News: headlines with their sentiment, linked to price. They come from strangers: text, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from sparktrends.serve.dashboard import figures, tables, view, words
from sparktrends.serve.dashboard.reading import SLOWLY_S, ask, said_plainly
from sparktrends.store import board

_LABELS = ("All", "Positive", "Neutral", "Negative")
Rows = Sequence[Mapping[str, Any]]


def show() -> None:
    """Draw the page."""
    st.title("News")
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    with left:
        label = view.one("Sentiment", _LABELS, "label")
    with right:
        symbols = {symbol: symbol for symbol in ask(board.news_symbols)}
        chosen = view.some("Symbols", symbols, "of") if symbols else []
    view.renewed(SLOWLY_S, lambda: _body(label, tuple(chosen)))


def _body(label: str, symbols: Sequence[str]) -> None:
    with said_plainly():
        found = [row for row in ask(board.news, symbols) if label == "All" or row["label"] == label.lower()]
        if not found and (symbols or label != "All"):
            st.info("No story fits. Choose another sentiment, or all symbols.")
            return
        if not found:
            st.info("**No news yet.** `sparktrends batch daily` fetches headlines and scores them.")
            st.caption("News needs a source that has it: Finnhub, Alpha Vantage, or `sparktrends up --sandbox`.")
            return
        _figures(found)
        _table(found)


def _figures(rows: Rows) -> None:
    scores = [row["score"] for row in rows if row["score"] is not None]
    labels = [row["label"] for row in rows]
    shown = {
        "Stories": f"{len(rows):,}",
        "Mean sentiment": words.number(sum(scores) / len(scores), 2) if scores else "–",
        **{name.capitalize(): f"{labels.count(name):,}" for name in ("positive", "neutral", "negative")},
    }
    for column, (name, value) in zip(st.columns(len(shown)), shown.items(), strict=True):
        column.metric(name, value)
    timed = words.localised(rows, words.zone_of(view.zone()))
    st.plotly_chart(figures.sentiments(timed), width="stretch", key="sentiments", config=figures.STILL)


def _table(rows: Rows) -> None:
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    shown = [
        {
            **row,
            "chart": words.link("market", symbol=row["symbols"][0]) if row["symbols"] else None,
            "symbols": ", ".join(row["symbols"]),
            "topics": ", ".join(row["topics"]),
            "evidence": words.evidence(row["evidence"]),
            "kind": words.mark(row["source"]) or "live",
        }
        for row in rows
    ]
    columns = {
        "chart": st.column_config.LinkColumn("", display_text="chart", width=60),
        "published_at": text("Published", width=135),
        "symbols": text("Symbols", width=110),
        "headline": text("Headline", width="large"),
        "score": number("Sentiment", format="%+.2f", width=85),
        "label": text("Label", width=75),
        "evidence": text("Evidence", width="medium", help="Words and rules that made the score, with their weights"),
        "topics": "Topics",
        "publisher": "Publisher",
        "kind": "Data",
        "summary": text("Summary", width="large"),
        "url": text("Address", help="Written by a stranger, so it is no link"),
    }
    tables.table(shown, columns, height=640)
