"""The market of a minute: it moves when half of it does, and one moves alone when it is far from all others."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sparktrends.analysis.market import APART, LEAST, QUIET, TOGETHER, Member, events_of, market_minute
from sparktrends.indicators import Kernel


def members(*moves: float, volatility: float = 0.001) -> list[Member]:
    """Members that moved by so many of their volatilities."""
    made = []
    for series, move in enumerate(moves):
        change = move * volatility
        made.append(Member(series, change, float(np.sqrt(0.94 * volatility**2 + 0.06 * change**2))))
    return made


def test_a_move_is_measured_by_the_volatility_before_it() -> None:
    kernel = Kernel()
    close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-3, 300)))
    bars = np.tile(close[:, None], (1, 8))
    metrics = kernel.run(kernel.new(1)[0], bars)
    change, volatility = (
        metrics[:, kernel.columns.index("log_return")],
        metrics[:, kernel.columns.index("volatility_ewma")],
    )
    for j in range(250, 300):
        move = Member(0, float(change[j]), float(volatility[j])).move
        assert move == pytest.approx(change[j] / volatility[j - 1], rel=1e-9)


def test_the_market_moves_when_half_of_it_does() -> None:
    one = market_minute(members(*[-4.0] * 6, *[0.5] * 5)).together
    assert one is not None
    assert (one.median, one.members, one.up, one.down) == (pytest.approx(-4), 11, 0, 6)
    assert one.log_return == pytest.approx(-0.004)
    assert market_minute(members(*[-4.0] * 5, *[0.5] * 6)).together is None
    assert market_minute(members(*[4.0] * 6, *[-4.0] * 5)).together is not None


def test_a_few_series_are_no_market() -> None:
    assert market_minute(members(*[9.0] * (LEAST - 1))).together is None
    assert market_minute(members(*[9.0] * LEAST)).together is not None


def test_one_that_moves_against_its_peers_is_alone_and_one_that_moves_with_them_is_not() -> None:
    (alone,) = market_minute(members(*[0.1, -0.1] * 6, 15.0)).alone
    assert (alone.series, alone.move, alone.members) == (12, pytest.approx(15), 13)
    assert alone.apart == pytest.approx(15 - alone.median)
    falling = market_minute(members(*[-15.2, -14.8] * 6, -15.0))
    assert falling.together is not None
    assert falling.alone == ()
    (steady,) = market_minute(members(*[-15.2, -14.8] * 6, 0.0)).alone
    assert (steady.series, steady.apart > APART) == (12, True)


def test_where_peers_differ_widely_nobody_is_alone() -> None:
    assert market_minute(members(*np.linspace(-10, 10, 30), 14.0)).alone == ()


def test_a_series_that_stood_still_has_no_endless_move() -> None:
    still = Member(0, 0.0002, float(np.sqrt(0.06) * 0.0002))
    assert still.move == pytest.approx(2.0)


def test_the_order_of_the_members_does_not_matter() -> None:
    random = np.random.default_rng(3)
    found = members(*random.standard_t(3, 40) + 4)
    expected = market_minute(found)
    assert expected.together is not None
    for _ in range(10):
        random.shuffle(found)  # type: ignore[arg-type]
        assert market_minute(found) == expected


def test_independent_heavy_tails_are_no_market_and_seldom_alone() -> None:
    random = np.random.default_rng(7)
    minutes = [market_minute(members(*random.standard_t(4, 50) / np.sqrt(2))) for _ in range(3000)]
    assert not any(minute.together for minute in minutes)
    assert sum(len(minute.alone) for minute in minutes) / (3000 * 50) < 2 * 10**-4.2
    assert TOGETHER < APART


@pytest.mark.parametrize("seed", range(20))
def test_the_events_are_the_same_wherever_the_minutes_are_cut(seed: int) -> None:
    random = np.random.default_rng(seed)
    minutes = [int(n) * 60_000_000 for n in np.flatnonzero(random.random(300) < 0.15)]
    whole = events_of(minutes)
    for cut in range(1, len(minutes)):
        last = minutes[cut - 1]
        assert events_of(minutes[cut:], (last, whole[last])) == {start: whole[start] for start in minutes[cut:]}
    for before, start in pairwise(minutes):
        assert (whole[start] == whole[before]) == (start - before <= QUIET)
        assert whole[start] in (whole[before], start)
