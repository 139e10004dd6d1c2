"""Every page of a running product, on the replayed week, in a real browser; its pictures are those of the README."""

from __future__ import annotations

import json
import os
import statistics
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from e2e.product import Product, until
from serve.dashboard.browsing import Watched, charted, launched

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[2]
PICTURES = Path(os.environ.get("SPARKTRENDS_PICTURES") or ROOT / "artefacts" / "pages")
"""`make pictures` sets it to docs/images."""
LIVE = "BTC/USDT,ETH/USDT,SOL/USDT,AAPL,MSFT,NVDA,AMZN,JPM,META"
SOURCES = ("--source", "demo", "--source", "binance", "--source", "yahoo", "--speed", "20000")
DAILY = ("--sandbox", "--source", "yahoo", "--source", "finnhub", "--symbols", LIVE)
WEEK = {"symbol": "BTC/USD", "source": "bitstamp~replay"}
LARGEST = 200_000
FIRST_CHART_S = 3.0


@dataclass(frozen=True)
class Shot:
    """A page as a person has it: what stands in its URL, and the tab of it that is looked at."""

    page: str
    query: dict[str, str] = field(default_factory=dict)
    tab: str = ""
    name: str = ""

    @property
    def file(self) -> str:
        """The name of its picture, without the scheme."""
        return self.name or self.page


SHOTS = (
    Shot("market", {**WEEK, "interval": "15m", "panes": "rsi,macd", "overlays": "sma_50,sma_200,bb,profile"}),
    Shot("overview"),
    Shot("signals", tab="Signals"),
    Shot("explore", {**WEEK, "interval": "1h", "expression": "close / sma_50 - 1"}),
    Shot("news"),
    Shot("daily"),
    Shot("quality"),
    Shot("system"),
)


@dataclass
class Running:
    """A product that has stored the week and runs on, and a browser."""

    product: Product
    site: Watched
    browser: Any

    def ready(self) -> Any:
        """What the API says of itself; raises HTTPError when it is not ready."""
        address = f"http://127.0.0.1:{self.product.record['ports']['api']}/api/v1/ready"
        with urllib.request.urlopen(address, timeout=60) as answer:
            return json.load(answer)

    def context(self, scheme: str = "light") -> Any:
        """A browser without memory, in which a person prefers light or dark."""
        return self.browser.new_context(viewport={"width": 1400, "height": 960}, color_scheme=scheme)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """The whole product with the recorded week, and the providers' twin for what a week of one pair lacks."""
    with Product.fresh() as product, launched() as browser:
        up = product.up("--sandbox", *SOURCES, "--symbols", LIVE, pages=True)
        until(lambda: all(product.pid(part) for part in ("api", "dashboard")), 120, lambda: up.err)
        until(lambda: product.ask(_LAST_DAY), 300, lambda: up.err)
        # `up` does the daily work of its own live sources, with a Spark of its own: no page is measured beside it.
        until((product.home / "run" / "daily.json").exists, 300, lambda: product.log("batch"))
        product.run("batch", "daily", *DAILY, code=None, seconds=300)
        product.run("batch", "quality", seconds=300)
        ports = product.record["ports"]
        dashboard, api = (f"127.0.0.1:{ports[name]}" for name in ("dashboard", "api"))
        yield Running(product, Watched(f"http://{dashboard}", frozenset({dashboard, api})), browser)
        assert up.stop() == 0, up.err


_LAST_DAY = "SELECT count(*) FROM market.bars WHERE source = 'bitstamp~replay' AND start >= '2013-12-01 10:00Z'"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.file)
def test_a_page_opens_without_an_error(running: Running, shot: Shot, scheme: str) -> None:
    running.site.problems.clear()
    context = running.context(scheme)
    tab = running.site.open(context, shot.page, **shot.query)
    if shot.page == "market":
        charted(tab)
    if shot.tab:
        tab.get_by_role("tab", name=shot.tab, exact=True).click()
    tab.wait_for_timeout(3000)  # a renewal of the tables among it
    settled(tab)
    assert tab.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    assert running.site.problems == []
    assert kept(tab, f"{shot.file}-{scheme}") < LARGEST
    context.close()


def test_the_first_chart_comes_in_time(running: Running) -> None:
    taken = []
    for _ in range(3):
        context = running.context()
        began = time.monotonic()
        charted(running.site.open(context, "market", **WEEK))
        taken.append(time.monotonic() - began)
        context.close()
    print(f"first chart after {', '.join(f'{s:.2f}' for s in taken)} s at load {os.getloadavg()[0]:.1f}")
    assert statistics.median(taken) < FIRST_CHART_S


def test_who_stands_still_is_told_and_got_over(running: Running) -> None:
    context = running.context()
    tab = running.site.open(context, "overview")
    said = partial(tab.inner_text, "[data-testid=stSidebar]")
    shown = partial(until_shown, tab, said)
    shown("data flows", 60)
    with standing(running.product, "stream"):
        shown("stream stands still", 90)
        assert running.ready()["commit_age_s"] >= 30
    shown("data flows", 90)
    with standing(running.product, "postgres"):
        shown("the database does not answer", 60)
        with pytest.raises(urllib.error.HTTPError) as refused:
            running.ready()
        assert refused.value.code == 503
    shown("data flows", 90)
    assert running.ready()["status"] == "ready"
    context.close()


@contextmanager
def standing(product: Product, name: str) -> Iterator[None]:
    """A part with all it has started, stopped in its tracks for the time of the block."""
    parent = psutil.Process(until(lambda: product.pid(name), 60, f"{name} does not run"))
    family = [parent, *parent.children(recursive=True)]
    for process in family:
        process.suspend()
    try:
        yield
    finally:
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def until_shown(tab: Any, said: Callable[[], str], words: str, seconds: float) -> None:
    """Wait until a part of the page says these words."""
    deadline = time.monotonic() + seconds
    while words not in said():
        assert time.monotonic() < deadline, said()
        tab.wait_for_timeout(250)


def settled(tab: Any, seconds: float = 30) -> None:
    """Return when nothing in view is a placeholder any more."""
    deadline = time.monotonic() + seconds
    while tab.locator("[data-testid=stSkeleton]:visible").count():
        assert time.monotonic() < deadline, "a part of the page never came"
        tab.wait_for_timeout(200)
    tab.wait_for_timeout(500)


def kept(tab: Any, name: str) -> int:
    """Keep what is on the screen as a picture of 256 colours; its size in bytes."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    file = PICTURES / f"{name}.png"
    tab.screenshot(path=str(file))
    with Image.open(file) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
    return file.stat().st_size
