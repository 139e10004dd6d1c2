"""The values that flow through the product: frozen, and refusing bad data when they are made.

Times are integers, microseconds since 1970 UTC, unless a name ends in ``_at`` or ``day`` (aware datetime, date).
Prices and sizes are `decimal.Decimal` at the edges. Inside a `PartialBar` they are integers in units of 10**-18
(`turnover`: 10**-36), because sums and comparisons of integers are exact and fast.
"""

from __future__ import annotations

from sparktrends.model.bars import Bar, PartialBar, SeriesState, Span
from sparktrends.model.events import Company, CorporateAction, Heartbeat, NewsItem, Payload, ProviderBar, Trade
from sparktrends.model.findings import EVERY_CHANNEL, Alert, Resolution, Signal, alert_id
from sparktrends.model.log import (
    Coordinates,
    LateTrade,
    OffsetRange,
    PartitionCounts,
    Quarantined,
    SeriesMark,
    StoredProviderBar,
)
from sparktrends.model.units import (
    DAY,
    HOUR,
    INTERVALS,
    MAX_DIGITS,
    MAX_NAME,
    MINUTE,
    PRICE_SCALE,
    SECOND,
    Origin,
    State,
    Status,
    Statuses,
    check_name,
    is_printable,
    is_replayed,
    is_simulated,
    kind_of,
    provider_of,
    stable_id,
)

__all__ = [
    "DAY",
    "EVERY_CHANNEL",
    "HOUR",
    "INTERVALS",
    "MAX_DIGITS",
    "MAX_NAME",
    "MINUTE",
    "PRICE_SCALE",
    "SECOND",
    "Alert",
    "Bar",
    "Company",
    "Coordinates",
    "CorporateAction",
    "Heartbeat",
    "LateTrade",
    "NewsItem",
    "OffsetRange",
    "Origin",
    "PartialBar",
    "PartitionCounts",
    "Payload",
    "ProviderBar",
    "Quarantined",
    "Resolution",
    "SeriesMark",
    "SeriesState",
    "Signal",
    "Span",
    "State",
    "Status",
    "Statuses",
    "StoredProviderBar",
    "Trade",
    "alert_id",
    "check_name",
    "is_printable",
    "is_replayed",
    "is_simulated",
    "kind_of",
    "provider_of",
    "stable_id",
]
