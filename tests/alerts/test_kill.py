"""kill -9 of a dispatcher between send and mark: nothing lost, at most one repeat, and it is marked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from alerts.receivers import Receiver, receiver
from alerts.world import World
from sparktrends.telemetry import system_clock

TESTS = Path(__file__).resolve().parent.parent


def start(world: World, other: Receiver) -> subprocess.Popen[bytes]:
    program = [sys.executable, str(TESTS / "alerts" / "dispatcher_process.py"), str(other.port), "2"]
    env = {**os.environ, "DSN": world.dsn, "PYTHONPATH": str(TESTS)}
    return subprocess.Popen(program, env=env, stdout=subprocess.DEVNULL)


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def arrived(other: Receiver, alert: str) -> bool:
    return alert in other.alerts()


@pytest.mark.e2e
def test_killed_between_send_and_mark(world: World) -> None:
    """The receiver holds its answer back, so the first dispatcher surely dies after the send and before the mark."""
    world.now = system_clock()
    alerts = [world.alert(symbol=f"S{n}") for n in range(20)]
    world.insert(*alerts)
    with receiver(script=["hang"]) as other:
        victim = start(world, other)
        wait_until(lambda: len(other.bodies) == 1)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait(60)
        successor = start(world, other)
        try:
            wait_until(lambda: set(world.deliveries()) == {("alert", "sent")})
        finally:
            successor.terminate()
            successor.wait(60)
    assert other.alerts() == {alert.id: 2 for alert in alerts}
    assert [{told["possible_repeat"] for told in message} for message in other.messages()] == [{False}, {True}]


@pytest.mark.e2e
def test_killed_at_random_times(world: World) -> None:
    """Whenever it dies: every alert arrives, and nothing arrives again without its mark."""
    world.now = system_clock()
    alerts = []
    with receiver() as other:
        for number in range(4):
            fresh = [world.alert(rule=f"r{number}", symbol=f"S{n}") for n in range(30)]
            alerts += fresh
            world.insert(*fresh)
            victim = start(world, other)
            wait_until(partial(arrived, other, fresh[0].id))
            time.sleep(world.random.uniform(0, 0.02))  # not a hope: the moment of death is the test's input
            os.kill(victim.pid, signal.SIGKILL)
            victim.wait(60)
        last = start(world, other)
        try:
            wait_until(lambda: set(world.deliveries()) == {("alert", "sent")})
        finally:
            last.terminate()
            last.wait(60)
    told = other.alerts()
    assert set(told) == {alert.id for alert in alerts}
    unknown = dict(world.rows("SELECT alert, unknown_outcomes FROM core.deliveries WHERE channel = 'hook'"))
    assert all(times <= 1 + unknown[alert] for alert, times in told.items())
    unmarked = [a["id"] for message in other.messages() for a in message if not a["possible_repeat"]]
    assert len(unmarked) == len(set(unmarked))
