"""Polling: as fast as a share of the quota allows, only what is new, and the day's bar where intraday is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.errors import AccessDenied, NotFound, NotInPlan, SparkTrendsError, Unavailable
from sparktrends.ingest.polling import SHARE, Poller, pace
from sparktrends.model import DAY, MINUTE, ProviderBar
from sparktrends.sources import PROVIDERS, make_source
from sparktrends.sources.base import Ask, Reply

pytestmark = pytest.mark.anyio
NOW = 1_732_147_200_000_000
BAR = ProviderBar("yahoo", "AAPL", "1m", NOW, *(Decimal(5),) * 5, closed=False)


@dataclass
class Rest:
    """Answers each question with the next of ``answers``: bars, or an error."""

    answers: list[list[ProviderBar] | SparkTrendsError]
    asked: list[Ask] = field(default_factory=list)
    source: Any = field(default_factory=lambda: make_source("yahoo"))
    refused: set[tuple[str, str]] = field(default_factory=set)

    def refuses(self, question: Ask) -> bool:
        return (question.symbols[0], question.interval) in self.refused

    async def ask(self, question: Ask, attempts: int = 4) -> AsyncIterator[list[ProviderBar]]:
        self.asked.append(question)
        answer = self.answers.pop(0)
        if isinstance(answer, AccessDenied):
            self.refused |= {(symbol, question.interval) for symbol in question.symbols}
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


async def test_who_is_refused_minutes_has_days_until_the_refusal_ends_and_the_others_keep_theirs() -> None:
    minute, day = replace(BAR, symbol="MSFT"), replace(BAR, interval="1d")
    one, rest, published = poller([minute], [day], [minute], [], [replace(BAR, start=NOW + MINUTE), minute])
    rest.refused = {("AAPL", "1m")}
    heard: list[tuple[list[str], bool]] = []
    one.said = lambda symbols, came: heard.append((list(symbols), came))
    assert await one._ask(["AAPL", "MSFT"]) == {"AAPL", "MSFT"}
    assert await one._ask(["AAPL", "MSFT"]) == {"MSFT"}
    rest.refused.clear()
    assert await one._ask(["AAPL", "MSFT"]) == {"AAPL", "MSFT"}
    asked = [(question.symbols, question.interval) for question in rest.asked]
    refused = [(("MSFT",), "1m"), (("AAPL",), "1d")]
    assert asked == [*refused, *refused, (("AAPL", "MSFT"), "1m")]
    # The day began before the minutes did, and after the day they go on.
    assert [(bar.symbol, bar.interval) for bar in published] == [("MSFT", "1m"), ("AAPL", "1d"), ("AAPL", "1m")]
    assert heard == [(["AAPL", "MSFT"], True), (["MSFT"], True), (["AAPL"], False), (["AAPL", "MSFT"], True)]


def part(symbol: str) -> dict[str, Any]:
    row = {"datetime": "2024-11-20 23:59:00", "open": "1", "high": "1", "low": "1", "close": "1", "volume": "5"}
    return {"meta": {"symbol": symbol, "interval": "1min"}, "values": [row], "status": "ok"}


@dataclass
class Batched(Rest):
    """A Twelve Data that answers one symbol of a batch, does not know another, and has nothing of the third."""

    source: Any = field(default_factory=lambda: make_source("twelve_data"))
    wanted: list[str] = field(default_factory=list)

    async def ask(self, question: Ask, attempts: int = 4) -> AsyncIterator[list[Any]]:
        for request in self.source.requests(question):
            self.wanted.append(request.params["symbol"])
            parts = {
                "AAPL": part("AAPL"),
                "NOPE": {"code": 404, "message": "**symbol** parameter is missing or invalid.", "status": "error"},
                "MSFT": {"code": 400, "message": "No data is available on the specified dates.", "status": "error"},
            }
            yield self.source.parse_rest(request, Reply(200, json.dumps(parts).encode(), NOW)).events


async def test_in_a_batch_each_symbol_speaks_for_itself_and_an_unknown_one_is_asked_for_once() -> None:
    (one, *_), heard, rest = poller(), list[tuple[list[str], bool]](), Batched([])
    one.rest, one.symbols = rest, lambda: ["AAPL", "NOPE", "MSFT"]  # type: ignore[assignment]
    one.said = lambda symbols, came: heard.append((list(symbols), came))
    for seconds in (0.0, 100_000.0):
        await one._round(lambda now=seconds: now)  # type: ignore[misc]
    assert rest.wanted == ["AAPL,NOPE,MSFT", "AAPL,MSFT"]
    assert heard == [(["AAPL"], True), (["NOPE", "MSFT"], False), (["AAPL"], True), (["MSFT"], False)]


async def test_a_symbol_that_a_provider_does_not_know_is_asked_for_again_a_day_later() -> None:
    one, rest, published = poller(NotFound("No data found, symbol may be delisted"), [BAR])
    one.said = lambda _symbols, _came: None
    for hours in (0, 23, 25):
        one.clock = lambda at=NOW + hours * 60 * MINUTE: at  # type: ignore[misc]
        await one._round(lambda at=hours * 3600.0: at)  # type: ignore[misc]
        assert (len(rest.asked), len(published)) == ((2, 1) if hours > 24 else (1, 0))


@dataclass
class Sim:
    """A poller whose time passes only where it would sleep; ``fate`` says whether its questions are answered."""

    provider: str
    symbols: list[str]
    closes: float = float("inf")
    late: float = 0.0
    fate: list[bool] = field(default_factory=lambda: [True])
    now: float = 0.0
    calls: list[tuple[float, int]] = field(default_factory=list)
    published: list[ProviderBar] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source = make_source(self.provider)
        self.poller = Poller(
            self, lambda: self.symbols, lambda _: self.now < self.closes, self.published.append, self.clock  # type: ignore[arg-type]
        )  # fmt: skip

    def clock(self) -> int:
        return NOW + round(self.now * 1e6)

    def refuses(self, _question: Ask) -> bool:
        return False

    async def ask(self, question: Ask, attempts: int) -> AsyncIterator[list[ProviderBar]]:
        assert attempts == 1
        at = self.clock()
        self.calls.append((self.now, len(question.symbols)))
        if not self.fate[(len(self.calls) - 1) % len(self.fate)]:
            raise Unavailable("down")
        newest = min(at - int(self.late * 1e6), NOW + int(min(self.closes, 1e9) * 1e6) - 1) // MINUTE * MINUTE
        yield [
            replace(BAR, symbol=symbol, start=start, closed=start + MINUTE <= at)
            for symbol in question.symbols
            for start in range(max(question.start, newest - 2 * MINUTE), newest + 1, MINUTE)
        ]

    async def _until(self, end: float) -> None:
        while self.now < end:
            await self.poller._round(lambda: self.now)
            look = 5.0 if self.closes < self.now + 86_400 else 86_400.0
            self.now += min([look, *(w for s in self.symbols if (w := self.poller._turns.wait(s, self.now)))])

    def run(self, seconds: float) -> None:
        asyncio.run(self._until(seconds))


@pytest.mark.parametrize("provider", ["yahoo", "twelve_data"])
@pytest.mark.parametrize("phase", [-0.5, 0.5, 31.0])
def test_the_last_minutes_of_a_session_are_fetched_after_it(provider: str, phase: float) -> None:
    closes = 7 * 3600 + phase
    sim = Sim(provider, ["AAPL", "MSFT"], closes)
    sim.run(20 * 3600)
    last = (NOW + round(closes * 1e6) - 1) // MINUTE * MINUTE
    for symbol in sim.symbols:
        assert max(bar.start for bar in sim.published if bar.symbol == symbol and bar.closed) == last
    assert sum(units for at, units in sim.calls if at >= closes) == 2 * len(sim.symbols)


@pytest.mark.parametrize("late", [15 * 60.0, 20 * 60.0])
def test_who_is_told_late_of_an_exchange_is_asked_that_much_longer(late: float) -> None:
    sim = Sim("yahoo", ["BARC.L"], closes=7 * 3600.0, late=late)
    sim.run(20 * 3600)
    last = NOW + 7 * 3600 * 10**6 - MINUTE
    assert [bar.start for bar in sim.published if bar.closed][-1] == last
    assert len([at for at, _ in sim.calls if at >= sim.closes]) <= late / 60 + 3


def test_a_night_without_an_answer_is_not_asked_through() -> None:
    sim = Sim("yahoo", ["AAPL"], closes=600.0, fate=[False])
    sim.run(20 * 3600)
    assert 2 <= len([at for at, _ in sim.calls if at >= 600]) <= 12


def test_what_failed_is_asked_again_and_nothing_else() -> None:
    sim = Sim("twelve_data", [f"S{n}" for n in range(10)], fate=[True, False, True, True, True])
    every = pace(sim.source, 10)
    sim.run(every + 60)
    assert [(round(at / 300), units) for at, units in sim.calls[:3]] == [(0, 8), (0, 2), (1, 2)]
    assert len(sim.calls) == 4


@given(
    st.sampled_from([("alpha_vantage", 1), ("alpha_vantage", 3), ("twelve_data", 8), ("twelve_data", 11)]),
    st.lists(st.booleans(), min_size=1, max_size=12),
)
@settings(max_examples=40)
def test_whatever_fails_polling_keeps_to_its_share(which: tuple[str, int], fate: list[bool]) -> None:
    provider, number = which
    sim = Sim(provider, [f"S{n}" for n in range(number)], fate=fate)
    sim.run(3 * 86_400)
    for allowance in sim.source.allowances:
        for begin, _ in sim.calls:
            spent = sum(units for at, units in sim.calls if begin <= at < begin + allowance.window)
            # Two questions for each symbol beyond it: the first, and one that followed a failure early.
            assert spent <= allowance.units * SHARE + 2 * number


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
