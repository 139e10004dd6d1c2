"""One alert from the beginning of a condition to its end, whatever the database and earlier runs do."""

from __future__ import annotations

import threading

import psycopg
import pytest

from sparktrends.errors import Terminal, Unavailable
from sparktrends.ingest import alarm as module
from sparktrends.ingest.alarm import FEED, WAITS, Alarm
from sparktrends.store.conditions import Condition, Conditions

SUBJECTS = [(WAITS, "ingest"), (FEED, "binance")]
DEAD = Condition(FEED, "binance", "binance: nothing of BTC/USDT", 5)


class Down(Conditions):
    """A database that does not answer."""

    def __init__(self) -> None:
        """Connects to nothing."""

    def fire(self, *_: object) -> str | None:
        raise Unavailable("no database")

    def resolve(self, *_: object) -> bool:
        raise Unavailable("no database")


def alerts(database: str) -> list[tuple[str, str]]:
    with psycopg.connect(database) as connection:
        return connection.execute("SELECT rule, status FROM core.alerts ORDER BY created_at, rule").fetchall()


@pytest.mark.e2e
def test_a_condition_is_one_alert_until_it_is_over_and_another_when_it_comes_back(database: str) -> None:
    found: dict[tuple[str, str], Condition] = {}
    store = Conditions(database, "test")
    alarm = Alarm(lambda: store, lambda: 100, lambda _: found, SUBJECTS)
    found[FEED, "binance"] = DEAD
    with pytest.raises(Unavailable):
        alarm.step(Down())
    for _ in range(3):
        alarm.step(store)
    assert alerts(database) == [(FEED, "firing")]
    # Another run of ingest finds that it is over.
    found.clear()
    later = Alarm(lambda: store, lambda: 200, lambda _: found, SUBJECTS)
    later.step(store)
    assert alerts(database) == [(FEED, "resolved")]
    found[FEED, "binance"] = Condition(FEED, "binance", "again", 300)
    later.step(store)
    later.step(store)
    assert sorted(alerts(database)) == [(FEED, "firing"), (FEED, "resolved")]
    store.close()


def test_an_error_of_the_database_that_is_no_mere_absence_does_not_end_the_looking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As while a managed database fails over, or its password is changed."""
    monkeypatch.setattr(module, "_EVERY_S", 0.001)
    refused, fired = threading.Event(), threading.Event()

    class ReadOnly(Down):
        def fire(self, *_: object) -> str | None:
            if refused.is_set():
                fired.set()
                return None
            refused.set()
            raise Terminal("cannot execute INSERT in a read-only transaction")

        def close(self) -> None:
            """Nothing is open."""

    alarm = Alarm(ReadOnly, lambda: 100, lambda _: {(FEED, "binance"): DEAD}, [(FEED, "binance")])
    alarm.start()
    try:
        assert fired.wait(10)
    finally:
        alarm.stop()
