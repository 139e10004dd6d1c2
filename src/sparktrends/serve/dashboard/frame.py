"""What surrounds every page: navigation, the zone of times, and whether data flows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from sparktrends.errors import SparkTrendsError
from sparktrends.serve.dashboard import missing, view, words
from sparktrends.serve.dashboard.config import current
from sparktrends.serve.dashboard.reading import EVERY_S, ask, recovering, tell
from sparktrends.store import board_health
from sparktrends.store.serving import QUIET_S

# Drawn here: an icon by name would be fetched from another host.
_ICON = (
    "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAzMiAzMiI+PHJlY3Qg"
    "d2lkdGg9IjMyIiBoZWlnaHQ9IjMyIiByeD0iNyIgZmlsbD0iIzBmNzY2ZSIvPjxwYXRoIGQ9Ik01IDIybDctOCA1IDQgMTAtMTEiIGZpbGw9Im5vbmUi"
    "IHN0cm9rZT0iI2ZmZiIgc3Ryb2tlLXdpZHRoPSIzIi8+PC9zdmc+"
)
_STYLE = """<style>
.block-container { padding: 2.2rem 2.2rem 2rem; max-width: 1560px; }
[data-testid="stHeading"] h1 { font-size: 1.6rem !important; padding: .2rem 0 .4rem; }
[data-testid="stHeading"] h3 { font-size: 1.15rem !important; padding-bottom: .2rem; }
[data-testid="stMetricValue"] { font-size: 1.45rem; font-variant-numeric: tabular-nums; }
[data-testid="stSidebar"] [data-testid="stVerticalBlock"] { gap: .35rem; }
[data-testid="stSidebar"] .stButton button { justify-content: flex-start; padding: .2rem .7rem; min-height: 2.1rem; }
[data-testid="stSidebar"] .stButton button > div { justify-content: flex-start; }
[data-testid="stSidebar"] { width: 230px !important; min-width: 230px !important; }
[data-testid="stSidebar"][aria-expanded="false"] { min-width: 0 !important; width: 0 !important; }
[data-testid="stSidebarHeader"] { height: 2.6rem; padding-top: .4rem; margin-bottom: 0; }
[data-testid="stSidebar"] .stButton button[kind="tertiary"]:hover { background: rgba(127,127,127,.12); }
[data-testid="stSidebar"] [data-testid="stButtonGroup"] button { padding: .2rem .5rem; }
[data-testid="stSidebar"] hr { margin: .6rem 0; }
.st-brand { font-size: 1.25rem; letter-spacing: -.01em; padding: 0 .7rem .5rem; }
@media (max-width: 640px) {
.block-container { padding-left: .8rem; padding-right: .8rem; padding-top: 3.4rem; }
[data-testid="stColumn"]:has([data-testid="stMetric"]) { min-width: calc(50% - .5rem); flex: 1 1 calc(50% - .5rem); }
[data-testid="stHorizontalBlock"]:has([data-testid="stMetric"]) { gap: .75rem .5rem; }
.st-key-looks, :has(> .st-key-looks) { order: 1; }
.st-key-below, :has(> .st-key-below) { order: 2; }
}
</style>"""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its name in the URL (``?page=NAME``), its title and icon, and what draws it."""

    name: str
    title: str
    icon: str
    show: Callable[[], None]


def draw(pages: Sequence[Page]) -> None:
    """Draw the page that the URL names.

    Streamlit's own pages have paths, and its browser side asks each path for files that are not there: errors on
    the console at every direct link. A name in the query costs nothing and can be combined with the rest of a view.
    """
    page = next((one for one in pages if one.name == st.query_params.get("page")), pages[0])
    st.set_page_config(page_title=f"{page.title} · SparkTrends", page_icon=_ICON, layout="wide")
    st.html(_STYLE)
    with st.sidebar:
        st.html('<div class="st-brand">Spark<b>Trends</b></div>')
        for one in pages:
            _way_to(one, one is page)
    try:
        current()
    except SparkTrendsError:
        view.renewed(EVERY_S, _wait_for_stack)
        return
    with st.sidebar:
        st.divider()
        view.one(
            "Times", ["UTC", "Local", "Exchange"], "zone", help="UTC, this browser's zone, or the symbol's exchange."
        )
        view.renewed(EVERY_S, _pulse)
    recovering(page.show)


def _way_to(page: Page, here: bool) -> None:
    kind: Literal["secondary", "tertiary"] = "secondary" if here else "tertiary"
    icon = f":material/{page.icon}:"
    st.button(page.title, icon=icon, type=kind, width="stretch", key=f"to_{page.name}", on_click=_go, args=(page.name,))


def _go(name: str) -> None:
    st.query_params["page"] = name
    # It belongs to the page that is left.
    st.query_params.pop("signal", None)


def _wait_for_stack() -> None:
    """Ask again until something runs, then draw everything."""
    try:
        current()
    except SparkTrendsError as error:
        tell(error, "stack")
    else:
        st.rerun()


def _pulse() -> None:
    """One line: how long ago something was stored."""
    try:
        rows = ask(board_health.progress)
    except SparkTrendsError:
        st.caption(":red[●] the database does not answer")
        return
    ages = [row["commit_age_s"] for row in rows if row["commit_age_s"] is not None]
    if not ages:
        st.caption(":gray[●] nothing is stored yet")
        return
    newest = min(ages)
    if newest < QUIET_S:
        st.caption(f":green[●] data flows; last stored {words.age(newest)} ago")
        return
    # Asked of processes and broker only now: while data flows, all of them do their work.
    gone = missing.parts(rows)
    why = f": {', '.join(gone)}" if gone else ""
    st.caption(f":{'red' if gone else 'orange'}[●] quiet{why}; last stored {words.age(newest)} ago")
    if gone:
        st.caption("`sparktrends status` says more.")
