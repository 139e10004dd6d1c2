"""What `up` runs beside the stream: the daily work in a process of its own, and retention once a week."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from sparktrends.batch.plan import day_of
from sparktrends.model import DAY, HOUR
from sparktrends.ops.endpoints import Endpoints
from sparktrends.ops.following import Follower
from sparktrends.ops.home import Home
from sparktrends.ops.jobs import Done

NOW = 1_795_248_000_000_000  # 2026-11-21 08:00 UTC
YESTERDAY = day_of(NOW) - timedelta(days=1)


class Child:
    """A process that ends when a test says so."""

    def __init__(self, day: date) -> None:
        self.day = day
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode


class Watched(Follower):
    """A follower whose children are remembered instead of started."""

    started: list[Child]

    def _start(self, day: date, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        assert list(arguments) == ["--sandbox"]
        self.started.append(Child(day))
        return cast(Any, self.started[-1])


@pytest.fixture
def follower(tmp_path: Path) -> Watched:
    made = Watched(
        cast(Endpoints, None), Home.open(tmp_path), lambda: NOW, threading.Event(), lambda: Done("kept"), ["--sandbox"]
    )
    made.started = []
    return made


def later(follower: Watched, micros: int) -> None:
    now = follower.clock() + micros
    follower.clock = lambda: now


def test_a_day_is_worked_on_once(follower: Watched) -> None:
    follower._tend(["--sandbox"])
    follower._tend(["--sandbox"])
    (child,) = follower.started
    assert child.day == YESTERDAY
    child.returncode = 0
    for _ in range(3):
        follower._tend(["--sandbox"])
    assert len(follower.started) == 1
    later(follower, DAY)
    follower._tend(["--sandbox"])
    assert [c.day for c in follower.started] == [YESTERDAY, YESTERDAY + timedelta(days=1)]


def test_an_incomplete_day_is_tried_again_after_an_hour(follower: Watched) -> None:
    follower._tend(["--sandbox"])
    follower.started[0].returncode = 1
    follower._tend(["--sandbox"])
    follower._tend(["--sandbox"])
    assert len(follower.started) == 1
    later(follower, HOUR)
    follower._tend(["--sandbox"])
    assert [c.day for c in follower.started] == [YESTERDAY, YESTERDAY]


def test_a_follower_that_was_killed_begins_the_day_again(follower: Watched, tmp_path: Path) -> None:
    follower._tend(["--sandbox"])
    again = Watched(
        follower.where, Home.open(tmp_path), follower.clock, follower.stopping, follower.retain, ["--sandbox"]
    )
    again.started = []
    again._tend(["--sandbox"])
    assert [c.day for c in again.started] == [YESTERDAY]


def test_retention_comes_once_a_week_and_not_at_the_first_start(follower: Watched) -> None:
    done: list[int] = []
    follower.retain = lambda: Done(str(done.append(1)))
    for _ in range(3):
        follower._retain()
    assert done == []
    later(follower, 7 * DAY)
    for _ in range(3):
        follower._retain()
    assert done == [1]
