"""The daily run against the offline twin: killed in the middle, completed, and then without anything left to do."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e.product import Product, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
PRICES = ("alpha_vantage", "twelve_data", "yahoo")
SOURCES = [word for name in ("finnhub", *PRICES) for word in ("--source", name)]
# Alpha Vantage gives a hundred days of a stock, these all that SMA 200 needs on the first evening.
YEARS = ["twelve_data~sim", "yahoo~sim"]
SYMBOLS = ("AAPL", "MSFT", "BTC/USD")
ASKED = ("--sandbox", *SOURCES, "--symbols", ",".join(SYMBOLS))
TABLES = (
    *("core.news", "core.mentions", "core.story_ids", "core.companies", "core.corporate_actions", "core.daily_trends"),
    *("core.daily_calls", "core.readings", "core.payload_rejects", "raw.payloads"),
)


SmallDisk = Callable[[Path], AbstractContextManager[None]]


@pytest.fixture
def small_disk() -> SmallDisk:
    """Puts a folder on a disk on which nothing has room."""

    @contextmanager
    def mounted(folder: Path) -> Iterator[None]:
        folder.mkdir(parents=True, exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", "size=8k,mode=777", "none", str(folder)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("no disk can be mounted here")
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)

    return mounted


def rows(product: Product) -> dict[str, list[Any]]:
    found = {table: product.sql(f"SELECT t::text FROM {table} t ORDER BY 1") for table in TABLES}  # noqa: S608
    # The live stream beside it goes on, with minutes of its own.
    daily = "SELECT t::text FROM core.provider_bars t WHERE interval = '1d' ORDER BY 1"
    return {**found, "provider_bars": product.sql(daily)}


def test_a_day_is_completed_after_a_kill_and_changes_nothing_when_run_again() -> None:
    with Product.fresh() as product:
        up = product.up("--sandbox", "--source", "binance", "--symbols", "ETH/USDT")
        killed = product.start("batch", "daily", *ASKED)
        until(lambda: product.ask("SELECT count(*) FROM raw.payloads"), 120, lambda: killed.err + killed.out)
        killed.process.kill()
        killed.wait()
        # `up` does the daily work of its own live source: from then on nobody but the test asks for anything.
        own = product.home / "run" / "daily.json"
        until(own.exists, 300, lambda: product.log("batch"))
        assert json.loads(own.read_text())["complete"], product.log("batch")

        first = product.run("batch", "daily", *ASKED, "--json", seconds=300).json()
        assert first["missing"] == []
        # Three tell prices of all of them, stocks and coins, and the live source of its own. The twin knows no weekend.
        assert first["trends"]["tagged"] >= len(PRICES) * len(SYMBOLS) + 1
        assert len(first["report"]["files"]) == 2
        found = product.sql(
            "SELECT source, symbol, count(*) FROM market.daily_prices WHERE source = ANY(%s) GROUP BY 1, 2", YEARS
        )
        assert {(source, symbol) for source, symbol, _ in found} == {
            (source, symbol) for source in YEARS for symbol in SYMBOLS
        }
        assert min(days for *_, days in found) >= 250
        warm = product.sql(
            "SELECT count(*) FROM market.metrics WHERE interval = '1d' AND source = ANY(%s) "
            "AND sma_200 IS NOT NULL AND start::date = (SELECT max(day) FROM market.daily_trends)",
            YEARS,
        )
        assert warm == [(len(found),)]
        assert product.ask("SELECT count(*) FROM market.news WHERE score IS NULL") == 0
        assert product.ask("SELECT count(*) FROM market.companies WHERE symbol = 'AAPL'") == 2

        before = rows(product)
        second = product.run("batch", "daily", *ASKED, "--json", seconds=300).json()
        assert second["flatten"] == {"payloads": 0}
        assert rows(product) == before

        # A day of the past is filled as well, and takes nothing from the other.
        past = date.fromisoformat(first["day"]) - timedelta(days=30)
        asked = ("--sandbox", "--source", "yahoo", "--source", "twelve_data", "--symbols", ",".join(SYMBOLS))
        filled = product.run("batch", "daily", "--date", str(past), *asked, "--json", seconds=300).json()
        assert filled["missing"] == []
        assert filled["trends"]["tagged"] >= len(YEARS) * len(SYMBOLS)
        assert set(rows(product)["core.daily_trends"]) > set(before["core.daily_trends"])
        assert "freshness: well" in product.run("check", "freshness").out
        assert product.audit()["findings"] == []
        assert up.stop() == 0


def test_a_provider_that_is_down_is_named_and_the_rest_is_finished() -> None:
    with Product.fresh() as product:
        # A real provider is as good as down where nothing but this machine can be reached.
        up = product.up("--sandbox", "--source", "binance", "--symbols", "ETH/USDT")
        plan = product.run("batch", "fetch", "--plan", *ASKED, "--json").json()
        assert {cost["source"] for cost in plan["sources"]} == {f"{name}~sim" for name in ("finnhub", *PRICES)}
        product.kill("sandbox")
        partly = product.run("batch", "fetch", "--sandbox", "--source", "yahoo", "--symbols", "AAPL", code=None)
        if partly.process.returncode:  # it came back too soon otherwise, and then nothing is missing
            assert "missing: " in partly.out
        until(lambda: product.pid("sandbox"), 60, "the twin is back")
        product.run("batch", "fetch", "--sandbox", "--source", "yahoo", "--symbols", "AAPL")
        assert product.ask("SELECT count(*) FROM market.daily_calls WHERE state <> 'done'") == 0

        fetch = ("batch", "fetch", "--sandbox", "--source", "yahoo")
        assert "2026-02-30" in product.run(*fetch, "--date", "2026-02-30", code=2).err
        assert "has not begun" in product.run(*fetch, "--date", "2999-01-01", code=2).err
        odd = product.run(*fetch, "--symbols", "AAPL,NO SUCH", "--json", code=1).json()
        assert [item for item in odd["missing"] if "nobody can be asked for NO SUCH" in item]
        gone = product.run(*fetch, "--symbols", "ZZZZQ", code=1)
        assert "missing: " in gone.out
        assert "ZZZZQ" in gone.out
        assert up.stop() == 0


def test_a_full_disk_is_named_and_the_next_run_completes_the_day(small_disk: SmallDisk) -> None:
    with Product.fresh() as product:
        up = product.up("--sandbox", "--source", "binance", "--symbols", "ETH/USDT")
        with small_disk(product.home / "scratch" / "batch"), small_disk(product.home / "reports"):
            partly = product.run("batch", "daily", *ASKED, "--json", code=1, seconds=300).json()
        parts = {item.partition(":")[0] for item in partly["missing"]}
        assert parts & {"flatten", "sentiment", "trends", "report"}, partly
        assert partly["fetch"]["done"] > 0
        whole = product.run("batch", "daily", *ASKED, "--json", seconds=300).json()
        assert whole["missing"] == []
        assert whole["trends"]["tagged"] >= 2 * len(SYMBOLS) + 1
        assert up.stop() == 0
