"""News: headlines with their sentiment. They come from strangers, so they are shown as text and nothing else."""

from __future__ import annotations

from typing import Any

import streamlit as st

from sparktrends.serve.dashboard import tables, view
from sparktrends.serve.dashboard.reading import SLOWLY_S, ask, said_plainly
from sparktrends.store import board

_TITLES = {
    "published_at": "Published", "symbol": "Symbol", "symbols": "Symbols", "headline": "Headline", "score": "Sentiment",
    "sentiment": "Sentiment", "label": "Label", "evidence": "Evidence words", "topics": "Topics",
    "publisher": "Publisher", "source": "Source", "summary": "Summary", "url": "Address",
}  # fmt: skip


def show() -> None:
    """Draw the page."""
    st.title("News")
    view.renewed(SLOWLY_S, _body)


def _body() -> None:
    with said_plainly():
        if "news" not in ask(board.views):
            st.info("**No news yet:** this installation has no view `market.news`. The daily run fetches headlines.")
            st.caption("Run it with `sparktrends batch daily`.")
            return
        found = ask(board.news)
        if not found:
            st.info("**No news yet.** `sparktrends batch daily` fetches headlines and scores them.")
            return
        there = {name: _column(name) for name in _TITLES if name in found[0]}
        shown = [{name: _text(row[name]) for name in there} for row in found]
        tables.table(shown, there, height=640)


def _column(name: str) -> Any:
    if name in ("headline", "summary"):
        return st.column_config.TextColumn(_TITLES[name], width="large")
    return _TITLES[name]


def _text(value: Any) -> Any:
    """Lists and mappings as words; an address stays text, because a stranger wrote it."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {val}" for key, val in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else value
