"""Which minutes of a day are expected: those of an open market, and those with trades."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest

from sparktrends.batch import minutes as module
from sparktrends.batch.minutes import Span, minutes_of
from sparktrends.model import HOUR, MINUTE
from sparktrends.store.quality_rows import MinuteRow, SeriesRow

DAY = date(2024, 11, 21)
OPEN = int(datetime(2024, 11, 21, 14, 30, tzinfo=UTC).timestamp()) * 1_000_000
BAR = (1.0, 1.0, 1.0, 1.0, 5.0)


def minutes(monkeypatch: pytest.MonkeyPatch, stored: Sequence[MinuteRow], first: int) -> list[tuple[int, str]]:
    """(minutes since the bell, reason) of a stock's day, of which an hour is over."""
    monkeypatch.setattr(module.rows, "minutes", lambda *_: iter(stored))
    monkeypatch.setattr(module.rows, "closed_spans", lambda *_: [])
    nothing: Any = None
    span = Span.of(DAY, OPEN + HOUR + MINUTE)
    found = minutes_of(nothing, SeriesRow(1, "finnhub", "AAPL", first, OPEN + HOUR), span, {})
    return [((minute.start - OPEN) // MINUTE, minute.reason) for minute in found]


def test_bars_of_a_provider_from_before_the_bell_make_no_minute_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    early = MinuteRow(OPEN - 2 * MINUTE, "", None, BAR)
    traded = MinuteRow(OPEN - MINUTE, "", BAR, BAR)
    found = minutes(monkeypatch, [early, traded, MinuteRow(OPEN, "", BAR, BAR)], OPEN - HOUR)
    assert found[:3] == [(-1, ""), (0, ""), (1, "hole")]


def test_the_bars_with_which_a_symbol_begins_are_not_expected_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    past = [MinuteRow(OPEN + n * MINUTE, "", None, BAR) for n in range(30)]
    live = MinuteRow(OPEN + 30 * MINUTE, "", BAR, BAR)
    assert minutes(monkeypatch, [*past, live], live.start)[0] == (30, "")


def test_the_minute_in_the_midst_of_which_a_symbol_began_is_not_expected_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for own in (None, BAR):
        begun = MinuteRow(OPEN + 30 * MINUTE, "partial_start", own, None)
        again = MinuteRow(OPEN + 31 * MINUTE, "partial_start", own, None)
        assert minutes(monkeypatch, [begun, again], begun.start)[0] == (31, "partial_start")
        assert minutes(monkeypatch, [begun._replace(reason="")], begun.start)[0] == (30, "")
