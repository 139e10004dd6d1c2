"""``batch fetch --plan``: what a day costs in words, who would be sooner, and no call to anybody."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from sparktrends.ops.cli import main

pytestmark = pytest.mark.e2e
FORTY = ",".join(f"S{i}" for i in range(40))


def planned(database: str, home: Path, *words: str, keys: tuple[str, ...] = ("ALPHA_VANTAGE",)) -> str:
    """What is said with these keys, on a database of the test's own; there is no broker."""
    told = psycopg.conninfo.conninfo_to_dict(database)
    where = {f"POSTGRES_{name.upper()}": str(told[name]) for name in ("host", "port", "user", "password")}
    env = {**where, "POSTGRES_DB": str(told["dbname"]), "KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    env |= {f"{name}_API_KEY": f"tiger-{name}" for name in keys}
    arguments = ["--home", str(home), "batch", "fetch", "--plan", *words]
    done = CliRunner().invoke(main, arguments, env=env, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "tiger" not in done.output
    return done.stdout


def test_what_takes_days_names_who_would_be_sooner(database: str, tmp_path: Path) -> None:
    said = planned(database, tmp_path, "--symbols", FORTY, "--source", "alpha_vantage")
    assert said.startswith("alpha_vantage: 40 symbols need ")
    assert "days on this plan; for their prices yahoo would take" in said


def test_a_quick_one_says_only_what_it_costs(database: str, tmp_path: Path) -> None:
    said = planned(database, tmp_path, "--symbols", "AAPL,MSFT", "--source", "yahoo")
    assert said.startswith("yahoo: 2 symbols need ")
    assert "would take" not in said


def test_the_defaults_fit_into_a_day_of_every_free_plan(database: str, tmp_path: Path) -> None:
    keys = ("ALPHA_VANTAGE", "FINNHUB", "TWELVE_DATA")
    found = json.loads(planned(database, tmp_path, "--json", keys=keys))["sources"]
    assert {cost["source"] for cost in found} == {"binance", "finnhub", "twelve_data", "alpha_vantage", "yahoo"}
    assert all(cost["seconds"] < 86_400 for cost in found)
    assert next(cost for cost in found if cost["source"] == "alpha_vantage")["requests"] <= 20
