"""Who hears of our own operation: the console always, everybody else only where live data is taken in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from sparktrends.ops.channels import LIVE, all_channels, operational_channels, told_outside
from sparktrends.ops.settings import Settings
from sparktrends.store.conditions import Condition, Conditions
from sparktrends.store.deliveries import Outbox

SLACK = {"SLACK_WEBHOOK": "https://hooks.slack.com/services/T/B/x"}
BOTH = ["console", "slack"]


def settings(env: dict[str, str], **alerts: Any) -> Settings:
    return Settings(Path("/nowhere"), Path("/nowhere"), SLACK, {"alerts": alerts}, env)


@pytest.mark.parametrize(
    ("env", "alerts", "told"),
    [
        ({}, {}, BOTH),  # a server of its own, in a container or not
        ({LIVE: "1"}, {}, BOTH),
        ({LIVE: "0"}, {}, ["console"]),
        ({LIVE: "0"}, {"operational": True}, BOTH),
        ({LIVE: "1"}, {"operational": False}, ["console"]),
    ],
)
def test_a_demo_tells_nobody_outside(env: dict[str, str], alerts: dict[str, Any], told: list[str]) -> None:
    assert operational_channels(settings(env, **alerts)) == told


def test_who_knows_what_it_takes_in_need_not_be_told() -> None:
    assert not told_outside(settings({LIVE: "1"}), live=False)
    assert told_outside(settings({LIVE: "0"}), live=True)


@pytest.mark.e2e
def test_who_has_no_address_of_a_channel_reaches_it_all_the_same(database: str) -> None:
    """As in containers: only the process that sends has `SLACK_WEBHOOK`."""
    outbox, conditions = Outbox(database), Conditions(database)
    outbox.set_up(["console", "slack"])
    nothing = Settings(Path("/nowhere"), Path("/nowhere"), {}, {}, {})
    conditions.fire(Condition("ops.feed", "binance", "nothing comes", 0), all_channels(nothing), 1)
    with psycopg.connect(database) as connection:
        told = connection.execute("SELECT channel FROM core.deliveries ORDER BY channel").fetchall()
    outbox.close()
    conditions.close()
    assert told == [("console",), ("slack",)]
