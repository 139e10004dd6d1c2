"""The sink folds one batch while it commits the one before, in order, and keeps no failure to itself."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from sparktrends.bars import FoldResult, Limits
from sparktrends.commit import Committed, Laws
from sparktrends.errors import LogGap, Unavailable
from sparktrends.model import OffsetRange
from sparktrends.streaming.sink import OffsetLog, Sink

PATIENCE_S = 10


class Slow(Sink):
    """A sink whose store takes as long as the test wants."""

    __slots__ = ("errors", "open", "stored")

    stored: list[list[OffsetRange]]
    errors: list[Exception]
    open: threading.Event

    def _commit(self, ranges: Any, result: FoldResult) -> Committed | None:
        assert self.open.wait(PATIENCE_S)
        if self.errors:
            raise self.errors.pop()
        self.stored.append(ranges)
        return Committed(len(self.stored), 0, sum(r.end - r.start for r in ranges))


@pytest.fixture
def sink(tmp_path: Path) -> Slow:
    """With three batches of ten records planned."""
    (tmp_path / "offsets").mkdir()
    for number in range(3):
        planned = json.dumps({"t": {"0": (number + 1) * 10}})
        (tmp_path / "offsets" / str(number)).write_text(f"v1\n{{}}\n{planned}")
    offsets = OffsetLog(tmp_path, {"t": "id"}, {("t", 0): 0})
    made = Slow(None, offsets, Laws(Limits()), lambda: 0, lambda _: True, fold=lambda *_: FoldResult())  # type: ignore[arg-type]
    made.stored, made.errors, made.open = [], [], threading.Event()
    made.small = 9  # ten records are a piece of a backlog
    return made


def test_the_next_batch_is_folded_before_this_one_is_stored(sink: Slow) -> None:
    folded = []
    sink.fold = lambda *_: folded.append(len(sink.stored)) or FoldResult()  # type: ignore[func-returns-value]
    sink(None, 0)  # type: ignore[arg-type]
    opener = threading.Timer(0.05, sink.open.set)
    opener.start()
    sink(None, 1)  # type: ignore[arg-type]
    sink.settle()
    assert folded == [0, 0]
    assert [(r.start, r.end) for ranges in sink.stored for r in ranges] == [(0, 10), (10, 20)]


def test_a_small_batch_is_stored_before_the_next_one_is_folded(sink: Slow) -> None:
    sink.small = 10
    folded = []
    sink.fold = lambda *_: folded.append(len(sink.stored)) or FoldResult()  # type: ignore[func-returns-value]
    sink.open.set()
    sink(None, 0)  # type: ignore[arg-type]
    sink(None, 1)  # type: ignore[arg-type]
    assert folded == [0, 1]
    assert len(sink.stored) == 2


def test_a_failure_is_seen_and_raised_once_by_the_next_batch(sink: Slow) -> None:
    sink.open.set()
    sink.errors = [LogGap("no")]
    sink(None, 0)  # type: ignore[arg-type]
    with pytest.raises(LogGap):
        sink(None, 1)  # type: ignore[arg-type]
    sink.settle()
    assert sink.stored == []


def test_a_failure_shows_without_a_next_batch(sink: Slow) -> None:
    sink.errors = [LogGap("no")]
    sink(None, 0)  # type: ignore[arg-type]
    assert not sink.failed
    sink.open.set()
    sink.close()
    assert sink.failed
    with pytest.raises(LogGap):
        sink.settle()


def test_whether_a_batch_failed_is_asked_while_another_one_takes_its_place(sink: Slow) -> None:
    class Settled(Future[None]):
        def done(self) -> bool:
            # As if Spark's thread came in between with the next batch.
            sink.settle()
            return super().done()

    under_way = Settled()
    under_way.set_result(None)
    sink._under_way = under_way
    assert not sink.failed


def test_a_stop_ends_the_wait_for_a_store_that_is_away(sink: Slow) -> None:
    sink.open.set()
    sink.errors = [Unavailable("away")]
    sink(None, 0)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        sink.settle()


def test_what_was_committed_is_told_in_order(sink: Slow) -> None:
    told: list[int] = []
    sink.on_commit = lambda done: told.append(done.commit)
    sink.open.set()
    for number in range(3):
        sink(None, number)  # type: ignore[arg-type]
    sink.settle()
    assert told == [1, 2, 3]


def test_a_batch_without_records_is_nothing(sink: Slow) -> None:
    sink.offsets.next_offsets["t", 0] = 10
    sink(None, 0)  # type: ignore[arg-type]
    assert sink.stored == []
    assert not sink.failed


def test_an_offset_log_that_was_taken_away_starts_the_query_anew(sink: Slow) -> None:
    with pytest.raises(Unavailable, match="offset log"):
        sink(None, 7)  # type: ignore[arg-type]
