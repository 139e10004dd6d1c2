"""A generic webhook: JSON, signed with HMAC-SHA256."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from sparktrends.alerts.channels.answers import accept, check_address, compact
from sparktrends.alerts.channels.base import TIMEOUT_S, Channel, Item, Message, Tools, settings
from sparktrends.errors import BadSetting
from sparktrends.model import SECOND


class Webhook(Channel):
    """Posts ``{"id", "alerts": [...]}``; receivers check the signature and drop ids they have seen.

    ``X-SparkTrends-Signature`` is ``v1=`` and the hex HMAC-SHA256, keyed with the shared secret, of the header
    ``X-SparkTrends-Timestamp`` (seconds UTC), a full stop and the body. Refuse what is older than five minutes.

    >>> signature("key", "1700000000", b"{}")[:19]
    'v1=9d713ed406bb7076'
    """

    kind = "webhook"
    transport = "http"
    example: ClassVar[Mapping[str, str]] = {"url": "http://{host}:{port}/{secret}", "secret": "{secret}-of-16-or-more"}

    def __init__(self, name: str, url: str, secret: str, tools: Tools) -> None:
        super().__init__(name)
        self._url = url
        self._secret = secret
        self._tools = tools

    @classmethod
    def create(cls, name: str, block: Mapping[str, str], tools: Tools) -> Self:
        """Settings: ``url`` (https) and ``secret`` (16 characters or more)."""
        settings(name, block, ("url", "secret"))
        if len(block["secret"]) < 16:
            raise BadSetting(f"channel {name}: secret is shorter than 16 characters")
        return cls(name, check_address(name, block["url"]), block["secret"], tools)

    def send(self, message: Message) -> None:
        """Post it, signed."""
        body = compact({"id": message.id, "alerts": [_item(item) for item in message.items]})
        timestamp = str(self._tools.clock() // SECOND)
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": message.id,
            "X-SparkTrends-Timestamp": timestamp,
            "X-SparkTrends-Signature": signature(self._secret, timestamp, body),
        }
        accept(self.name, self._tools.post(self._url, body, headers, TIMEOUT_S))


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The value of the signature header."""
    # The time is signed too, or a message that somebody recorded could be sent again as a new one.
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _item(item: Item) -> dict[str, Any]:
    return {
        "id": item.alert,
        "kind": item.kind,
        "rule": item.rule,
        "source": item.source,
        "symbol": item.symbol,
        "interval": item.interval,
        "start": item.start,
        "severity": item.severity,
        "title": item.title,
        "values": dict(item.values),
        "link": item.link,
        "possible_repeat": item.possible_repeat,
    }
