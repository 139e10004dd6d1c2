"""Explore: any indicator with any window over any series, by the kernel that computes the stored metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import streamlit as st

from sparktrends.commit import Sessions
from sparktrends.errors import BadSetting
from sparktrends.indicators import FAMILIES, compute
from sparktrends.indicators.registry import LONGEST, SHORTEST
from sparktrends.model import SECOND
from sparktrends.serve.dashboard import figures, view, words
from sparktrends.serve.dashboard.reading import ask, wait_for
from sparktrends.serve.dashboard.screens.market import say_no_data
from sparktrends.store import board

_OVER_PRICE = ("sma", "ema", "wma", "bb")
_MOST = 5000


def show() -> None:
    """Draw the page."""
    st.title("Explore")
    rows = ask(board.series)
    if not rows:
        wait_for(board.series, say_no_data)
        return
    row, interval, count = _choose_series(rows)
    wanted = _choose_indicators()
    bars = [bar for bar in ask(board.bars, row["series"], interval, count) if bar["close"] is not None]
    if not bars:
        st.info("This series has no bars with trades of this interval yet.")
        return
    with st.spinner("Computing; new windows are compiled once, which takes some seconds …"):
        frame = metrics_of(bars, wanted, (row["source"], row["symbol"]), interval)
    own = _own_column(bars, frame)
    _draw(bars, frame, wanted, own)


def _own_column(bars: Sequence[Mapping[str, Any]], frame: pl.DataFrame) -> pl.Series | None:
    """A column of a person's own making, as an expression of SQL over the others."""
    text = st.text_input(
        "Your own column (optional)",
        view.said("expression") or "",
        key="expression",
        placeholder="close / sma_50 - 1",
        help="SQL over the columns of this page: + - * /, abs, ln, CASE WHEN … END, lag(close) OVER (ORDER BY start)",
    ).strip()
    view.keep("expression", text)
    if not text:
        return None
    try:
        return evaluated(text, with_bars(bars, frame))
    except BadSetting as error:
        st.warning("**This expression does not work.** Columns: " + words.literal(", ".join(frame.columns[:60])))
        st.text(str(error))
        return None


def with_bars(bars: Sequence[Mapping[str, Any]], frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of the bars beside those of the kernel."""
    names = ("start", "open", "high", "low", "close", "volume", "trades")
    own = pl.DataFrame([{name: bar[name] for name in names} for bar in bars], infer_schema_length=None)
    return own.hstack(frame.select(column for column in frame.columns if column not in names))


def evaluated(text: str, frame: pl.DataFrame) -> pl.Series:
    """The expression as a column of numbers, one for each row; raises BadSetting with the reason.

    >>> evaluated("close / 2", pl.DataFrame({"close": [1.0, 3.0]})).to_list()
    [0.5, 1.5]
    """
    try:
        return frame.with_columns(pl.sql_expr(text).alias("own"))["own"].cast(pl.Float64)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise BadSetting(str(error).splitlines()[0][:300]) from error


def _choose_series(rows: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], str, int]:
    left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
    with left:
        row = view.series_choice(rows)
    with middle:
        interval = view.one("Interval", ask(board.intervals, row["series"]) or ["1m"], "interval", "1m")
    with right:
        count = view.step("Bars", [200, 500, 1000, 2000, _MOST], "bars", 500)
    return row, interval, count


def _choose_indicators() -> dict[str, list[int]]:
    chosen = view.some("Indicators", {name: name for name in FAMILIES}, "indicators", ("sma", "rsi"))
    wanted = {}
    for name, column in zip(chosen, st.columns(max(len(chosen), 4)), strict=False):
        with column:
            first = window_said(view.said(f"n_{name}"), 50 if name in _OVER_PRICE else 14)
            window = st.number_input(f"Window of {name}, bars", SHORTEST, LONGEST, first, key=f"window_{name}")
            view.keep(f"n_{name}", str(window))
            wanted[name] = [int(window)]
    return wanted


def window_said(words: str | None, usual: int) -> int:
    """The window, in bars, that the URL names; the usual one when it names none that may be chosen.

    >>> window_said("20", 14), window_said("5000", 14), window_said("²", 14), window_said(None, 14)
    (20, 14, 14, 14)
    """
    # At most four digits: Streamlit refuses what lies outside of its field with an error for the whole page.
    named = int(words) if words and words.isascii() and words.isdigit() and len(words) <= 4 else usual
    return named if SHORTEST <= named <= LONGEST else usual


@st.cache_data(ttl=60, max_entries=20, show_spinner=False)
def metrics_of(
    bars: Sequence[Mapping[str, Any]], wanted: Mapping[str, Sequence[int]], key: tuple[str, str], interval: str
) -> pl.DataFrame:
    """Everything the kernel makes of the bars of a series, one row a bar; columns of ``wanted`` are called like
    ``sma_50``. Sessions are those of the stream."""
    names = ("start", "open", "high", "low", "close", "volume", "turnover", "origin")
    session_of = Sessions(interval)
    sessions = [session_of(key, int(bar["start"].timestamp()) * SECOND) for bar in bars]
    rows = [{name: bar[name] for name in names} for bar in bars]
    return compute(pl.DataFrame(rows).with_columns(session=pl.Series(sessions)), wanted)


def columns_of(frame: pl.DataFrame, name: str, window: int) -> list[str]:
    """The columns that a family with a window makes.

    >>> columns_of(pl.DataFrame({"sma_50": [1.0], "sma_500": [1.0]}), "sma", 50)
    ['sma_50']
    """
    exact = [c for c in frame.columns if c == f"{name}_{window}"]
    many = [c for c in frame.columns if c.startswith(f"{name}_") and (c.endswith(f"_{window}") or f"_{window}_" in c)]
    # The standard Bollinger bands carry no window in their names.
    plain = [c for c in frame.columns if c.startswith(f"{name}_") and not any(ch.isdigit() for ch in c)]
    return exact or many or plain


def _draw(
    bars: Sequence[Mapping[str, Any]],
    frame: pl.DataFrame,
    wanted: Mapping[str, Sequence[int]],
    own: pl.Series | None,
) -> None:
    zone = words.zone_of(view.zone())
    x = [row["start"] for row in words.localised([{"start": bar["start"]} for bar in bars], zone)]
    picked = {name: columns_of(frame, name, windows[0]) for name, windows in wanted.items()}
    over = {c: frame[c].to_list() for name in picked if name in _OVER_PRICE for c in picked[name]}
    closes = {"close": [bar["close"] for bar in bars]}
    st.plotly_chart(figures.lines(x, {**closes, **over}, 380), width="stretch", key="explore_price")
    for name, columns in picked.items():
        if name not in _OVER_PRICE:
            made = figures.lines(x, {c: frame[c].to_list() for c in columns}, 200)
            st.plotly_chart(made, width="stretch", key=f"explore_{name}", config=figures.STILL)
    if own is not None:
        made = figures.lines(x, {"your own": own.to_list()}, 200)
        st.plotly_chart(made, width="stretch", key="explore_own", config=figures.STILL)
    chosen = [c for columns in picked.values() for c in columns]
    joined = with_bars(bars, frame.select(chosen))
    joined = joined if own is None else joined.with_columns(own)
    st.download_button("Download CSV", joined.write_csv(), "explore.csv", "text/csv", icon=":material/download:")
