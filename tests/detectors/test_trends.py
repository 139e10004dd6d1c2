"""Crosses, extremes, breakouts and trends: each is said once, at the bar where it happens."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.detectors import SCORE, Detectors
from sparktrends.detectors.registry import REGISTRY
from sparktrends.detectors.side import SIDE, crossing, new_side


def scores_of(name, seen, close=100.0):
    kind = next(kind for kind in REGISTRY if kind.name == name)
    one = Detectors(kind.reads, chosen=(name,))
    bars = np.full((len(seen), 8), 100.0)
    bars[:, 3] = close
    return one.run(one.new(1)[0], bars, np.array(seen, dtype=float))[:, 0, SCORE]


@given(st.lists(st.floats(-5, 5), max_size=60), st.floats(0.01, 2))
def test_crossings_alternate(figures, band):
    state, said = np.zeros(2), []
    for figure in figures:
        if way := crossing(state, figure, band):
            said.append(way)
        state[SIDE] = new_side(state, figure, band)
    assert all(a == -b for a, b in pairwise(said))


def test_averages_that_waver_around_each_other_do_not_cross():
    apart = np.sin(np.arange(100)) * 0.09
    assert not scores_of("average_cross", [[100 + x, 100, 1] for x in [1.0, *apart]])[1:].any()


def test_a_golden_cross_is_up_and_a_death_cross_down():
    scores = scores_of("average_cross", [[99, 100, 1], [101, 100, 1], [101, 100, 1], [99, 100, 1]])
    assert scores[1:].tolist() == [1, 0, -1]


@pytest.mark.parametrize("kind", [k for k in REGISTRY if k.reads], ids=lambda kind: kind.name)
def test_what_is_not_warm_is_no_event(kind):
    """Not at NaN, and not at the first values after it."""
    seen = np.full((5, len(kind.reads)), np.nan)
    assert not (np.abs(scores_of(kind.name, seen)[1:]) >= kind.defaults["threshold"]).any()


def test_an_average_that_goes_missing_keeps_its_side():
    scores = scores_of("average_cross", [[99, 100, 1], [np.nan, 100, 1], [101, 100, 1]])
    assert scores[2] == 1


def test_rsi_must_come_back_to_the_middle():
    scores = scores_of("rsi_extreme", [[50], [71], [60], [72], [49], [20], [49], [19], [51], [29]])
    assert scores[1:].tolist() == [1, 0, 0, 0, -1, 0, 0, 0, -1]


def test_bands_that_were_never_tight_are_no_squeeze():
    close = np.full(400, 100.0)
    close[350] = 110.0
    assert not scores_of("squeeze_breakout", np.tile([104.0, 100, 96], (400, 1)), close)[1:].any()


def test_a_squeeze_is_forgotten_after_ten_bars():
    seen = np.tile([104.0, 100.0, 96.0], (400, 1))
    seen[320:325] = [100.5, 100.0, 99.5]
    for late, expected in ((5, -1.0), (12, 0.0)):
        close = np.full(400, 100.0)
        close[324 + late] = 90.0
        assert scores_of("squeeze_breakout", seen, close)[324 + late] == expected


def test_new_highs_for_hours_are_one_breakout():
    close = 100.0 + np.arange(50)
    seen = np.column_stack([close, close - 20, np.ones(50)])
    assert scores_of("channel_breakout", seen, close)[1:].sum() == 1


def test_a_trend_that_turns_is_said_again():
    seen = [[30, 101, 100], [30, 101, 100], [15, 101, 100], [30, 101, 100], [40, 99, 100]]
    assert scores_of("trend_state", seen)[1:].tolist() == [0, 0, 1.2, -1.6]


def swings(*turns, steps=11):
    """Closes that go straight from each price to the next."""
    return np.concatenate([np.linspace(a, b, steps)[:-1] for a, b in pairwise(turns)])


def touches(close):
    """Where a level is touched at which the price turned at least twice, with the number of turns; ATR is 1."""
    one = Detectors(("atr_14",), chosen=("level_touch",))
    bars = np.tile(np.asarray(close, dtype=float)[:, None], (1, 8))
    scores = one.run(one.new(1)[0], bars, np.ones((len(bars), 1)))[:, 0, SCORE]
    return {bar: int(score) for bar, score in enumerate(scores) if abs(score) >= 2}


def test_support_is_touched_from_above_and_resistance_from_below():
    close = swings(105, 100, 110, 100, 110, 100, 110, 103)
    assert touches(close) == {50: 2, 60: -2}
    assert (close[50], close[60]) == (100, 110)


def test_a_price_that_stays_at_its_level_touches_it_once():
    there = np.tile([100.0, 100.2, 99.9, 100.1], 20)
    close = np.concatenate([swings(105, 100, 110, 100, 110, 100), there])
    assert touches(close) == {50: 2}


def test_a_resistance_that_was_passed_is_the_support_of_what_comes_from_above():
    close = swings(105, 100, 110, 100, 110, 97, 120, 109.9, 112)
    assert touches(close)[70] == 2


def test_what_closes_beyond_a_level_did_not_hold_there():
    close = [*swings(105, 100, 110, 100, 110, 101), 97.0]
    assert touches(close) == {}


def test_turns_far_from_each_other_are_no_level():
    assert touches(swings(105, 100, 110, 101, 111, 102, 112, 103, 113)) == {}


def test_a_level_is_forgotten_when_eight_others_turned_later():
    others = [price for n in range(1, 6) for price in (200 + 20 * n, 150 + 10 * n)]
    assert touches(swings(105, 100, 110, 100, 150, 100, 105))
    assert touches(swings(105, 100, 110, 100, *others, 100, 105)) == {}
