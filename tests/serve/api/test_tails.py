"""Tails: whatever is committed between two questions, the answer is what a fresh reading of the store gives."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from serve.api.world import _BARS, START, World
from sparktrends.errors import Unavailable
from sparktrends.serve.api import Api
from sparktrends.serve.api import listing as listing_module
from sparktrends.serve.api.tails import Line, Question, Tails
from sparktrends.store.serving import page

pytestmark = pytest.mark.e2e
LATER = "2100-01-01"
QUESTIONS: tuple[dict[str, Any], ...] = (
    {"symbol": "BTC/USD", "limit": 3},
    {"symbol": "BTC/USD", "source": "binance", "limit": 40, "metrics": "rsi_14"},
    {"symbol": "ETH/USD,BTC/USD", "limit": 25, "fields": "start,close,trades"},
    {"symbol": "ETH/USD", "limit": 1},
)


@pytest.fixture
def own(database: tuple[Any, Callable[[], World]]) -> World:
    """A market that one test alone changes."""
    return database[1]()


@pytest.fixture
def client(own: World) -> Iterator[FlaskClient]:
    api = Api(own.config())
    yield api.app.test_client()
    api.close()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each reading of a page brought."""
    found: list[int] = []

    def counted(*words: Any) -> Any:
        rows = page(*words)
        found.append(len(rows))
        return rows

    monkeypatch.setattr(listing_module, "page", counted)
    return found


def asked(client: FlaskClient, **query: Any) -> Any:
    answer = client.get("/api/v1/bars", query_string=query)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.data)


def check(client: FlaskClient) -> None:
    """Every question is answered as one that no tail can answer (it has an end) would be."""
    for question in QUESTIONS:
        assert asked(client, **question)["data"] == asked(client, **question, to=LATER)["data"]


def new_bar(world: World, series: int, minute: int) -> None:
    world.run(_BARS, series, START + timedelta(minutes=minute), 1)
    world.commit([(series, minute)])


def gone(world: World, series: int, minute: int) -> None:
    world.run("DELETE FROM core.bars WHERE series = %s AND start = %s", series, START + timedelta(minutes=minute))
    world.commit([(series, minute)])


def revised(world: World, minute: int) -> None:
    """An old bar changes, and with it every metric from there on."""
    since = START + timedelta(minutes=minute)
    world.run("UPDATE core.metrics SET rsi_14 = rsi_14 + 1 WHERE series = 1 AND start >= %s", since)
    world.commit([(1, minute)])


def test_any_commits_between_two_questions_are_in_the_second(own: World, client: FlaskClient) -> None:
    rng = random.Random(8)
    newest = 29
    check(client)
    for _ in range(30):
        for _ in range(rng.randrange(4)):
            series, minute = rng.randrange(1, 4), rng.randrange(newest + 1)
            match rng.randrange(5):
                case 0:
                    newest += 1
                    new_bar(own, series, newest)
                case 1:
                    gone(own, series, minute)
                case 2:
                    revised(own, minute)
                case _:
                    own.commit([(series, minute), (1, newest)], shard=rng.choice(("1/2", "2/2")))
        check(client)


def test_only_what_was_touched_is_read_again(own: World, client: FlaskClient, reads: list[int]) -> None:
    asked(client, symbol="ETH/USD", limit=20)
    asked(client, symbol="ETH/USD", limit=20)
    own.commit([(1, 29)])
    asked(client, symbol="ETH/USD", limit=10)
    assert len(reads) == 1
    own.commit([(2, 28)])
    assert asked(client, symbol="ETH/USD", limit=20)["data"][1]["trades"] == 4
    assert reads[1:] == [2]


def test_commits_that_are_kept_no_longer_and_a_store_that_went_back_are_noticed(
    own: World, client: FlaskClient
) -> None:
    check(client)
    for _ in range(3):
        own.commit([(2, 29)])
    own.run("DELETE FROM core.changes WHERE commit < 3")
    check(client)
    own.run("UPDATE core.bars SET trades = 1; UPDATE core.shards SET commit = 1")
    check(client)
    own.run("DELETE FROM core.shards; UPDATE core.bars SET trades = 2")
    check(client)


def test_more_commits_than_are_followed_are_in_the_answer_too(own: World, client: FlaskClient) -> None:
    check(client)
    for _ in range(130):
        own.commit([(2, 29)])
    assert asked(client, symbol="ETH/USD", limit=1)["data"][0]["trades"] == 133


def test_a_new_series_of_a_symbol_appears(own: World, client: FlaskClient) -> None:
    check(client)
    own.run("INSERT INTO core.series (source, symbol) VALUES ('kraken', 'ETH/USD')")
    new_bar(own, 4, 50)
    assert asked(client, symbol="ETH/USD", limit=1)["data"][0]["source"] == "kraken"
    check(client)


def test_without_the_database_nothing_is_answered(own: World, client: FlaskClient) -> None:
    asked(client, symbol="ETH/USD")
    own.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sparktrends_reader'")
    name = conninfo_to_dict(own.owner)["dbname"]
    server = make_conninfo(own.owner, dbname="postgres")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        answer = client.get("/api/v1/bars?symbol=ETH/USD")
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert answer.status_code == 503


def test_what_was_committed_before_a_question_is_in_its_answer_under_load(own: World) -> None:
    """Many ask while one commits: nobody who asks after a commit is told what was before it."""
    api, over, stale = Api(own.config(threads=4)), Event(), list[tuple[int, int]]()
    committed = [3]

    def ask() -> None:
        client = api.app.test_client()
        while not over.is_set():
            before = committed[0]
            found = asked(client, symbol="ETH/USD", limit=1)["data"][0]["trades"]
            if found < before:
                stale.append((found, before))

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(150):
        own.commit([(2, 29)])
        committed[0] += 1
    over.set()
    for thread in threads:
        thread.join()
    api.close()
    assert not stale
    assert committed[0] == 153


def test_a_failure_while_reading_leaves_no_tail_behind(
    own: World, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(client)
    own.commit([(2, 29)])

    def broken(*_: Any) -> Any:
        raise Unavailable("just now")

    with monkeypatch.context() as patch:
        patch.setattr(listing_module, "page", broken)
        assert client.get("/api/v1/bars?symbol=ETH/USD&limit=1").status_code == 503
    check(client)


def test_few_rows_are_kept_when_much_is_asked(own: World) -> None:
    api = Api(own.config())
    tails = Tails(api.reader, rows=100)
    lines = [Line((START, "a", "b"), b"{}")] * 40
    for number in range(20):
        question = Question("bars", ("start",), (f"S{number}",), (), "1m")
        tails.body(question, 40, lambda since, count: lines, lambda found, more: (b"", ""))
    assert sum(len(tail.lines) for tail in tails._tails.values()) <= 140
    api.close()
