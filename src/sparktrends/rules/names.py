"""What an expression may name: columns of the bar, metrics, news, and scores of detectors, with their ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from sparktrends.rules.news import NEWS_NAMES

BAR_NAMES = ("open", "high", "low", "close", "volume", "turnover")
"""Names of the first columns of a bar row."""
LEAST = math.ulp(0.0)
"""The smallest positive float: prices are greater than 0."""
MOST_SCORE = 100.0
"""No detector's score is larger."""

Range = tuple[float, float]
EVERYTHING: Range = (-math.inf, math.inf)

_RANGES: tuple[tuple[str, Range], ...] = (
    ("rsi", (0.0, 100.0)),
    ("stoch", (0.0, 100.0)),
    ("mfi", (0.0, 100.0)),
    ("adx", (0.0, 100.0)),
    ("willr", (-100.0, 0.0)),
    ("volatility", (0.0, math.inf)),
    ("atr", (0.0, math.inf)),
    ("volume_sma", (0.0, math.inf)),
    ("volume_ratio", (0.0, math.inf)),
    ("sma", (LEAST, math.inf)),
    ("ema", (LEAST, math.inf)),
    ("vwap", (LEAST, math.inf)),
    ("return", (-1.0, math.inf)),
    ("roc", (-100.0, math.inf)),
    ("news_", (0.0, math.inf)),
    ("sentiment_", (-1.0, 1.0)),
)


@dataclass(frozen=True)
class Place:
    """Where a name is found: ``table`` is ``bars``, ``metrics``, ``news`` or ``scores``."""

    table: str
    column: int
    range: Range


@dataclass(frozen=True)
class Names:
    """``metrics`` in the order of a metrics row; ``thresholds`` by ``kind.name`` in the order of the score columns.

    >>> Names(("rsi_14",), {"anomaly.price_move": 4.2}).find("anomaly.price_move.score").column
    0
    """

    metrics: Sequence[str]
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def find(self, name: str) -> Place | None:
        """The place of a name, None when there is no such."""
        if name in BAR_NAMES:
            return Place("bars", BAR_NAMES.index(name), (LEAST if name in BAR_NAMES[:4] else 0.0, math.inf))
        if name in self.metrics:
            return Place("metrics", list(self.metrics).index(name), _range_of(name))
        if name in NEWS_NAMES:
            return Place("news", NEWS_NAMES.index(name), _range_of(name))
        signals = [f"{signal}.score" for signal in self.thresholds]
        return Place("scores", signals.index(name), (-MOST_SCORE, MOST_SCORE)) if name in signals else None

    def signals(self, name: str) -> list[tuple[int, float]]:
        """Score columns and thresholds of a signal given as ``kind.name``, ``name`` or ``kind``; may be empty."""
        return [
            (column, threshold)
            for column, (signal, threshold) in enumerate(self.thresholds.items())
            if name in (signal, *signal.split(".", 1))
        ]

    def all(self) -> list[str]:
        """Every name there is."""
        return [*BAR_NAMES, *self.metrics, *NEWS_NAMES, *(f"{signal}.score" for signal in self.thresholds)]


def _range_of(metric: str) -> Range:
    return next((found for prefix, found in _RANGES if metric.startswith(prefix)), EVERYTHING)


def suggestion(name: str, known: Sequence[str]) -> str:
    """`` (did you mean …?)``, or nothing when no known name is near.

    >>> suggestion("rsi14", ["rsi_14", "sma_20"])
    ' (did you mean rsi_14?)'
    """
    close = get_close_matches(name, known, 1)
    return f" (did you mean {close[0]}?)" if close else ""
