"""Asking by REST: the key where it belongs, refusals remembered, the quota obeyed, gaps paid whatever fails."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from loopback import Answerer, http_server, until
from net.contended import Contended
from sparktrends.errors import AccessDenied, BadRecord, DiskFull, Unavailable
from sparktrends.ingest.fill import Filler
from sparktrends.ingest.rest import Rest
from sparktrends.ingest.seam import Seam
from sparktrends.model import MINUTE, SECOND, Heartbeat, ProviderBar, Trade
from sparktrends.net import AddressGuard, Backoff, Http, JsonFile, Planner, Secret
from sparktrends.sources import make_source
from sparktrends.sources.base import Allowance, Ask
from sparktrends.telemetry import system_clock

pytestmark = pytest.mark.anyio
MORNING = 1_795_248_000_000_000  # 2026-11-21 08:00 UTC
BARS_OF_A_DAY = b'{"s":"ok","t":[1728000000],"o":[1],"h":[1],"l":[1],"c":[1],"v":[1]}'
BARS = Ask("bars", ("AAPL",), "1d", 86_400_000_000 * 20_000, 86_400_000_000 * 20_005)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def rest_at(url: str, provider: str, executor: ThreadPoolExecutor, *, units: int = 1000, key: str = "") -> Rest:
    source = make_source(provider, rest=url)
    planner = Planner([Allowance(units, 1)], system_clock)
    backoff = Backoff(random.Random(2), time.sleep, base=0.01, cap=0.05)
    http = Http(system_clock, AddressGuard(["127.0.0.1"]))
    return Rest(source, http, planner, backoff, executor, system_clock, Secret(key) if key else None)


async def asked(rest: Rest, question: Ask) -> list[object]:
    return [event async for events in rest.ask(question) for event in events]


async def test_a_plan_that_leaves_something_out_is_asked_once(executor: ThreadPoolExecutor) -> None:
    words = json.dumps({"error": "You don't have access to this resource."}).encode()
    with http_server(lambda *_: (403, {}, words)) as (url, paths):
        rest = rest_at(url, "finnhub", executor, key="tiger-canary")
        for _ in range(3):
            with pytest.raises(AccessDenied, match="plan does not include"):
                await asked(rest, BARS)
    assert len(paths) == 1


async def test_a_symbol_that_a_plan_leaves_out_does_not_bar_the_others(executor: ThreadPoolExecutor) -> None:
    def answer(path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        foreign = "symbol=7203.T" in path
        return (
            (403, {}, b'{"error":"You don\'t have access to this resource."}') if foreign else (200, {}, BARS_OF_A_DAY)
        )

    with http_server(answer) as (url, paths):
        rest = rest_at(url, "finnhub", executor, key="tiger-canary")
        both = replace(BARS, symbols=("7203.T", "AAPL"))
        for _ in range(2):
            assert [e.symbol for e in await asked(rest, both) if isinstance(e, ProviderBar)] == ["AAPL"]
        with pytest.raises(AccessDenied):
            await asked(rest, replace(BARS, symbols=("7203.T",)))
        assert rest.refuses(replace(BARS, symbols=("7203.T",)))
        assert not rest.refuses(both)
    assert sum("7203.T" in path for path in paths) == 1
    (sentence,) = rest.refusals()
    assert sentence.startswith("stock/candle of 7203.T is not asked for: ")


class Full(JsonFile):
    """A file whose disk has no room."""

    def save(self, state: object) -> None:
        raise DiskFull("quota.json cannot be written")


async def test_a_quota_that_cannot_be_kept_lets_nothing_go_and_says_why(
    executor: ThreadPoolExecutor, tmp_path: Path
) -> None:
    with http_server(lambda *_: (200, {}, BARS_OF_A_DAY)) as (url, paths):
        rest = rest_at(url, "finnhub", executor, key="tiger-canary")
        rest.planner = Planner([Allowance(5, 60)], system_clock, Full(tmp_path / "quota.json"))
        with pytest.raises(DiskFull):
            await asked(rest, BARS)
        assert (paths, rest.trouble) == ([], "quota.json cannot be written")
        rest.planner = Planner([Allowance(5, 60)], system_clock, JsonFile(tmp_path / "quota.json"))
        await asked(rest, BARS)
        assert (len(paths), rest.trouble) == (1, "")


async def test_two_symbols_that_are_refused_where_nobody_was_answered_are_enough(executor: ThreadPoolExecutor) -> None:
    words = json.dumps({"error": "You don't have access to this resource."}).encode()
    with http_server(lambda *_: (403, {}, words)) as (url, paths):
        rest = rest_at(url, "finnhub", executor, key="tiger-canary")
        with pytest.raises(AccessDenied):
            await asked(rest, replace(BARS, symbols=("A", "B", "C", "D")))
    assert len(paths) == 2
    (sentence,) = rest.refusals()
    assert sentence.startswith("stock/candle is not asked for: ")


async def test_a_refused_symbol_of_a_batch_is_left_out_of_the_next_until_its_denial_ends(
    executor: ThreadPoolExecutor,
) -> None:
    row = {"datetime": "2024-10-04", "open": "5", "high": "6", "low": "4", "close": "5", "volume": "1"}
    good: object = {"meta": {}, "values": [row], "status": "ok"}
    refused = {"code": 403, "message": "This symbol is available starting with Grow.", "status": "error"}

    def answer(path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        symbols = parse_qs(urlsplit(path).query)["symbol"][0].split(",")
        parts = {symbol: refused if symbol == "BABA" else good for symbol in symbols}
        return 200, {}, json.dumps(parts if len(parts) > 1 else good).encode()

    three, now = replace(BARS, symbols=("AAPL", "BABA", "MSFT")), [system_clock()]
    with http_server(answer) as (url, paths):
        rest = rest_at(url, "twelve_data", executor, key="tiger-canary")
        rest.clock = lambda: now[0]
        for _ in range(2):
            assert [e.symbol for e in await asked(rest, three) if isinstance(e, ProviderBar)] == ["AAPL", "MSFT"]
        with pytest.raises(AccessDenied, match="not in your plan"):
            await asked(rest, replace(BARS, symbols=("BABA",)))
        now[0] += 86_400_000_000
        await asked(rest, three)
    wanted = [parse_qs(urlsplit(path).query)["symbol"][0] for path in paths]
    assert wanted == ["AAPL,BABA,MSFT", "AAPL,MSFT", "AAPL,BABA,MSFT"]


async def test_who_was_answered_before_is_refused_for_a_day_only_when_it_happens_again_and_again(
    executor: ThreadPoolExecutor,
) -> None:
    answers = [(200, BARS_OF_A_DAY), *[(403, b'{"error":"You don\'t have access to this resource."}')] * 99]
    now = [system_clock()]

    def told(code: int, body: bytes) -> tuple[int, dict[str, str], bytes]:
        return code, {}, body

    with http_server(lambda *_: told(*answers.pop(0))) as (url, paths):
        rest = rest_at(url, "finnhub", executor, key="tiger-canary")
        rest.clock = lambda: now[0]
        assert await asked(rest, BARS)
        waits = []
        for _ in range(7):
            with pytest.raises(AccessDenied):
                await asked(rest, BARS)
            (denial,) = rest.denied.values()
            waits.append((denial.until - now[0]) // SECOND)
            assert rest.refuses(BARS)
            assert rest.refuses(BARS, 3600) == (waits[-1] > 3600)
            now[0] = denial.until
    assert waits == [5, 10, 20, 40, 80, 160, 86_400]
    assert len(paths) == 8


async def test_the_key_is_in_its_header_alone(executor: ThreadPoolExecutor) -> None:
    seen: list[dict[str, str]] = []

    def answer(_path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        seen.append(headers)
        return 200, {}, b'{"s":"no_data"}'

    with http_server(answer) as (url, paths):
        await asked(rest_at(url, "finnhub", executor, key="tiger-canary"), BARS)
    assert seen[0]["x-finnhub-token"] == "tiger-canary"
    assert "tiger" not in paths[0]


async def test_what_fails_for_now_is_tried_again(executor: ThreadPoolExecutor) -> None:
    replies = iter([(503, {}, b""), (500, {}, b""), (200, {}, b'{"s":"no_data"}')])
    with http_server(lambda *_: next(replies)) as (url, paths):
        assert await asked(rest_at(url, "finnhub", executor), BARS) == []
    assert len(paths) == 3


async def test_and_given_up_when_it_goes_on_failing(executor: ThreadPoolExecutor) -> None:
    with http_server(lambda *_: (503, {}, b"")) as (url, paths), pytest.raises(Unavailable):
        await asked(rest_at(url, "finnhub", executor), BARS)
    assert len(paths) == 4


async def test_a_refusal_that_lasts_is_told_from_a_dead_provider(executor: ThreadPoolExecutor) -> None:
    words = b'{"Information":"our standard API rate limit is 25 requests per day."}'
    with http_server(lambda *_: (200, {}, words)) as (url, _):
        rest = rest_at(url, "alpha_vantage", executor)
        rest.planner = Planner(rest.source.allowances, system_clock)
        # The rest of the day is long, whenever the test runs.
        rest.http = Http(lambda: MORNING, AddressGuard(["127.0.0.1"]))
        waits = asyncio.ensure_future(asked(rest, BARS))
        await until(lambda: bool(rest.trouble))
        assert rest.held_s > 5
        assert rest.planner.wait() > 5
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
    # Between two polls nobody waits, and the next one would have to.
    assert rest.held_s == pytest.approx(rest.planner.wait(), abs=30)


async def test_no_more_calls_than_the_quota_has(executor: ThreadPoolExecutor) -> None:
    with http_server(lambda *_: (200, {}, b'{"s":"no_data"}')) as (url, paths):
        rest = rest_at(url, "finnhub", executor, units=3)
        began = time.monotonic()
        await asyncio.gather(*(asked(rest, BARS) for _ in range(7)))
        assert time.monotonic() - began >= 2.0
    assert len(paths) == 7


async def test_where_another_process_was_quicker_the_call_waits_for_the_next_turn(
    executor: ThreadPoolExecutor, tmp_path: Path
) -> None:
    file, window = JsonFile(tmp_path / "quota.json"), [Allowance(1, 1)]
    other = Planner(window, system_clock, file)
    with http_server(lambda *_: (200, {}, b'{"s":"no_data"}')) as (url, paths):
        rest = rest_at(url, "finnhub", executor)
        rest.planner = Planner(window, system_clock, Contended(file, [other.spend]))
        assert [events async for events in rest.ask(BARS, 1)] == [[]]
    assert len(paths) == 1
    assert rest.held_s == 0.0


async def test_an_answer_or_a_row_that_cannot_be_used_is_handed_over_with_its_reason(
    executor: ThreadPoolExecutor,
) -> None:
    rows = b'{"s":"ok","t":[1728000000,1728086400],"o":[1,"x"],"h":[1,1],"l":[1,1],"c":[1,1],"v":[1,1]}'
    replies = iter([(200, {}, b'{"half": '), (200, {}, rows)])
    refused: list[tuple[str, str | bytes, str]] = []
    with http_server(lambda *_: next(replies)) as (url, _):
        rest = rest_at(url, "finnhub", executor)
        rest.refuse = lambda *what: refused.append(what)
        with pytest.raises(BadRecord):
            await asked(rest, BARS)
        assert len([e for e in await asked(rest, BARS) if isinstance(e, ProviderBar)]) == 1
    assert [(reason, message.split(":")[0]) for reason, _, message in refused] == [
        ("not_json", "stock/candle"),
        ("bad_price", "stock/candle"),
    ]
    assert refused[0][1] == b'{"half": '


@pytest.mark.parametrize(("ended_before", "closed"), [(-1, False), (1, True)])
async def test_a_bar_that_ends_while_its_answer_is_on_its_way_still_forms(
    executor: ThreadPoolExecutor, ended_before: int, closed: bool
) -> None:
    end = 1_732_147_200_000_000
    asked_at, start = end + ended_before * SECOND, (end - MINUTE) // 1000
    row = [[start, "1", "1", "1", "1", "5", start + 59_999, "5", 1, "1", "1", "0"]]
    with http_server(lambda *_: (200, {}, json.dumps(row).encode())) as (url, _):
        rest = rest_at(url, "binance", executor)
        rest.clock = lambda: asked_at  # the answer comes by the clock of the client, which is years later
        (bar,) = await asked(rest, Ask("bars", ("BTC/USDT",), "1m"))
    assert isinstance(bar, ProviderBar)
    assert bar.closed == closed


@dataclass
class Shelf:
    """A Binance that has trades 1 to ``newest`` but not those in ``gone``; ``fails`` answers go wrong first."""

    newest: int = 5000
    gone: frozenset[int] = frozenset()
    fails: int = 0
    published: list[Trade] = field(default_factory=list)

    def answer(self, path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if self.fails:
            self.fails -= 1
            return 503, {}, b'{"code":-1008,"msg":"overloaded"}'
        query = parse_qs(urlsplit(path).query)
        first = int(query["fromId"][0])
        found = [i for i in range(first, self.newest + 1) if i not in self.gone][:1000]
        rows = [{"a": i, "p": "1", "q": "1", "f": i, "l": i, "T": 1000 + i, "m": True} for i in found]
        return 200, {}, json.dumps(rows).encode()

    def publish(self, event: Trade | ProviderBar | Heartbeat) -> bool:
        assert isinstance(event, Trade)
        known = any(event.id == t.id for t in self.published)
        if not known:
            self.published.append(event)
        return not known

    @property
    def ids(self) -> list[int]:
        return [int(t.id) for t in self.published]


def live(i: int) -> Trade:
    return Trade("binance", "BTC/USDT", i, Decimal(1), Decimal(1), str(i), system_clock())


def owes(filler: Filler, symbol: str) -> bool:
    """Whether something is still to be fetched for a symbol."""
    return bool(filler._debts.get(symbol))


async def filled(
    shelf: Shelf, arrivals: list[int], executor: ThreadPoolExecutor, last: str, answer: Answerer
) -> Filler:
    """Trades arrive behind ``last``; look until nothing waits."""
    with http_server(answer) as (url, _):
        async with asyncio.TaskGroup() as group:
            rest, seam = rest_at(url, "binance", executor, units=100_000), Seam()
            filler = Filler(rest, seam, shelf.publish, system_clock, group)
            seam.take(live(int(last)), system_clock())
            for id_ in arrivals:
                for ready in seam.take(live(id_), system_clock() - 1_000_000):
                    shelf.publish(ready)
            if not arrivals:
                filler.catch_up("BTC/USDT")
            while seam.gap("BTC/USDT") or owes(filler, "BTC/USDT"):
                filler.look(system_clock())
                await asyncio.sleep(0.01)
    return filler


@pytest.mark.parametrize("fails", [0, 3])
async def test_a_gap_is_filled_at_the_seam_without_overlap(executor: ThreadPoolExecutor, fails: int) -> None:
    shelf = Shelf(fails=fails)
    filler = await filled(shelf, [100, 101, 2500, 2501], executor, "99", shelf.answer)
    assert shelf.ids == list(range(100, 2502))
    assert (filler.gaps.found, filler.gaps.trades, filler.gaps.lost) == (1, 2398, 0)
    assert [t.fill for t in shelf.published if t.id in ("101", "102", "2499", "2500")] == [False, True, True, False]


async def test_catching_up_goes_to_the_newest_page_by_page(executor: ThreadPoolExecutor) -> None:
    shelf = Shelf(newest=2345)
    await filled(shelf, [], executor, "99", shelf.answer)
    assert shelf.ids == list(range(100, 2346))


async def test_what_the_provider_has_not_either_is_lost_and_counted(executor: ThreadPoolExecutor) -> None:
    shelf = Shelf(gone=frozenset({103, 104}))
    filler = await filled(shelf, [100, 106], executor, "99", shelf.answer)
    assert sorted(shelf.ids) == [100, 101, 102, 105, 106]
    assert filler.gaps.lost == 2


async def test_debts_outlive_the_process(executor: ThreadPoolExecutor, tmp_path: object) -> None:
    from pathlib import Path

    store, shelf = JsonFile(Path(str(tmp_path)) / "gaps.json"), Shelf(newest=20)
    store.save({"BTC/USDT": [[5, 9]]})
    with http_server(shelf.answer) as (url, _):
        async with asyncio.TaskGroup() as group:
            rest = rest_at(url, "binance", executor, units=100_000)
            filler = Filler(rest, Seam(), shelf.publish, system_clock, group, store)
            filler.restore(["BTC/USDT"])
            await until(lambda: not owes(filler, "BTC/USDT"))
    assert shelf.ids == [5, 6, 7, 8]
    assert store.load() == {}
