"""Minutes, holes and reasons as law 6 has them, and as the stream's own step makes them."""

from __future__ import annotations

import pytest

from sparktrends.audit.records import Event
from sparktrends.audit.series import Series, holes, rows
from sparktrends.model import DAY, MINUTE, SECOND

SETTLE = 5 * SECOND


def series(known: list[int], clock: int, closed: tuple[int, ...] = ()) -> Series:
    made = Series("demo", "A")
    for start in known:
        made.beat(Event("heartbeats", "demo", "A", start * MINUTE, start * MINUTE, status="ok", touches=True))
    for start in closed:
        made.beat(Event("heartbeats", "demo", "A", start * MINUTE, start * MINUTE, status="closed", touches=True))
    made.clock = clock
    return made


def starts(made: Series) -> list[int]:
    return [start // MINUTE for start, _ in rows(made)]


def test_the_minutes_between_known_ones_are_rows() -> None:
    assert starts(series([3, 7], 8 * MINUTE)) == [3, 4, 5, 6, 7]


def test_a_hole_of_a_day_is_rows_and_one_minute_more_is_a_span() -> None:
    day = DAY // MINUTE
    assert len(starts(series([0, day + 1], (day + 2) * MINUTE))) == day + 2
    longer = series([0, day + 2], (day + 3) * MINUTE)
    assert starts(longer) == [0, day + 2]
    assert list(holes(longer)) == [(MINUTE, (day + 2) * MINUTE)]


def test_closed_minutes_are_no_rows_unless_somebody_spoke_in_them() -> None:
    made = series([1, 5], 6 * MINUTE, closed=(3, 4, 5, 2))
    assert starts(made) == [1, 5]
    assert made.closed() == [(2 * MINUTE, 6 * MINUTE)]


def test_nothing_is_a_row_after_the_last_known_minute_however_far_the_clock_is() -> None:
    assert starts(series([2], 9 * DAY)) == [2]


@pytest.mark.parametrize(
    ("statuses", "trades", "reason"),
    [
        (0, 0, "feed_stale"),
        (1, 0, "no_trade"),
        (1 | 4, 0, "throttled"),
        (1 | 2 | 4, 0, "throttled"),
        (31, 0, "partial_start"),
        (0, 1, None),
        (1, 1, None),
        (1 | 4, 1, "throttled"),
        (2 | 4, 1, "throttled"),
        (16 | 2, 1, "partial_start"),
    ],
)
def test_the_worst_status_is_the_reason(statuses: int, trades: int, reason: str | None) -> None:
    minute = series([0], 0).minute(0)
    minute.statuses, minute.trades = statuses, trades
    assert minute.values(0, 0, SETTLE)[11] == reason


def test_a_heartbeat_that_is_late_moves_the_clock_only() -> None:
    made = Series("demo", "A")
    made.beat(Event("heartbeats", "demo", "A", 0, DAY, status="ok", touches=False))
    assert (made.clock, made.minutes) == (DAY, {})
    assert starts(made) == []


def test_minutes_reached_before_the_log_begins_join_on() -> None:
    made = series([7], 8 * MINUTE)
    assert [start // MINUTE for start, _ in rows(made, since=5 * MINUTE)] == [5, 6, 7]
