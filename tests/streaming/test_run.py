"""The stream ends its query between batches, whatever made it end."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from commit.world import LIMITS, Road, random_log, rows
from sparktrends.bus.connection import Connection
from sparktrends.bus.topics import RAW_BARS, RAW_TRADES
from sparktrends.errors import BadSetting, Unavailable
from sparktrends.store.limits import Times, agree
from sparktrends.streaming import run
from sparktrends.streaming.run import Stream, StreamConfig, added, partition_logs


class Query:
    """A query that begins another batch in the moment in which it is stopped."""

    isActive = True

    def __init__(self, process: Any) -> None:
        self._process = process

    def stop(self) -> None:
        self._process(None, 1)


class Sink:
    """Notes the batches it was given; the commit of the one before failed."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, _frame: Any, batch_id: int) -> None:
        self.batches.append(batch_id)

    def settle(self) -> None:
        """Nothing is under way."""


def test_no_batch_begins_once_the_end_has_begun() -> None:
    config: Any = SimpleNamespace(accept_gap=False)
    stream: Any = Stream(config, None, threading.Event(), lambda: ())  # type: ignore[arg-type]
    sink = Sink()
    process = stream._guarded(sink)
    process(None, 0)
    stream._end(Query(process), sink)
    assert sink.batches == [0]


class FourPartitions:
    """What a stream asks of an administrator's client."""

    def topic_id(self, name: str) -> str:
        return f"id of {name}"

    def watermarks(self, _name: str) -> dict[int, tuple[int, int]]:
        return dict.fromkeys(range(4), (0, 10))

    def partitions(self, _name: str) -> list[int]:
        return [0, 1, 2, 3]


ADMIN: Any = FourPartitions()


@pytest.mark.parametrize("shards", [1, 2, 3, 4])
def test_every_partition_belongs_to_one_shard(shards: int) -> None:
    taken = [(log.topic, log.partition) for k in range(shards) for log in partition_logs(ADMIN, f"{k + 1}/{shards}")]
    assert sorted(taken) == [(topic, partition) for topic in (RAW_BARS, RAW_TRADES) for partition in range(4)]


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "1/", "a/b", "-1/2", "01/2", "1/2/3", "\u00b2/2", "5/5"])
def test_a_share_of_nothing_is_refused(shard: str) -> None:
    with pytest.raises(BadSetting, match="shard"):
        partition_logs(ADMIN, shard)


def test_only_a_partition_of_its_share_is_new_to_a_shard() -> None:
    read = {(log.topic, log.partition) for log in partition_logs(ADMIN, "1/2")}
    assert added(ADMIN, "1/2", read) == []
    assert added(ADMIN, "1/2", read - {(RAW_TRADES, 2)}) == ["raw.trades[2]"]
    assert added(ADMIN, "2/2", {(RAW_BARS, 1), (RAW_BARS, 3), (RAW_TRADES, 1)}) == ["raw.trades[3]"]


def test_while_nobody_answers_nothing_is_new() -> None:
    def away(_name: str) -> list[int]:
        raise Unavailable("Kafka does not answer")

    silent: Any = SimpleNamespace(partitions=away)
    assert added(silent, "1/1", ()) == []


@pytest.mark.e2e
def test_a_stream_with_other_limits_ends_before_it_takes_anything(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    road = Road(database, random_log(1))
    agree(database, Times(1, 2, 3), begins=True)
    road.all()
    road.close()
    before = rows(database, "SELECT * FROM core.ledger ORDER BY 1, 2")
    monkeypatch.setattr(run, "Admin", lambda *_: ADMIN)
    config = StreamConfig(Connection("127.0.0.1:1"), database, tmp_path, LIMITS, shard="1/2")
    stream: Any = Stream(config, None, threading.Event(), lambda: ())  # type: ignore[arg-type]
    with pytest.raises(
        BadSetting, match=r"judged by grace = 0\.000001, .* say grace = 900, settle = 5, future = 60: set"
    ):
        stream.run()
    assert rows(database, "SELECT * FROM core.ledger ORDER BY 1, 2") == before


class Idle:
    """A query of which nothing comes, until it is stopped."""

    isActive = True

    def stop(self) -> None:
        self.isActive = False


def test_the_query_ends_when_a_partition_was_added(monkeypatch: pytest.MonkeyPatch) -> None:
    query, answers = Idle(), iter([[], [], ["raw.trades[4]"]])
    monkeypatch.setattr(run, "start_query", lambda *_, **__: query)
    monkeypatch.setattr(run, "Admin", lambda *_, **__: None)
    monkeypatch.setattr(run, "_LOOK_S", 0.0)
    monkeypatch.setattr(run, "added", lambda *_: next(answers))
    kafka = SimpleNamespace(java_options=dict)
    config: Any = SimpleNamespace(accept_gap=False, kafka=kafka, shard="1/1", max_records=1, trigger_ms=1)
    stream: Any = Stream(config, None, threading.Event(), lambda: ())  # type: ignore[arg-type]
    stream._watch(SimpleNamespace(failed=False, offsets=SimpleNamespace(folder=None), settle=lambda: None), {})
    assert not query.isActive
    assert next(answers, None) is None


class Deserted:
    """Nobody works for the session, and nobody will."""

    def there(self) -> bool:
        return False

    def deserted(self) -> bool:
        return True

    def require(self) -> None:
        raise Unavailable("nobody works")


class Stuck:
    """A query whose batch waits for executors until its jobs are cancelled; itself the session that can do so."""

    isActive = True

    def __init__(self) -> None:
        self.sparkContext, self._began, self._cancelled = self, threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, process: Any) -> Any:
        self._thread = threading.Thread(target=process, args=(self, 0))
        self._thread.start()
        assert self._began.wait(60)
        return self

    def fold(self, _frame: Any, _batch_id: int) -> None:
        self._began.set()
        assert self._cancelled.wait(60)

    def cancelAllJobs(self) -> None:
        self._cancelled.set()

    def stop(self) -> None:
        assert self._thread is not None
        self._thread.join(60)
        self.isActive = False


class StuckSink(SimpleNamespace):
    """Calls as the sink of a batch that waits."""

    def __call__(self, frame: Any, batch_id: int) -> None:
        self.query.fold(frame, batch_id)


@pytest.mark.parametrize("asked_to_end", [False, True])
def test_a_batch_that_nobody_works_on_holds_up_no_end(monkeypatch: pytest.MonkeyPatch, asked_to_end: bool) -> None:
    query, stopping = Stuck(), threading.Event()

    def start(*told: Any, **_: Any) -> Stuck:
        begun: Stuck = query.begin(told[4])
        if asked_to_end:
            stopping.set()
        return begun

    monkeypatch.setattr(run, "start_query", start)
    monkeypatch.setattr(run, "Admin", lambda *_, **__: None)
    monkeypatch.setattr(run, "_LOOK_S", 0.0)
    monkeypatch.setattr(run, "_CANCEL_S", 0.01)
    config: Any = SimpleNamespace(
        kafka=SimpleNamespace(java_options=dict), max_records=1, trigger_ms=1, accept_gap=False
    )
    session: Any = query
    executors: Any = Deserted()
    stream: Any = Stream(config, session, stopping, lambda: (), executors=executors)
    sink = StuckSink(query=query, failed=False, offsets=SimpleNamespace(folder=None), settle=lambda: None)
    stream._watch(sink, {})
    assert not query.isActive


def test_a_stream_that_nobody_works_for_ends_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    config: Any = SimpleNamespace(accept_gap=False)
    executors: Any = Deserted()
    stream: Any = Stream(config, None, threading.Event(), lambda: (), executors=executors)  # type: ignore[arg-type]
    monkeypatch.setattr(Stream, "_run_query", lambda _: None)
    with pytest.raises(Unavailable, match="nobody works"):
        stream.run()
