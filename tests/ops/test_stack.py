"""The whole stack, as a person's program holds it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from embedded import free_ports
from sparktrends.errors import DiskFull
from sparktrends.ops import supervise
from sparktrends.ops.home import Home
from sparktrends.ops.jars import Resolver
from sparktrends.ops.kafka_server import KafkaServer
from sparktrends.ops.postgres_server import PostgresServer
from sparktrends.ops.stack import Database, External, Stack

pytestmark = pytest.mark.e2e

PARENT = """
import os, sys, time
from pathlib import Path
from sparktrends.ops import java, ports
from sparktrends.ops.home import Home
from sparktrends.ops.jars import Resolver
from sparktrends.ops.stack import Stack
home, cache = Home.open(Path(sys.argv[1])), Path(sys.argv[2])
wanted = {name: ports.any_free() for name in ports.WANTED}
with home.owned(), Stack(home, Resolver(java.find(os.environ, cache), cache, dict(os.environ)), wanted=wanted):
    print("up", flush=True)
    time.sleep(600)
"""


def until(what: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def inside(home: Home) -> list[psutil.Process]:
    """Every process that works in the home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(home.path)):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_both_parts_answer(stack: Stack) -> None:
    assert {name: keeper.server.ready() for name, keeper in stack.keepers.items()} == {"kafka": True, "postgres": True}
    assert stack.kafka.startswith("127.0.0.1:")
    assert stack.database.owner_password not in repr(stack.database)


def test_nothing_outlives_a_killed_parent_and_the_next_start_works(home: Home, resolver: Resolver) -> None:
    resolver.ensure(["broker"])
    command = [sys.executable, "-c", PARENT, str(home.path), str(resolver.cache)]
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout
            assert parent.stdout.readline() == "up\n"
            assert len(inside(home)) > 3
            parent.send_signal(signal.SIGKILL)
        until(lambda: not inside(home))


def test_a_killed_part_is_started_again_by_the_stack(home: Home, resolver: Resolver) -> None:
    events: list[str] = []
    with Stack(
        home, resolver, wanted=free_ports(), external=External(kafka="elsewhere:1"), on_event=events.append
    ) as it:
        assert list(it.keepers) == ["postgres"]
        assert it.kafka == "elsewhere:1"
        keeper = it.keepers["postgres"]
        assert keeper.process
        os.kill(keeper.process.pid, signal.SIGKILL)
        until(lambda: keeper.restarts and keeper.server.ready())
        it.restart("postgres")
        assert keeper.server.ready()
    assert not inside(home)
    assert any("started again" in event for event in events)


def test_all_external_starts_nothing(home: Home, resolver: Resolver) -> None:
    elsewhere = External(kafka="k:1", database=Database("h", 5432, owner_password="p"))
    with Stack(home, resolver, external=elsewhere, wanted=free_ports()) as it:
        assert not it.keepers
        account = "user=sparktrends password=p require_auth=scram-sha-256"
        assert it.database.dsn() == f"host=h port=5432 dbname=sparktrends {account}"
        assert "user=sparktrends_reader" in it.database.dsn(reader=True)


def test_a_full_disk_is_said_before_anything_starts(
    home: Home, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparktrends.ops.home.NEEDED_BYTES", 2**60)
    with pytest.raises(DiskFull), Stack(home, resolver, wanted=free_ports()):
        pytest.fail("started")
    assert not list(home.postgres.iterdir())


def test_an_end_that_is_asked_for_while_they_start_leaves_nothing_and_harms_nothing(
    home: Home, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping, asked, times = threading.Event(), set[type](), list[float]()

    def never(server: KafkaServer | PostgresServer) -> bool:
        asked.add(type(server))
        # Only now, so that both of them run.
        if len(asked) == 2 and not stopping.is_set():
            times.append(time.monotonic())
            stopping.set()
        return False

    with monkeypatch.context() as patch:
        for server in (KafkaServer, PostgresServer):
            patch.setattr(server, "ready", never)
        interrupted = pytest.raises(supervise.Unavailable, match=r"start of (kafka|postgres) was interrupted")
        with interrupted, Stack(home, resolver, wanted=free_ports(), stopping=stopping.is_set):
            pytest.fail("started")
    assert time.monotonic() - times[0] < 20
    assert not inside(home)
    with Stack(home, resolver, wanted=free_ports()) as it:
        assert all(keeper.server.ready() for keeper in it.keepers.values())


def test_an_end_that_is_asked_for_while_a_part_is_restarted_is_not_waited_for(
    home: Home, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = threading.Event()
    elsewhere = External(kafka="elsewhere:1")
    with Stack(home, resolver, wanted=free_ports(), external=elsewhere, stopping=stopping.is_set) as it:
        monkeypatch.setattr(PostgresServer, "ready", lambda _: stopping.set())
        with pytest.raises(supervise.Unavailable, match="start of postgres was interrupted"):
            it.restart("postgres")
    assert not inside(home)


def test_a_part_that_fails_takes_the_other_with_it(home: Home, resolver: Resolver) -> None:
    (home.kafka / "formatted").touch()  # claims a log that is not there: the broker must refuse
    said = pytest.raises(supervise.Unavailable, match=r"kafka ended with code 1 while starting.*see .*kafka\.(log|out)")
    with said, Stack(home, resolver, wanted=free_ports()):
        pytest.fail("started")
    assert not inside(home)


def test_a_part_that_fails_is_said_while_the_other_still_starts(
    home: Home, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []

    def fail(_stack: Stack) -> None:
        raise supervise.Unavailable("no broker")

    monkeypatch.setattr(Stack, "_start_postgres", lambda stack: ended.append(stack._over.wait(30)))
    monkeypatch.setattr(Stack, "_start_kafka", fail)
    with pytest.raises(supervise.Unavailable, match="no broker"), Stack(home, resolver, wanted=free_ports()):
        pytest.fail("started")
    assert ended == [True]
