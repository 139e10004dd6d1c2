"""`check` where no `up` runs, on servers and in containers: the work is judged, not a process that only `up` knows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psycopg
import pytest

from librdkafka_broker import Broker, fresh_broker
from sparktrends.batch.plan import day_of
from sparktrends.ops.commands.context import Context
from sparktrends.ops.commands.inspecting import _check_freshness, _not_running, _silent
from sparktrends.ops.endpoints import Endpoints
from sparktrends.ops.home import Home
from sparktrends.ops.stack import Database
from sparktrends.store import daily_calls
from sparktrends.store.daily_calls import CallRow
from sparktrends.telemetry import system_clock


@pytest.mark.parametrize("part", ["stream", "ingest"])
def test_a_part_that_somebody_else_runs_is_not_said_to_be_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.chdir(tmp_path)
    context, home = Context(tmp_path / "home"), Home.open(tmp_path / "home")
    assert _not_running(context, part) == ""
    with home.owned():
        assert _not_running(context, part) == f"{part} does not run: `sparktrends restart {part}`"


@pytest.fixture
def broker() -> Broker:
    return fresh_broker()


def test_nobody_takes_anything_in(broker: Broker) -> None:
    where, topic = Endpoints(broker.connection, Database("nowhere", 1)), broker.topic("raw.trades")
    assert _silent(where) == ""  # nothing ever came: it may have only begun
    for age_s, partition, words in ((4_000, 0, "nothing was taken in for 4,"), (10, 2, "")):
        now_ms = system_clock() // 1_000
        broker.owner.produce(topic, b"{}", partition=partition, timestamp=now_ms - age_s * 1_000)
        assert broker.owner.flush(60) == 0
        assert _silent(where).startswith(words)
        assert bool(_silent(where)) == bool(words)


@pytest.mark.e2e
def test_daily_work_that_nobody_did_is_told_whoever_should_have_done_it(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    context, where = Context(tmp_path / "home"), cast(Endpoints, SimpleNamespace(owner_dsn=database))
    assert _check_freshness(context, where) == "the daily work has never run: `sparktrends batch daily`"
    asked = day_of(system_clock()) - timedelta(days=3)
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        row = CallRow(asked, "yahoo", "1", "bars", "chart", "1d", ["AAPL"])
        daily_calls.plan(cursor, [row])
        daily_calls.mark(cursor, row, "done", None)
    assert _check_freshness(context, where).startswith(f"providers were last asked for {asked}: ")
