from __future__ import annotations

from decimal import Decimal

import pytest

from sparktrends.model import MINUTE, Quarantined, StoredProviderBar


def test_a_good_bar_keeps_everything(bar_verdict, now):
    answer = bar_verdict(trades=3, turnover="12.5e-30", closed=False, adjustment="split", received=now, fill=True)
    assert isinstance(answer, StoredProviderBar)
    bar = answer.bar
    assert bar.fill
    assert (bar.open, bar.close, bar.volume, bar.trades) == (Decimal(2), Decimal("2.5"), Decimal(0), 3)
    assert (bar.turnover, bar.closed, bar.adjustment, answer.arrival) == (Decimal("1.25E-29"), False, "split", now)


def test_what_is_not_said_has_a_default(bar_verdict, now):
    answer = bar_verdict()
    assert (answer.bar.closed, answer.bar.adjustment, answer.bar.trades, answer.bar.turnover) == (
        True,
        "raw",
        None,
        None,
    )
    assert answer.rank == (True, now + 1_000_000, 0, 7)


def test_bars_are_never_late(bar_verdict):
    assert isinstance(bar_verdict(start=0, interval="1d"), StoredProviderBar)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"interval": "2m"}, "bad_interval"), ({"interval": None}, "bad_interval"),
        ({"interval": ["1m"]}, "bad_interval"),
        ({"start": 1}, "bad_start"), ({"start": "0"}, "bad_start"), ({"start": -MINUTE}, "before_1970"),
        ({"high": "2.4"}, "high_low_contradiction"), ({"low": "2.1"}, "high_low_contradiction"),
        ({"open": "0"}, "bad_price"), ({"open": "x"}, "bad_open"), ({"volume": "-1"}, "bad_volume"),
        ({"volume": None}, "bad_volume"), ({"adjustment": "both"}, "bad_adjustment"),
        ({"adjustment": 1}, "bad_adjustment"),
        ({"closed": "yes"}, "bad_closed"), ({"fill": 1}, "bad_fill"),
        ({"trades": -1}, "bad_trades"), ({"trades": 10**12}, "bad_trades"),
        ({"trades": "3"}, "bad_trades"), ({"turnover": "-1"}, "bad_turnover"),
        ({"turnover": "1e-37"}, "too_many_digits"),
        ({"source": 5}, "bad_source"), ({"symbol": ""}, "bad_symbol"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named(bar_verdict, changes, reason):
    answer = bar_verdict(**changes)
    assert isinstance(answer, Quarantined)
    assert answer.reason == reason


def test_a_bar_of_the_future_is_refused(bar_verdict, now):
    assert bar_verdict(start=now + 2 * MINUTE).reason == "future_ts"
