"""Market: the live chart of one series, and its newest bars and signals as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import streamlit as st

from sparktrends.serve.dashboard import tables, view, words
from sparktrends.serve.dashboard.config import current
from sparktrends.serve.dashboard.live_chart import PANES, Wish, overlays_with
from sparktrends.serve.dashboard.live_chart import show as show_chart
from sparktrends.serve.dashboard.reading import EVERY_S, ask, ask_slowly, said_plainly, wait_for
from sparktrends.store import board
from sparktrends.store.serving import extra_names

_DEFAULT = ("sma_50", "sma_200", "bb")


def show() -> None:
    """Draw the page."""
    rows = ask(board.series)
    if not rows:
        wait_for(board.series, say_no_data)
        return
    row, wish = _choose(rows)
    # A part of the page of its own: what the chart says of itself draws this part again, and nothing else.
    st.fragment(_chart_and_tables)(row, wish)


def _chart_and_tables(row: Mapping[str, Any], wish: Wish) -> None:
    """The tables come when the chart is there: until then the browser has enough to do."""
    drawn = show_chart(wish)
    st.caption(
        "Drag to move, wheel to zoom, double click for now. With the chart in focus: ← → + − Home; with Shift, "
        "← → read bar by bar. A diamond below marks what was revised or is incomplete."
    )
    with st.container(key="below"):
        if drawn:
            view.renewed(EVERY_S, lambda: _tables(row, wish.interval))


def _choose(rows: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], Wish]:
    symbol, interval, look = st.columns([3, 3, 2], vertical_alignment="bottom")
    with symbol:
        row = view.series_choice(rows)
    with interval:
        offered = ask(board.intervals, row["series"]) or ["1m"]
        length = view.one("Interval", offered, "interval", "1m")
    with look:
        log = view.switch("Log scale", "log")
    with st.container(key="looks"):
        overlays, panes, compare = _looks(rows, row)
    pairs = [name.split("|", 1) for name in compare]
    wish = Wish(
        current().api, row["source"], row["symbol"], length, overlays, panes, pairs, log, view.zone(),
        words.mark(row["source"]),
    )  # fmt: skip
    return row, wish


def _looks(rows: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """What lies over the candles, what stands below them, and which series are compared."""
    others = {"|".join(view.key_of(other)): view.titled(view.key_of(other)) for other in _kindred(rows, row)}
    over, below, beside = st.columns([4, 2, 3])
    with over:
        overlays = view.some("Overlays", overlays_with(ask_slowly(extra_names)), "overlays", _DEFAULT)
    with below:
        panes = view.some("Panes", PANES, "panes", ("rsi",))
    with beside:
        compare = view.some("Compare with", others, "compare")
    return overlays, panes, compare


def _kindred(rows: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The series that can be compared: a recording of another year has no minute in common with today's."""
    return [one for one in rows if one is not row and words.mark(one["source"]) == words.mark(row["source"])]


def _tables(row: Mapping[str, Any], interval: str) -> None:
    with said_plainly():
        tabs = view.tabs(["Newest bars", "Signals of this series", "Volume profile"])
        with tabs["Newest bars"]:
            tables.bars(ask(board.bars, row["series"], interval, 30)[::-1])
        with tabs["Signals of this series"]:
            signals = ask(board.signals, row["series"])
            if signals:
                tables.signals(signals)
            else:
                st.caption("No signal yet. Detectors need some bars before they know what is usual.")
        with tabs["Volume profile"]:
            _profile(row)


def _profile(row: Mapping[str, Any]) -> None:
    """How much was traded at which price in one session, as the daily run has made it."""
    days = ask_slowly(board.profile_days, row["series"])
    if not days:
        st.caption(
            "No profile of a finished session yet: `sparktrends batch daily` makes one for each. The overlay "
            "“Volume profile” of the chart shows that of what is in view."
        )
        return
    day = view.pick("Session of", [day.isoformat() for day in days], "session")
    levels = ask_slowly(board.profile, row["series"], date.fromisoformat(day))
    if not levels:
        return
    control = next(level for level in levels if level["point_of_control"])
    area = [level for level in levels if level["in_value_area"]]
    st.caption(
        f"Most was traded from {words.number(control['price'], 6)} to "
        f"{words.number(control['price'] + control['step'], 6)}; 70 % of the volume from "
        f"{words.number(area[0]['price'], 6)} to {words.number(area[-1]['price'] + area[-1]['step'], 6)}, "
        f"in {levels[0]['minutes']} minutes with trades."
    )
    tables.profile(levels)


def say_no_data() -> None:
    """What is so before the first trade, and whom to ask."""
    st.info("**No data yet.** The first bar appears as soon as a trade is stored.")
    st.caption(
        "Nothing coming? `sparktrends up` starts a source; `sparktrends check ingest` says whether one is delivering."
    )
