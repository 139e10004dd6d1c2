"""A hundred more services, through Apprise. It opens its own connections, past our address guard: opt-in only."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import ClassVar, Self

from sparktrends.alerts.channels.base import Channel, Message, Tools, settings
from sparktrends.errors import BadSetting, Unavailable

_KINDS = {"info": "info", "warning": "warning", "critical": "failure"}


class AppriseChannel(Channel):
    """Sends to one Apprise URL (``ntfys://topic``, ``tgram://…``).

    Apprise answers only yes or no, so every failure is Unavailable: tried again, then a dead letter. Its timeouts
    are 4 s to connect and 4 s to read (``cto`` and ``rto`` in the URL change them).

    >>> AppriseChannel.create("ntfy", {"url": "ntfys://my-topic"}, Tools(post=None, clock=lambda: 0, write=print))
    AppriseChannel('ntfy')
    """

    kind = "apprise"
    transport = "own"
    example: ClassVar[Mapping[str, str]] = {"url": "json://{host}:{port}/{secret}?cto=1&rto=1"}
    group = 10

    def __init__(self, name: str, url: str) -> None:
        super().__init__(name)
        # Slow to import and used by few; it logs addresses, which are secrets, and its plug-ins import old modules.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import apprise

            logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
            self._service = apprise.Apprise()
            known = self._service.add(url)
        if known is not True:
            raise BadSetting(f"channel {name}: url is not one that Apprise knows")

    @classmethod
    def create(cls, name: str, block: Mapping[str, str], tools: Tools) -> Self:  # noqa: ARG003
        """Settings: ``url``, an Apprise URL."""
        settings(name, block, ("url",))
        return cls(name, block["url"])

    def send(self, message: Message) -> None:
        """Hand it to Apprise."""
        kind = _KINDS.get(message.severity, "info")
        if not self._service.notify(body=message.text(), title=message.subject, notify_type=kind, body_format="text"):
            raise Unavailable(f"channel {self.name}: Apprise could not deliver, and does not say why")
