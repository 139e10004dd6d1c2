"""The shape of a session: the same move is rarer at noon than at the open."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from sparktrends.detectors import SCORE
from sparktrends.detectors.base import CLOSE, SESSION
from sparktrends.detectors.session_shape import LEVEL, MOST, SESSIONS, SHAPE, SLOT, SLOT_BARS, SLOTS, absorb, factor

BARS = 390
OPEN, NOON = 5, 200


def shaped(seed, sessions, wild=4.0):
    """Sessions of 390 minutes whose first half hour moves ``wild`` times as much as the rest."""
    random = np.random.default_rng(seed)
    usual = np.where(np.arange(sessions * BARS) % BARS < 30, wild, 1.0) * 5e-4
    close = 100 * np.exp(np.cumsum(random.standard_t(5, len(usual)) * usual))
    bars = np.tile(close[:, None], (1, 8))
    bars[:, 0] = np.concatenate([[100.0], close[:-1]])
    bars[:, SESSION] = np.arange(len(usual)) // BARS
    return bars


def with_move(bars, at, size):
    """The bars, all from ``at`` on higher by ``size``."""
    moved = bars.copy()
    moved[at:, :4] *= 1 + size
    moved[at, 0] = bars[at, 0]
    return moved


def untold(bars):
    """The same bars as one endless session: nothing of its shape can be learned."""
    plain = bars.copy()
    plain[:, SESSION] = 0.0
    return plain


@pytest.mark.parametrize("seed", range(3))
def test_the_same_move_is_rarer_at_noon(run, seed):
    bars = shaped(seed, 8)
    scores = {at: run("price_move", with_move(bars, 7 * BARS + at, 0.01))[7 * BARS + at, SCORE] for at in (OPEN, NOON)}
    plain = run("price_move", untold(with_move(bars, 7 * BARS + NOON, 0.01)))[7 * BARS + NOON, SCORE]
    assert scores[NOON] > scores[OPEN] + 1  # once in ten times as many bars
    assert scores[NOON] > plain


@pytest.mark.parametrize("seed", range(3))
def test_an_open_that_is_wild_every_day_is_no_alarm(run, seed):
    bars = shaped(seed, 12, wild=8.0)
    loud = np.abs(run("price_move", bars)[2 * BARS :, SCORE]) > 4.2
    assert loud.sum() <= (np.abs(run("price_move", untold(bars))[2 * BARS :, SCORE]) > 4.2).sum()
    assert loud.sum() <= 1


def test_in_the_first_session_nothing_is_believed(run):
    bars = shaped(1, 1)
    assert np.array_equal(run("price_move", bars), run("price_move", untold(bars)), equal_nan=True)


def test_it_is_bounded_and_its_memory_too():
    state = [0.0] * SHAPE
    for n in range(3000):
        same = n % 100 > 0
        assert 1 / MOST <= factor(state, 0, same) <= MOST
        absorb(state, 0, n, 1.0 if n % 100 < SLOT_BARS else 1e-9, same)
    assert factor(state, 0, False) == MOST
    assert state[SESSIONS] == 29
    assert state[LEVEL] == pytest.approx(0.3)


def test_what_lies_beyond_the_last_slot_is_the_last_slot():
    state, length = [0.0] * SHAPE, int(SLOTS * SLOT_BARS) + 500
    for n in range(length + 1):
        absorb(state, 0, n, 1.0, n not in (0, length))
    assert state[SLOT:] == [1.0] * SLOTS


def test_a_session_of_one_slot_has_no_shape():
    """Daily bars, and hours: what they learn of a session and of its only slot is the same."""
    random = np.random.default_rng(3)
    for length in (1, 7, 30):
        state = [0.0] * SHAPE
        for n in range(600):
            same = n % length > 0
            assert factor(state, 0, same) == 1.0
            absorb(state, 0, n, float(random.exponential()), same)


def test_a_bar_without_a_move_teaches_that_slots_may_be_calm(run):
    bars = shaped(2, 4)
    bars[:, CLOSE] = bars[:, 0] = 100.0
    assert np.all(run("price_move", bars)[200:, SCORE] == 0)


def test_the_known_shock_of_2019_is_rarer_than_to_one_who_is_told_no_session(run, shared_data):
    """2019-02-14 10:38 in New York, one minute in all seven: three sessions were seen, too few to call it an alarm."""
    columns = ["open", "high", "low", "close", "volume"]
    week = pl.read_csv(shared_data / "market" / "equities_1min_20190211_15.csv.gz")
    for (_,), of_symbol in week.group_by("symbol", maintain_order=True):
        starts = of_symbol["ts_utc"].to_list()
        bars = np.zeros((len(starts), 8))
        bars[:, :5] = of_symbol.select(columns).to_numpy()
        bars[:, SESSION] = [float(start[8:10]) for start in starts]
        told = np.abs(run("price_move", bars)[:, SCORE])
        at = starts.index("2019-02-14T15:37:00Z")
        assert told[at] > abs(run("price_move", untold(bars))[at, SCORE])
        assert not (told > 4.2).any()
