"""Where alerts go. To add a channel: one file, one line in `REGISTRY`; the conformance suite does the rest."""

from __future__ import annotations

from collections.abc import Mapping

from sparktrends.alerts.channels.apprise_channel import AppriseChannel
from sparktrends.alerts.channels.base import Answer, Channel, Item, Message, Post, Tools
from sparktrends.alerts.channels.console import Console
from sparktrends.alerts.channels.email import Email
from sparktrends.alerts.channels.slack import Slack
from sparktrends.alerts.channels.webhook import Webhook
from sparktrends.errors import BadSetting

REGISTRY: dict[str, type[Channel]] = {
    "console": Console,
    "slack": Slack,
    "webhook": Webhook,
    "email": Email,
    "apprise": AppriseChannel,
}
"""Every kind of channel, by the name that settings use."""


def build(blocks: Mapping[str, Mapping[str, str]], tools: Tools) -> list[Channel]:
    """The channels of the settings' ``[channels.<name>]`` blocks, and the console, which is always on.

    A block's kind is its name unless it says ``kind = "slack"``. Raises BadSetting.
    """
    return [_build(name, block, tools) for name, block in {"console": {}, **blocks}.items()]


def _build(name: str, block: Mapping[str, str], tools: Tools) -> Channel:
    kind = block.get("kind", name)
    if kind not in REGISTRY:
        raise BadSetting(f"channel {name}: unknown kind {kind!r}", hint=f"allowed: {', '.join(REGISTRY)}")
    return REGISTRY[kind].create(name, block, tools)


__all__ = ["REGISTRY", "Answer", "Channel", "Item", "Message", "Post", "Tools", "build"]
