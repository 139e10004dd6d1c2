"""The stream ends its query between batches, whatever made it end."""

from __future__ import annotations

import threading
from typing import Any

from sparktrends.streaming.run import Stream


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
    stream: Any = Stream(None, None, threading.Event(), lambda: ())  # type: ignore[arg-type]
    sink = Sink()
    process = stream._guarded(sink)
    process(None, 0)
    stream._end(Query(process), sink)
    assert sink.batches == [0]
