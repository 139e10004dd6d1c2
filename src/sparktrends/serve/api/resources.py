"""The listings of the API: path, view, query model and row model. Routes and the document are made from this table.

Views that this release does not have yet are listed too: the answer is 404 "not part of this installation yet" until
a migration makes the view with the key columns that are named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sparktrends.serve.api import query, rows
from sparktrends.store.serving import Listing


@dataclass(frozen=True, slots=True)
class Resource:
    """One listing. ``filters`` are the parameters that a column of the same name must equal.

    ``kept``: its newest rows are kept in memory, because commits say what they change of them (`tails`).
    """

    path: str
    summary: str
    listing: Listing
    query: type[query.PageQuery]
    row: type[rows.Row]
    filters: tuple[str, ...] = ("source", "symbol")
    hidden: tuple[str, ...] = ("series",)
    fixed: Mapping[str, str] = field(default_factory=dict)
    kept: bool = False


BY_BAR = ("start", "source", "symbol")
BARS = Resource(
    "bars",
    "Price bars",
    Listing("bars", BY_BAR, "start", by_series=True, starts=("trade_starts", "provider_starts")),
    query.BarsQuery,
    rows.BarRow,
    ("source", "symbol", "interval"),
    kept=True,
)
SPLIT_BARS = Resource(
    "bars",
    "Price bars adjusted for splits",
    Listing("bars_adjusted", BY_BAR, "start", by_series=True, starts=("trade_starts", "raw_starts", "provider_starts")),
    query.BarsQuery,
    rows.BarRow,
    ("source", "symbol", "interval"),
    # Not kept: a split changes all bars before it, comes in no commit of bars, and holds from a midnight on.
    fixed={"adjustment": "split"},
)
RESOURCES: tuple[Resource, ...] = (
    Resource(
        "symbols",
        "Every series, with its newest price",
        Listing("symbols", ("source", "symbol")),
        query.SymbolsQuery,
        rows.SymbolRow,
    ),
    Resource(
        "freshness",
        "Whether each series trades, is quiet, has a dead feed or a closed exchange",
        Listing("freshness", ("source", "symbol")),
        query.SymbolsQuery,
        rows.FreshnessRow,
    ),
    BARS,
    Resource(
        "metrics",
        "Indicators of each bar",
        Listing("metrics", BY_BAR, "start", by_series=True),
        query.MetricsQuery,
        rows.MetricRow,
        ("source", "symbol", "interval"),
        kept=True,
    ),
    Resource(
        "signals",
        "What the detectors found",
        Listing("signals", ("start", "id"), "start"),
        query.SignalsQuery,
        rows.SignalRow,
        ("source", "symbol", "interval", "kind", "name", "severity"),
    ),
    Resource(
        "alerts",
        "Rules that fired",
        Listing("alerts", ("start", "id"), "start"),
        query.AlertsQuery,
        rows.AlertRow,
        ("source", "symbol", "rule", "severity", "status"),
    ),
    Resource(
        "news",
        "Stories with their sentiment",
        Listing("news", ("published_at", "source", "id"), "published_at"),
        query.NewsQuery,
        rows.NewsRow,
        ("source", "label"),
    ),
    Resource(
        "prices/daily",
        "Daily bars",
        Listing("daily_prices", BY_BAR, "start", by_series=True),
        query.SeriesQuery,
        rows.DailyPriceRow,
    ),
    Resource(
        "trends/daily",
        "What the daily run made of each day",
        Listing("daily_trends", ("day", "source", "symbol"), "day"),
        query.SeriesQuery,
        rows.TrendRow,
    ),
    Resource(
        "volume-profile",
        "Volume by price, session by session",
        Listing("volume_profile", ("day", "source", "symbol", "price"), "day"),
        query.SeriesQuery,
        rows.ProfileRow,
    ),
    Resource(
        "quality",
        "Quality scores with reasons",
        Listing("quality", ("day", "source", "symbol"), "day"),
        query.SeriesQuery,
        rows.QualityRow,
    ),
)
COMPANIES = Resource(
    "companies",
    "What providers say of the company behind a symbol",
    Listing("companies", ("source", "symbol")),
    query.PageQuery,
    rows.CompanyRow,
)
