"""Jumps that come back at once, and moves that one source alone saw; a wild market is neither."""

from __future__ import annotations

import random
from dataclasses import replace
from math import exp

import pytest

from sparktrends.model import MINUTE
from sparktrends.quality import Minute, Prices, jumps, uncorroborated


def market(seed: int, scale: float = 0.0008, count: int = 1440) -> list[Minute]:
    """A random walk with fat tails, as wild as ``scale``."""
    rng, price, found = random.Random(seed), 100.0, []
    for n in range(count):
        # Student's t with four degrees of freedom.
        move = scale * rng.gauss(0, 1) / (sum(rng.gauss(0, 1) ** 2 for _ in range(4)) / 4) ** 0.5
        close = price * exp(move)
        found.append(Minute(n * MINUTE, "", Prices(price, max(price, close), min(price, close), close, 1.0)))
        price = close
    return found


def scaled(minutes: list[Minute], start: int, count: int, by: float) -> list[Minute]:
    """The minutes with some of their closes and extremes moved."""
    changed = list(minutes)
    for n in range(start, start + count):
        bar = minutes[n].own
        assert bar
        high, low = max(bar.high, bar.close * by), min(bar.low, bar.close * by)
        changed[n] = replace(minutes[n], own=Prices(bar.open, high, low, bar.close * by, 1.0))
    return changed


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [0.0001, 0.0008, 0.004])
def test_a_wild_day_has_hardly_a_jump(seed: int, scale: float) -> None:
    assert len(jumps(market(seed, scale))) <= 3


@pytest.mark.parametrize("by", [1.05, 0.95, 3.0, 0.1])
def test_a_jump_that_comes_back_is_found_and_one_that_stays_is_not(by: float) -> None:
    calm = market(3)
    assert jumps(scaled(calm, 700, 1, by)) - jumps(calm) == {700 * MINUTE}
    assert not jumps(scaled(calm, 700, 740, by)) - jumps(calm)


def test_minutes_without_prices_are_passed_over() -> None:
    calm = scaled(market(3), 700, 1, 1.1)
    for n in (699, 701, 702):
        calm[n] = Minute(n * MINUTE, "no_trade")
    assert 700 * MINUTE in jumps(calm)
    assert jumps([]) == jumps(calm[:2]) == set()


def test_a_move_that_one_source_alone_saw_is_its_own() -> None:
    calm = market(3)
    found = uncorroborated({"a": scaled(calm, 700, 740, 1.03), "b": calm})
    assert found == {"a": {700 * MINUTE}, "b": set()}


def test_a_move_that_both_saw_is_nobodys_fault() -> None:
    moved = scaled(market(3), 700, 740, 1.03)
    assert uncorroborated({"a": moved, "b": scaled(market(3), 700, 740, 1.02)}) == {"a": set(), "b": set()}


@pytest.mark.parametrize("others", [[], [Minute(700 * MINUTE, "feed_stale")]])
def test_who_is_alone_is_never_doubted(others: list[Minute]) -> None:
    assert uncorroborated({"a": scaled(market(3), 700, 740, 1.05), "b": others})["a"] == set()


def test_a_move_the_other_way_is_no_witness() -> None:
    up, down = scaled(market(3), 700, 740, 1.03), scaled(market(3), 700, 740, 0.97)
    assert uncorroborated({"a": up, "b": down}) == {"a": {700 * MINUTE}, "b": {700 * MINUTE}}


@pytest.mark.parametrize("reason", ["feed_stale", "throttled", "partial_start"])
def test_who_did_not_see_the_whole_minute_is_no_witness_and_is_not_doubted_for_the_next(reason: str) -> None:
    moved = scaled(market(3), 700, 740, 1.03)
    witness = list(moved)
    # Its last trade is from before the drop: the price before the move.
    witness[700] = replace(market(3)[700], reason=reason)
    assert uncorroborated({"a": moved, "w": witness}) == {"a": set(), "w": set()}


def test_the_bar_of_the_provider_is_a_witness_in_the_place_of_trades() -> None:
    moved = scaled(market(3), 700, 740, 1.03)
    calm = [replace(m, reason="feed_stale", provider=m.own) if m.start == 700 * MINUTE else m for m in market(3)]
    assert uncorroborated({"a": moved, "w": calm})["a"] == {700 * MINUTE}


def test_prices_that_stand_in_for_trades_are_a_witness() -> None:
    moved = scaled(market(3), 700, 740, 1.03)
    polled = [replace(m, reason="partial_start") for m in market(3)]
    assert uncorroborated({"a": moved, "w": polled}, tapeless={"w"})["a"] == {700 * MINUTE}
    throttled = [replace(m, reason="throttled") for m in polled]
    assert uncorroborated({"a": moved, "w": throttled}, tapeless={"w"})["a"] == set()


@pytest.mark.parametrize("edge", [0, 1439])
@pytest.mark.parametrize("by", [1.5, 0.5])
def test_a_jump_at_either_end_is_one_that_its_own_open_or_close_is_far_from(edge: int, by: float) -> None:
    day = market(3)
    bar = day[edge].own
    assert bar
    high, low = max(bar.high, bar.open * by), min(bar.low, bar.open * by)
    day[edge] = replace(day[edge], own=replace(bar, high=high, low=low))
    assert jumps(day) - jumps(market(3)) == {edge * MINUTE}


def test_a_move_at_either_end_that_stays_is_no_jump() -> None:
    calm = market(3)
    assert jumps(scaled(calm, 1439, 1, 1.05)) == jumps(calm)
    bar = calm[0].own
    assert bar
    begun = [replace(calm[0], own=replace(bar, open=bar.open * 0.95, low=bar.open * 0.95)), *calm[1:]]
    assert jumps(begun) == jumps(calm)
