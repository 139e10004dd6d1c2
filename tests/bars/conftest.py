"""Records for the definition: one good trade with some fields changed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sparktrends.bars import RAW_BARS, RAW_TRADES, Limits, judge
from sparktrends.bars.judge import Judged
from sparktrends.model import MINUTE, Coordinates

NOW = 1_732_147_200_000_000  # the start of a minute
TRADE = {"source": "binance", "symbol": "BTC/USD", "ts": NOW, "price": "97123.45", "size": "0.0125"}
BAR = {
    "source": "twelve", "symbol": "SPY", "interval": "1m", "start": NOW - MINUTE,
    "open": "2", "high": "3", "low": "1", "close": 2.5, "volume": "0",
}  # fmt: skip
GONE = object()
"""Marks a field that is to be left out."""


def place(offset: int = 7, topic: str = RAW_TRADES, appended: int = NOW + 1_000_000) -> Coordinates:
    return Coordinates(topic, 0, offset, appended)


@pytest.fixture(scope="session")
def now() -> int:
    return NOW


@pytest.fixture(scope="session")
def gone() -> object:
    return GONE


@pytest.fixture(scope="session")
def verdict() -> Callable[..., Judged]:
    """Judges a trade with changed fields, or raw bytes."""

    def of(
        *raw: bytes | None, appended: int = NOW + 1_000_000, limits: Limits | None = None, **changes: object
    ) -> Judged:
        fields = {name: value for name, value in (TRADE | changes).items() if value is not GONE}
        value = raw[0] if raw else json.dumps(fields).encode()
        return judge(value, place(appended=appended), limits or Limits())

    return of


@pytest.fixture(scope="session")
def bar_verdict() -> Callable[..., Judged]:
    """Judges a provider's bar with changed fields."""

    def of(**changes: object) -> Judged:
        fields = {name: value for name, value in (BAR | changes).items() if value is not GONE}
        return judge(json.dumps(fields).encode(), place(topic=RAW_BARS), Limits())

    return of
