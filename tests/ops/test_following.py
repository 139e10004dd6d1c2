"""What `up` runs beside the stream: the daily work in a process of its own, and retention once a week."""

from __future__ import annotations

import subprocess
import threading
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from librdkafka_broker import fresh_broker
from sparktrends.batch.plan import day_of
from sparktrends.bus.kafka import Reader
from sparktrends.errors import DiskFull
from sparktrends.model import DAY, HOUR
from sparktrends.net import JsonFile
from sparktrends.ops.endpoints import Endpoints
from sparktrends.ops.following import Follower
from sparktrends.ops.home import Home

NOW = 1_795_248_000_000_000  # 2026-11-21 08:00 UTC
YESTERDAY = day_of(NOW) - timedelta(days=1)


class Child:
    """A process that ends when a test says so."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode


class Watched(Follower):
    """A follower whose children are remembered instead of started."""

    started: list[Child]

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        self.started.append(Child(words))
        return cast(Any, self.started[-1])


def days(follower: Watched) -> list[date]:
    """The days that were begun."""
    assert all(child.words == ("daily", "--date", child.words[2], "--sandbox") for child in follower.started)
    return [date.fromisoformat(child.words[2]) for child in follower.started]


@pytest.fixture
def follower(tmp_path: Path) -> Watched:
    made = Watched(cast(Endpoints, None), Home.open(tmp_path), lambda: NOW, threading.Event(), ["--sandbox"])
    made.started = []
    return made


def later(follower: Watched, micros: int) -> None:
    now = follower.clock() + micros
    follower.clock = lambda: now


def test_a_day_is_worked_on_once(follower: Watched) -> None:
    follower._tend(["--sandbox"])
    follower._tend(["--sandbox"])
    (child,) = follower.started
    assert days(follower) == [YESTERDAY]
    child.returncode = 0
    for _ in range(3):
        follower._tend(["--sandbox"])
    assert len(follower.started) == 1
    later(follower, DAY)
    follower._tend(["--sandbox"])
    assert days(follower) == [YESTERDAY, YESTERDAY + timedelta(days=1)]


def test_an_incomplete_day_is_tried_again_after_an_hour(follower: Watched) -> None:
    follower._tend(["--sandbox"])
    follower.started[0].returncode = 1
    follower._tend(["--sandbox"])
    follower._tend(["--sandbox"])
    assert len(follower.started) == 1
    later(follower, HOUR)
    follower._tend(["--sandbox"])
    assert days(follower) == [YESTERDAY, YESTERDAY]


def test_a_follower_that_was_killed_begins_the_day_again(follower: Watched, tmp_path: Path) -> None:
    follower._tend(["--sandbox"])
    again = Watched(follower.where, Home.open(tmp_path), follower.clock, follower.stopping, ["--sandbox"])
    again.started = []
    again._tend(["--sandbox"])
    assert days(again) == [YESTERDAY]


def test_retention_comes_once_a_week_and_not_at_the_first_start(follower: Watched) -> None:
    for _ in range(3):
        follower._retain()
    assert follower.started == []
    later(follower, 7 * DAY)
    for _ in range(3):
        follower._retain()
    assert [child.words for child in follower.started] == [("retention",)]


def test_markets_are_judged_while_months_are_archived_and_no_second_one_begins(follower: Watched) -> None:
    follower._retain()
    later(follower, 7 * DAY)
    follower._retain()
    later(follower, 8 * DAY)
    follower._retain()  # comes back at once, the first still runs
    assert len(follower.started) == 1
    follower.started[0].returncode = 0
    follower._retain()
    assert [child.words for child in follower.started] == [("retention",)] * 2


def test_retention_that_failed_is_tried_again_the_next_day(follower: Watched) -> None:
    follower._retain()
    later(follower, 7 * DAY)
    follower._retain()
    follower.started[0].returncode = 1  # a restore was running
    for _ in range(3):
        follower._retain()
    assert len(follower.started) == 1
    later(follower, DAY)
    follower._retain()
    assert [child.words for child in follower.started] == [("retention",)] * 2


def test_a_full_disk_ends_nothing_and_nothing_is_begun_twice_because_of_it(
    follower: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: JsonFile, _state: object) -> None:
        raise DiskFull(f"{self.path.name} cannot be written (No space left on device)")

    def look(times: int = 3) -> None:
        for _ in range(times):
            follower._retain()
            follower._tend(["--sandbox"])

    follower._retain()
    later(follower, 7 * DAY)
    with monkeypatch.context() as disk:
        disk.setattr(JsonFile, "save", full)
        look()
        retention, daily = follower.started
        assert (retention.words[0], daily.words[0]) == ("retention", "daily")
        retention.returncode = daily.returncode = 0
        look()
        assert len(follower.started) == 2
        assert sorted(r.getMessage().split()[0] for r in caplog.records) == ["daily.json", "retention.json"]
    look(1)
    again = Watched(follower.where, Home.open(tmp_path), follower.clock, follower.stopping, ["--sandbox"])
    again.started = []
    again._retain()
    again._tend(["--sandbox"])
    assert again.started == [], "what was done is known after a restart"


def test_a_clock_that_was_ahead_keeps_back_no_daily_work_and_no_retention(follower: Watched, tmp_path: Path) -> None:
    follower._retain()
    later(follower, 365 * DAY)
    follower._retain()
    follower._tend(["--sandbox"])
    for child in follower.started:
        child.returncode = 0
    follower._retain()
    follower._tend(["--sandbox"])
    later(follower, -365 * DAY)
    follower.started.clear()
    for _ in range(3):
        follower._retain()
        follower._tend(["--sandbox"])
    assert [child.words[:3] for child in follower.started] == [
        ("retention",),
        ("daily", "--date", YESTERDAY.isoformat()),
    ]


def test_topics_that_are_not_there_are_said_and_do_not_end_it(
    follower: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    broker = fresh_broker()
    with Reader(broker.connection) as reader:
        follower._load(reader)
    assert "raw.payloads cannot be loaded" in caplog.text
