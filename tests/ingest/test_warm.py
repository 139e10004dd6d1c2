"""What a new symbol begins with: how far back is asked, what is published, and what happens without a past."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from sparktrends.errors import AccessDenied, NotFound, SparkTrendsError, Unavailable
from sparktrends.ingest.warm import WANTED, History, begin
from sparktrends.model import DAY, INTERVALS, MINUTE, ProviderBar
from sparktrends.sessions import calendar
from sparktrends.sources import make_source
from sparktrends.sources.base import Ask

pytestmark = pytest.mark.anyio
NOW = 1_732_147_200_000_000  # 2024-11-21 00:00 UTC, a Thursday
BLACK_FRIDAY = 1_732_892_400_000_000  # 2024-11-29 15:00 UTC: half a day after a holiday has begun


@dataclass
class Rest:
    """Answers each question with a closed and a forming bar of each symbol, or with the error of its interval."""

    source: Any
    errors: dict[str, SparkTrendsError] = field(default_factory=dict)
    asked: list[Ask] = field(default_factory=list)

    async def ask(self, question: Ask) -> AsyncIterator[list[ProviderBar]]:
        self.asked.append(question)
        if question.interval in self.errors:
            raise self.errors[question.interval]
        for symbol in question.symbols:
            bar = (self.source.name, symbol, question.interval, question.start, *(Decimal(5),) * 5)
            yield [ProviderBar(*bar, closed=closed) for closed in (True, False)]


def history(provider: str, **errors: SparkTrendsError) -> tuple[History, Rest, list[ProviderBar]]:
    rest, published = Rest(make_source(provider), {"1" + name: error for name, error in errors.items()}), []
    return History(rest, published.append, lambda _: "24/7", lambda: NOW), rest, published  # type: ignore[arg-type]


@pytest.mark.parametrize("interval", WANTED)
@pytest.mark.parametrize("now", [NOW, BLACK_FRIDAY, BLACK_FRIDAY + 3 * DAY, NOW + 90 * DAY])
def test_there_are_as_many_open_minutes_and_days_as_wanted(interval: str, now: int) -> None:
    hours, length = calendar("XNYS"), INTERVALS[interval]
    start = begin(interval, "XNYS", now)
    stamps = range(start - start % length, now - length, length)
    noon = 16 * 60 * MINUTE if interval == "1d" else 0
    assert sum(hours.at(at + noon).trading for at in stamps) >= WANTED[interval]
    assert now - start < 500 * length * 24


async def test_closed_bars_are_published_as_fills_minutes_before_days() -> None:
    past, rest, published = history("binance")
    assert await past.fetch(["BTC/USDT", "ETH/USDT"]) == 4
    assert [(b.symbol, b.interval, b.fill) for b in published] == [
        ("BTC/USDT", "1m", True), ("ETH/USDT", "1m", True), ("BTC/USDT", "1d", True), ("ETH/USDT", "1d", True),
    ]  # fmt: skip
    assert {(q.interval, q.start, q.end) for q in rest.asked} == {
        ("1m", NOW - 330 * MINUTE, NOW),
        ("1d", NOW - 275 * DAY, NOW),
    }


async def test_symbols_go_in_batches_where_a_provider_takes_them() -> None:
    past, rest, _ = history("twelve_data")
    await past.fetch([f"S{i}" for i in range(10)])
    assert [len(q.symbols) for q in rest.asked] == [8, 2, 8, 2]


async def test_what_the_plan_leaves_out_of_one_interval_or_symbol_does_not_cost_the_others() -> None:
    past, rest, published = history("finnhub", m=AccessDenied("premium"))
    assert await past.fetch(["AAPL", "MSFT"]) == 2
    assert [q.interval for q in rest.asked] == ["1m", "1m", "1d", "1d"]
    assert {bar.interval for bar in published} == {"1d"}


@pytest.mark.parametrize("error", [Unavailable("down"), NotFound("no such")])
async def test_a_symbol_without_a_past_does_not_cost_the_others_theirs(error: SparkTrendsError) -> None:
    past, rest, _ = history("yahoo", m=error)
    assert await past.fetch(["A", "B"]) == 2
    assert len(rest.asked) == 4


async def test_where_every_call_is_dear_nothing_is_asked() -> None:
    past, rest, _ = history("alpha_vantage")
    assert (await past.fetch(["AAPL"]), rest.asked) == (0, [])
