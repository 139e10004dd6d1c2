"""Each planted fault lowers the score by its share, a clean day is whole, and the reasons always add up."""

from __future__ import annotations

from dataclasses import replace
from math import sin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.model import MINUTE
from sparktrends.quality import CHECKS, Counts, Day, Judged, Minute, Prices, day_of, judged
from sparktrends.quality.checks import faults

DAY = 1440
REASONS = ("feed_stale", "throttled", "partial_start", "hole")


def bar(n: int, volume: float = 10.0) -> Prices:
    """A minute of a calm market."""
    close, before = (100 + sin(k / 30) for k in (n, n - 1))
    return Prices(before, max(before, close) + 0.02, min(before, close) - 0.02, close, volume)


def clean_day() -> list[Minute]:
    return [Minute(n * MINUTE, "", bar(n), bar(n), Counts(records=20)) for n in range(DAY)]


def scored(minutes: list[Minute], *, tape: bool = True) -> Day:
    return day_of(judged(minutes, tape=tape))


def planted(share: float, **changes: object) -> list[Minute]:
    """A clean day with that share of its minutes changed."""
    spoilt = round(share * DAY)
    return [replace(m, **changes) if n < spoilt else m for n, m in enumerate(clean_day())]  # type: ignore[arg-type]


def test_a_clean_day_has_lost_nothing() -> None:
    assert (scored(clean_day()).score, scored(clean_day()).points) == (100.0, {})
    assert day_of([]).score == 100.0


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("reason", REASONS)
def test_missing_minutes_cost_their_share_of_the_day_and_say_why(reason: str, share: float) -> None:
    day = scored(planted(share, reason=reason, own=None, provider=None, counts=Counts()))
    assert day.score == pytest.approx(100 * (1 - round(share * DAY) / DAY))
    assert list(day.points) == [f"missing_{reason}"]
    assert day.faulty == {f"missing_{reason}": round(share * DAY)}


@pytest.mark.parametrize(
    ("check", "changes"),
    [
        ("partial", {"reason": "throttled", "provider": None}),
        ("filled", {"reason": "feed_stale", "own": None}),
        ("late", {"counts": Counts(records=20, late=20)}),
        ("repeated", {"counts": Counts(records=20, repeated=20)}),
        ("out_of_order", {"counts": Counts(records=20, disordered=20)}),
        ("impossible", {"counts": Counts(records=0, impossible=20)}),
        ("fields", {"counts": Counts(records=20, odd_fields=20)}),
    ],
)
def test_a_fault_costs_its_weight_and_share(check: str, changes: dict[str, object]) -> None:
    day = scored(planted(0.25, **changes))
    assert day.points == {check: pytest.approx(25 * CHECKS[check].weight)}
    assert day.score == pytest.approx(100 - 25 * CHECKS[check].weight)


def test_half_of_the_records_cost_half() -> None:
    found = dict(faults(Minute(0, counts=Counts(records=10, impossible=10, repeated=5))))
    assert found == {"impossible": 0.5, "repeated": 0.25}


def test_a_ledger_that_outlives_the_log_counts_by_itself() -> None:
    assert dict(faults(Minute(0, counts=Counts(records=0, late=3)))) == {"late": 1.0}


def test_volume_that_the_providers_bar_has_alone_is_not_covered() -> None:
    assert dict(faults(Minute(0, "", bar(1, 6), bar(1, 10)))) == {"coverage": pytest.approx(0.4)}
    assert dict(faults(Minute(0, "", bar(1, 9.95), bar(1, 10)))) == {}
    assert dict(faults(Minute(0, "", bar(1, 6), bar(1, 0)))) == {}


def test_a_minute_without_any_of_the_trades_that_the_providers_bar_has_is_not_covered_at_all() -> None:
    day = scored(planted(0.25, reason="no_trade", own=None))
    assert (day.score, day.points) == (pytest.approx(87.5), {"coverage": pytest.approx(12.5)})
    assert dict(faults(Minute(0, "no_trade", None, bar(1, 0)))) == {}
    # Of a price that did not move nobody says that it was not traded.
    assert dict(faults(Minute(0, "no_trade", None, bar(1)), tape=False)) == {}


def test_a_providers_bar_where_nothing_of_ours_is_stored_stands_in_for_trades() -> None:
    assert scored(planted(0.25, reason="", own=None)).points == {"filled": pytest.approx(2.5)}
    assert scored(planted(1.0, reason="", own=None), tape=False).score == 100


@pytest.mark.parametrize(
    ("high", "low", "found"), [(0, 0, {}), (1, 0, {"contradiction": 1}), (0, -1, {"contradiction": 1})]
)
def test_a_high_or_low_that_the_provider_never_saw_is_a_contradiction(high: float, low: float, found: object) -> None:
    own = replace(bar(5), high=bar(5).high + high, low=bar(5).low + low)
    assert dict(faults(Minute(0, "", own, bar(5)))) == found


def test_providers_bars_stand_in_for_nothing_where_there_are_no_trades() -> None:
    assert scored(planted(1.0, reason="partial_start", own=None), tape=False).score == 100
    assert scored(planted(1.0, reason="partial_start", provider=None), tape=False).score == 100
    assert scored(planted(1.0, reason="throttled", provider=None), tape=False).score == 50
    assert scored(planted(1.0, reason="no_trade", own=None, provider=None)).score == 100


COUNTS = st.builds(Counts, *(st.integers(0, 50),) * 6)
PRICES = st.none() | st.builds(bar, st.integers(0, 99), st.floats(0, 50))
MINUTES = st.lists(st.builds(Minute, st.just(0), st.sampled_from(("", "no_trade", *REASONS)), PRICES, PRICES, COUNTS))


@given(MINUTES, st.booleans())
def test_score_and_reasons_add_up_for_whatever_is_stored(minutes: list[Minute], tape: bool) -> None:
    placed = [replace(m, start=n * MINUTE) for n, m in enumerate(minutes)]
    found = judged(placed, {m.start for m in placed[::3]}, tape=tape)
    for one in (*found, day_of(found)):
        assert 0 <= one.score <= 100
        assert one.score + sum(one.points.values()) == pytest.approx(100)
        assert set(one.points) <= set(CHECKS)
        assert all(lost > 0 for lost in one.points.values())


def test_a_day_is_the_mean_of_its_minutes() -> None:
    day = day_of([Judged(0, {"late": 10.0}), Judged(1, {"late": 30.0, "fields": 2.0}), Judged(2, {}), Judged(3, {})])
    assert (day.points, day.faulty, day.score) == ({"late": 10.0, "fields": 0.5}, {"late": 2, "fields": 1}, 89.5)


@pytest.mark.parametrize("check", ["late", "impossible"])
def test_records_that_nobody_read_are_as_many_as_the_trades_of_the_bar(check: str) -> None:
    of_day = Minute(0, own=bar(0), trades=999, counts=Counts(**{check: 1}))
    assert dict(faults(of_day)) == {check: pytest.approx(1 / 1000)}


def test_records_that_were_read_are_counted_whatever_the_bar_holds() -> None:
    read = Minute(0, own=bar(0), trades=2, counts=Counts(records=10, late=5))
    assert dict(faults(read)) == {"late": 0.5}


@pytest.mark.parametrize("records", [10, 0])
def test_a_late_trade_that_repair_put_into_its_bar_is_one_of_the_bars_trades(records: int) -> None:
    repaired = Minute(0, own=bar(0), trades=10, counts=Counts(records=records, late=5, folded=5))
    assert dict(faults(repaired)) == {"late": 0.5}


@pytest.mark.parametrize("spike", [0, DAY - 1])
def test_a_jump_in_the_first_or_last_minute_of_the_day_costs_it(spike: int) -> None:
    day = clean_day()
    day[spike] = replace(day[spike], own=replace(bar(spike), high=150), provider=None)
    assert scored(day).faulty == {"jump": 1}
