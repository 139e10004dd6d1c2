"""The database stops, restarts, is locked: the API says so at once and recovers by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import psutil
import psycopg
import pytest

from serve.api.world import World
from sparktrends.errors import Retryable
from sparktrends.ops.stack import Stack
from sparktrends.serve.api import Api
from sparktrends.store.sessions import Sessions

pytestmark = pytest.mark.e2e
BARS = "/api/v1/bars?symbol=BTC/USD&source=binance"


def test_a_restart_costs_no_request(api: Api, database: tuple[Stack, Callable[[], World]]) -> None:
    client = api.app.test_client()
    assert client.get(BARS).status_code == 200
    database[0].restart("postgres")
    assert [client.get(BARS).status_code for _ in range(3)] == [200, 200, 200]


def test_no_database_is_a_problem_that_says_when_to_come_back(world: World) -> None:
    api = Api(world.config())
    api.reader.conninfo = "host=127.0.0.1 port=1"
    client = api.app.test_client()
    began = time.monotonic()
    answers = [client.get(path) for path in [BARS, "/api/v1/ready"] * 10]
    assert time.monotonic() - began < 10  # waiting for each of them would cost a minute
    assert {answer.status_code for answer in answers} == {503}
    assert answers[0].headers["Retry-After"] == "2"
    assert "port" not in answers[0].text
    assert client.get("/api/v1/health").status_code == 200
    api.close()


def test_a_lock_that_is_held_costs_two_seconds(api: Api, world: World) -> None:
    client = api.app.test_client()
    with psycopg.connect(world.owner) as connection:
        connection.execute("LOCK TABLE core.bars")
        began = time.monotonic()
        assert client.get(BARS).status_code == 503
        assert 1.5 < time.monotonic() - began < 10
    assert client.get(BARS).status_code == 200


def test_a_frozen_database_costs_three_seconds(world: World) -> None:
    sessions = Sessions(world.reader, "frozen")
    backend = sessions.read(lambda cursor: cursor.connection.info.backend_pid)
    process = psutil.Process(backend)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(Retryable, match="in time"):
            sessions.read(lambda cursor: cursor.execute("SELECT 1").fetchall())
        assert time.monotonic() - began < 10
    finally:
        os.kill(process.pid, signal.SIGCONT)
    time.sleep(0.6)
    assert sessions.read(lambda cursor: cursor.execute("SELECT 1").fetchall()) == [(1,)]
    sessions.close()


def test_all_connections_busy_is_said(world: World) -> None:
    sessions = Sessions(world.reader, "busy", size=1, timeout_s=0.2)
    with pytest.raises(Retryable, match="in use"):
        sessions.read(lambda _: sessions.read(lambda _: None))
    sessions.close()
