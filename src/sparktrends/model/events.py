"""What a source reads from a provider, one value for each thing that it can say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sparktrends.errors import BadRecord
from sparktrends.model.units import INTERVALS, Status, check_series


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
        check_series(self.source, self.symbol)
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
        check_series(self.source, self.symbol)


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
        check_series(self.source, self.symbol)
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
