"""The channels of the settings, and which of them hear of our own operation."""

from __future__ import annotations

from typing import Any

from sparktrends.errors import BadSetting
from sparktrends.model import EVERY_CHANNEL
from sparktrends.ops.settings import Settings

_ALERTS = ("operational", "link")
LIVE = "SPARKTRENDS_LIVE"
"""Set by `up` for its processes: 1 when it takes live data, else 0."""


def channel_blocks(settings: Settings) -> dict[str, dict[str, str]]:
    """The ``[channels.NAME]`` tables, and Slack where ``SLACK_WEBHOOK`` is set."""
    blocks = {str(name): _block(str(name), block) for name, block in settings.table("channels").items()}
    webhook = settings.get("SLACK_WEBHOOK")
    if webhook:
        blocks.setdefault("slack", {"url": webhook})
    return blocks


def all_channels(settings: Settings) -> list[str]:
    """Where an alert goes that everybody shall hear of: the channels that these settings know, and those that the
    dispatcher has set up. In containers only the dispatcher knows their addresses (decision 0126)."""
    return ["console", *channel_blocks(settings), EVERY_CHANNEL]


def told_outside(settings: Settings, *, live: bool | None = None) -> bool:
    """Whether our own operation is told on other channels than the console.

    A demo's troubles are nobody's business but its own. Who starts a process by itself, without `up`, runs servers: no
    demo (decision 0140). ``live`` None: as `up` said.
    """
    taken = settings.env.get(LIVE, "1") == "1" if live is None else live
    told = settings.only("alerts", *_ALERTS).get("operational", taken)
    if not isinstance(told, bool):
        raise BadSetting(f"[alerts] operational = {told!r}", hint="write true or false")
    return told


def operational_channels(settings: Settings) -> list[str]:
    """The names of the channels that hear of our own operation, for the process that sends and knows them all."""
    return ["console", *channel_blocks(settings)] if told_outside(settings) else ["console"]


def _block(name: str, block: Any) -> dict[str, str]:
    if not isinstance(block, dict):
        raise BadSetting(f"[channels] {name} is not a table", hint=f"write [channels.{name}]")
    return {str(key): str(value) for key, value in block.items()}
