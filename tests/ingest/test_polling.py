"""Polling: as fast as a share of the quota allows, only what is new, and the day's bar where intraday is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest

from sparktrends.errors import AccessDenied, NotFound, NotInPlan, SparkTrendsError, Unavailable
from sparktrends.ingest.polling import SHARE, Poller, pace
from sparktrends.model import DAY, MINUTE, ProviderBar
from sparktrends.sources import PROVIDERS, make_source
from sparktrends.sources.base import Ask

pytestmark = pytest.mark.anyio
NOW = 1_732_147_200_000_000
BAR = ProviderBar("yahoo", "AAPL", "1m", NOW, *(Decimal(5),) * 5, closed=False)


@dataclass
class Rest:
    """Answers each question with the next of ``answers``: bars, or an error."""

    answers: list[list[ProviderBar] | SparkTrendsError]
    asked: list[Ask] = field(default_factory=list)
    source: Any = field(default_factory=lambda: make_source("yahoo"))

    async def ask(self, question: Ask, attempts: int = 4) -> AsyncIterator[list[ProviderBar]]:
        self.asked.append(question)
        answer = self.answers.pop(0)
        if isinstance(answer, SparkTrendsError):
            raise answer
        yield answer


def poller(*answers: list[ProviderBar] | SparkTrendsError) -> tuple[Poller, Rest, list[ProviderBar]]:
    rest, published = Rest(list(answers)), list[ProviderBar]()
    return Poller(rest, lambda: ["AAPL"], lambda _: True, published.append, lambda: NOW), rest, published  # type: ignore[arg-type]


async def test_only_what_is_new_is_published_oldest_first() -> None:
    older, closed = replace(BAR, start=NOW - MINUTE, closed=True), replace(BAR, closed=True)
    later = replace(BAR, received=NOW + 5)
    one, _, published = poller([BAR, older], [older, later], [closed])
    for _ in range(3):
        assert await one._ask(["AAPL"])
    assert published == [older, BAR, closed]


@pytest.mark.parametrize(
    ("heard", "first"), [(0, 30 * MINUTE), (NOW - 5 * MINUTE, 30 * MINUTE), (NOW - DAY, DAY), (1, DAY)]
)
async def test_the_first_question_begins_where_an_earlier_run_ended(heard: int, first: int) -> None:
    one, rest, _ = poller([BAR], [BAR])
    one.heard = lambda _: heard
    for _ in range(2):
        await one._ask(["AAPL"])
    assert [question.start for question in rest.asked] == [NOW - first, BAR.start]


async def test_a_plan_without_minutes_gives_the_day() -> None:
    one, rest, published = poller(NotInPlan("premium"), [replace(BAR, interval="1d")])
    assert await one._ask(["AAPL"])
    assert [question.interval for question in rest.asked] == ["1m", "1d"]
    assert len(published) == 1


async def test_a_refused_key_does_not_give_up_minutes() -> None:
    one, rest, published = poller(AccessDenied("Invalid Crumb"), [BAR])
    assert [await one._ask(["AAPL"]) for _ in range(2)] == [False, True]
    assert [question.interval for question in rest.asked] == ["1m", "1m"]
    assert published == [BAR]


@pytest.mark.parametrize("error", [Unavailable("down"), NotFound("no such")])
async def test_no_answer_is_no_data_and_is_said(error: SparkTrendsError) -> None:
    one, _, published = poller(error)
    heard: list[bool] = []
    one.said = lambda _symbols, came: heard.append(came)
    assert not await one._ask(["AAPL"])
    assert (published, heard) == ([], [False])


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
@pytest.mark.parametrize("symbols", [1, 8, 50])
def test_a_round_never_takes_more_than_its_share(provider: str, symbols: int) -> None:
    source = make_source(provider)
    seconds = pace(source, symbols)
    assert seconds >= 60
    for allowance in source.allowances:
        spent = symbols * source.endpoint("bars").weight * allowance.window / seconds
        assert spent <= allowance.units * SHARE * 1.001
