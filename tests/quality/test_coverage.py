"""Volume beside a second source: a small feed is no fault, an hour that lost much of its usual share is."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from sparktrends.model import HOUR, MINUTE
from sparktrends.quality import CHECKS, Minute, Prices, coverage, day_of, judged

DAY = 1440


def feed(share: float, seed: int = 1, noise: float = 0.5) -> list[Minute]:
    """A day of a market's volume as a feed sees it that has about that share."""
    market, own = random.Random(0), random.Random(seed)
    found = []
    for n in range(DAY):
        whole = market.lognormvariate(3, 1)
        volume = whole * share * own.lognormvariate(-(noise**2) / 2, noise)
        found.append(Minute(n * MINUTE, "", Prices(100, 100, 100, 100, volume)))
    return found


def cut(minutes: list[Minute], hours: range, left: float) -> list[Minute]:
    """The feed with only a part of its volume in some hours."""
    return [
        replace(m, own=replace(m.own, volume=m.own.volume * left)) if m.own and m.start // HOUR in hours else m
        for m in minutes
    ]


@pytest.mark.parametrize("seed", range(1, 8))
def test_a_small_feed_beside_the_whole_market_loses_nothing(seed: int) -> None:
    found = coverage({"part": feed(0.03, seed), "whole": feed(1.0, seed + 90, 0.1)})
    assert found["part"].lacking == found["whole"].lacking == {}
    assert found["part"].share == pytest.approx(0.03, rel=0.1)
    assert found["part"].against == "whole"
    assert found["whole"].share == pytest.approx(33, rel=0.1)


def test_what_an_hour_lost_costs_its_share_and_is_found_in_who_lost_it() -> None:
    hours = range(9, 12)
    sources = {"a": cut(feed(0.5, 2, 0.1), hours, 0.4), "b": feed(1.0, 3, 0.1), "c": feed(0.1, 4, 0.1)}
    found = coverage(sources)
    assert {start // HOUR for start in found["a"].lacking} == set(hours)
    assert list(found["a"].lacking.values()) == pytest.approx([0.6] * 180, abs=0.04)
    assert found["b"].lacking == found["c"].lacking == {}
    day = day_of(judged(sources["a"], lacking=found["a"].lacking))
    assert day.points["coverage"] == pytest.approx(100 * CHECKS["coverage"].weight * 0.6 * 3 / 24, rel=0.1)


def test_who_counts_everything_twice_accuses_nobody_where_there_is_a_third() -> None:
    twice = cut(feed(1.0, 3, 0.1), range(5, 7), 2.0)
    found = coverage({"a": feed(0.5, 2, 0.1), "b": twice, "c": feed(0.3, 4, 0.1)})
    assert {name: one.lacking for name, one in found.items()} == {"a": {}, "b": {}, "c": {}}


def test_minutes_that_lack_trades_are_not_blamed_again() -> None:
    stale = [replace(m, reason="feed_stale", own=None) if m.start < 12 * HOUR else m for m in feed(1.0)]
    assert coverage({"a": stale, "b": feed(1.0, 2)})["a"].lacking == {}


def test_a_feed_that_says_nobody_traded_lacks_everything() -> None:
    quiet = [replace(m, reason="no_trade", own=None) if m.start // HOUR == 3 else m for m in feed(1.0, 1, 0.1)]
    assert set(coverage({"a": quiet, "b": feed(1.0, 2, 0.1)})["a"].lacking.values()) == {1.0}


@pytest.mark.parametrize("silent", [13, 24])
def test_a_feed_without_a_trade_for_most_of_the_day_or_all_of_it_lacks_everything(silent: int) -> None:
    quiet = [replace(m, reason="no_trade", own=None) if m.start < silent * HOUR else m for m in feed(1.0, 1, 0.1)]
    found = coverage({"a": quiet, "b": feed(1.0, 2, 0.1)})
    assert found["a"].lacking == {n * MINUTE: 1.0 for n in range(silent * 60)}
    assert found["a"].share == pytest.approx(1 - silent / 24, abs=0.05)
    assert found["a"].against == "b"
    assert day_of(judged(quiet, lacking=found["a"].lacking)).score == pytest.approx(100 - 50 * silent / 24)
    assert found["b"].lacking == {}


def test_a_stock_without_a_trade_for_its_whole_session_lacks_everything() -> None:
    whole = feed(1.0)[14 * 60 + 30 : 21 * 60]
    quiet = [replace(m, reason="no_trade", own=None) for m in whole]
    assert set(coverage({"a": quiet, "b": whole})["a"].lacking) == {m.start for m in whole}


def test_a_small_feed_of_a_market_that_hardly_trades_may_see_nothing_for_hours() -> None:
    thin = [m if n % 2 else replace(m, reason="no_trade", own=None) for n, m in enumerate(feed(1.0))]
    quiet = [replace(m, reason="no_trade", own=None) if m.start < 20 * HOUR else m for m in feed(0.01)]
    assert coverage({"a": quiet, "b": thin})["a"].lacking == {}


def test_a_feed_that_began_some_minutes_ago_may_have_seen_no_trade() -> None:
    quiet = [replace(m, reason="no_trade", own=None) for m in feed(1.0)[-19:]]
    assert coverage({"a": quiet, "b": feed(1.0, 2)})["a"].lacking == {}


def test_who_has_no_trade_where_one_of_two_others_has_none_lacks_nothing() -> None:
    quiet = [replace(m, reason="no_trade", own=None) for m in feed(1.0)]
    late = [replace(m, reason="no_trade", own=None) if m.start < 23 * HOUR else m for m in feed(1.0)]
    found = coverage({"a": quiet, "b": feed(1.0, 2), "c": late})
    assert {start // HOUR for start in found["a"].lacking} == {23}


def test_who_has_prices_and_never_a_volume_lacks_none() -> None:
    found = coverage({"a": feed(0.0), "b": feed(1.0, 2)})
    assert found["a"].lacking == found["b"].lacking == {}
    assert found["a"].share is None


@pytest.mark.parametrize("others", [{}, {"b": []}, {"b": feed(0.0, 2)}, {"b": feed(1.0, 2)[: 3 * 60]}])
def test_who_is_alone_or_hardly_compared_lacks_nothing(others: dict[str, list[Minute]]) -> None:
    assert coverage({"a": cut(feed(1.0), range(2), 0.1), **others})["a"].lacking == {}


def test_minutes_that_hold_some_of_their_trades_are_not_blamed_again() -> None:
    throttled = [
        replace(m, reason="throttled") if m.start // HOUR == 3 else m for m in cut(feed(1.0), range(3, 4), 0.3)
    ]
    assert coverage({"a": throttled, "b": feed(1.0, 2)})["a"].lacking == {}


def test_the_bars_of_the_provider_are_not_the_volume_of_the_feed() -> None:
    whole = feed(1.0, 1, 0.1)
    filled = [
        replace(m, reason="feed_stale", own=None, provider=w.own) if m.start < 14 * HOUR else m
        for m, w in zip(feed(0.03, 2, 0.1), whole, strict=True)
    ]
    found = coverage({"part": filled, "whole": whole})
    assert (found["part"].lacking, found["whole"].lacking) == ({}, {})
    assert found["part"].share == pytest.approx(0.03, rel=0.1)


def test_a_provider_without_trades_is_compared_by_the_bars_that_are_seen() -> None:
    polled = [replace(m, reason="partial_start", provider=m.own) for m in feed(1.0, 2, 0.1)]
    flat = [replace(m, own=replace(m.own, volume=0.0)) if m.own else m for m in polled]
    found = coverage({"part": cut(feed(0.03, 3, 0.1), range(9, 12), 0.4), "polled": flat}, tapeless={"polled"})
    assert found["part"].against == "polled"
    assert {start // HOUR for start in found["part"].lacking} == {9, 10, 11}
    told = [replace(m, provider=None) for m in polled]
    assert coverage({"part": feed(0.03), "polled": told}, tapeless={"polled"})["part"].against == "polled"
    prices = [replace(m, provider=None) for m in flat]
    assert coverage({"part": feed(0.03), "polled": prices}, tapeless={"polled"})["part"].share is None
