"""The event stream over real sockets: in order, in time, once, and whatever happens to the connection."""

from __future__ import annotations

import http.client
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from serve.api.world import World, serving
from sparktrends.errors import Unavailable
from sparktrends.model import SECOND, stable_id
from sparktrends.ops import ports
from sparktrends.ops.stack import Stack
from sparktrends.serve.api import Api
from sparktrends.serve.api.hub import HEARTBEAT_S
from sparktrends.serve.client import Client, Event

pytestmark = pytest.mark.e2e


@pytest.fixture
def fresh(database: tuple[Stack, Callable[[], World]]) -> World:
    """A market of the test's own: its commits are counted."""
    return database[1]()


@contextmanager
def following(client: Client, **choice: Any) -> Iterator[queue.Queue[Event]]:
    """The events that a client hears, from the moment the block begins."""
    heard: queue.Queue[Event] = queue.Queue()
    events = client.stream(reconnect=True, **choice)

    def listen() -> None:
        try:
            for event in events:
                heard.put(event)
        except (httpx.HTTPError, RuntimeError, OSError):
            return  # the test is over and closed the client

    threading.Thread(target=listen, daemon=True).start()
    yield heard
    client.close()


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def listeners(api: Api, number: int) -> None:
    until(lambda: len(api.hub._live) == number)


def test_a_commit_is_heard_in_time_with_its_rows(fresh: World) -> None:
    with serving(fresh) as (api, url), Client(url) as client, following(client) as heard:
        listeners(api, 1)
        waits = []
        for minute in range(5):
            fresh.commit([(1, minute)], signals=(stable_id("price_move"),) if minute == 4 else ())
            committed = time.monotonic()
            event = heard.get(timeout=60)
            waits.append(time.monotonic() - committed)
            assert [(row["symbol"], row["trades"]) for row in event.rows] == [("BTC/USD", 4)]
        # The quickest: without being told, the hub looks once a second, and a busy machine must not fail it.
        assert min(waits) < 0.3
        last = heard.get(timeout=60)
        assert (last.id, last.kind, last.rows[0]["detail"]) == ("1/1:5", "signals", {"z": 6.5})


def test_one_hears_what_one_chose(fresh: World) -> None:
    with serving(fresh) as (api, url), Client(url) as client, following(client, symbol="ETH/USD") as heard:
        listeners(api, 1)
        fresh.commit([(1, 0)])
        fresh.commit([(1, 0), (2, 1)])
        event = heard.get(timeout=60)
        assert (event.id, [row["symbol"] for row in event.rows]) == ("1/1:2", ["ETH/USD"])


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_or_doubled_across_breaks(fresh: World, seed: int) -> None:
    rng = random.Random(seed)
    heard: list[str] = []
    with serving(fresh) as (_, url), Client(url) as client:
        last = next_id(url)
        for _ in range(12):
            for _ in range(rng.randrange(1, 6)):
                fresh.commit([(1, 0), (2, 0)], shard=rng.choice(["1/2", "2/2"]), signals=(stable_id("gone"),))
            events = client.stream(last_id=last, reconnect=False)
            for _ in range(rng.randrange(1, 7)):
                if len(heard) == 2 * sum(fresh.commits.values()):
                    break
                event = next(events)
                heard.append(f"{event.data['shard']}:{event.data['commit']}:{event.kind}")
                last = event.id
            events.close()
        missing = 2 * sum(fresh.commits.values()) - len(heard)
        events = client.stream(last_id=last, reconnect=False)
        for _ in range(missing):
            event = next(events)
            heard.append(f"{event.data['shard']}:{event.data['commit']}:{event.kind}")
        events.close()
    told = [
        f"{s}:{n}:{kind}"
        for s, most in fresh.commits.items()
        for n in range(1, most + 1)
        for kind in ("bars", "signals")
    ]
    assert sorted(heard) == sorted(told)
    for shard in fresh.commits:
        mine = [word for word in heard if word.startswith(shard)]
        assert mine == [word for word in told if word.startswith(shard)]


def test_a_restart_of_the_server_loses_and_doubles_nothing(fresh: World) -> None:
    port = ports.any_free()
    with Client(f"http://127.0.0.1:{port}") as client, following(client) as heard:
        for _ in range(3):
            with serving(fresh, port=port) as (api, _):
                listeners(api, 1)
                for _ in range(3):
                    fresh.commit([(1, 0)])
            fresh.commit([(1, 0)])  # nobody serves, and of those before it not every one was told yet
        with serving(fresh, port=port) as (api, _):
            listeners(api, 1)
            fresh.commit([(1, 0)])
            told = [heard.get(timeout=60).id for _ in range(13)]
    assert told == [f"1/1:{number}" for number in range(1, 14)]


def test_an_end_of_the_server_is_a_break_to_who_does_not_come_back(fresh: World) -> None:
    with serving(fresh) as (api, url), Client(url) as client:
        fresh.commit([(1, 0)])
        events = client.stream(last_id="1/1:0", reconnect=False)
        assert next(events).id == "1/1:1"
        api.hub.close()
        with pytest.raises(Unavailable, match="the server ended it"):
            next(events)


def test_heartbeats_come_by_the_clock_and_say_where_one_stands(fresh: World) -> None:
    now = [10**15]
    lines: queue.Queue[str] = queue.Queue()

    def listen(url: str) -> None:
        with httpx.stream("GET", f"{url}/api/v1/stream", timeout=60) as answer:
            for line in answer.iter_lines():
                lines.put(line)

    def heard() -> list[str]:
        """The lines of the next frame, without its data."""
        frame = list(iter(lambda: lines.get(timeout=60), ""))
        return [line for line in frame if not line.startswith(("data:", "retry:"))]

    with serving(fresh, lambda: now[0]) as (api, url):
        thread = threading.Thread(target=listen, args=(url,))
        thread.start()
        assert heard() == [": heartbeat", "id: -"]  # the greeting
        listeners(api, 1)
        now[0] += (HEARTBEAT_S - 1) * SECOND
        fresh.commit([(1, 0)])
        assert heard() == ["event: bars", "id: 1/1:1"]  # told by a step that saw this time, and no heartbeat before it
        now[0] += SECOND
        assert heard() == [": heartbeat", "id: 1/1:1"]
        now[0] -= 3600 * SECOND  # a clock that was set back silences nobody
        assert heard() == [": heartbeat", "id: 1/1:1"]
    thread.join(60)
    assert not thread.is_alive()


def next_id(url: str) -> str:
    """The id with which a stream that begins now greets."""
    with httpx.stream("GET", f"{url}/api/v1/stream") as answer:
        for line in answer.iter_lines():
            if line.startswith("id:"):
                return line.partition(":")[2].strip()
    raise AssertionError("no greeting")


def test_a_commit_of_many_bars_comes_in_parts(fresh: World) -> None:
    with serving(fresh) as (_, url), Client(url) as client:
        fresh.commit([(series, minute) for series in (1, 2, 3) for minute in range(30)] * 6)
        events = client.stream(last_id="1/1:0", reconnect=False)
        first = next(events)
        assert (first.id, len(first.rows)) == ("1/1:1.1", 500)
        events.close()
        rest = next(client.stream(last_id=first.id, reconnect=False))
        assert (rest.id, len(rest.rows)) == ("1/1:1", 40)


def test_what_is_kept_no_longer_is_said(fresh: World) -> None:
    for _ in range(5):
        fresh.commit([(1, 0)])
    fresh.run("DELETE FROM core.changes WHERE commit < 4")
    with serving(fresh) as (_, url), Client(url) as client:
        event = next(client.stream(last_id="1/1:1"))
        assert (event.kind, event.id) == ("reset", "1/1:5")
        assert next(client.stream(last_id="1/1:9")).kind == "reset"  # a store that was restored
        assert httpx.get(f"{url}/api/v1/stream", headers={"Last-Event-ID": "what"}).status_code == 400


def test_a_listener_that_takes_nothing_is_closed_and_holds_up_nobody(fresh: World) -> None:
    with serving(fresh) as (api, url), Client(url) as client, following(client) as heard:
        host, _, port = url.removeprefix("http://").partition(":")
        stalled = http.client.HTTPConnection(host, int(port))
        stalled.request("GET", "/api/v1/stream")
        listeners(api, 2)
        for _ in range(60):
            fresh.commit([(series, minute) for series in (1, 2, 3) for minute in range(30)] * 6)
        until(lambda: len(api.hub._live) == 1, 60)
        assert stalled.getresponse().read().endswith(b'choose symbols"}\n\n')
        last = [heard.get(timeout=60) for _ in range(120)][-1]
        assert last.id == "1/1:60"
        stalled.close()


def test_many_listeners_leave_the_threads_free(fresh: World) -> None:
    with (
        serving(fresh, threads=2, listeners=60) as (api, url),
        httpx.Client(limits=httpx.Limits(max_connections=99)) as http_client,
    ):
        streams = [
            http_client.send(http_client.build_request("GET", f"{url}/api/v1/stream"), stream=True) for _ in range(60)
        ]
        listeners(api, 60)
        assert httpx.get(f"{url}/api/v1/stream").status_code == 503
        assert httpx.get(f"{url}/api/v1/ready").json()["listeners"] == 60
        for stream in streams:
            stream.close()
        until(lambda: api.hub.listening == 0)


def test_it_goes_on_when_the_database_comes_back(database: tuple[Stack, Callable[[], World]], fresh: World) -> None:
    with serving(fresh) as (api, url), Client(url) as client, following(client) as heard:
        listeners(api, 1)
        fresh.commit([(1, 0)])
        assert heard.get(timeout=60).id == "1/1:1"
        database[0].restart("postgres")
        until(lambda: httpx.get(f"{url}/api/v1/ready").status_code == 200)
        fresh.commit([(1, 0)])
        assert heard.get(timeout=60).id == "1/1:2"
