"""Daily: what the daily run made of each day: who moved, why, and how that compares with its own history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from sparktrends.serve.dashboard import tables, view, words
from sparktrends.serve.dashboard.config import current
from sparktrends.serve.dashboard.reading import SLOWLY_S, ask, ask_slowly, said_plainly, wait_for
from sparktrends.serve.dashboard.screens import cards
from sparktrends.store import board

Rows = Sequence[Mapping[str, Any]]
_KINDS = {"md": "text/markdown", "html": "text/html"}


def show() -> None:
    """Draw the page."""
    st.title("Daily")
    days = [day.isoformat() for day in ask(board.trend_days)]
    if not days:
        wait_for(board.trend_days, _say_none, SLOWLY_S)
        return
    day = view.pick("Day", days, "day")
    view.renewed(SLOWLY_S, lambda: _body(day))


def _say_none() -> None:
    st.info("**No daily run yet.** `sparktrends batch daily` makes the first; Airflow does the same every day.")
    st.caption("It fetches bars, news and companies of the day, scores them, and compares each symbol with itself.")


def _body(day: str) -> None:
    with said_plainly():
        found = ask_slowly(board.daily_trends, day)
        _movers(found)
        _table(found)
        _report(day)
        with st.expander("Calls of the run"):
            _calls(ask_slowly(board.daily_calls, day))


def _report(day: str) -> None:
    """The report of the day as files, and to read: as text, for it holds headlines of strangers."""
    if not current().reports:
        st.caption("This process was not told where the reports lie: `sparktrends batch report` says where it writes.")
        return
    files = [Path(current().reports) / f"{day}.{kind}" for kind in _KINDS]
    try:
        found = [file.read_bytes() for file in files]
    except FileNotFoundError:
        st.caption(f"No report of this day yet: `sparktrends batch report --date {day}` writes it.")
        return
    except OSError as error:
        st.caption("The report of this day cannot be read here.")
        st.text(str(error))
        return
    with st.expander("Report of the day"):
        for column, file, content, (kind, mime) in zip(st.columns(4), files, found, _KINDS.items(), strict=False):
            column.download_button(
                f"Download {kind}", content, f"sparktrends-{file.name}", mime, key=f"report_{kind}", width="stretch"
            )
        st.text(found[0].decode("utf-8", "replace"))


def _movers(rows: Rows) -> None:
    # Several providers tell the day of one market: they share its rank, and one card tells of it.
    by_rank = {row["rank"]: row for row in reversed(rows) if row["rank"] is not None}
    chosen = [by_rank[rank] for rank in sorted(by_rank)[:6]]
    cards.show(chosen, "return", lambda row: words.literal(row["summary"]))


def _table(rows: Rows) -> None:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    shown = [
        {
            **row,
            "chart": words.link("market", symbol=row["symbol"], source=row["source"], interval="1d"),
            "changes": ", ".join(row["changes"]),
            "topics": ", ".join(row["topics"]),
        }
        for row in rows
    ]
    columns = {
        "chart": st.column_config.LinkColumn("", display_text="chart", width=60),
        "rank": number("Rank", width=60, help="1 = moved most"),
        "symbol": "Symbol",
        "tag": text("The day in a word", width=120),
        "summary": text("In a sentence", width="large"),
        "return": tables.percent("Return"),
        "return_z": number("… against usual", format="%+.1f σ"),
        "volume_ratio": number("Volume ÷ usual", format="%.2f"),
        "volatility_ratio": number("Volatility ÷ usual", format="%.2f"),
        "sentiment": number("Sentiment", format="%+.2f"),
        "headlines": number("Headlines", width=80),
        "changes": "Sudden changes",
        "topics": "Topics",
        "source": "Source",
    }
    tables.table(shown, columns, height=520, key="daily")


def _calls(rows: Rows) -> None:
    if not rows:
        st.caption("This day was made without asking a provider.")
        return
    shown = [{**row, "symbols": ", ".join(row["symbols"])} for row in rows]
    columns = {"source": "Source", "endpoint": "Call", "symbols": "Symbols", "state": "State", "reason": "Why not"}
    tables.table(shown, {**columns, "updated_at": "When"}, height=300)
