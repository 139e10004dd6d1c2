"""One owner of a connection: against a server that hangs up, refuses, falls silent, leaves, or floods."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client import REGISTRY
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from loopback import SocketServer, until
from sparktrends.errors import RateLimited, SparkTrendsError
from sparktrends.ingest.link import Heard, Link, Surroundings
from sparktrends.model import HOUR, SECOND
from sparktrends.net import AddressGuard, Backoff, Planner, Secret
from sparktrends.sources import make_source
from sparktrends.sources.base import Allowance, Auth, Source
from sparktrends.sources.decoding import MAX_FRAME
from sparktrends.telemetry import system_clock

pytestmark = pytest.mark.anyio


@dataclass
class Ear:
    """A listener that writes everything down; frames that are ``data`` count as data."""

    events: list[str] = field(default_factory=list)
    carried: list[list[str]] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    problems: list[SparkTrendsError] = field(default_factory=list)
    open_market: bool = True
    blocked: bool = False

    def opened(self, symbols: Sequence[str]) -> None:
        self.events.append("opened")
        self.carried.append(list(symbols))

    def closed(self, symbols: Sequence[str]) -> None:
        self.events.append("closed")

    def frame(self, payload: bytes, received: int) -> Heard:
        self.frames.append(payload)
        if payload == b"slower":
            raise RateLimited("slower", delay=0.4)
        return {b"data": Heard(data=True), b"bye": Heard(shutdown=True), b"alive": Heard(alive=True)}.get(
            payload, Heard()
        )

    def unusable(self, error: SparkTrendsError) -> None:
        self.problems.append(error)

    def trading(self, symbols: Iterable[str]) -> bool:
        return self.open_market

    async def room(self) -> None:
        while self.blocked:
            await asyncio.sleep(0.01)


def source_at(url: str, **changes: Any) -> Source:
    source = make_source("binance", stream=url)
    assert source.stream
    source.stream = replace(source.stream, **changes)
    return source


def link_to(source: Source, ear: Ear, *, connects: int = 1000, key: Secret | None = None, cap: float = 0.05) -> Link:
    backoff = Backoff(random.Random(1), time.sleep, base=0.01, cap=cap)
    gate = Planner([Allowance(connects, 60)], system_clock)
    around = Surroundings(system_clock, AddressGuard(["127.0.0.1"]), backoff, gate, key)
    link = Link(source, ear, around)
    link.carry(["BTC/USDT"])
    return link


async def running(link: Link, server: SocketServer, done: Any, seconds: float = 60.0) -> None:
    task = asyncio.ensure_future(link.run())
    try:
        await until(lambda: task.done() or done(), seconds)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def stay(connection: ServerConnection) -> None:
    await connection.send("data")
    await connection.wait_closed()


async def test_it_subscribes_and_hands_frames_over() -> None:
    ear = Ear()
    async with SocketServer(stay) as server:
        await running(link_to(source_at(server.url), ear), server, lambda: ear.frames and server.said)
    assert ear.frames == [b"data"]
    assert json.loads(server.said[0][1])["params"] == ["btcusdt@aggTrade", "btcusdt@kline_1m"]
    assert ear.events == ["opened", "closed"]


async def test_a_refused_key_is_told_until_data_comes() -> None:
    refusing = True

    def gate(_: Request) -> Response | None:
        return Response(401, HTTPStatus(401).phrase, Headers({"Content-Length": "0"}), b"") if refusing else None

    ear = Ear()
    async with SocketServer(stay, gate) as server:
        link = link_to(source_at(server.url), ear)
        await running(link, server, lambda: link.trouble)
        assert link.trouble.startswith("binance refuses the key")
        refusing = False
        await running(link, server, lambda: ear.frames)
        assert not link.trouble


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1013])
async def test_hung_up_on_it_connects_again_and_subscribes_again(code: int) -> None:
    async def hang_up(connection: ServerConnection) -> None:
        await connection.send("data")
        await asyncio.sleep(0.02)
        if code == 1006:
            connection.transport.abort()
        else:
            await connection.close(code)

    ear = Ear()
    async with SocketServer(hang_up) as server:
        await running(link_to(source_at(server.url), ear), server, lambda: len(server.said) >= 5)
    assert ear.events[:4] == ["opened", "closed", "opened", "closed"]


async def test_refused_again_and_again_it_goes_on_and_makes_no_storm() -> None:
    def refuse(_: Request) -> Response:
        return Response(503, HTTPStatus(503).phrase, Headers({"Content-Length": "0"}), b"")

    async with SocketServer(stay, refuse) as server:
        link = link_to(source_at(server.url), Ear(), connects=12, cap=0.01)
        refused: list[float] = []

        def over() -> bool:
            if len(server.connected) >= 12:
                refused.append(time.monotonic())
            return bool(refused) and refused[-1] - refused[0] > 1.0

        await running(link, server, over)
    assert len(server.connected) == 12


async def test_nobody_there_is_no_end_either() -> None:
    async with SocketServer(stay) as server:
        url = server.url
    link = link_to(source_at(url), Ear())
    await running(link, server, lambda: link.connects >= 5)


async def test_a_silent_connection_is_dead_although_it_answers_pings() -> None:
    async def fall_silent(connection: ServerConnection) -> None:
        await connection.send("data")
        await connection.wait_closed()

    async with SocketServer(fall_silent) as server:
        link = link_to(source_at(server.url, idle=0.5), Ear())
        await running(link, server, lambda: len(server.connected) >= 2)
    assert 0.5 <= server.connected[1] - server.connected[0] <= 10


@pytest.mark.parametrize(("open_market", "connections"), [(True, 2), (False, 1)])
async def test_signs_of_life_without_data_count_only_while_the_market_is_closed(
    open_market: bool, connections: int
) -> None:
    async def ping(connection: ServerConnection) -> None:
        while True:
            await connection.send("alive")
            await asyncio.sleep(0.05)

    ear = Ear(open_market=open_market)
    async with SocketServer(ping) as server:
        link = link_to(source_at(server.url, idle=1.0), ear)
        # Time goes on by what was heard: a machine that stands still for a second is not silence.
        link.around = replace(link.around, clock=lambda: len(ear.frames) * SECOND // 20)
        await running(link, server, lambda: len(ear.frames) > 45)
    assert min(2, len(server.connected)) == connections


async def say_nothing(connection: ServerConnection) -> None:
    await connection.wait_closed()


async def test_a_clock_that_is_set_back_hides_no_silence() -> None:
    ear, late = Ear(), [0]
    async with SocketServer(stay) as server:
        link = link_to(source_at(server.url, idle=0.5), ear)
        link.around = replace(link.around, clock=lambda: system_clock() - late[0])

        def again() -> bool:
            late[0] = HOUR * bool(ear.frames)
            return link.connects > 1

        await running(link, server, again, 20)


async def test_a_source_that_always_talks_is_never_given_longer_to_be_silent() -> None:
    async with SocketServer(say_nothing) as server:
        link = link_to(source_at(server.url, idle=0.5), Ear())
        await running(link, server, lambda: len(server.connected) >= 6)
    between = [b - a for a, b in pairwise(server.connected)]
    # The last would be 4 s: a slow machine reaches that in one of them, hardly in both.
    assert min(between[-2:]) < 0.5 + 2


async def test_one_that_fell_silent_gives_the_next_no_longer() -> None:
    silences: list[int] = []

    async def first_speaks(connection: ServerConnection) -> None:
        silences.append(link._silences)
        if len(silences) == 1:
            await connection.send("data")
        await connection.wait_closed()

    async with SocketServer(first_speaks) as server:
        link = link_to(source_at(server.url, idle=0.5, always_talks=False), Ear())
        await running(link, server, lambda: len(silences) >= 3)
    assert silences[:3] == [0, 0, 1]


async def test_in_a_quiet_market_each_new_connection_may_be_silent_for_longer() -> None:
    async with SocketServer(say_nothing) as server:
        link = link_to(source_at(server.url, idle=0.3, always_talks=False), Ear())
        await running(link, server, lambda: len(server.connected) >= 4)
    # Only what is too short is wrong: a busy machine makes any of them longer.
    third = server.connected[3] - server.connected[2]
    assert third > 3 * 0.3


@pytest.mark.parametrize("how", ["bye", "lifetime"])
async def test_an_announced_end_is_followed_at_once(how: str) -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.send("data" if how == "lifetime" else "bye")
        await connection.wait_closed()

    async with SocketServer(leave) as server:
        lifetime = 0.3 if how == "lifetime" else 0.0
        link = link_to(source_at(server.url, lifetime=lifetime), Ear(), cap=60.0)
        await running(link, server, lambda: len(server.connected) >= 3)
    assert server.connected[2] - server.connected[0] < 30


async def test_a_wish_for_slower_connections_is_obeyed() -> None:
    async def complain(connection: ServerConnection) -> None:
        await connection.send("slower")
        await connection.wait_closed()

    async with SocketServer(complain) as server:
        await running(link_to(source_at(server.url), Ear()), server, lambda: len(server.connected) >= 2)
    assert server.connected[1] - server.connected[0] >= 0.4


async def test_control_messages_keep_to_the_providers_pace() -> None:
    source_name = "finnhub"  # one message for each symbol
    async with SocketServer(stay) as server:
        source = make_source(source_name, stream=server.url)
        assert source.stream
        source.stream = replace(source.stream, per_second=20)
        link = link_to(source, Ear())
        link.carry([f"S{i}" for i in range(12)])
        await running(link, server, lambda: len(server.said) >= 12)
    assert server.said[-1][0] - server.said[0][0] >= 11 / 20 * 0.9


async def test_changes_and_renewals_travel_on_the_open_connection() -> None:
    async with SocketServer(stay) as server:
        link = link_to(source_at(server.url, per_second=50), Ear())
        task = asyncio.ensure_future(link.run())
        await until(lambda: len(server.said) == 1)
        link.carry(["ETH/USDT"])
        await until(lambda: len(server.said) == 3)
        link.renew("ETH/USDT")
        await until(lambda: len(server.said) == 4)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    said = [(m["method"], m["params"][0]) for m in (json.loads(text) for _, text in server.said)]
    assert said[1:] == [
        ("UNSUBSCRIBE", "btcusdt@aggTrade"), ("SUBSCRIBE", "ethusdt@aggTrade"), ("SUBSCRIBE", "ethusdt@aggTrade"),
    ]  # fmt: skip
    assert len(server.connected) == 1


async def test_symbols_that_join_an_open_connection_are_opened_as_well_and_each_once() -> None:
    ear = Ear()
    async with SocketServer(stay) as server:
        link = link_to(source_at(server.url, per_second=50), ear)
        task = asyncio.ensure_future(link.run())
        await until(lambda: len(server.said) == 1)
        link.carry(["BTC/USDT", "ETH/USDT"])
        await until(lambda: len(server.said) == 2)
        link.renew("ETH/USDT")
        await until(lambda: len(server.said) == 3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert ear.carried == [["BTC/USDT"], ["ETH/USDT"]]


async def test_a_connection_is_opened_before_its_first_frame_is_handed_over() -> None:
    class Strict(Ear):
        def frame(self, payload: bytes, received: int) -> Heard:
            assert self.events == ["opened"]
            return super().frame(payload, received)

    ear = Strict()
    async with SocketServer(stay) as server:
        await running(link_to(source_at(server.url), ear), server, lambda: ear.frames)
    assert ear.problems == []


async def test_keepalives_and_repeated_subscriptions_are_sent_when_due() -> None:
    async with SocketServer(stay) as server:
        source = source_at(server.url, keepalive="still here", every=0.3, resubscribe=0.6, per_second=50)
        await running(link_to(source, Ear()), server, lambda: len(server.said) >= 6)
    texts = [text for _, text in server.said]
    assert texts.count("still here") >= 2
    assert sum("SUBSCRIBE" in text for text in texts) >= 2


async def test_while_there_is_no_room_nothing_is_read_and_nothing_counts_as_silence() -> None:
    async def flood(connection: ServerConnection) -> None:
        while True:
            await connection.send("data")
            await asyncio.sleep(0)

    ear = Ear(blocked=True)
    async with SocketServer(flood) as server:
        task = asyncio.ensure_future(link_to(source_at(server.url, idle=1.0), ear).run())
        await until(lambda: len(ear.frames) >= 64)
        await asyncio.sleep(2.5)  # more than two idle times
        held = len(ear.frames)
        ear.blocked = False
        await until(lambda: len(ear.frames) > 1000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert held == 64
    assert len(server.connected) == 1


async def test_a_frame_too_large_to_read_is_told_and_the_connection_renewed() -> None:
    async def be_huge(connection: ServerConnection) -> None:
        await connection.send("x" * (MAX_FRAME + 2))
        await connection.wait_closed()

    ear = Ear()
    async with SocketServer(be_huge) as server:
        await running(link_to(source_at(server.url), ear), server, lambda: len(server.connected) >= 2)
    assert getattr(ear.problems[0], "reason", "") == "too_large"


async def test_a_redirect_is_not_followed() -> None:
    def redirect(_: Request) -> Response:
        headers = Headers({"Location": other.url + "/stolen", "Content-Length": "0"})
        return Response(302, "Found", headers, b"")

    async with SocketServer(stay) as other, SocketServer(stay, redirect) as server:
        key = Secret("tiger-canary")
        source = source_at(server.url, auth=Auth("header", "X-Token"))
        await running(link_to(source, Ear(), key=key), server, lambda: len(server.connected) >= 3)
        assert not other.connected


async def test_a_private_address_is_not_called() -> None:
    async with SocketServer(stay) as server:
        link = link_to(source_at(server.url), Ear())
        link.around = replace(link.around, guard=AddressGuard())
        await running(link, server, lambda: link.connects >= 3)
    assert server.connected == []


@pytest.mark.parametrize("place", ["header", "query"])
async def test_the_key_goes_where_the_provider_wants_it_and_nowhere_else(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    auth = Auth("header", "X-Token") if place == "header" else Auth("query", "token")
    async with SocketServer(stay) as server:
        source = source_at(server.url, auth=auth)
        link = link_to(source, Ear(), key=Secret("tiger&canary"))
        await running(link, server, lambda: server.said)
        await running(link_to(source_at(server.url + "x" * 9000, auth=auth), Ear(), key=Secret("tiger&canary")),
                      server, lambda: len(server.paths) > 1 or link.connects, 1)  # fmt: skip
    found = server.headers[0].get("X-Token") if place == "header" else server.paths[0].partition("token=")[2]
    assert found == ("tiger&canary" if place == "header" else "tiger%26canary")
    mine = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith(("sparktrends", "websockets.client")))
    assert "tiger" not in mine + repr(link)


async def test_reconnects_are_counted_by_reason() -> None:
    async def hang_up(connection: ServerConnection) -> None:
        await connection.close(1011)

    labels = {"source": "binance", "reason": "Unavailable"}
    before = REGISTRY.get_sample_value("sparktrends_reconnects_total", labels) or 0
    async with SocketServer(hang_up) as server:
        await running(link_to(source_at(server.url), Ear()), server, lambda: len(server.connected) >= 3)
    assert (REGISTRY.get_sample_value("sparktrends_reconnects_total", labels) or 0) >= before + 2
