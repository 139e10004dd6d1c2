"""The sink on a real database that goes away, comes back, and refuses."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from commit.stored import everything, recomputed
from commit.world import LAWS, Road, T, chain, random_log, rows
from sparktrends.bars import fold_records
from sparktrends.commit import Analysis, Laws
from sparktrends.errors import AccessDenied, LogGap
from sparktrends.store.analysis_rows import TEMPORARY_METRICS
from sparktrends.store.writer import Writer
from sparktrends.streaming.sink import OffsetLog, Sink
from sparktrends.telemetry import JsonFormatter

pytestmark = pytest.mark.e2e
# What the limit of a statement does to one that waits for a lock, without its two minutes.
OUT_OF_TIME = """
SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
LEDGER = "SELECT topic, partition, next_offset FROM core.ledger ORDER BY 1, 2"


class Feed:
    """Hands a log to a sink as Spark would: a planned batch in the offset log, then the call."""

    def __init__(self, road: Road, folder: Path) -> None:
        self.road, self.folder, self.batch = road, folder, 0
        (folder / "offsets").mkdir()
        self.writer = Writer(road.dsn, "1/1", [TEMPORARY_METRICS])
        self.waits: list[float] = []
        self.stopping = threading.Event()
        offsets = OffsetLog(folder, road.ids, dict(road.next))
        self.sink = Sink(self.writer, offsets, LAWS, lambda: T, self.wait, fold=self.fold, small=0)

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return self.stopping.wait(min(seconds, 0.1))

    def fold(self, _frame: object, _records: int, limits: Any) -> Any:
        ranges = self.sink.offsets.ranges(self.batch)
        log = self.road.log
        return fold_records([x for r in ranges for x in log[r.topic, r.partition][r.start : r.end]], limits)

    def give(self, count: int) -> None:
        """The next so many records of each partition."""
        planned: dict[str, dict[str, int]] = {}
        for r in self.road.ranges(dict.fromkeys(self.road.log, count)):
            planned.setdefault(r.topic, {})[str(r.partition)] = r.end
            self.road.next[r.topic, r.partition] = r.end
        (self.folder / "offsets" / str(self.batch)).write_text(f"v1\n{{}}\n{json.dumps(planned)}")
        self.sink(None, self.batch)  # type: ignore[arg-type]
        self.batch += 1

    def close(self) -> None:
        self.stopping.set()
        self.sink.close()
        self.writer.close()


@pytest.fixture
def feed(database: str, tmp_path: Path) -> Iterator[Feed]:
    road = Road(database, random_log(1))
    road.close()
    made = Feed(road, tmp_path)
    yield made
    made.close()


def away(dsn: str, *, gone: bool) -> None:
    """Shut the database to everybody, or open it."""
    name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    with psycopg.connect(psycopg.conninfo.make_conninfo(dsn, dbname="postgres"), autocommit=True) as other:
        other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {'false' if gone else 'true'}".encode())
        if gone:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


def test_a_database_that_is_away_is_waited_for(feed: Feed, migrated_database: Any) -> None:
    feed.give(10)
    feed.sink.settle()
    away(feed.road.dsn, gone=True)
    feed.give(10)
    end = time.monotonic() + 30
    while len(feed.waits) < 5:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert feed.waits[:5] == [0.2, 0.4, 0.8, 1.6, 3.2]
    away(feed.road.dsn, gone=False)
    feed.give(10**6)
    feed.sink.settle()
    whole = Road(migrated_database(), feed.road.log)
    whole.all()
    whole.close()
    assert everything(feed.road.dsn) == everything(whole.dsn)


def test_a_lock_that_is_held_is_waited_for_and_nothing_is_lost(feed: Feed, migrated_database: Any) -> None:
    feed.give(10)
    feed.sink.settle()
    stands = rows(feed.road.dsn, LEDGER)
    with psycopg.connect(feed.road.dsn) as other:
        other.execute("LOCK TABLE core.bars")
        feed.give(10)
        end = time.monotonic() + 30
        while len(feed.waits) < 2:
            assert time.monotonic() < end
            rows(feed.road.dsn, OUT_OF_TIME)
            time.sleep(0.02)
        assert rows(feed.road.dsn, LEDGER) == stands
    feed.give(10**6)
    feed.sink.settle()
    whole = Road(migrated_database(), feed.road.log)
    whole.all()
    whole.close()
    assert everything(feed.road.dsn) == everything(whole.dsn)


def test_a_password_that_is_changed_under_it_is_one_sentence(database: str, tmp_path: Path) -> None:
    own = psycopg.conninfo.make_conninfo(database, user="of_a_sink", password="old-secret")
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("CREATE ROLE of_a_sink SUPERUSER LOGIN PASSWORD 'old-secret'")
        road = Road(own, random_log(1))
        road.close()
        feed = Feed(road, tmp_path)
        feed.give(10)
        feed.sink.settle()
        other.execute("ALTER ROLE of_a_sink PASSWORD 'new-secret'")
        # Whoever is in stays in.
        feed.give(10)
        feed.sink.settle()
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'of_a_sink'")
        feed.give(10)
        with pytest.raises(AccessDenied, match="password authentication failed") as told:
            feed.sink.settle()
        feed.close()
        assert "secret" not in f"{told.value} {told.value.hint}"
        other.execute("REASSIGN OWNED BY of_a_sink TO postgres")
        other.execute("DROP OWNED BY of_a_sink")
        other.execute("DROP ROLE of_a_sink")


def test_what_a_failed_transaction_taught_is_forgotten(feed: Feed) -> None:
    feed.give(10)
    feed.sink.settle()
    known = feed.sink.cache
    assert known is not None
    rows(feed.road.dsn, "UPDATE core.ledger SET next_offset = next_offset + 1")
    feed.give(10)
    with pytest.raises(LogGap):
        feed.sink.settle()
    assert feed.sink.cache is None


def test_a_batch_that_was_committed_after_all_is_passed_over(feed: Feed) -> None:
    told: list[object] = []
    feed.sink.on_commit = told.append
    start = dict(feed.sink.offsets.next_offsets)
    feed.give(10)
    feed.sink.settle()
    feed.sink.offsets.next_offsets = start
    feed.batch = 0
    feed.sink(None, feed.batch)  # type: ignore[arg-type]
    feed.sink.settle()
    assert len(told) == 1
    feed.batch = 1
    feed.give(10)
    feed.sink.settle()
    assert len(told) == 2


def test_other_rules_hold_from_the_next_commit_on(feed: Feed) -> None:
    feed.give(30)
    feed.sink.settle()
    before = rows(feed.road.dsn, "SELECT count(*) FROM core.alerts WHERE rule = 'fell'")
    fell = chain('[[rule]]\nname = "fell"\nwhen = "return < 0"\ncooldown = "0s"\ntitle = "x"')
    other = Laws(LAWS.limits, (Analysis(fell, LAWS.limits),))
    feed.sink.renew = lambda laws: other
    feed.give(10**6)
    feed.sink.settle()
    assert before == [(0,)]
    assert feed.sink.laws is other
    _, _, alerts = recomputed(feed.road.dsn, fell)
    made = {row[0] for row in rows(feed.road.dsn, "SELECT id FROM core.alerts WHERE rule = 'fell'")}
    assert made
    assert made <= alerts.keys()


def test_what_is_logged_of_a_batch_names_its_records(feed: Feed) -> None:
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(JsonFormatter(str))
    log = logging.getLogger("sparktrends")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        for _ in range(3):
            feed.give(200)
        feed.sink.settle()
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    lines = [line for line in map(json.loads, said.getvalue().splitlines()) if line["message"].startswith("alert ")]
    made = rows(feed.road.dsn, "SELECT id, correlation FROM core.alerts")
    assert made
    for id_, correlation in made:
        (line,) = [line for line in lines if line["message"].startswith(f"alert {id_} ")]
        assert line["id"] == correlation
        batch = int(correlation.rpartition("-")[2])
        wanted = [
            f"{topic}/{partition} [{min(200 * batch, len(log))}, {min(200 * (batch + 1), len(log))})"
            for (topic, partition), log in sorted(feed.road.log.items())
            if len(log) > 200 * batch
        ]
        assert line["records"] == ", ".join(wanted)
