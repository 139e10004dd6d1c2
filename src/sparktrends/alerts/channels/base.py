"""What a channel is: it gets one `Message`, and returns when the other side has said that it has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol, Self

from sparktrends.errors import BadSetting
from sparktrends.model import SECOND, stable_id

TIMEOUT_S = 10.0
"""How long a channel waits for the other side."""
FEW = 3
"""So many alerts of one rule at one bar are told one by one; more are one list."""
_RANK = {"info": 0, "warning": 1, "critical": 2}
_WORDS = {"alert": "", "retraction": "retracted", "reinstatement": "stands after all", "resolution": "resolved"}


@dataclass(frozen=True, slots=True)
class Item:
    """One alert in a message; ``kind`` is alert, retraction, reinstatement or resolution; ``start`` in µs UTC.

    ``values`` are the numbers that the rule saw. ``possible_repeat``: it was sent before, and nobody knows whether
    it arrived. Title, symbol and values are hostile text: a channel escapes what its other side would obey.
    """

    alert: str
    kind: str
    rule: str
    source: str
    symbol: str
    interval: str
    start: int
    severity: str
    title: str
    values: Mapping[str, Any] = field(default_factory=dict)
    link: str = ""
    possible_repeat: bool = False

    @property
    def what(self) -> str:
        """One line: severity, what became of it, title.

        >>> Item("a1", "resolution", "ops.disk", "", "", "", 0, "critical", "Disk is full").what
        'CRITICAL (resolved) Disk is full'
        """
        return " ".join([self.severity.upper(), *_notes(self), flat(self.title)])

    @property
    def entry(self) -> str:
        """One line in a list of alerts of one rule at one bar: symbol, title, id.

        >>> Item("a1", "alert", "jump", "s", "BTC/USD", "1m", 0, "info", "moved 5 %").entry
        'BTC/USD: moved 5 % · id a1'
        """
        symbol, title = flat(self.symbol), flat(self.title)
        return f"{title if symbol in title else f'{symbol}: {title}'} · id {self.alert}"

    @property
    def about(self) -> str:
        """One line: series, interval, when, rule."""
        series = " ".join(flat(word) for word in (self.symbol, self.interval, self.source) if word)
        return " · ".join(word for word in (series, self.when, f"rule {flat(self.rule)}") if word)

    @property
    def when(self) -> str:
        """The beginning of the bar, or of the condition, in UTC."""
        return datetime.fromtimestamp(self.start // SECOND, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

    @property
    def figures(self) -> str:
        """One line: by how much, against what; at most a dozen values."""
        pairs = [f"{_figure(str(key))} {_figure(value)}" for key, value in list(self.values.items())[:12]]
        return ", ".join(pairs)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent at once: one alert or several."""

    items: tuple[Item, ...]

    @property
    def id(self) -> str:
        """A hash of what is told: the same when the same is told again."""
        return stable_id(*(f"{item.kind} {item.alert}" for item in self.items))

    @property
    def severity(self) -> str:
        """The worst severity in it."""
        return max((item.severity for item in self.items), key=lambda severity: _RANK.get(severity, 0))

    @property
    def subject(self) -> str:
        """One line for the whole."""
        first, others = self.items[0].what, len(self.items) - 1
        return f"{first} (and {others} more)" if others else first

    @property
    def events(self) -> list[list[Item]]:
        """Its alerts, those of one rule at one bar together: that is one event, however many symbols it moves."""
        found: dict[tuple[object, ...], list[Item]] = {}
        for item in self.items:
            key = (item.rule, item.interval, item.start, item.kind, item.severity, item.possible_repeat)
            found.setdefault(key, []).append(item)
        return list(found.values())

    def text(self) -> str:
        """The whole as plain text, without control characters."""
        parts = [[event] if len(event) > FEW else [[item] for item in event] for event in self.events]
        return "\n\n".join("\n".join(_lines(some)) for part in parts for some in part)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP server said; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Post(Protocol):
    """Sends one HTTP POST and follows no redirect.

    Raises Unavailable when nothing was sent, UnknownOutcome when it was sent and no answer came, Terminal when the
    address is refused. No error names the address: it is a secret.
    """

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answer:
        """Send ``body`` and return the answer, whatever its status."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What channels are handed: HTTP, the clock (µs UTC), and where the console writes."""

    post: Post
    clock: Callable[[], int]
    write: Callable[[str], None]


class Channel:
    """The base of every channel. ``send`` returns when the message was accepted, and is called by one thread.

    It raises RateLimited(delay), Unavailable (surely not accepted), UnknownOutcome (may have been), AccessDenied,
    NotFound or BadSetting (the channel is set up wrongly: all is given up), BadRecord (this message is refused).
    Guarantee: at least once; the message's ids let a receiver find repeats.
    """

    kind: ClassVar[str]
    transport: ClassVar[str]
    """``http``, ``smtp``, ``own`` (a library that opens its own connections) or ``none``."""
    example: ClassVar[Mapping[str, str]]
    """A settings block; ``{host}``, ``{port}`` and ``{secret}`` stand for what a person would fill in."""
    group: ClassVar[int] = 600
    """How many alerts one message may hold."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def create(cls, name: str, block: Mapping[str, str], tools: Tools) -> Self:
        """Make it from its settings block; raises BadSetting that names the setting and never its value."""
        raise NotImplementedError

    def send(self, message: Message) -> None:
        """Hand the message over."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


def settings(name: str, block: Mapping[str, str], needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """Refuse a block with missing or unknown settings; raises BadSetting."""
    allowed = ", ".join((*needed, *optional)) or "none"
    for key in block:
        if key not in (*needed, *optional, "kind"):
            raise BadSetting(f"channel {name}: unknown setting {key!r}", hint=f"allowed: {allowed}")
    for key in needed:
        if not str(block.get(key, "")).strip():
            raise BadSetting(f"channel {name}: {key} is missing", hint=f"set [channels.{name}] {key}")


def flat(text: str) -> str:
    """The text on one line and without control characters: none can move a cursor, forge a line or a header.

    >>> flat("up\\x1b[2J 5 %\\r\\nBcc: x")
    'up [2J 5 % Bcc: x'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def cut(text: str, limit: int) -> str:
    """At most ``limit`` characters, the last of them an ellipsis where something is missing."""
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"


def _figure(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else flat(cut(str(value), 80))


def headline(event: Sequence[Item]) -> str:
    """One line over a list of alerts of one rule at one bar."""
    first = event[0]
    notes = _notes(first)
    return " ".join([first.severity.upper(), *notes, f"{len(event)} symbols at once: rule {flat(first.rule)}"])


def _notes(item: Item) -> list[str]:
    notes = (_WORDS[item.kind], "possible repeat" if item.possible_repeat else "")
    return [f"({note})" for note in notes if note]


def _lines(event: Sequence[Item]) -> list[str]:
    first = event[0]
    if len(event) > 1:
        return [headline(event), f"{first.interval} {first.when}", *(f"  {item.entry}" for item in event)]
    lines = [first.what, first.about, first.figures, f"id {first.alert}", first.link]
    return [line for line in lines if line]
