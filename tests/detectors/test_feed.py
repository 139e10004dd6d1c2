"""Feed signals: one for each minute in which the feed failed."""

from __future__ import annotations

import pytest

from sparktrends.detectors import feed_signals


@pytest.mark.parametrize(
    ("reason", "severity"), [("feed_stale", "warning"), ("throttled", "warning"), ("partial_start", "info")]
)
def test_each_reason_has_its_severity(reason, severity):
    (signal,) = feed_signals([(("x", "A", "1m", 60), reason)])
    assert (signal.kind, signal.name, signal.direction, signal.severity) == ("feed", reason, "none", severity)
    assert signal.detail == {"reason": reason}


def test_a_quiet_market_is_not_a_broken_feed():
    assert feed_signals([(("x", "A", "1m", 60), "no_trade"), (("x", "A", "1m", 120), "")]) == []


def test_ids_are_those_of_the_minute():
    key = ("x", "A", "1m", 60)
    assert feed_signals([(key, "throttled")])[0].id == feed_signals([(key, "throttled")])[0].id
