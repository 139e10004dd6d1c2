"""The values that flow through the product: frozen, and refusing bad data when they are made.

Times are integers, microseconds since 1970 UTC, unless a name ends in ``_at`` or ``day`` (aware datetime, date).
Prices and sizes are `decimal.Decimal` at the edges. Inside a `PartialBar` they are integers in units of 10**-18
(`turnover`: 10**-36), because sums and comparisons of integers are exact and fast.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import IntFlag, StrEnum
from functools import lru_cache
from typing import Any

from sparktrends.errors import BadRecord

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

PRICE_SCALE = 10**18
"""A stored price or size is this many units."""
MAX_DIGITS = 10**38
"""Price and size have at most 20 integer and 18 fractional digits."""
MAX_NAME = 64
"""Longest source or symbol, in characters."""
INTERVALS: Mapping[str, int] = {"1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": HOUR, "1d": DAY}
"""The intervals of `market.bars` and their lengths in microseconds."""


class Status(StrEnum):
    """What a source says of a symbol's stream with each heartbeat."""

    OK = "ok"
    STALE = "stale"
    THROTTLED = "throttled"
    CLOSED = "closed"
    START = "start"


class Statuses(IntFlag):
    """The set of heartbeat statuses that touched a minute; merging two sets is ``|``."""

    NONE = 0
    OK = 1
    STALE = 2
    THROTTLED = 4
    CLOSED = 8
    START = 16


class State(StrEnum):
    """How far a bar has come (law 6)."""

    FORMING = "forming"
    FINAL = "final"
    REVISED = "revised"


class Origin(StrEnum):
    """What a bar was made of: our own fold of trades, a provider's bar, or quotes standing in for trades."""

    TRADES = "trades"
    PROVIDER = "provider"
    PSEUDO = "pseudo"


def check_name(value: object, what: str) -> str:
    """A source or symbol: 1 to 64 printable characters without surrounding blanks.

    >>> check_name("BTC/USD", "symbol")
    'BTC/USD'
    """
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not _is_name(value):
        raise BadRecord(f"bad_{what}")
    return value


# Every event names its source and symbol, of which there are few.
@lru_cache(maxsize=16_384)
def _is_name(value: str) -> bool:
    return value.isprintable() and value == value.strip()


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade (`kind` trade) or a price seen without a trade (`kind` price, or size 0).

    ``id`` is unique per (source, symbol) where the source has ids. ``fill`` marks records that were fetched
    afterwards (gap fill, backfill, warm start): they are never late.
    """

    source: str
    symbol: str
    ts: int
    price: Decimal
    size: Decimal
    id: str = ""
    received: int | None = None
    conditions: tuple[str, ...] = ()
    fill: bool = False
    kind: str = "trade"

    def __post_init__(self) -> None:
        check_name(self.source, "source")
        check_name(self.symbol, "symbol")
        if not self.price.is_finite() or self.price <= 0:
            raise BadRecord("bad_price")
        if not self.size.is_finite() or self.size < 0:
            raise BadRecord("bad_size")
        if self.kind not in ("trade", "price"):
            raise BadRecord("bad_kind")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A source's word that a symbol's stream is alive (or not) at source time ``ts``."""

    source: str
    symbol: str
    ts: int
    status: Status = Status.OK
    received: int | None = None

    def __post_init__(self) -> None:
        check_name(self.source, "source")
        check_name(self.symbol, "symbol")


@dataclass(frozen=True, slots=True)
class ProviderBar:
    """A bar that a provider made; ``start`` is its beginning, ``closed`` false while it still moves.

    ``adjustment`` is ``raw`` or ``split``: series of different adjustment are never mixed. ``fill`` marks one that was
    fetched afterwards.
    """

    source: str
    symbol: str
    interval: str
    start: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    closed: bool = True
    adjustment: str = "raw"
    trades: int | None = None
    turnover: Decimal | None = None
    received: int | None = None
    fill: bool = False

    def __post_init__(self) -> None:
        check_name(self.source, "source")
        check_name(self.symbol, "symbol")
        if self.interval not in INTERVALS:
            raise BadRecord("bad_interval")
        prices = (self.open, self.high, self.low, self.close)
        if not all(p.is_finite() and p > 0 for p in prices):
            raise BadRecord("bad_price")
        if not self.volume.is_finite() or self.volume < 0:
            raise BadRecord("bad_volume")
        if self.high < max(prices) or self.low > min(prices):
            raise BadRecord("high_low_contradiction")


@dataclass(frozen=True, slots=True)
class Payload:
    """A provider's answer, untouched, for the topic ``raw.payloads``; ``request`` never holds a key."""

    source: str
    endpoint: str
    fetched_at: datetime
    request: Mapping[str, Any]
    payload: Any


Position = tuple[int, int, int]
"""Where a record stands in time: (event time, partition, offset). Open is the least, close the greatest."""


@dataclass(frozen=True, slots=True)
class PartialBar:
    """What some records say of one minute of one series: the fold of a batch, and equally of everything so far.

    Merging is associative and commutative, so any cut of the log into batches gives the same bar. Prices and
    ``volume`` are in units of 10**-18, ``turnover`` in 10**-36. ``open`` to ``low`` are None when no record may
    move them. ``after_final`` counts records that arrived when the bar was already final (law 2). ``statuses``
    are the heartbeats that touched the minute. ``fills`` counts the trades that were fetched afterwards.
    """

    source: str
    symbol: str
    start: int
    open: int | None = None
    open_at: Position | None = None
    high: int | None = None
    low: int | None = None
    close: int | None = None
    close_at: Position | None = None
    volume: int = 0
    turnover: int = 0
    trades: int = 0
    after_final: int = 0
    statuses: int = 0
    fills: int = 0


@dataclass(frozen=True, slots=True)
class Bar:
    """A stored minute: the fold of its records, and what the series' clock and heartbeats make of it (law 6)."""

    fold: PartialBar
    state: State
    reason: str | None


@dataclass(frozen=True, slots=True)
class SeriesState:
    """Where a series stands: its clock, and its first and last known minute (None before the first).

    ``version`` grows with every transaction that touches the series: a cache of another version is stale.
    """

    id: int
    version: int
    clock: int
    first_minute: int | None = None
    last_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open span of minutes [start, end) that has no rows; ``reason`` is ``closed`` or ``hole``."""

    start: int
    end: int
    reason: str


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Records [start, end) of one partition of one topic (``topic_id`` tells topics of the same name apart)."""

    topic: str
    partition: int
    topic_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SeriesMark:
    """What a batch says of one series beside its bars: its clock and the minutes a closed exchange covers.

    ``clock`` is the largest arrival among accepted records, price updates and heartbeats. ``closed`` holds
    half-open spans [from, to) of whole minutes.
    """

    source: str
    symbol: str
    clock: int
    closed: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where a record lies in Kafka, and when the broker appended it."""

    topic: str
    partition: int
    offset: int
    appended: int


@dataclass(frozen=True, slots=True)
class LateTrade:
    """A trade that came more than the grace after its time: kept in the late ledger, in no bar until repair."""

    trade: Trade
    arrival: int
    at: Coordinates


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that cannot be used: why, where it lies, the first 64 KiB of it, and the hash of the whole.

    ``source`` is known of what a source's own parser refused.
    """

    reason: str
    at: Coordinates
    payload: bytes
    sha256: bytes
    size: int
    source: str | None = None


@dataclass(frozen=True, slots=True)
class StoredProviderBar:
    """A provider's bar with its order among others of the same key: (closed, arrival, partition, offset)."""

    bar: ProviderBar
    arrival: int
    at: Coordinates

    @property
    def rank(self) -> tuple[bool, int, int, int]:
        """The larger rank wins (law 6)."""
        return (self.bar.closed, self.arrival, self.at.partition, self.at.offset)


@dataclass(frozen=True, slots=True)
class PartitionCounts:
    """What became of the records of one partition in one batch: law 1 in numbers. Their sum is ``records``."""

    topic: str
    partition: int
    records: int = 0
    trades: int = 0
    prices: int = 0
    heartbeats: int = 0
    bars: int = 0
    late: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that a detector, pattern, trend, sequence or feed check found at one bar.

    ``direction`` is ``up``, ``down`` or ``none``; ``score`` is the detector's own figure (larger = stronger);
    ``severity`` is ``info``, ``warning`` or ``critical``; ``detail`` holds the numbers that explain it.
    """

    source: str
    symbol: str
    interval: str
    start: int
    kind: str
    name: str
    direction: str
    score: float
    severity: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """A hash of what it is about; the same whenever and however often it is computed (law 4)."""
        return stable_id(self.source, self.symbol, self.interval, str(self.start), self.kind, self.name, self.direction)


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that fired at a bar; ``signals`` are the ids of what made it, ``values`` what the rule saw."""

    rule: str
    source: str
    symbol: str
    interval: str
    start: int
    severity: str
    title: str
    channels: tuple[str, ...] = ("console",)
    signals: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    history: bool = False

    @property
    def id(self) -> str:
        """A hash of rule, series, interval and bar: never of a revision (law 4)."""
        return alert_id(self.rule, self.source, self.symbol, self.interval, self.start)


@dataclass(frozen=True, slots=True)
class NewsItem:
    """One story about some symbols, as a provider told it. Headline and summary are hostile text."""

    source: str
    id: str
    published_at: datetime
    headline: str
    summary: str = ""
    url: str = ""
    publisher: str = ""
    symbols: tuple[str, ...] = ()
    provider_score: float | None = None
    provider_label: str = ""
    symbol_scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Company:
    """What a provider says of the company behind a symbol on one day; money in ``currency``."""

    source: str
    symbol: str
    day: date
    name: str
    exchange: str = ""
    currency: str = ""
    sector: str = ""
    industry: str = ""
    country: str = ""
    shares: Decimal | None = None
    market_cap: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """A ``split`` (value = new shares per old one) or a cash ``dividend`` (value per share) on its ex-day."""

    source: str
    symbol: str
    day: date
    kind: str
    value: Decimal


def alert_id(rule: str, source: str, symbol: str, interval: str, start: int) -> str:
    """The id of the alert of a rule at a bar."""
    return stable_id(rule, source, symbol, interval, str(start))


def stable_id(*parts: str) -> str:
    """The first 128 bits, as hex, of SHA-256 over the parts; no two lists of parts give the same text.

    >>> stable_id("a", "bc") == stable_id("ab", "c")
    False
    """
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_simulated(source: str) -> bool:
    """Whether values of this source were made up: the simulator's and the sandbox's (law 9)."""
    return source.endswith("~sim")


def is_replayed(source: str) -> bool:
    """Whether values of this source come from a recording (law 9)."""
    return source.endswith("~replay")
