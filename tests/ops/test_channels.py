"""Who hears of our own operation: the console always, everybody else only where live data is taken in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparktrends.ops.channels import LIVE, operational_channels
from sparktrends.ops.settings import Settings

SLACK = {"SLACK_WEBHOOK": "https://hooks.slack.com/services/T/B/x"}
BOTH = ["console", "slack"]


def settings(env: dict[str, str], **alerts: Any) -> Settings:
    return Settings(Path("/nowhere"), Path("/nowhere"), SLACK, {"alerts": alerts}, env)


@pytest.mark.parametrize(
    ("env", "alerts", "live", "told"),
    [
        ({}, {}, False, ["console"]),
        ({}, {}, True, BOTH),
        ({LIVE: "1"}, {}, False, BOTH),
        ({}, {"operational": True}, False, BOTH),
        ({LIVE: "1"}, {"operational": False}, True, ["console"]),
    ],
)
def test_a_demo_tells_nobody_outside(env: dict[str, str], alerts: dict[str, Any], live: bool, told: list[str]) -> None:
    assert operational_channels(settings(env, **alerts), live=live) == told
