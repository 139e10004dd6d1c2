"""What is said of a symbol: a table of situations and the word for each."""

from __future__ import annotations

import pytest

from sparktrends.ingest.heartbeats import Feed, minute_end, status_of
from sparktrends.model import MINUTE, SECOND, Status

NOW = 10 * MINUTE
UP, DOWN = Feed(up=True), Feed(down_since=NOW - 20 * SECOND)


@pytest.mark.parametrize(
    ("feed", "tape", "trading", "patience", "status"),
    [
        (UP, True, True, 0, Status.OK),
        (UP, True, False, 0, Status.CLOSED),
        (DOWN, True, False, 0, Status.CLOSED),
        (DOWN, True, True, 0, Status.STALE),
        (DOWN, True, True, 15 * SECOND, Status.STALE),
        (DOWN, True, True, 30 * SECOND, None),
        (Feed(up=True, partial_until=NOW + 1), True, True, 0, Status.START),
        (Feed(up=True, partial_until=NOW), True, True, 0, Status.OK),
        (UP, False, True, 0, Status.START),
        (Feed(up=True, throttled=True), False, True, 0, Status.THROTTLED),
        (Feed(throttled=True), False, True, 0, Status.THROTTLED),
        (Feed(arriving=True), True, True, 0, None),
    ],
)
def test_the_word_for_a_situation(feed: Feed, tape: bool, trading: bool, patience: int, status: Status | None) -> None:
    assert status_of(feed, NOW, tape, lambda: trading, patience) == status


@pytest.mark.parametrize("ts", [0, 1, MINUTE - 1])
def test_a_minute_ends_where_the_next_begins(ts: int) -> None:
    assert minute_end(ts) == MINUTE
