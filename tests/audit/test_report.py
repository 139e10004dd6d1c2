"""What an audit tells people: never more than it compared."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sparktrends.audit.report import Report

FROM = "2026-11-23T02:13:00+00:00"
EVERYTHING = {"raw.trades": None, "raw.bars": None}
COUNTS = {"trades": 600, "prices": 0, "heartbeats": 5, "bars": 3, "late": 0, "quarantined": 0}


def report(**more: Any) -> Report:
    """Of a right database of which everything was compared, unless said otherwise."""
    compared = {"bars_checked": 10, "longer_bars_checked": 4, "provider_bars_checked": 3, "checked_from": EVERYTHING}
    found = {"findings": (), "findings_by_kind": {}, "repeated_ids": 0, "repeated_examples": ()}
    known: dict[str, Any] = {"spans": (), "counts": COUNTS, **compared, **found}
    return Report(**{**known, **more})


def verdict(**more: Any) -> str:
    return report(**more).text().split(".")[0]


def test_every_bar_is_right_only_where_all_were_compared() -> None:
    assert verdict() == "audit: every record is in one place and every bar is right"
    assert "compared from" not in report().text()


@pytest.mark.parametrize(
    "more",
    [
        {"checked_from": {"raw.trades": FROM, "raw.bars": None}},
        {"checked_from": {"raw.trades": None, "raw.bars": FROM}},
        {"unchecked": {"archived bars": 1}},
    ],
)
def test_where_some_were_not_compared_those_that_were_are_right(more: dict[str, Any]) -> None:
    assert verdict(**more) == "audit: every record is in one place and every bar that was compared is right"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"bars_checked": 0}, "no minute"),
        ({"provider_bars_checked": 0}, "no provider bar"),
        ({"bars_checked": 0, "provider_bars_checked": 0}, "no minute and no provider bar"),
    ],
)
def test_no_bar_is_called_right_where_the_log_has_records_and_none_was_compared(
    more: dict[str, Any], said: str
) -> None:
    gone = report(**more, checked_from=dict.fromkeys(EVERYTHING, FROM))
    assert gone.text().startswith(f"audit: every record is in one place, but {said} could be compared. ")
    assert gone.ok, "nothing was found"


def test_a_log_without_trades_needs_no_minute() -> None:
    counts = {**COUNTS, "trades": 0, "bars": 0}
    empty = {"bars_checked": 0, "longer_bars_checked": 0, "provider_bars_checked": 0}
    assert verdict(counts=counts, **empty).endswith("every bar is right")


def test_what_is_wrong_goes_before_what_was_not_compared() -> None:
    assert verdict(bars_checked=0, findings_by_kind={"ledger": 1}) == "audit: something is wrong"


def test_the_time_from_which_bars_were_compared_is_told() -> None:
    text = report(checked_from={"raw.trades": FROM, "raw.bars": None}).text()
    assert f"  minutes and longer bars were compared from {FROM} on: " in text
    assert "provider bars were compared from" not in text
    both = report(checked_from=dict.fromkeys(EVERYTHING, FROM))
    assert f"  provider bars were compared from {FROM} on: " in both.text()
    assert json.loads(json.dumps(both.to_json()))["checked_from"] == {"raw.trades": FROM, "raw.bars": FROM}
