"""The twin as a process: REST and sockets on one port, its faults on the wire, its ledger on disk."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sparktrends.errors import BadFile
from sparktrends.sandbox.ledger import read
from twin import running_twin

SUBSCRIBE = json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 1})


async def listen(url: str, message: str, seconds: float, enough: int = 0) -> tuple[list[str], int]:
    """Everything a socket was told until it ended or the time was over, and its close code (0 = we closed it).

    Where so many frames are ``enough``, the time is only what a busy machine may take for them.
    """
    told: list[str] = []
    async with connect(url, max_size=None) as socket:
        await socket.send(message)
        try:
            async with asyncio.timeout(seconds):
                while not enough or len(told) < enough:
                    told.append(str(await socket.recv()))
                return told, 0
        except TimeoutError:
            return told, 0
        except ConnectionClosed as closed:
            return told, closed.rcvd.code if closed.rcvd else 1006


def ids_of(frames: list[str]) -> list[str]:
    return [str(frame["a"]) for frame in map(json.loads, frames) if frame.get("e") == "aggTrade"]


def faults_file(folder: Path, text: str) -> str:
    path = folder / "faults.toml"
    path.write_text(text)
    return str(path)


def test_the_ledger_says_what_was_made_delivered_and_asked(tmp_path: Path) -> None:
    with running_twin(tmp_path, "--rate", "400", "--symbols", "BTC,ETH") as twin:
        frames, _ = asyncio.run(listen(twin.stream("binance"), SUBSCRIBE, 60, 200))
        answer = httpx.get(twin.rest("binance") + "/api/v3/klines?symbol=BTCUSDT&interval=1m")
        missing = httpx.get(twin.rest("nobody"))
        ledger = twin.stop()
    assert (answer.status_code, answer.headers["x-mbx-used-weight-1m"], missing.status_code) == (200, "2", 404)
    assert set(ids_of(frames)) <= {i for _, i in ledger.delivered_ids("binance")} <= set(map(str, ledger.made["BTC"]))
    assert len(ids_of(frames)) > 50
    assert [(c["path"], c["status"], c["weight"]) for c in ledger.calls] == [("/api/v3/klines", 200, 2)]
    assert [c["kind"] for c in ledger.connections] == ["opened", "closed"]


def test_faults_reach_the_wire_and_rest_fills_the_gap(tmp_path: Path) -> None:
    plan = faults_file(
        tmp_path, '[[fault]]\nkind="gap"\nlasts=600\nshare=0.3\n[[fault]]\nkind="disconnect"\nat=4\nevery=4\n'
    )
    with running_twin(tmp_path, "--rate", "300", "--symbols", "BTC", "--faults", plan) as twin:
        frames, code = asyncio.run(listen(twin.stream("binance"), SUBSCRIBE, 30))
        ids = ids_of(frames[:-1])
        page = httpx.get(twin.rest("binance") + f"/api/v3/aggTrades?symbol=BTCUSDT&fromId={ids[0]}&limit=1000").json()
        ledger = twin.stop()
    assert code == 1006
    seen = set(ids)
    gaps = {str(row["a"]) for row in page if int(row["a"]) <= int(ids[-1])} - seen
    assert gaps
    assert gaps <= {i for _, i in ledger.withheld("binance")}
    assert seen | gaps == {str(i) for i in range(int(ids[0]), int(ids[-1]) + 1)} or len(page) == 1000


def test_a_silent_socket_answers_pings(tmp_path: Path) -> None:
    plan = faults_file(tmp_path, '[[fault]]\nkind="silence"\nlasts=600\n')

    async def ping(url: str) -> float:
        async with connect(url) as socket:
            await socket.send(SUBSCRIBE)
            assert json.loads(await socket.recv()) == {"result": None, "id": 1}
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.5)
            return await (await socket.ping())

    with running_twin(tmp_path, "--rate", "300", "--symbols", "BTC", "--faults", plan) as twin:
        assert asyncio.run(ping(twin.stream("binance"))) < 5


def test_one_finnhub_socket_a_key_and_none_for_a_wrong_one(tmp_path: Path) -> None:
    async def two(url: str) -> int:
        async with connect(url + "?token=a") as first, connect(url + "?token=a"):
            await asyncio.wait_for(first.wait_closed(), 10)
            return int(first.close_code or 0)

    with running_twin(tmp_path, "--symbols", "AAPL") as twin:
        assert asyncio.run(two(twin.stream("finnhub"))) == 1008
        with pytest.raises(InvalidStatus) as refused:
            asyncio.run(listen(twin.stream("finnhub") + "?token=wrong", "", 1))
    assert refused.value.response.status_code == 401


def test_redirects_waits_and_recordings(tmp_path: Path) -> None:
    (tmp_path / "recorded.json").write_text(
        json.dumps(
            [{"provider": "yahoo", "path": "/v8/finance/chart/AAPL", "body": {"chart": {"result": [], "error": None}}},
             {"provider": "finnhub", "frames": ['{"type":"ping"}']}]
        )
    )  # fmt: skip
    plan = faults_file(tmp_path, '[[fault]]\nkind="redirect"\nprovider="binance"\nlasts=600\n')
    options = ("--symbols", "BTC", "--faults", plan, "--recordings", str(tmp_path / "recorded.json"))
    with running_twin(tmp_path, *options) as twin:
        moved = httpx.get(twin.rest("binance") + "/api/v3/time")
        told = httpx.get(twin.rest("yahoo") + "/v8/finance/chart/AAPL?interval=1d")
        frames, _ = asyncio.run(listen(twin.stream("finnhub") + "?token=k", "{}", 60, 1))
    assert (moved.status_code, moved.headers["location"][:22]) == (302, "http://169.254.169.254")
    assert told.json() == {"chart": {"result": [], "error": None}}
    assert frames[0] == '{"type":"ping"}'


def test_random_faults_leave_the_twin_running(tmp_path: Path) -> None:
    with running_twin(tmp_path, "--rate", "300", "--faults", "random", "--seed", "2", "--symbols", "BTC") as twin:
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            try:
                frames, _ = asyncio.run(listen(twin.stream("binance"), SUBSCRIBE, 10, 20))
            except (InvalidStatus, ConnectionClosed):
                continue
            assert frames
        ledger = twin.stop()
    assert ledger.delivered_ids("binance")


def test_a_torn_last_line_is_left_out_and_a_bad_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text('{"kind":"ready","at":5}\n{"kind":"made","symb')
    assert read(path).ready == 5
    path.write_text('{"kind":"made"}\n{"kind":"ready","at":5}\n')
    with pytest.raises(BadFile, match="line 1"):
        read(path)
