"""The live chart as a Streamlit component: files of `browser/` and `vendored/`, served by the dashboard itself.

The browser takes history and commits from the API directly, so a bar moves without a rerun, and a rerun with the
same wish changes nothing on the screen.
"""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v1 import declare_component

OVERLAYS: Mapping[str, str] = {
    "sma_20": "SMA 20",
    "sma_50": "SMA 50",
    "sma_200": "SMA 200",
    "ema_12": "EMA 12",
    "ema_20": "EMA 20",
    "ema_26": "EMA 26",
    "ema_50": "EMA 50",
    "ema_200": "EMA 200",
    "bb": "Bollinger 20",
    "vwap_session": "VWAP",
    "profile": "Volume profile",
}
"""What can lie over the candles, by the name that stands in the URL."""
_AVERAGE = re.compile(r"(sma|ema|wma)_\d{1,4}")
PANES: Mapping[str, str] = {"rsi": "RSI 14", "macd": "MACD", "roc": "Momentum (ROC 10)"}
"""What can stand below them."""
FONT = "font.woff2"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the chart shows. ``compare`` holds (source, symbol) of other series; ``zone`` is a name of the tz data."""

    api: str
    source: str
    symbol: str
    interval: str
    overlays: Sequence[str] = ()
    panes: Sequence[str] = ()
    compare: Sequence[Sequence[str]] = ()
    log: bool = False
    zone: str = "UTC"
    mark: str = ""


def overlays_with(extras: Iterable[str]) -> dict[str, str]:
    """`OVERLAYS` and the averages among the keys of `market.metrics.extra`, shortest first.

    >>> list(overlays_with(["cci_20", "sma_100", "sma_30", "sma_50"]))[-3:]
    ['profile', 'sma_30', 'sma_100']
    """
    more = sorted((name for name in extras if _AVERAGE.fullmatch(name)), key=lambda name: (name[:3], int(name[4:])))
    return {**OVERLAYS, **{name: name.replace("_", " ").upper() for name in more if name not in OVERLAYS}}


def show(wish: Wish) -> bool:
    """Put the chart on the page; whether it has been drawn since, or has said why it cannot be."""
    # The same key at every run, or each would load the chart anew.
    return bool(_component()(**asdict(wish), key="live", default=False))


def assemble(target: Path) -> Path:
    """Lay the chart's files and Plotly.js side by side in ``target``.

    Its finance bundle has candles, lines and bars, and is read by a browser in a quarter of the time of the whole.
    """
    here = files("sparktrends.serve.dashboard")
    for file in (*here.joinpath("browser").iterdir(), here.joinpath("vendored", "plotly-finance.min.js")):
        (target / file.name).write_bytes(file.read_bytes())
    # The page's own font: a frame does not inherit it.
    for font in Path(str(files("streamlit"))).glob("static/static/media/SourceSansVF-Upright*.woff2"):
        (target / FONT).write_bytes(font.read_bytes())
    return target


@cache
def folder() -> Path:
    """Where this process has the chart's files: Streamlit serves none from elsewhere, not even through a link."""
    made = Path(tempfile.mkdtemp(prefix="sparktrends-chart-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return assemble(made)


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return declare_component("live_chart", path=str(folder()))
