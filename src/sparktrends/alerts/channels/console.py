"""The console: always on; `up` prints it, and a server's log keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Self

from sparktrends.alerts.channels.base import Channel, Message, Tools, settings


class Console(Channel):
    """Writes each alert as plain text.

    >>> from sparktrends.alerts.channels.base import Item
    >>> item = Item("a1", "alert", "jump", "binance", "BTC/USD", "1m", 0, "warning", "BTC/USD up 5 %", {"z": 6.1})
    >>> Console("console", print).send(Message((item,)))
    WARNING BTC/USD up 5 %
    BTC/USD 1m binance · 1970-01-01 00:00:00 UTC · rule jump
    z 6.1
    id a1
    """

    kind = "console"
    transport = "none"
    example: ClassVar[Mapping[str, str]] = {}

    def __init__(self, name: str, write: Callable[[str], None]) -> None:
        super().__init__(name)
        self._write = write

    @classmethod
    def create(cls, name: str, block: Mapping[str, str], tools: Tools) -> Self:
        """It has no settings."""
        settings(name, block, ())
        return cls(name, tools.write)

    def send(self, message: Message) -> None:
        """Write it."""
        self._write(message.text())
