"""Every DAG through the real `airflow dags test`, twice, on the real product beside the offline twin.

Needs the environment of `make airflow`, or its `bin` in SPARKTRENDS_AIRFLOW.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e.product import Product, until

ROOT = Path(__file__).resolve().parents[2]
AIRFLOW = Path(os.environ.get("SPARKTRENDS_AIRFLOW", ROOT / ".venv-airflow" / "bin")) / "airflow"
DAGS = ("sparktrends_daily", "sparktrends_repair", "sparktrends_audit", "sparktrends_retention", "sparktrends_watch")
CALLS = {
    "yahoo": [{"endpoint": "/v8/finance/chart", "function": "chart", "interval": "1d", "symbols": ["AAPL", "BTC/USD"]}],
    "finnhub": [
        {"endpoint": "/company-news", "function": "company-news", "symbols": ["AAPL"]},
        {"endpoint": "/stock/profile2", "function": "stock/profile2", "symbols": ["AAPL"]},
    ],
    "binance": [{"endpoint": "/api/v3/klines", "function": "klines", "interval": "1d", "symbols": ["ETH/USDT"]}],
}
TABLES = (
    *("core.news", "core.mentions", "core.story_ids", "core.companies", "core.corporate_actions", "core.daily_trends"),
    *("core.readings", "core.payload_rejects", "raw.payloads", "core.truth", "core.quality", "core.repeats"),
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not AIRFLOW.exists(), reason="no Airflow here: `make airflow` installs one"),
]


class Scheduler:
    """A real Airflow with a home of its own, whose commands are those of the running product."""

    def __init__(self, product: Product, folder: Path) -> None:
        program = folder / "sparktrends"
        # Only the twin is asked: the DAGs themselves know nothing of it.
        program.write_text(
            f'#!/bin/sh\ncase "$1 $2" in "batch fetch"|"batch backfill") set -- "$@" --sandbox;; esac\n'
            f'exec {sys.executable} -m sparktrends.ops.cli --home {shlex.quote(str(product.home))} "$@"\n'
        )
        program.chmod(0o755)
        self._env = {
            **product.env,
            "PATH": f"{AIRFLOW.parent}:{os.environ['PATH']}",
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "deploy" / "airflow" / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "SPARKTRENDS": str(program),
            "SPARKTRENDS_FOLDER": str(product.folder),
            "SPARKTRENDS_DAILY_SOURCES": "yahoo finnhub",
            "SPARKTRENDS_TRUTH_SOURCES": "binance",
        }
        self.run("db", "migrate")
        self.run("pools", "import", str(ROOT / "deploy" / "airflow" / "pools.json"))

    def run(self, *words: str) -> None:
        done = subprocess.run([AIRFLOW, *words], env=self._env, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with Product.fresh() as made:
        calls = made.folder / "calls"
        calls.mkdir()
        for source, asked in CALLS.items():
            (calls / f"{source}.json").write_text(json.dumps({"source": source, "calls": asked}))
        with (made.folder / "sparktrends.toml").open("a") as settings:
            settings.write(f'[daily]\ncalls = "{calls}"\n')
        up = made.up("--sandbox", "--source", "binance", "--symbols", "ETH/USDT")
        own = made.home / "run" / "daily.json"
        until(own.exists, 300, lambda: made.log("batch"))
        yield made
        assert up.stop() == 0


@pytest.fixture(scope="module")
def scheduler(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Scheduler:
    return Scheduler(product, tmp_path_factory.mktemp("airflow"))


def rows(product: Product) -> dict[str, list[Any]]:
    found = {table: product.sql(f"SELECT t::text FROM {table} t ORDER BY 1") for table in TABLES}  # noqa: S608
    found["alerts"] = product.sql("SELECT id FROM core.alerts WHERE rule LIKE 'ops.%%' ORDER BY 1")
    # The live stream beside it goes on, with minutes of its own.
    found["days"] = product.sql(
        "SELECT t::text FROM core.provider_bars t JOIN core.series s ON s.id = t.series "
        "WHERE interval = '1d' AND source <> 'binance~sim' ORDER BY 1"
    )
    return found


def today(product: Product) -> date:
    return date.fromisoformat(str(product.ask("SELECT (now() AT TIME ZONE 'UTC')::date")))


@pytest.mark.parametrize("name", DAGS)
def test_a_second_run_changes_no_row(product: Product, scheduler: Scheduler, name: str) -> None:
    day = str(today(product) - timedelta(days=1))
    scheduler.run("dags", "test", name, day)
    before = rows(product)
    scheduler.run("dags", "test", name, day)
    after = rows(product)
    assert [table for table in before if before[table] != after[table]] == []
    if name == "sparktrends_daily":
        tagged = {(source, symbol) for source, symbol in product.sql("SELECT source, symbol FROM market.daily_trends")}
        # The twin knows no weekend: a person without keys sees stocks move on any day.
        assert tagged == {("binance~sim", "ETH/USDT"), ("yahoo~sim", "BTC/USD"), ("yahoo~sim", "AAPL")}
        assert before["core.news"]


def test_the_truth_about_the_stream_is_that_nothing_was_lost(product: Product) -> None:
    told = product.run("batch", "truth", "--date", str(today(product)), "--json").json()
    (found,) = (one for one in told["series"] if one["source"] == "binance~sim")
    assert found["against"] == "binance~sim"
    assert found["truth"]["compared"] >= 1
    assert (found["truth"]["worst_bp"], found["truth"]["contradictions"]) == (0.0, 0)
    assert product.ask("SELECT count(*) FROM market.truth WHERE source = 'binance~sim'") == 1


def test_a_stream_that_hangs_is_started_again(product: Product, scheduler: Scheduler) -> None:
    hung = product.kill("stream", signal.SIGSTOP)
    time.sleep(75)  # longer than `check stream` lets it be behind
    product.run("check", "stream", code=1)
    scheduler.run("dags", "test", "sparktrends_watch")
    assert product.pid("stream") not in (hung, None)
    product.run("check", "stream")
    told = product.sql("SELECT title FROM core.alerts WHERE rule = 'ops.airflow'")
    assert ("stream did not do its work and was started again",) in told
