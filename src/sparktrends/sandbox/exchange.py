"""What every provider of the twin is made of: calls and answers, sessions and frames, and the state they share."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

from sparktrends.sandbox.meters import Meters
from sparktrends.sandbox.tape import Series, Tape


@dataclass(frozen=True, slots=True)
class Call:
    """One request, without the provider's prefix: header names in lower case, ``client`` the caller's address."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    client: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; ``weight`` is what it cost of the quota."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    weight: int = 1


def told(body: Any, status: int = 200, headers: Mapping[str, str] | None = None, weight: int = 1) -> Answer:
    """An answer of JSON."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return Answer(status, text, {"content-type": "application/json", **(headers or {})}, weight)


@dataclass(frozen=True, slots=True)
class Frame:
    """One message to a socket, and which trades it delivers: (the provider's spelling, what identifies the trade)."""

    text: str
    items: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Close:
    """The provider ends the connection."""

    code: int
    reason: str = ""


Message = Frame | Close


@dataclass(slots=True)
class Topic:
    """One subscription of a session: it was told everything before id ``cursor``; ``last`` is when (µs) of what."""

    wire: str
    series: Series
    kind: str
    cursor: int
    last: int = 0
    told_at: int = 0


@dataclass(slots=True)
class Session:
    """One socket: who holds it, what it asked for, and what the provider remembers of it."""

    number: int
    key: str
    opened: int
    topics: dict[str, Topic] = field(default_factory=dict)
    heard: list[int] = field(default_factory=list)
    beat: int = 0
    messages: int = 0
    combined: bool = False
    unit: int = 1000


@dataclass(slots=True)
class World:
    """The state that answers are made from: the market, the time (µs), what was spent, who is connected, and chance.

    ``sessions`` are those that are open, by the provider's name.
    """

    tape: Tape
    now: int
    meters: Meters
    random: Random
    seed: int = 7
    hostile: bool = False
    sessions: dict[str, list[Session]] = field(default_factory=dict)


class Provider(ABC):
    """One provider: pure functions of the request or the session, and the world."""

    name: ClassVar[str]

    @abstractmethod
    def answer(self, call: Call, world: World) -> Answer:
        """The answer to one REST call, spending what it costs."""

    @abstractmethod
    def refusal(self, status: int, call: Call, world: World) -> Answer:
        """How this provider says a failure of that status (429, 401, 403, 451, 418, 5xx; 200 = in the body)."""

    def admit(self, call: Call, world: World) -> Session | Answer:
        """The session of a handshake (its number is set by the server), or the refusal."""
        return self.refusal(404, call, world)

    def most(self) -> int:
        """How many sessions one key may hold; opening another closes the oldest."""
        return 1_000_000

    def hear(self, session: Session, text: str, world: World) -> list[Message]:  # noqa: ARG002
        """What a message of the client is answered with."""
        return []

    def tell(self, session: Session, world: World) -> list[Frame]:  # noqa: ARG002
        """What the session is told now: the trades since its cursors, bars, signs of life."""
        return []

    def spent(self, session: Session, world: World) -> bool:  # noqa: ARG002
        """Whether the session has lived as long as the provider lets it."""
        return False

    def spoil(self, text: str) -> str:
        """The frame with a wrong type where its price should be."""
        return text.replace('"p":', '"p":[],"p_":', 1)

    def reverse(self, frame: Frame) -> Frame:
        """The frame with its rows newest first; as it is where a frame holds one trade."""
        return frame


def key_refused(key: str) -> bool:
    """Whether a key is none: every key is good but an empty one and those with ``wrong`` in them."""
    return not key or "wrong" in key


def premium(key: str) -> bool:
    """Whether a key's plan has everything: those with ``premium`` in them."""
    return "premium" in key
