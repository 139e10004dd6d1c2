from __future__ import annotations

import pytest

from sparktrends.bars.states import reason_of, state_of
from sparktrends.model import State, Statuses

OK, STALE, THROTTLED, START = Statuses.OK, Statuses.STALE, Statuses.THROTTLED, Statuses.START


@pytest.mark.parametrize(
    ("clock", "after_final", "state"),
    [(105, 0, State.FORMING), (106, 0, State.FINAL), (106, 1, State.REVISED), (105, 1, State.FORMING)],
)
def test_a_bar_is_final_when_the_clock_is_past_end_and_settle(clock, after_final, state):
    assert state_of(100, clock, 5, after_final) is state


@pytest.mark.parametrize(
    ("statuses", "empty", "traded"),
    [
        (0, "feed_stale", None),
        (OK, "no_trade", None),
        (STALE | OK, "feed_stale", "feed_stale"),
        (THROTTLED | STALE, "throttled", "throttled"),
        (START | THROTTLED | STALE | OK, "partial_start", "partial_start"),
    ],
)
def test_the_worst_heartbeat_is_the_reason(statuses, empty, traded):
    assert (reason_of(statuses, 0), reason_of(statuses, 3)) == (empty, traded)
