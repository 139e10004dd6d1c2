"""Bars against bars: each figure of the truth report, planted by hand."""

from __future__ import annotations

from dataclasses import replace

from sparktrends.model import MINUTE
from sparktrends.quality import Minute, Prices, Truth, truth_of

OURS = Prices(100, 102, 99, 101, 5)


def test_equal_minutes_have_no_error() -> None:
    found = truth_of([Minute(n * MINUTE, own=OURS, provider=OURS) for n in range(3)])
    assert found == Truth(3, 3, 3, 0.0, 0.0, None, 0, 1.0, {}, {})


def test_the_worst_error_is_named_with_its_minute() -> None:
    theirs = replace(OURS, close=100.0)
    found = truth_of([Minute(0, own=OURS, provider=OURS), Minute(MINUTE, own=OURS, provider=theirs)])
    assert (found.equal, found.worst_bp, found.worst_at) == (1, 100.0, MINUTE)
    assert found.error_bp == 100 / 8
    assert found.contradictions == 0


def test_a_price_that_the_provider_excludes_contradicts_it() -> None:
    inside = replace(OURS, high=102.04)  # 4 basis points: rounding
    outside = replace(OURS, low=98.9)
    minutes = [Minute(n * MINUTE, own=own, provider=OURS) for n, own in enumerate((inside, outside))]
    assert truth_of(minutes).contradictions == 1


def test_missing_minutes_are_told_by_cause() -> None:
    minutes = [
        Minute(0, "feed_stale", provider=OURS),
        Minute(1, "no_trade"),  # nobody traded: nothing is missing
        Minute(2, "no_trade", provider=replace(OURS, volume=0)),
        Minute(3, "no_trade", provider=OURS),
        Minute(4, provider=OURS),
        Minute(5, "hole"),
        Minute(6, "throttled", own=OURS, provider=OURS),
    ]
    found = truth_of(minutes)
    assert found.missing == {"feed_stale": 1, "no_trade": 1, "hole": 2}
    assert found.partial == {"throttled": 1}
    assert (found.compared, found.error_bp, found.coverage) == (0, None, 0.25)
