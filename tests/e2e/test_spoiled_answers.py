"""A day on which providers answer badly: what is missing is named, the rest is finished, the next run completes it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e.product import Product, services
from loopback import http_server
from sparktrends.ops import jars
from twin import running_twin

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

PAIRS = ["BTC/USD", "ETH/USD", "SOL/USD", "XRP/USD", "NOSUCH/USD"]
CALLS: dict[str, list[dict[str, Any]]] = {
    "yahoo": [{"endpoint": "/v8/finance/chart", "function": "chart", "interval": "1d", "symbols": PAIRS}],
    "finnhub": [{"endpoint": "/company-news", "function": "company-news", "symbols": ["AAPL"]}],
    "binance": [{"endpoint": "/api/v3/klines", "function": "klines", "interval": "1d", "symbols": ["BTC/USDT"]}],
}
TABLES = ("raw.payloads", "core.news", "core.daily_trends", "core.daily_calls", "core.provider_bars", "core.readings")


class Between:
    """What stands between the product and the twin, and spoils answers: ``faults`` by a part of their path."""

    def __init__(self, twin: str) -> None:
        self._twin = twin
        self.faults: dict[str, str] = {}

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        fault = next((fault for part, fault in self.faults.items() if part in path), "")
        if fault == "down":
            return 503, {}, b"<html>Service Unavailable</html>"
        status, body = self._asked(path, headers)
        match fault:
            case "half":  # well said, and cut where it was written
                return 200, {}, body[: len(body) // 2]
            case "torn":  # the line broke
                return 200, {"Content-Length": str(len(body))}, body[: len(body) // 2]
            case "empty":
                return 200, {}, b"[]" if body.startswith(b"[") else b'{"chart":{"result":[],"error":null}}'
        return status, {}, body

    def _asked(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        kept = {name: value for name, value in headers.items() if name.startswith("x-")}
        try:
            with urllib.request.urlopen(urllib.request.Request(self._twin + path, headers=kept), timeout=60) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


@pytest.fixture
def between(tmp_path: Path) -> Iterator[tuple[Between, str]]:
    with running_twin(tmp_path) as twin:
        made = Between(f"http://127.0.0.1:{twin.port}")
        with http_server(made.answer) as (url, _):
            yield made, url


@pytest.fixture
def product(between: tuple[Between, str], resolver: jars.Resolver) -> Iterator[Product]:
    """Broker, database and stream, and providers that are asked through ``between``."""
    with Product.fresh({"FINNHUB_API_KEY": "sandbox"}) as made:
        calls = made.folder / "calls"
        calls.mkdir()
        for source, asked in CALLS.items():
            (calls / f"{source}.json").write_text(json.dumps({"source": source, "calls": asked}))
        with (made.folder / "sparktrends.toml").open("a") as settings:
            settings.write(f'[daily]\ncalls = "{calls}"\n[net]\nallow = ["127.0.0.1"]\n')
            settings.writelines(f'[sources.{source}]\nrest = "{between[1]}/{source}"\n' for source in CALLS)
        with services(made, resolver):
            made.start("stream")
            yield made


def rows(product: Product) -> dict[str, list[Any]]:
    return {table: product.sql(f"SELECT t::text FROM {table} t ORDER BY 1") for table in TABLES}  # noqa: S608


def test_a_day_of_bad_answers(product: Product, between: tuple[Between, str]) -> None:
    day: date = product.ask("SELECT (now() AT TIME ZONE 'UTC')::date") - timedelta(days=1)
    sources = [word for source in CALLS for word in ("--source", source)]
    daily = ("batch", "daily", "--date", str(day), *sources, "--json")
    between[0].faults = {
        "BTC-USD": "half",
        "ETH-USD": "torn",
        "SOL-USD": "empty",
        "BTCUSDT": "empty",
        "/finnhub": "down",
    }

    partly = product.run(*daily, code=1, seconds=400).json()
    missing: list[str] = partly["missing"]

    def named(*words: str) -> bool:
        return any(all(word in item for word in words) for item in missing)

    assert named("fetch: ", "yahoo bars BTC/USD", "failed"), missing
    assert named("fetch: ", "yahoo bars ETH/USD", "failed"), missing
    assert named("fetch: ", "yahoo bars SOL/USD", "empty answer"), missing
    assert named("fetch: ", "yahoo bars NOSUCH/USD", "refused"), missing
    assert named("fetch: ", "finnhub news AAPL", "failed"), missing
    assert named("flatten: ", "answers without data", "not_json"), missing
    assert named("trends: ", "binance has no price of BTC/USDT"), missing
    # The rest of the day is there.
    assert product.sql("SELECT source, symbol FROM market.daily_trends") == [("yahoo", "XRP/USD")]
    assert product.ask("SELECT count(*) FROM market.daily_prices WHERE symbol <> 'XRP/USD'") == 0
    assert len(partly["report"]["files"]) == 2

    between[0].faults = {}
    whole = product.run(*daily, seconds=400).json()
    assert whole["missing"] == []
    wanted = [("binance", "BTC/USDT"), *(("yahoo", pair) for pair in PAIRS[:4])]
    assert product.sql("SELECT source, symbol FROM market.daily_trends ORDER BY 1, 2") == wanted
    assert product.ask("SELECT count(*) FROM market.news WHERE score IS NOT NULL") > 0

    before = rows(product)
    product.run(*daily, seconds=400)
    assert rows(product) == before
