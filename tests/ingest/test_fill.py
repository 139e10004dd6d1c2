"""Long gaps: what was fetched is fetched once, though the door forgets, answers fail and live trades go first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ingest.test_rest import Shelf, live, owes, rest_at
from loopback import http_server, until
from sparktrends.ingest import fill
from sparktrends.ingest.dedupe import Door, Numbers
from sparktrends.ingest.fill import REORDER, Filler
from sparktrends.ingest.seam import Seam
from sparktrends.model import Heartbeat, ProviderBar, Trade
from sparktrends.net import JsonFile
from sparktrends.telemetry import system_clock

pytestmark = pytest.mark.anyio
SYMBOL = "BTC/USDT"


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@dataclass
class Forgetful(Shelf):
    """A shelf behind a door that remembers five hundred ids; every answer in ``bad`` (by number) fails."""

    bad: frozenset[int] = frozenset()
    asked: list[int] = field(default_factory=list)
    door: Door = field(default_factory=lambda: Door(capacity=1))

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(int(parse_qs(urlsplit(path).query)["fromId"][0]))
        if len(self.asked) in self.bad:
            return 503, {}, b'{"code":-1008,"msg":"overloaded"}'
        return super().answer(path, headers)

    def publish(self, event: Trade | ProviderBar | Heartbeat) -> bool:
        assert isinstance(event, Trade)
        if not self.door.admit(event.source, event.symbol, event.id):
            return False
        self.published.append(event)
        return True


async def test_a_failure_on_the_way_costs_one_page_and_repeats_none(executor: ThreadPoolExecutor) -> None:
    shelf = Forgetful(newest=7_500, bad=frozenset({4, 7, 8}))
    with http_server(shelf.answer) as (url, _):
        async with asyncio.TaskGroup() as group:
            filler = Filler(
                rest_at(url, "binance", executor, units=100_000), Seam(), shelf.publish, system_clock, group
            )
            filler.seam.take(live(0), system_clock())
            filler.catch_up(SYMBOL)
            await until(lambda: not owes(filler, SYMBOL))
    assert shelf.ids == list(range(1, 7_501))
    assert len(shelf.asked) == 8 + 3
    assert filler.gaps.lost == 0


async def test_live_trades_that_went_first_are_not_fetched_again(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fill, "HOLD", -1)
    shelf = Forgetful(newest=6_000)
    with http_server(shelf.answer) as (url, _):
        async with asyncio.TaskGroup() as group:
            filler = Filler(
                rest_at(url, "binance", executor, units=100_000), Seam(), shelf.publish, system_clock, group
            )
            filler.seam.take(live(0), system_clock())
            filler.catch_up(SYMBOL)
            for id_ in (5_001, 5_002, 5_010):  # the last one behind a gap of its own
                filler.seam.take(live(id_), system_clock())
            while owes(filler, SYMBOL) or filler.seam.gap(SYMBOL):
                filler.look(system_clock() + REORDER)
                await asyncio.sleep(0.01)
    assert sorted(shelf.ids) == [*range(1, 5_011)]
    assert shelf.ids[:2] == [5_001, 5_002]


async def test_a_kill_on_the_way_leaves_what_is_owed_from_there(executor: ThreadPoolExecutor, tmp_path: Path) -> None:
    store, shelf = JsonFile(tmp_path / "gaps.json"), Forgetful(newest=9_000)

    async def run(url: str, enough: int) -> None:
        async with asyncio.TaskGroup() as group:
            rest = rest_at(url, "binance", executor, units=100_000)
            filler = Filler(rest, Seam(), shelf.publish, system_clock, group, store)
            filler.seam.take(live(max(shelf.ids, default=0)), system_clock())
            filler.catch_up(SYMBOL)
            filler.restore([SYMBOL])
            await until(lambda: len(shelf.ids) >= enough and not (enough == shelf.newest and owes(filler, SYMBOL)))
            raise asyncio.CancelledError

    with http_server(shelf.answer) as (url, _):
        for enough in (4_000, shelf.newest):
            with pytest.raises(asyncio.CancelledError):
                await run(url, enough)
    assert shelf.ids == list(range(1, 9_001))
    assert len(shelf.asked) < 9 + 5


async def test_a_debt_that_nobody_can_pay_is_lost_and_ends_nothing(
    executor: ThreadPoolExecutor, tmp_path: Path
) -> None:
    store, shelf = JsonFile(tmp_path / "gaps.json"), Forgetful(newest=5)
    store.save({SYMBOL: [[10, 40]]})
    with http_server(shelf.answer) as (url, _):
        async with asyncio.TaskGroup() as group:
            rest = rest_at(url, "binance", executor, units=100_000)
            filler = Filler(rest, Seam(), shelf.publish, system_clock, group, store)
            filler.restore([SYMBOL])
            await until(lambda: not owes(filler, SYMBOL))
    assert (shelf.ids, filler.gaps.lost, store.load()) == ([], 30, {})


async def test_what_was_owed_of_a_symbol_that_comes_back_later_is_fetched(
    executor: ThreadPoolExecutor, tmp_path: Path
) -> None:
    store, shelf = JsonFile(tmp_path / "gaps.json"), Forgetful(newest=500)
    store.save({SYMBOL: [[10, 40]], "OTHER/USDT": [[1, 2]]})
    with http_server(shelf.answer) as (url, _):
        async with asyncio.TaskGroup() as group:
            rest = rest_at(url, "binance", executor, units=100_000)
            filler = Filler(rest, Seam(), shelf.publish, system_clock, group, store)
            filler.restore([])
            filler.seam.take(live(490), system_clock())
            filler.catch_up(SYMBOL)
            await until(lambda: not owes(filler, SYMBOL))
    assert sorted(shelf.ids) == [*range(10, 40), *range(491, 501)]
    assert store.load() == {"OTHER/USDT": [[1, 2]]}


async def test_what_the_log_lacks_is_owed_whatever_the_debts_say(executor: ThreadPoolExecutor, tmp_path: Path) -> None:
    store, shelf = JsonFile(tmp_path / "gaps.json"), Forgetful(newest=500)
    store.save({SYMBOL: [[10, 40], [300, None]]})  # of these the log holds some by now
    log = Numbers(["binance"])
    for id_ in (*range(20, 100), *range(150, 400)):
        log.add({"source": "binance", "symbol": SYMBOL, "id": str(id_), "ts": 5})
    known = log.of(("binance", SYMBOL), since=0)
    with http_server(shelf.answer) as (url, _):
        async with asyncio.TaskGroup() as group:
            rest = rest_at(url, "binance", executor, units=100_000)
            filler = Filler(rest, Seam(), shelf.publish, system_clock, group, store)
            filler.seam.take(live(399), system_clock())
            filler.restore([SYMBOL], {SYMBOL: known})
            filler.catch_up(SYMBOL)
            await until(lambda: not owes(filler, SYMBOL))
    assert sorted(shelf.ids) == [*range(10, 20), *range(100, 150), *range(400, 501)]


async def test_beyond_where_the_provider_is_nothing_is_owed(executor: ThreadPoolExecutor, tmp_path: Path) -> None:
    store, shelf = JsonFile(tmp_path / "gaps.json"), Forgetful(newest=500)
    store.save({SYMBOL: [[10, 40], [480, 90_000], [70_000, 80_000], [300, None]]})
    with http_server(shelf.answer) as (url, _):
        async with asyncio.TaskGroup() as group:
            rest = rest_at(url, "binance", executor, units=100_000)
            filler = Filler(rest, Seam(), shelf.publish, system_clock, group, store)
            filler.restore([SYMBOL])
            filler.seam.begin(SYMBOL, [450, 60_000])
            filler.place(SYMBOL, 490)
            assert filler.seam.next_id(SYMBOL) == "451"
            await until(lambda: not owes(filler, SYMBOL))
    assert sorted(shelf.ids) == [*range(10, 40), *range(300, 490)]
    assert (filler.gaps.lost, store.load()) == (0, {})


@pytest.mark.parametrize("known", [[7, 90, 97, 60_000], [100], [10**15]])
async def test_what_a_silent_symbol_missed_is_found_behind_its_last_trade(
    executor: ThreadPoolExecutor, known: list[int]
) -> None:
    shelf, told = Forgetful(newest=100), list[str]()

    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        return shelf.answer(path if "fromId" in path else f"{path}&fromId=50", headers)

    with http_server(answer) as (url, _):
        async with asyncio.TaskGroup() as group:
            rest = rest_at(url, "binance", executor, units=100_000)
            filler = Filler(rest, Seam(), shelf.publish, system_clock, group, partial=told.append)
            filler.seam.begin(SYMBOL, known)
            filler.catch_up(SYMBOL)
            await until(lambda: bool(filler.seam.next_id(SYMBOL)) and not owes(filler, SYMBOL))
    assert shelf.ids == ([98, 99, 100] if 97 in known else [])
    assert (filler.seam.next_id(SYMBOL), told) == ("101", [SYMBOL] if known[0] > 100 else [])
