"""What can be played back: events in the order in which they were (or would have been) received.

A recording knows how to continue: handed what the log already holds of its series, it yields only what comes after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from sparktrends.model import Heartbeat, ProviderBar, Trade

Event = Trade | Heartbeat | ProviderBar
Series = tuple[str, str]
"""(source, symbol)."""


class LastSeen(NamedTuple):
    """The end of one series in the log: id and price of its last trade (empty when none), last arrival time."""

    id: str
    price: str
    received: int


class Recording(Protocol):
    """A recording of trades or of provider bars; pure: it never waits and never asks for the time."""

    @property
    def series(self) -> tuple[Series, ...]:
        """Every series that it may yield."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences that a person should read before it is played."""

    @property
    def bars(self) -> bool:
        """Whether it holds provider bars (else trades)."""

    @property
    def total(self) -> int | None:
        """How many trades or bars it holds; None when it has no end."""

    def owns(self, id_: str, price: str) -> bool:
        """Whether a trade in the log with this id and price may be one of its own: anyone may write there."""

    def left(self, seen: Mapping[Series, LastSeen]) -> int | None:
        """How many trades or bars come after what was seen; None when it has no end."""

    def events(self, seen: Mapping[Series, LastSeen]) -> Iterator[Event]:
        """Events after what was seen, ``received`` never falling, beginning at once (validation is done before).

        Bars that end with the last one that was seen come again.
        """
