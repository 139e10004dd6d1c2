"""A real headless browser on a running dashboard, which notes every error and every request to another host."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-precise-memory-info",
]
HARMLESS = "Unrecognized feature"
"""Streamlit's frame asks for browser features that Chromium does not know; a warning of its own making."""


@contextmanager
def launched() -> Iterator[Any]:
    """Headless Chromium with an empty profile; skips where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        started.close()


@dataclass
class Watched:
    """A dashboard: its tabs may ask nobody but ``allowed`` (host:port); ``problems`` says what is wrong where."""

    address: str
    allowed: frozenset[str]
    problems: list[str] = field(default_factory=list)

    def open(self, context: Any, page: str, **query: str) -> Any:
        """A tab on a page, whose console errors and requests to other hosts are noted."""
        tab = context.new_page()
        tab.on("console", lambda said: self._note(page, said.type, said.text))
        tab.on("pageerror", lambda error: self.problems.append(f"{page}: {error}"))
        tab.on("request", lambda asked: self._check(page, asked.url))
        tab.on("dialog", lambda dialog: self.problems.append(f"{page}: dialog {dialog.message}"))
        tab.goto(f"{self.address}/?{urlencode({'page': page, **query})}")
        tab.wait_for_selector("[data-testid=stAppViewContainer] [data-testid=stSidebar]", timeout=90_000)
        return tab

    def _note(self, page: str, kind: str, text: str) -> None:
        if kind == "error" and HARMLESS not in text:
            self.problems.append(f"{page}: {text}")

    def _check(self, page: str, url: str) -> None:
        if url.startswith(("http:", "https:", "ws:", "wss:")) and url.split("/")[2] not in self.allowed:
            self.problems.append(f"{page}: asked {url}")


def answers(port: int) -> bool:
    """Whether a dashboard serves on this port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def until(true: Callable[[], Any], seconds: float, pause: Callable[[], Any] = lambda: time.sleep(0.05)) -> None:
    """Return once ``true`` says so; fails when that takes longer."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        pause()


def charted(tab: Any, seconds: float = 120) -> Any:
    """The frame of the live chart, once it has drawn bars."""
    found: list[Any] = []

    def drawn() -> bool:
        found[:] = [frame for frame in tab.frames if "live_chart" in frame.url]
        return bool(found) and bool(found[0].evaluate("window.sparktrends && window.sparktrends.draws > 0"))

    until(drawn, seconds, lambda: tab.wait_for_timeout(20))
    return found[0]


def cells(tab: Any, more: str = "") -> set[str]:
    """What the tables of a page say to who reads by ear: they draw on a canvas, and beside it is their text."""
    found = tab.locator(f"[data-testid=stDataFrame] canvas td[role=gridcell]{more}")
    return set(found.evaluate_all("(all) => all.map((one) => one.textContent)"))


def last_close(frame: Any) -> float:
    """The close of the newest bar that the chart has drawn."""
    return float(frame.evaluate("sparktrends.last.close"))


def followed(tab: Any, frame: Any) -> None:
    """Return once the chart hears of commits."""
    until(
        lambda: "live" in frame.inner_text("#live") or "quiet" in frame.inner_text("#live"),
        20,
        lambda: tab.wait_for_timeout(50),
    )
