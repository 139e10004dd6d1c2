"""Which fields of an answer are read, so that new ones are counted and missing ones named. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sparktrends.sources.alpha_vantage import named

Rows = Callable[[Any], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class Fields:
    """How often each field came that nobody reads, and how often each expected one was absent."""

    unknown: Mapping[str, int]
    missing: Mapping[str, int]


def _values(body: Any) -> list[Any]:
    return list(body.values()) if isinstance(body, dict) else []


def _series(body: Any) -> Iterable[Any]:
    found: object = next((v for k, v in body.items() if k.startswith("Time Series")), {})
    return [named(row) if isinstance(row, dict) else row for row in _values(found)]


def _batch(body: Any) -> Iterable[Any]:
    parts = [body] if "values" in body else _values(body)
    return [row for part in parts if isinstance(part, dict) for row in part.get("values") or []]


def _chart(body: Any) -> Iterable[Any]:
    return [quote for result in body["chart"]["result"] for quote in result["indicators"]["quote"]]


_OHLCV = "open high low close volume"
_READ: Mapping[tuple[str, str], tuple[Rows, str]] = {
    ("alpha_vantage", "news"): (
        lambda body: body["feed"],
        "title url time_published summary source overall_sentiment_score overall_sentiment_label ticker_sentiment",
    ),
    ("alpha_vantage", "company"): (
        lambda body: [body],
        "Symbol Name Exchange Currency Sector Industry Country SharesOutstanding MarketCapitalization",
    ),
    ("alpha_vantage", "bars"): (_series, _OHLCV),
    ("finnhub", "news"): (lambda body: body, "id datetime headline summary url source"),
    ("finnhub", "company"): (
        lambda body: [body],
        "name exchange currency finnhubIndustry country shareOutstanding marketCapitalization",
    ),
    ("finnhub", "bars"): (lambda body: [body], "t o h l c v s"),
    ("finnhub", "quote"): (lambda body: [body], "c t pc"),
    ("twelve_data", "bars"): (_batch, f"datetime {_OHLCV}"),
    ("yahoo", "bars"): (_chart, _OHLCV),
}
"""Where the rows of an answer are, and the fields of a row that become columns."""


def fields_of(provider: str, what: str, body: Any) -> Fields:
    """Compare the rows of an answer with what is read of them; nothing where rows have no names (Binance).

    >>> fields_of("finnhub", "quote", {"c": 1, "t": 2, "dp": 0.5})
    Fields(unknown={'dp': 1}, missing={'pc': 1})
    """
    if (provider, what) not in _READ:
        return Fields({}, {})
    rows_of, names = _READ[provider, what]
    expected = names.split()
    unknown: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    try:
        rows = [row for row in rows_of(body) if isinstance(row, dict)]
    except (KeyError, TypeError, AttributeError):
        return Fields({}, {})  # another shape than asked for: the parser said what it is
    for row in rows:
        unknown.update(row.keys() - expected)
        missing.update(name for name in expected if name not in row)
    return Fields(dict(unknown), dict(missing))
