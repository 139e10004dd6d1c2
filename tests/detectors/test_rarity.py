"""The shared tracker: calibrated, robust, never infinitely calm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.detectors import rarity
from sparktrends.detectors.rarity import CENTRE, SPREAD, TAIL, TRACKER, absorb, begin, distance, weight_of


def tracked(values, span=60, moving=False):
    """A tracker after ``values``, by the plain Python functions."""
    state = np.zeros(TRACKER)
    begin(state, 0, values[0] if moving else 0.0, 1e-4)
    for count, value in enumerate(values):
        absorb(state, 0, distance(state, 0, value, 1e-4), 1e-4, weight_of(count, span), moving, True)
    return state


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0.001, 0.5), st.floats(0.01, 2.0))
def test_the_further_the_rarer(a, b, rate, tail):
    state = np.array([0.0, 1.0, rate, tail])
    near, far = sorted((a, b))
    assert 0 <= rarity.rarity(state, 0, near) <= rarity.rarity(state, 0, far) <= rarity.MOST_SCORE


def test_both_sides_count_alike():
    state = np.array([0.0, 1.0, 0.05, 0.25])
    assert rarity.rarity(state, 0, 9.0) == rarity.rarity(state, 0, -9.0)


def test_the_scale_reads_like_a_standard_deviation():
    state = tracked(np.random.default_rng(1).normal(0, 0.01, 4000), span=1000)
    assert state[SPREAD] == pytest.approx(0.01, rel=0.1)


def test_an_outlier_moves_the_scale_no_more_than_three_scales_would():
    values = list(np.random.default_rng(2).normal(0, 0.01, 500))
    assert tracked([*values, 1e6])[SPREAD] == pytest.approx(tracked([*values, 10.0])[SPREAD])
    assert tracked([*values, 1e6])[SPREAD] < 1.06 * tracked(values)[SPREAD]


def test_an_event_of_five_bars_makes_the_next_one_look_little_more_usual():
    values = list(np.random.default_rng(2).standard_t(4, 3000))
    calm, shaken = tracked(values), tracked([*values, *[80.0] * 5])
    assert shaken[TAIL] < 1.25 * calm[TAIL]
    assert rarity.rarity(shaken, 0, 60.0) > 4.2


def test_extremes_that_come_again_and_again_become_usual():
    values = list(np.random.default_rng(2).standard_normal(3000))
    often = [80.0 if n % 50 == 0 else value for n, value in enumerate(values)]
    assert rarity.rarity(tracked(values), 0, 20.0) > 4.2
    assert rarity.rarity(tracked(often), 0, 20.0) < 2.5


@pytest.mark.parametrize("mean", [0.1, 0.3, 0.6])
def test_the_mean_of_an_exponential_tail_is_learned_right_though_outliers_count_little(mean):
    learned, seen = 0.25, []
    for excess in np.random.default_rng(5).exponential(mean, 20_000):
        learned += rarity.TAIL_MEMORY * (rarity.bounded(excess, learned) - learned)
        seen.append(learned)
    assert np.mean(seen[1000:]) == pytest.approx(mean, rel=0.03)


def test_the_centre_follows_when_it_is_to():
    assert tracked([5.0] * 10 + [5.2] * 500, moving=True)[CENTRE] == pytest.approx(5.2, abs=0.01)


@pytest.mark.parametrize("tails", [3, 5, 30])
def test_the_score_means_what_it_says_whatever_the_tails(tails):
    """Of 100,000 draws some 100 score 3 or more: at most three times as many, and fewer where the tails are thin."""
    state, rare = np.zeros(TRACKER), 0
    begin(state, 0, 0.0, 1e-9)
    for count, value in enumerate(np.random.default_rng(tails).standard_t(tails, 100_000)):
        z = distance(state, 0, value, 1e-9)
        rare += count > 2000 and rarity.rarity(state, 0, z) >= 3
        absorb(state, 0, z, 1e-9, weight_of(count, 500), False, True)
    assert 10 <= rare <= 300
