"""The daily run against the offline twin: killed in the middle, completed, and then without anything left to do."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.product import Product, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SOURCES = ("--source", "yahoo", "--source", "finnhub", "--source", "alpha_vantage")
ASKED = ("--sandbox", *SOURCES, "--symbols", "AAPL,MSFT,BTC/USD")
TABLES = (
    *("core.news", "core.mentions", "core.story_ids", "core.companies", "core.corporate_actions", "core.daily_trends"),
    *("core.daily_calls", "core.readings", "core.payload_rejects", "core.provider_bars", "raw.payloads"),
)


def rows(product: Product) -> dict[str, list[Any]]:
    return {table: product.sql(f"SELECT t::text FROM {table} t ORDER BY 1") for table in TABLES}  # noqa: S608


def test_a_day_is_completed_after_a_kill_and_changes_nothing_when_run_again() -> None:
    with Product.fresh() as product:
        # Nobody but the test asks providers for bars: a live stream would add rows of its own.
        up = product.up("--sandbox", "--source", "binance", "--symbols", "ETH/USDT")
        killed = product.start("batch", "daily", *ASKED)
        until(lambda: product.ask("SELECT count(*) FROM raw.payloads"), 120, killed.err)
        killed.process.kill()
        killed.wait()

        first = product.run("batch", "daily", *ASKED, "--json", seconds=300).json()
        assert first["missing"] == []
        assert first["trends"]["tagged"] >= 7
        assert len(first["report"]["files"]) == 2
        symbols = {"AAPL", "MSFT", "BTC/USD"}
        found = dict(
            product.sql("SELECT symbol, count(*) FROM market.daily_prices WHERE source = 'yahoo~sim' GROUP BY 1")
        )
        assert found.keys() == symbols
        assert min(found.values()) >= 250
        warm = product.sql(
            "SELECT count(*) FROM market.metrics WHERE interval = '1d' AND source = 'yahoo~sim' "
            "AND sma_200 IS NOT NULL AND start::date = (SELECT max(day) FROM market.daily_trends)"
        )
        assert warm == [(len(symbols),)]
        assert product.ask("SELECT count(*) FROM market.news WHERE score IS NULL") == 0
        assert product.ask("SELECT count(*) FROM market.companies WHERE symbol = 'AAPL'") == 2

        before = rows(product)
        second = product.run("batch", "daily", *ASKED, "--json", seconds=120).json()
        assert second["flatten"] == {"payloads": 0}
        assert rows(product) == before
        assert product.audit()["findings"] == []
        assert up.stop() == 0


def test_a_provider_that_is_down_is_named_and_the_rest_is_finished() -> None:
    with Product.fresh() as product:
        # A real provider is as good as down where nothing but this machine can be reached.
        up = product.up("--sandbox", "--source", "binance", "--symbols", "ETH/USDT")
        plan = product.run("batch", "fetch", "--plan", *ASKED, "--json").json()
        assert {cost["source"] for cost in plan["sources"]} == {"yahoo~sim", "finnhub~sim", "alpha_vantage~sim"}
        product.kill("sandbox")
        partly = product.run("batch", "fetch", "--sandbox", "--source", "yahoo", "--symbols", "AAPL", code=None)
        if partly.process.returncode:  # it came back too soon otherwise, and then nothing is missing
            assert "missing: " in partly.out
        until(lambda: product.pid("sandbox"), 60, "the twin is back")
        product.run("batch", "fetch", "--sandbox", "--source", "yahoo", "--symbols", "AAPL")
        assert product.ask("SELECT count(*) FROM market.daily_calls WHERE state <> 'done'") == 0
        assert up.stop() == 0
