"""Bars that are owed: asked for until they come, whatever dies, and no symbol's debt waits for another's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ingest.test_rest import rest_at
from loopback import http_server, until
from sparktrends.ingest import bars_owed
from sparktrends.ingest.bars_owed import BarsOwed
from sparktrends.model import DAY, MINUTE, SECOND, ProviderBar
from sparktrends.net import JsonFile

pytestmark = pytest.mark.anyio
START = 1_732_147_200_000_000
BTC, ETH, SOL = "BTC/USDT", "ETH/USDT", "SOL/USDT"


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars_owed, "_BAR_IS_MADE", 0)
    monkeypatch.setattr(bars_owed, "_LOOK_S", 0.01)


@dataclass
class Hand:
    """A clock that a test moves."""

    now: int

    def __call__(self) -> int:
        return self.now


@dataclass
class Provider:
    """Gives two bars from START on; ``bad`` says how it answers for a symbol instead, once for each entry."""

    bad: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def answer(self, path: str, _: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        query = parse_qs(urlsplit(path).query)
        symbol = query["symbol"][0]
        self.asked.append((symbol, int(query["startTime"][0]) * 1000))
        if answers := self.bad.get(symbol):
            code, body = answers.pop(0)
            return code, {}, body
        minutes = [START // 1000 + n * 60_000 for n in (0, 1)]
        minutes = [START // 1000 + n * 60_000 for n in (0, 1)]
        bars = [[at, "1", "3", "1", "2", "5", at + 59_999, "9", 4, "1", "1", "0"] for at in minutes]
        return 200, {}, json.dumps(bars).encode()

    def times(self, symbol: str) -> int:
        return [asked for asked, _ in self.asked].count(symbol)


async def paid(
    provider: Provider, executor: ThreadPoolExecutor, clock: Hand, owed: dict[str, int], **more: Any
) -> list[ProviderBar]:
    """What came, once nothing is owed any more."""
    came: list[ProviderBar] = []
    with http_server(provider.answer) as (url, _):
        async with asyncio.TaskGroup() as group:
            debts = BarsOwed(rest_at(url, "binance", executor), came.append, clock, group, **more)
            debts.owe(owed)
            clock.now += MINUTE
            while debts:
                await asyncio.sleep(0.005)
                clock.now += SECOND
    return came


async def test_they_are_asked_for_until_they_come(executor: ThreadPoolExecutor) -> None:
    provider = Provider({"BTCUSDT": [(503, b"{}"), (200, b"[[1")]})
    came = await paid(provider, executor, Hand(START + 2 * MINUTE), {BTC: START + 5})
    assert [(bar.start, bar.fill) for bar in came] == [(START, True), (START + MINUTE, True)]
    assert provider.asked == [("BTCUSDT", START)] * 3


async def test_nothing_is_asked_before_the_minute_is_over(executor: ThreadPoolExecutor) -> None:
    provider, clock, seen = Provider(), Hand(START + 2 * MINUTE), list[int]()
    with http_server(provider.answer) as (url, _):
        async with asyncio.TaskGroup() as group:
            debts = BarsOwed(rest_at(url, "binance", executor), lambda _: seen.append(clock.now), clock, group)
            debts.owe({BTC: START})
            for _ in range(3):
                clock.now += 19 * SECOND
                await asyncio.sleep(0.03)
            assert not provider.asked
            clock.now += 4 * SECOND
            await until(lambda: not len(debts))
    assert len(seen) == 2


async def test_one_symbol_keeps_no_other_from_its_bars(executor: ThreadPoolExecutor) -> None:
    gone = (400, b'{"code":-1121,"msg":"Invalid symbol."}')
    provider = Provider({"BTCUSDT": [gone], "ETHUSDT": [(503, b"{}")] * 3})
    came = await paid(provider, executor, Hand(START + 2 * MINUTE), {BTC: START, ETH: START + 1, SOL: START + 2})
    assert [bar.symbol for bar in came] == [SOL, SOL, ETH, ETH]
    assert (provider.times("BTCUSDT"), provider.times("ETHUSDT"), provider.times("SOLUSDT")) == (1, 4, 1)


async def test_a_provider_that_has_none_is_asked_ever_more_rarely_and_for_a_day(executor: ThreadPoolExecutor) -> None:
    provider, clock = Provider({"BTCUSDT": [(503, b"{}")] * 1000}), Hand(START + 2 * MINUTE)
    with http_server(provider.answer) as (url, _):
        async with asyncio.TaskGroup() as group:
            debts = BarsOwed(rest_at(url, "binance", executor), print, clock, group)
            debts.owe({BTC: START})
            while debts:
                clock.now += 5 * MINUTE
                await asyncio.sleep(0.005)
    assert clock.now - START > DAY
    assert 10 < len(provider.asked) <= 24 * 6 + bars_owed._PATIENT_AFTER


async def test_where_no_market_was_open_nobody_is_asked(executor: ThreadPoolExecutor) -> None:
    provider, looked = Provider(), list[tuple[str, int, int]]()

    def traded(symbol: str, since: int, end: int) -> bool:
        looked.append((symbol, since, end))
        return symbol != BTC

    await paid(provider, executor, Hand(START + 2 * MINUTE), {BTC: START + 5, ETH: START}, traded=traded)
    assert provider.asked == [("ETHUSDT", START)]
    assert (BTC, START, START + 3 * MINUTE) in looked


async def test_a_kill_before_the_minute_is_over_leaves_them_owed(executor: ThreadPoolExecutor, tmp_path: Path) -> None:
    store, provider, clock = JsonFile(tmp_path / "bars.json"), Provider(), Hand(START + 5 * MINUTE)

    async def killed(url: str) -> None:
        async with asyncio.TaskGroup() as group:
            debts = BarsOwed(rest_at(url, "binance", executor), print, clock, group, store=store)
            debts.owe({BTC: START, ETH: START + MINUTE})
            raise asyncio.CancelledError

    with http_server(provider.answer) as (url, _):
        with pytest.raises(asyncio.CancelledError):
            await killed(url)
        assert provider.asked == []
        clock.now += 2 * MINUTE
        async with asyncio.TaskGroup() as group:
            debts = BarsOwed(rest_at(url, "binance", executor), lambda _: None, clock, group, store=store)
            debts.restore([BTC])
            debts.owe({BTC: clock.now})
            clock.now += MINUTE
            await until(lambda: not len(debts))
    assert provider.asked == [("BTCUSDT", START)]
    # Of a symbol that this run does not want.
    assert store.load() == {ETH: START + MINUTE}


async def test_what_was_owed_of_a_symbol_that_comes_back_later_is_asked_for(
    executor: ThreadPoolExecutor, tmp_path: Path
) -> None:
    store, provider, clock = JsonFile(tmp_path / "bars.json"), Provider(), Hand(START + 5 * MINUTE)
    store.save({BTC: START, ETH: START})
    with http_server(provider.answer) as (url, _):
        async with asyncio.TaskGroup() as group:
            debts = BarsOwed(rest_at(url, "binance", executor), lambda _: None, clock, group, store=store)
            debts.restore([])
            debts.owe({BTC: clock.now})
            clock.now += 2 * MINUTE
            await until(lambda: not len(debts))
    assert provider.asked[0] == ("BTCUSDT", START)
    assert store.load() == {ETH: START}


async def test_they_are_owed_until_kafka_has_them(executor: ThreadPoolExecutor, tmp_path: Path) -> None:
    store, provider = JsonFile(tmp_path / "bars.json"), Provider()
    seen: list[object] = []

    async def kept() -> None:
        seen.append(store.load())

    await paid(provider, executor, Hand(START + 2 * MINUTE), {BTC: START}, store=store, kept=kept)
    assert (seen, store.load()) == ([{BTC: START}], {})


async def test_a_reconnect_while_they_are_asked_for_owes_more(executor: ThreadPoolExecutor) -> None:
    provider, clock, came = Provider(), Hand(START + 2 * MINUTE), list[ProviderBar]()
    with http_server(provider.answer) as (url, _):
        async with asyncio.TaskGroup() as group:

            async def kept() -> None:
                if len(provider.asked) == 1:
                    debts.owe({BTC: clock.now})
                    clock.now += MINUTE

            debts = BarsOwed(rest_at(url, "binance", executor), came.append, clock, group, kept=kept)
            debts.owe({BTC: START})
            clock.now += MINUTE
            await until(lambda: not len(debts))
    assert provider.times("BTCUSDT") == 2


async def test_what_a_plan_lacks_is_given_up_aloud(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Hand(2 * MINUTE)
    with http_server(lambda *_: (403, {}, b'{"error":"You don\'t have access to this resource."}')) as (url, paths):
        async with asyncio.TaskGroup() as group:
            debts = BarsOwed(rest_at(url, "finnhub", executor, key="tiger-canary"), print, clock, group)
            debts.owe({"AAPL": MINUTE, "MSFT": MINUTE})
            clock.now += MINUTE
            await until(lambda: not len(debts))
    assert len(paths) == 2
    assert caplog.text.count("no bars for the gap of AAPL, MSFT") == 1


async def test_who_is_refused_by_mistake_goes_on_being_owed(executor: ThreadPoolExecutor) -> None:
    # Binance has no key: what it refuses it may answer in a moment.
    provider = Provider({"BTCUSDT": [(451, b"{}"), (451, b"{}")]})
    clock = Hand(START + 2 * MINUTE)
    came: list[ProviderBar] = []
    with http_server(provider.answer) as (url, _):
        async with asyncio.TaskGroup() as group:
            rest = rest_at(url, "binance", executor)
            rest.clock = clock
            debts = BarsOwed(rest, came.append, clock, group)
            debts.owe({BTC: START + 5})
            clock.now += MINUTE
            while debts:
                await asyncio.sleep(0.005)
                clock.now += SECOND
    assert [bar.start for bar in came] == [START, START + MINUTE]
    assert provider.times("BTCUSDT") == 3
