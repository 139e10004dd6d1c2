"""The channels of the settings, and which of them hear of our own operation."""

from __future__ import annotations

from typing import Any

from sparktrends.errors import BadSetting
from sparktrends.ops.settings import Settings

_ALERTS = ("operational", "link")
LIVE = "SPARKTRENDS_LIVE"
"""Set by `up` for its processes when it takes live data."""


def channel_blocks(settings: Settings) -> dict[str, dict[str, str]]:
    """The ``[channels.NAME]`` tables, and Slack where ``SLACK_WEBHOOK`` is set."""
    blocks = {str(name): _block(str(name), block) for name, block in settings.table("channels").items()}
    webhook = settings.get("SLACK_WEBHOOK")
    if webhook:
        blocks.setdefault("slack", {"url": webhook})
    return blocks


def operational_channels(settings: Settings, *, live: bool = False) -> list[str]:
    """The names of the channels that hear of our own operation.

    A demo's troubles are nobody's business but its own: only a home that takes live data sends them outside.
    """
    told = settings.only("alerts", *_ALERTS).get("operational", bool(live or settings.env.get(LIVE)))
    if not isinstance(told, bool):
        raise BadSetting(f"[alerts] operational = {told!r}", hint="write true or false")
    return ["console", *channel_blocks(settings)] if told else ["console"]


def _block(name: str, block: Any) -> dict[str, str]:
    if not isinstance(block, dict):
        raise BadSetting(f"[channels] {name} is not a table", hint=f"write [channels.{name}]")
    return {str(key): str(value) for key, value in block.items()}
