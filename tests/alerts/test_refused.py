"""The password of the database is changed under the alerts process, and changed back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from alerts.receivers import receiver
from alerts.world import World
from sparktrends.alerts.dispatch import Dispatcher, Policy
from sparktrends.alerts.operational import Monitor, Thresholds
from sparktrends.store.conditions import Conditions
from sparktrends.store.deliveries import Limits
from sparktrends.telemetry import system_clock

ROLE = "of_alerts"


def until(held: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not held():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.e2e
def test_people_are_told_of_a_database_that_refuses_us_and_of_the_rest_when_it_is_mended(world: World) -> None:
    world.now = system_clock()
    alerts = [world.alert(symbol=symbol, channels=("hook",)) for symbol in ("A", "B")]
    world.rows(f"CREATE ROLE {ROLE} SUPERUSER LOGIN PASSWORD 'old-secret'")
    own, stop = psycopg.conninfo.make_conninfo(world.dsn, user=ROLE, password="old-secret"), threading.Event()
    with receiver() as other:
        around = replace(world.around(), conninfo=own, clock=system_clock)
        policy = Policy(Limits(spacing_s=0.05), cap_s=0.2, poll_s=0.05)
        dispatcher = Dispatcher([world.hook(other.port)], policy, around)
        told = Thresholds(away_s=0.2, every_s=0.05)
        monitor = Monitor(Conditions(own), system_clock, ["hook"], dispatcher.broadcast, told)
        thread = threading.Thread(target=dispatcher.run, args=(stop, monitor.run))
        thread.start()
        try:
            world.insert(alerts[0])
            until(lambda: alerts[0].id in other.alerts())
            world.rows(f"ALTER ROLE {ROLE} PASSWORD 'new-secret'")
            world.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", ROLE)
            until(lambda: len(other.messages()) == 2)
            said = other.messages()[1][0]
            assert (said["rule"], said["kind"]) == ("ops.away", "alert")
            assert "password authentication failed" in said["title"]
            assert "secret" not in said["title"]
            world.insert(alerts[1])
            world.rows(f"ALTER ROLE {ROLE} PASSWORD 'old-secret'")
            until(lambda: alerts[1].id in other.alerts())
            until(lambda: "resolution" in [message[0]["kind"] for message in other.messages()])
            assert thread.is_alive()
        finally:
            stop.set()
            thread.join(30)
            world.rows(f"DROP ROLE {ROLE}")
