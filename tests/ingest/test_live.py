"""One live source over a link that is not there: what it says and asks when connections come and go."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from websockets.asyncio.server import ServerConnection

from ingest.test_rest import owes
from librdkafka_broker import Broker
from loopback import SocketServer, until
from sparktrends.bus.codec import decode
from sparktrends.bus.kafka import Producer, Reader
from sparktrends.errors import BadSetting
from sparktrends.ingest.dedupe import Door, Numbers
from sparktrends.ingest.fill import REORDER
from sparktrends.ingest.link import Link, Surroundings
from sparktrends.ingest.live import Live
from sparktrends.ingest.outlet import Outlet
from sparktrends.ingest.publish import Publisher
from sparktrends.ingest.rest import Rest
from sparktrends.ingest.run import _Past
from sparktrends.ingest.spool import Spool
from sparktrends.model import SECOND
from sparktrends.net import AddressGuard, Backoff, Http, JsonFile, Planner
from sparktrends.sources import make_source
from sparktrends.sources.base import Allowance
from sparktrends.sources.recording import LastSeen
from sparktrends.telemetry import system_clock

pytestmark = pytest.mark.anyio
NOWHERE = "127.0.0.1:1"


LONG_AGO = LastSeen("", "", 1)


@asynccontextmanager
async def living(broker: Broker, folder: Path, provider: str, symbols: list[str], **more: Any) -> AsyncIterator[Live]:
    """A source whose provider does not answer; its tasks run until the block ends. Its symbols are known of old."""
    more.setdefault("ends", {(f"{provider}~sim", symbol): LONG_AGO for symbol in (*symbols, "ETH/USDT")})
    for topic in ("raw.trades", "raw.bars", "ops.quarantine"):
        broker.topic(topic)
    stream = more.pop("stream", f"ws://{NOWHERE}")
    source = make_source(provider, rest=f"http://{NOWHERE}", stream=stream, suffix="~sim")
    outlet = Outlet(Producer(broker.connection), Spool(folder / "spool", system_clock), system_clock)
    backoff, guard = Backoff(random.Random(1), time.sleep), AddressGuard(["127.0.0.1"])
    with ThreadPoolExecutor(2) as pool, Http(system_clock, guard) as http:
        rest = Rest(source, http, more.pop("planner", None) or Planner([], system_clock), backoff, pool, system_clock)
        around = Surroundings(system_clock, guard, backoff, Planner([Allowance(100, 60)], system_clock))
        live = Live(source, rest, outlet, Publisher(outlet, Door()), around, **more)

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                live.start(group, symbols)

        task = asyncio.ensure_future(work())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        try:
            yield live
        finally:
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            outlet.close()
    if isinstance(outcome, Exception):
        raise outcome


def rows(broker: Broker, topic: str = "raw.trades") -> list[dict[str, Any]]:
    with Reader(broker.connection) as reader:
        return [decode(r.value) for p in reader.partitions(topic) for r in reader.tail(topic, p, 10**6)]


async def test_a_connection_that_opens_and_closes_marks_its_minute_at_once(broker: Broker, tmp_path: Path) -> None:
    async with living(broker, tmp_path, "finnhub", ["AAPL"]) as live:
        live.opened(["AAPL"])
        live.closed(["AAPL"])
    said = [row["status"] for row in rows(broker) if row.get("kind") == "heartbeat"]
    assert said[-2:] == ["start", "stale"]


async def test_what_an_earlier_run_left_unfinished_is_marked(broker: Broker, tmp_path: Path) -> None:
    end = system_clock() - 90_000_000
    ends = {("finnhub~sim", "AAPL"): LastSeen("x", "1", end)}
    async with living(broker, tmp_path, "finnhub", ["AAPL"], ends=ends):
        pass
    assert (end, "stale") in [(row["ts"], row["status"]) for row in rows(broker)]


@pytest.mark.parametrize("before", [0, 1])
async def test_the_minute_in_which_the_spool_begins_is_marked(broker: Broker, tmp_path: Path, before: int) -> None:
    end, series = system_clock() - 90_000_000, ("finnhub~sim", "AAPL")
    # What the log already goes beyond was not lost.
    spooled = end - 90_000_000 if before else end + 60_000_000
    async with living(
        broker, tmp_path, "finnhub", ["AAPL"], ends={series: LastSeen("x", "1", end)}, spooled={series: spooled}
    ):
        pass
    stale = {row["ts"] for row in rows(broker) if row["status"] == "stale"}
    assert (end in stale, spooled in stale) == (True, not before)


async def test_frames_become_records_and_bad_ones_go_to_quarantine(broker: Broker, tmp_path: Path) -> None:
    async with living(broker, tmp_path, "finnhub", ["AAPL"]) as live:
        good = {"type": "trade", "data": [{"s": "AAPL", "p": 231.5, "t": 1732147200123, "v": 100, "c": None}]}
        assert live.frame(json.dumps(good).encode(), 5).data
        assert not live.frame(b"{half a fra", 5).data
        assert live.frame(b'{"type":"ping"}', 5).alive
    assert [row["price"] for row in rows(broker) if row.get("kind", "trade") == "trade"] == ["231.5"]
    assert [row["reason"] for row in rows(broker, "ops.quarantine")] == ["not_json"]


async def test_symbols_are_added_while_it_runs(broker: Broker, tmp_path: Path) -> None:
    async with living(broker, tmp_path, "binance", ["BTC/USDT"]) as live:
        live.add(["ETH/USDT", "BTC/USDT"])
        assert live.links[0].symbols == ["BTC/USDT", "ETH/USDT"]
        frame = b'{"e":"aggTrade","E":1,"s":"ETHUSDT","a":7,"p":"1","q":"1","f":1,"l":2,"T":5,"m":true}'
        assert live.frame(frame, 6).data
        with pytest.raises(BadSetting):
            live.add(["AAPL"])
    assert len(live.links) == 1


async def test_a_symbol_that_joins_a_link_which_stands_already_is_as_much_up_as_the_others(
    broker: Broker, tmp_path: Path
) -> None:
    async def stay(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with (
        SocketServer(stay) as server,
        living(broker, tmp_path, "binance", ["BTC/USDT"], stream=server.url) as live,
    ):
        await until(lambda: live.feeds["BTC/USDT"].up)
        live.add(["ETH/USDT"])
        await until(lambda: live.feeds["ETH/USDT"].up, 5)
        assert len(live.links) == 1
        for late in (16 * SECOND, 80 * SECOND):
            live._say("ETH/USDT", live.feeds["ETH/USDT"], system_clock() + late)
    said = [row["status"] for row in rows(broker) if row["symbol"] == "ETH/USDT" and row["ts"] > LONG_AGO.received]
    assert said[0] == "start"
    assert said[-1] == "ok"
    assert "stale" not in said


async def test_a_new_symbol_that_joins_a_link_is_owed_the_bars_since_its_past_ended(
    broker: Broker, tmp_path: Path
) -> None:
    async def stay(connection: ServerConnection) -> None:
        await connection.wait_closed()

    debts, symbols = JsonFile(tmp_path / "bars.json"), ["BTC/USD"]
    ends = {("yahoo~sim", "BTC/USD"): LONG_AGO}
    async with (
        SocketServer(stay) as server,
        living(broker, tmp_path, "yahoo", symbols, ends=ends, bar_debts=debts, stream=server.url) as live,
    ):
        await until(lambda: live.feeds["BTC/USD"].up)
        live.add(["ETH/USD"])
        feed = live.feeds["ETH/USD"]
        await until(lambda: feed.up)
        assert (debts.load() or {}).get("ETH/USD") == feed.past_until


async def test_a_new_symbol_is_silent_and_not_subscribed_to_until_its_past_was_asked_for(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = asyncio.Event()

    async def fetch(_: object, symbols: list[str]) -> int:
        assert symbols == ["BTC/USDT"]
        return int(await past.wait())

    monkeypatch.setattr("sparktrends.ingest.warm.History.fetch", fetch)
    async with living(broker, tmp_path, "binance", ["BTC/USDT"], ends={}) as live:
        feed = live.feeds["BTC/USDT"]
        live._say("BTC/USDT", feed, system_clock())
        assert (feed.arriving, live.links) == (True, [])
        past.set()
        while feed.arriving:
            await asyncio.sleep(0.01)
        assert live.links[0].symbols == ["BTC/USDT"]
        assert feed.past_until
    assert rows(broker) == []


async def test_a_provider_without_an_answer_keeps_a_new_symbol_from_nothing(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparktrends.ingest.live._ARRIVAL_S", 0.05)
    async with living(broker, tmp_path, "yahoo", ["AAPL"], ends={}) as live:
        while not live.links:
            await asyncio.sleep(0.01)
        assert live.links[0].symbols == ["AAPL"]


async def test_while_the_quota_is_spent_the_feed_is_called_throttled_and_not_dead(
    broker: Broker, tmp_path: Path
) -> None:
    planner = Planner([Allowance(1, 86_400)], system_clock)
    planner.spend()
    async with living(broker, tmp_path, "alpha_vantage", ["BTC/USD"], planner=planner) as live:
        while not live.rest.held_s:
            await asyncio.sleep(0.01)
        feed = live.feeds["BTC/USD"]
        live._say("BTC/USD", feed, system_clock())
        feed.down_since = 0
        assert [trouble.kind for trouble in live.troubles()] == ["quota"]
    assert rows(broker)[-1]["status"] == "throttled"


async def test_a_spent_quota_that_holds_the_bars_beside_a_socket_is_told(broker: Broker, tmp_path: Path) -> None:
    planner = Planner([Allowance(8, 86_400)], system_clock)
    planner.spend(7)
    # A call of two symbols: there is room for one.
    symbols = ["BTC/USD", "ETH/USD"]
    ends = {("twelve_data~sim", symbol): LONG_AGO for symbol in symbols}
    async with living(broker, tmp_path, "twelve_data", symbols, planner=planner, ends=ends) as live:
        await until(lambda: live.rest.held_s)
        live.opened(symbols)
        for symbol, feed in live.feeds.items():
            feed.last_data = system_clock()
            live._say(symbol, feed, system_clock())
        (trouble,) = live.troubles()
        assert trouble.kind == "quota"
        assert "until then only its socket brings data" in trouble.words
    # Prices come all the same: the quota holds back no heartbeat of theirs.
    assert "throttled" not in [row["status"] for row in rows(broker)]


@pytest.mark.parametrize(("provider", "most"), [("finnhub", 50), ("twelve_data", 8)])
async def test_more_symbols_than_a_key_may_have_are_refused(
    broker: Broker, tmp_path: Path, provider: str, most: int
) -> None:
    async with living(broker, tmp_path, provider, [f"S{i}" for i in range(most)]) as live:
        assert len(live.links) == 1
        with pytest.raises(BadSetting, match=f"{most} symbols at most"):
            live.add(["ONE"])


async def test_what_was_added_beyond_the_room_is_told_and_keeps_nobody_out(broker: Broker, tmp_path: Path) -> None:
    async with living(broker, tmp_path, "finnhub", ["AAPL"]) as live:
        live.take([f"A{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(60)])
        assert len(live.feeds) == 50
        (told,) = [trouble.words for trouble in live.troubles() if trouble.kind == "refused"]
        assert "cannot take ABX, ABY" in told
        assert "50 symbols" in told
        live.take(["AAA"])  # it is there already
        assert len(live.feeds) == 50


async def test_nobody_misses_a_poll_while_the_market_is_closed(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = REGISTRY.get_sample_value
    async with living(broker, tmp_path, "alpha_vantage", ["AAPL"]) as live:
        for open_, seen in ((True, 0.0), (False, 1.0)):
            monkeypatch.setattr(live, "trading", lambda _, open_=open_: open_)
            live._say("AAPL", live.feeds["AAPL"], system_clock())
            assert up("sparktrends_feed_up", {"source": "alpha_vantage~sim", "symbol": "AAPL"}) == seen


async def test_what_was_typed_beyond_the_room_keeps_nobody_out_either(broker: Broker, tmp_path: Path) -> None:
    async with living(broker, tmp_path, "twelve_data", [f"A{chr(65 + n)}" for n in range(9)]) as live:
        assert len(live.feeds) == 8
        assert any("cannot take AI" in trouble.words for trouble in live.troubles())


async def test_what_a_plan_leaves_out_of_the_socket_costs_nobody_the_connection(broker: Broker, tmp_path: Path) -> None:
    refusal = b'{"type":"error","msg":"You don\'t have access to this resource."}'
    async with living(broker, tmp_path, "finnhub", ["AAPL"]) as live:
        assert live.frame(refusal, system_clock()).alive
        assert any("access to this resource" in trouble.words for trouble in live.troubles())


async def test_a_reconnect_owes_bars_of_what_was_heard_before(broker: Broker, tmp_path: Path) -> None:
    symbols, heard = ["AAPL", "BTC/USD"], system_clock() - 60_000_000
    ends = {("yahoo~sim", symbol): LastSeen("", "", heard) for symbol in symbols}
    debts = JsonFile(tmp_path / "bars.json")
    async with living(broker, tmp_path, "yahoo", symbols, ends=ends, bar_debts=debts) as live:
        live.opened(symbols)
        assert debts.load() == dict.fromkeys(symbols, heard)


async def test_a_silent_symbol_beside_a_lively_one_is_subscribed_to_and_asked_for_once_in_its_time(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed: list[str] = []
    monkeypatch.setattr(Link, "renew", lambda _, symbol: renewed.append(symbol))
    async with living(broker, tmp_path, "binance", ["BTC/USDT", "ETH/USDT"]) as live:
        assert live.filler
        live.opened(["BTC/USDT", "ETH/USDT"])
        for wire in ("BTCUSDT", "ETHUSDT"):
            live.frame(json.dumps({**TRADE, "s": wire}).encode(), system_clock())
        later = system_clock() + int((live._silence_s + 1) * SECOND)
        live.feeds["BTC/USDT"].last_data = later
        for _ in range(2):
            for symbol, feed in live.feeds.items():
                live._nudge(symbol, feed, later)
        assert renewed == ["ETH/USDT"]
        assert owes(live.filler, "ETH/USDT")
        assert not owes(live.filler, "BTC/USDT")


TRADE = {"e": "aggTrade", "E": 1, "a": 7, "p": "1", "q": "1", "f": 1, "l": 2, "T": 5, "m": True}


async def test_a_socket_that_is_up_does_not_hide_that_charts_stay_empty(broker: Broker, tmp_path: Path) -> None:
    async with living(broker, tmp_path, "yahoo", ["BTC/USD"]) as live:
        # The provider of this test answers no call: the poll beside the socket has failed by itself.
        while "BTC/USD" not in live._barless:
            await asyncio.sleep(0.01)
        live.opened(["BTC/USD"])
        live.feeds["BTC/USD"].last_data = system_clock()
        assert live.troubles() == []  # one round is not much
        live._barless["BTC/USD"] -= 90_000_000
        (trouble,) = live.troubles()
        assert (trouble.kind, trouble.symbols) == ("down", ("BTC/USD",))
        assert "no bars of BTC/USD" in trouble.words
        assert live.rest.trouble.removeprefix("yahoo: ") in trouble.words
        live._polled(["BTC/USD"], True)
        assert live.troubles() == []


async def test_bars_that_are_polled_do_not_hide_a_socket_that_says_nothing(broker: Broker, tmp_path: Path) -> None:
    async with living(broker, tmp_path, "yahoo", ["BTC/USD"]) as live:
        live.opened(["BTC/USD"])
        live.feeds["BTC/USD"].last_data = before = system_clock() - int((live._silence_s + 1) * SECOND)
        live._polled(["BTC/USD"], True)
        assert live.feeds["BTC/USD"].last_data == before
        assert [trouble.kind for trouble in live.troubles()] == ["silent"]


async def test_without_a_socket_the_polls_say_when_a_symbol_was_heard_of(broker: Broker, tmp_path: Path) -> None:
    async with living(broker, tmp_path, "alpha_vantage", ["BTC/USD"]) as live:
        live._polled(["BTC/USD"], True)
        feed = live.feeds["BTC/USD"]
        assert feed.up
        assert feed.last_data > LONG_AGO.received


OWN = range(3_500_000_000, 3_500_000_100)


@pytest.mark.parametrize("foreign", ["x1", "²", "4213371", "9" * 20, str(2**63 - 1), str(OWN.stop + 10_000_000), "7"])
@pytest.mark.parametrize("own", [OWN, ()])
async def test_a_foreign_record_at_the_end_of_the_log_keeps_no_live_trade_out(
    broker: Broker, tmp_path: Path, foreign: str, own: Sequence[int]
) -> None:
    """Of a restart half a minute after a run that published ``own``, or that there never was."""
    series, now = ("binance~sim", "BTC/USDT"), system_clock()
    numbers = Numbers({series[0]})
    for id_ in [*map(str, own), foreign]:
        numbers.add({"source": series[0], "symbol": series[1], "id": id_, "ts": now - 30 * SECOND})
    past = _Past({series: LastSeen(foreign, "1", now - 30 * SECOND)}, numbers, {})
    known = past.known(make_source("binance", suffix="~sim"), [series[1]], now)
    async with living(broker, tmp_path, "binance", [series[1]], ends=past.ends, known=known) as live:
        assert live.filler
        live.opened([series[1]])
        assert not owes(live.filler, series[1]) or own
        for id_ in range(OWN.stop + 5, OWN.stop + 15):
            live.frame(json.dumps({**TRADE, "s": "BTCUSDT", "a": id_}).encode(), system_clock())
        assert live.seam.gap(series[1]) == ((OWN.stop, OWN.stop + 14) if own else None)
        # Whatever the log says, what was missed since our own last trade is owed, and nothing else; then they go on.
        for wait in (REORDER + SECOND, 20 * SECOND):
            live.filler.look(system_clock() + wait)
        owed = [debt for debt in live.filler._debts.get(series[1], []) if debt[0] != debt[1]]
        assert owed == ([(OWN.stop, OWN.stop + 5)] if own else [])
    published = [int(row["id"]) for row in rows(broker) if row.get("kind", "trade") == "trade"]
    assert published == [*range(OWN.stop + 5, OWN.stop + 15)]
    assert rows(broker, "ops.quarantine") == []
