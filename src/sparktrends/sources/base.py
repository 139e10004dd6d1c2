"""What a source is: a declaration (addresses, messages, limits) and pure parsers. Nothing here opens a socket.

One driver runs them all::

    source = make_source("binance")                     # or with other addresses and the suffix "~sim"
    memory = source.memory(["BTC/USDT"])                # lives as long as the process, survives reconnects
    connect source.stream.url (with source.auth);  send each of source.subscribe(["BTC/USDT"])
    for each frame:    events = source.parse(frame, received_at, memory)
    for each request of source.requests(Ask("trades", ("BTC/USDT",), from_id="17")):
        reply = HTTP GET source.rest + request.path;  observe source.usage(reply)
        answer = source.parse_rest(request, reply);  then answer.next, until it is None

A parser raises when the whole payload says one thing: `BadRecord` (quarantine it), `RateLimited` and `Unavailable`
(later, after ``delay``), `AccessDenied` (remember it: do not ask again; `NotInPlan` when the key itself is good),
`NotFound` (this symbol). A bad row among good ones becomes a `Reject` among the events, a symbol that was refused among
others a `Notice`: the good ones are kept.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from sparktrends.errors import AccessDenied, BadRecord, BadSetting, NotFound, RateLimited, Unavailable
from sparktrends.model import DAY, INTERVALS, MINUTE, Company, CorporateAction, NewsItem, ProviderBar, Trade
from sparktrends.sources.decoding import quote


@dataclass(frozen=True, slots=True)
class Notice:
    """What a connection says of itself: it lives, symbols were subscribed or refused, it will be shut down.

    Asking again does not mend it where the ``plan`` leaves them out, or where they are ``unknown`` to the provider.
    """

    kind: Literal["alive", "subscribed", "refused", "shutdown"]
    symbols: tuple[str, ...] = ()
    message: str = ""
    plan: bool = False
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Reject:
    """One row of a payload that cannot be used, with the reason quarantine groups by."""

    reason: str
    payload: str
    message: str = ""


Event = Trade | ProviderBar | NewsItem | Company | CorporateAction | Notice | Reject


@dataclass(frozen=True, slots=True)
class Auth:
    """Where a key goes: a ``header`` or a ``query`` parameter called ``name``; ``template`` wraps the key."""

    place: Literal["header", "query"]
    name: str
    template: str = "{}"


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most ``units`` in any ``window`` seconds, counted per key, or per address where the provider wants no key."""

    units: int
    window: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer said of the quota with that window: it overrules our own count.

    ``used`` units are spent, the cap is ``limit``, nothing is answered for ``blocked`` seconds. None = not said.
    """

    window: int
    used: int | None = None
    limit: int | None = None
    blocked: float | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """How to hold a socket: seconds unless said otherwise.

    A connection on which nothing but pings came for ``idle`` is dead; where it ``always_talks`` silence never means a
    quiet market. ``keepalive`` is sent every ``every``; ``resubscribe`` says to send the subscriptions again that
    often. The server ends a connection after ``lifetime``. ``per_second`` is how many messages we may send,
    ``connections`` how many sockets a key may hold.
    """

    url: str
    idle: float
    always_talks: bool = False
    keepalive: str = ""
    every: float = 0.0
    resubscribe: float = 0.0
    lifetime: float = 0.0
    auth: Auth | None = None
    max_symbols: int = 1000
    per_second: float = 4.0
    connections: int = 1


What = Literal["bars", "trades", "news", "company", "actions", "quote"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody wants to know; times in microseconds UTC, ``end`` exclusive, 0 = as far as the provider gives.

    ``from_id`` (inclusive) to ``to_id`` (exclusive) ask for trades by id where a source has ids: a gap, exactly.
    ``endpoint`` says which of the provider's calls is meant where several answer ``what``; empty for all.
    """

    what: What
    symbols: tuple[str, ...]
    interval: str = "1m"
    start: int = 0
    end: int = 0
    from_id: str = ""
    to_id: str = ""
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call a provider has: ``weight`` units of quota for each request (or each symbol, if ``batch`` > 1)."""

    name: str
    path: str
    what: What
    weight: int = 1
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP GET to make: never holds a key, so it may be stored and logged."""

    endpoint: str
    path: str
    params: Mapping[str, str]
    ask: Ask
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: ``headers`` with lower-case names, ``received`` in microseconds UTC."""

    status: int
    body: bytes
    received: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """The events of a reply, and the request that continues it (a further page), if there is more."""

    events: list[Event]
    next: Request | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """A cheap request whose answer tells what a key may do: for ``check keys``."""

    capability: str
    request: Request


@dataclass(slots=True)
class Memory:
    """What a parser remembers between frames: the provider's spelling → our name, cumulative volumes, and when (µs) the
    last frame came.

    Keep one for the life of the process, not of the connection: a cumulative volume goes on across a short reconnect.
    """

    names: dict[str, str]
    strict: bool = True
    volumes: dict[str, tuple[int, Decimal]] = field(default_factory=dict)
    heard: int = 0


class Source(ABC):
    """A provider: class attributes declare it, four pure methods read it. See the module's docstring for the driver.

    ``allowances`` are those of the free plan, unless a person says what theirs has.
    ``tape`` is true when the stream carries trades, false when it carries snapshots of a price; ``ids`` when trades
    have contiguous ids, the same live and by REST, so that every gap shows. ``conditions`` says what the
    provider's sale conditions mean; trades with one of ``volume_only`` never move open, high, low and close.
    ``history`` are the intervals whose bars a new symbol begins with: none where every call is dear. ``reach`` is how
    far back (µs) there are bars of an interval; any day of one that it does not name. ``pages`` is how many pages of an
    answer the daily run asks for, 0 for all.
    """

    provider: ClassVar[str]
    rest: str
    stream: Stream | None = None
    auth: ClassVar[Auth | None] = None
    allowances: tuple[Allowance, ...] = ()
    endpoints: ClassVar[tuple[Endpoint, ...]]
    tape: ClassVar[bool] = False
    ids: ClassVar[bool] = False
    grace: ClassVar[int] = 15 * MINUTE
    conditions: ClassVar[Mapping[str, str]] = {}
    volume_only: ClassVar[frozenset[str]] = frozenset()
    history: ClassVar[tuple[str, ...]] = ("1m", "1d")
    reach: ClassVar[Mapping[str, int]] = {}
    pages: ClassVar[int] = 0

    def __init__(
        self, *, rest: str = "", stream: str = "", suffix: str = "", calls: Mapping[int, int] = MappingProxyType({})
    ) -> None:
        """Take other addresses (the sandbox) and the ``suffix`` that marks its values as made up (``~sim``).

        ``calls`` are the units that a plan has in a window of so many seconds, 0 for one that it does not limit.
        """
        self.name = self.provider + suffix
        self.rest = rest or type(self).rest
        if stream and self.stream:
            self.stream = replace(self.stream, url=stream)
        self.allowances = self._planned(calls)

    def _planned(self, calls: Mapping[int, int]) -> tuple[Allowance, ...]:
        units = {a.window: a.units for a in type(self).allowances} | dict(calls)
        planned = tuple(Allowance(n, window) for window, n in units.items() if n)
        most = max(e.weight * e.batch for e in self.endpoints)
        # Without any limit a source would be asked as fast as it answers; with too low a one, never.
        if calls and not (planned and all(a.units >= most for a in planned)):
            raise BadSetting(
                f"{self.provider} cannot be asked within these calls",
                hint=f"leave one limit at least, and none below {most}, which is what one request may take",
            )
        return planned

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.rest!r})"

    # -- names -----------------------------------------------------------------------------------------------

    @abstractmethod
    def spell(self, symbol: str) -> str:
        """Our name (``BTC/USDT``, ``AAPL``) in the provider's spelling; BadSetting when it cannot have it."""

    @abstractmethod
    def name_of(self, wire: str) -> str:
        """The provider's spelling as our name; BadRecord ``unknown_symbol`` when no rule reads it."""

    def memory(self, symbols: Iterable[str] | None = None) -> Memory:
        """A new memory; with symbols, a frame about any other symbol is a BadRecord; without, names are inferred."""
        return Memory({self.spell(s): s for s in symbols or ()}, strict=symbols is not None)

    def remember(self, memory: Memory, wire: object) -> str:
        """Our name for a spelling in a frame."""
        if type(wire) is not str:
            raise BadRecord("bad_symbol")
        if wire not in memory.names:
            # Bounded: a provider, or whoever stands in for one, may send names without end.
            if memory.strict or len(memory.names) >= 100_000:
                raise BadRecord("unknown_symbol", quote(wire))
            memory.names[wire] = self.name_of(wire)
        return memory.names[wire]

    # -- socket ----------------------------------------------------------------------------------------------

    def subscribe(self, symbols: Sequence[str]) -> list[str]:  # noqa: ARG002
        """The messages to send so that these symbols come; none for a provider without a socket."""
        return []

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:  # noqa: ARG002
        """The messages to send so that these symbols stop coming."""
        return []

    def parse(self, payload: str | bytes, received_at: int, memory: Memory) -> list[Event]:  # noqa: ARG002
        """The events of one socket frame, oldest first; raises only errors of the tree (module docstring)."""
        raise BadSetting(f"{self.provider} has no socket")

    # -- REST ------------------------------------------------------------------------------------------------

    @abstractmethod
    def requests(self, ask: Ask) -> list[Request]:
        """The first request of each symbol (or batch of symbols); BadSetting when the provider has no such call."""

    @abstractmethod
    def parse_rest(self, request: Request, reply: Reply) -> Answer:
        """The events of one answer, oldest first; errors are told by the body first, then by the status."""

    def usage(self, reply: Reply) -> tuple[Usage, ...]:
        """What the answer says of the quota: by default that a 429 or 418 blocks for ``Retry-After``."""
        if reply.status not in (418, 429) or not self.allowances:
            return ()
        # Which limit was met is not said: the shortest window is the likely one, and the cheapest to be wrong about.
        window = min(a.window for a in self.allowances)
        return (Usage(window, blocked=retry_after(reply) or float(window)),)

    def probes(self) -> list[Probe]:
        """Cheap requests that tell what the key and its plan allow."""
        return []

    def ask_of(self, body: Any, symbol: str) -> Ask | None:  # noqa: ARG002
        """What a recorded answer seems to answer; None when it is none of this provider's (then it may be a frame)."""
        return None

    def default_ask(self, symbol: str) -> Ask:
        """What a recorded text that `ask_of` does not know is read as."""
        return Ask(self.endpoints[0].what, (symbol,), start=DAY, end=2 * DAY)

    def reach_of(self, symbol: str, interval: str) -> int | None:  # noqa: ARG002
        """How far back (µs) there are bars of an interval of this symbol; None for any day."""
        return self.reach.get(interval)

    def endpoint(self, what: What) -> Endpoint:
        """The call that answers ``what``; BadSetting naming what the provider has."""
        for endpoint in self.endpoints:
            if endpoint.what == what:
                return endpoint
        offered = ", ".join(sorted({e.what for e in self.endpoints}))
        raise BadSetting(f"{self.provider} has no {what}", hint=f"it has {offered}")


def spelled_interval(spellings: Mapping[str, str], interval: str, provider: str) -> str:
    """The provider's word for one of our intervals; BadSetting naming those it has."""
    if interval not in spellings or interval not in INTERVALS:
        raise BadSetting(f"{provider} has no bars of {interval}", hint=f"allowed: {', '.join(spellings)}")
    return spellings[interval]


def bar_start(at: int, interval: str) -> int:
    """The stamp of a bar, if it is on our grid; hours that begin at half past, as some providers cut them, are not."""
    # Moved to our grid it would claim trades of another half hour.
    if at % INTERVALS[interval]:
        raise BadRecord("unaligned_start")
    return at


def retry_after(reply: Reply) -> float | None:
    """The seconds that ``Retry-After`` asks for, at most a day; None when absent or unreadable."""
    return told_wait(reply.headers.get("retry-after", ""), reply.headers.get("date", ""))


def told_wait(value: str, date: str = "") -> float | None:
    """The seconds in a ``Retry-After``, of an answer or of a handshake; at most a day, None for what says no time.

    ``date`` is the ``Date`` of the same answer: a ``Retry-After`` may be a moment (RFC 9110, 10.2.3) of that clock.

    >>> told_wait("17"), told_wait("99999999999"), told_wait("soon")
    (17.0, 86400.0, None)
    >>> told_wait("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:18:00 GMT")
    600.0
    """
    try:
        seconds = float(value) if value.isascii() and value.isdigit() else _moment(value) - _moment(date)
    except (ValueError, OverflowError):
        return None
    # A day at most: no header of a provider may silence a source for good.
    return min(max(seconds, 0.0), 86_400.0)


def _moment(date: str) -> float:
    return parsedate_to_datetime(date).timestamp()


def check_status(provider: str, reply: Reply, said: str = "") -> None:
    """Raise the error that an HTTP status means when the body did not say more; return for 200 to 299."""
    status, words = reply.status, f"{provider} answered {reply.status}" + (f": {quote(said)}" if said else "")
    if 200 <= status < 300:
        return
    if status in (418, 429):
        # A refusal without a time must hold back too: else whoever stands in front of a provider empties a day's quota.
        raise RateLimited(words, delay=retry_after(reply) or 60.0)
    if status in (401, 403, 451):
        raise AccessDenied(words)
    # Without a word of the provider it may be the page of whoever stands in front of it, for a minute.
    if status == 404 and said:
        raise NotFound(words)
    # Our own question was wrong: asking it again will not make it right.
    if 400 <= status < 500 and status != 404:
        raise BadRecord("refused_request", words)
    # Redirects are never followed, and after a 5xx nobody knows more: both may be right again later.
    raise Unavailable(words, delay=retry_after(reply))


def collect(rows: Iterable[Any], read: Callable[[Any], Event | None]) -> list[Event]:
    """Read each row; one that cannot be read becomes a `Reject`, the others are kept; None is skipped."""
    events: list[Event] = []
    for row in rows:
        try:
            event = read(row)
        except BadRecord as error:
            event = rejected(row, error)
        if event is not None:
            events.append(event)
    return events


def rejected(row: object, error: BadRecord) -> Reject:
    """The row as quarantine keeps it: JSON, cut to 64 KiB, ASCII so that nothing in it can break a writer."""
    return Reject(error.reason, json.dumps(row, default=str)[:65536], str(error))
