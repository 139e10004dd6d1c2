"""Signals of kind ``feed``: minutes without a trade for which the feed, not the market, is the reason (law 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from sparktrends.model import Signal

SEVERITIES: Mapping[str, str] = MappingProxyType(
    {"feed_stale": "warning", "throttled": "warning", "partial_start": "info"}
)
"""The reasons that make a signal, and how grave each is; ``no_trade`` is the market's own silence."""

Key = tuple[str, str, str, int]
"""Source, symbol, interval, start (microseconds since 1970, UTC)."""


def feed_signals(minutes: Iterable[tuple[Key, str]]) -> list[Signal]:
    """One signal for each bar key whose reason is the feed's; other reasons make none.

    >>> [s.name for s in feed_signals([(("x", "A", "1m", 0), "no_trade"), (("x", "A", "1m", 60), "feed_stale")])]
    ['feed_stale']
    """
    return [
        Signal(
            *key, kind="feed", name=reason, direction="none", score=1.0, severity=severity, detail={"reason": reason}
        )
        for key, reason in minutes
        if (severity := SEVERITIES.get(reason)) is not None
    ]
