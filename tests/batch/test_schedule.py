"""When the daily work is due without Airflow."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from batch.world import NOW
from sparktrends.batch.plan import day_of, day_start
from sparktrends.batch.schedule import AGAIN, AT, Tried, due
from sparktrends.model import DAY

TODAY = day_of(NOW)
YESTERDAY = TODAY - timedelta(days=1)


def test_a_day_is_due_when_it_is_over_and_providers_have_closed_it() -> None:
    midnight = day_start(TODAY)
    assert due(midnight + AT, None) == YESTERDAY
    assert due(midnight + AT - 1, None) == YESTERDAY - timedelta(days=1)


def test_a_complete_day_is_done_once() -> None:
    assert due(NOW, Tried(YESTERDAY, NOW - 1, complete=True)) is None
    assert due(NOW + DAY, Tried(YESTERDAY, NOW, complete=True)) == TODAY


def test_what_is_missing_is_tried_again_after_an_hour() -> None:
    tried = Tried(YESTERDAY, NOW, complete=False)
    assert due(NOW + AGAIN - 1, tried) is None
    assert due(NOW + AGAIN, tried) == YESTERDAY


def test_days_that_were_slept_through_come_first_but_not_for_ever() -> None:
    assert due(NOW, Tried(YESTERDAY - timedelta(days=3), 0, complete=False)) == YESTERDAY - timedelta(days=2)
    assert due(NOW, Tried(date(2020, 1, 1), 0, complete=True)) == YESTERDAY - timedelta(days=6)


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("days", [1, 366])
def test_a_day_that_has_not_come_was_of_a_clock_that_was_ahead(days: int, complete: bool) -> None:
    for at in (NOW, NOW + days * DAY):  # the clock was set right during the work, or after it
        assert due(NOW, Tried(YESTERDAY + timedelta(days=days), at, complete)) == YESTERDAY


def test_what_was_tried_is_read_again() -> None:
    tried = Tried(YESTERDAY, NOW, complete=True)
    assert Tried.read(tried.state()) == tried


@pytest.mark.parametrize("state", [None, {}, {"day": "x", "at": 1, "complete": True}, {"day": 3}])
def test_a_state_that_cannot_be_read_is_none(state: dict[str, object] | None) -> None:
    assert Tried.read(state) is None
