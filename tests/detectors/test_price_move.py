"""The price move: sessions, grids, floors, known moments."""

from __future__ import annotations

import numpy as np

from sparktrends.detectors import SCORE, VALUE
from sparktrends.detectors.base import CLOSE, OPEN, SESSION


def test_the_value_is_the_log_return(run, still):
    bars = still(150)
    bars[149, CLOSE] = 103.0
    found = run("price_move", bars)
    assert found[149, VALUE] == np.log(103.0 / bars[148, CLOSE])
    assert found[149, SCORE] > 4.2


def test_a_fall_is_negative(run, still):
    bars = still(150)
    bars[149, CLOSE] = 97.0
    assert run("price_move", bars)[149, SCORE] < -4.2


def test_a_session_begins_at_its_own_open(run, still):
    bars = still(300)
    bars[200:, :4] *= 1.05
    bars[200:, SESSION] = 1.0
    found = run("price_move", bars)
    assert found[200, VALUE] == np.log(bars[200, CLOSE] / bars[200, OPEN])
    assert not (np.abs(found[100:, SCORE]) > 4.2).any()


def test_one_step_of_a_coarse_grid_is_no_anomaly(run):
    """A stock at 2.00 that moves by a cent once in an hour."""
    bars = np.full((600, 8), 2.0)
    bars[::60, :4] = 2.01
    assert not (np.abs(run("price_move", bars)[100:, SCORE]) > 4.2).any()


def test_less_than_some_basis_points_never_is(run, still):
    bars = np.full((400, 8), 1.0)
    bars[300, CLOSE] = 1.0004
    assert abs(run("price_move", bars)[300, SCORE]) < 4.2


def test_a_calmer_market_needs_less(run, noise):
    calm, wild = noise(1, 800, usual=1e-4), noise(1, 800, usual=3e-3)
    for bars in (calm, wild):
        bars[799, CLOSE] = bars[798, CLOSE] * 1.01
    assert run("price_move", calm)[799, SCORE] > 4.2 > run("price_move", wild)[799, SCORE]
