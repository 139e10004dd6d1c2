"""The other anomalies: what each is for, and what it must not take for it."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime

import numpy as np
import pytest

from sparktrends.detectors import SCORE, Detectors
from sparktrends.detectors.base import CLOSE, HIGH, LOW, SESSION, VOLUME


def spoken(found, threshold=4.2):
    return np.flatnonzero(np.abs(found[:, SCORE]) >= threshold).tolist()


def test_less_volume_than_usual_is_no_spike(run, still):
    bars = still(200)
    bars[199, VOLUME] = 1e-9
    assert run("volume_spike", bars)[199, SCORE] == 0


def test_a_bar_without_volume_teaches_nothing(run, still):
    bars, holes = still(300), still(300)
    holes[100:200:3, VOLUME] = 0.0
    bars[299, VOLUME] = holes[299, VOLUME] = 60.0
    assert run("volume_spike", holes)[299, SCORE] == pytest.approx(run("volume_spike", bars)[299, SCORE], rel=0.1)


def test_a_wick_is_a_surge_and_not_a_move(run, still):
    bars = still(200)
    bars[199, LOW] = 95.0
    assert spoken(run("surge", bars)) == [199]
    assert run("surge", bars)[199, SCORE] < 0
    assert spoken(run("price_move", bars)) == []


def test_the_larger_excursion_gives_the_direction(run, still):
    bars = still(200)
    bars[199, LOW], bars[199, HIGH] = 97.0, 105.0
    assert run("surge", bars)[199, SCORE] > 4.2


def test_price_and_volume_together_are_a_shock_where_neither_is_one(run, noise):
    bars = noise(4, 1000)
    bars[999, CLOSE] = bars[999, HIGH] = bars[998, CLOSE] * 1.0058
    bars[999, VOLUME] = 400.0
    assert abs(run("surge", bars)[999, SCORE]) < 4.2
    assert run("volume_spike", bars)[999, SCORE] < 4.2
    assert run("shock", bars)[999, SCORE] > 4.2


def test_a_shock_speaks_less_readily_where_volume_always_comes_with_moves(run, noise):
    loose, bound = noise(4, 3000), noise(4, 3000)
    random = np.random.default_rng(1)
    loose[:2999, VOLUME] = random.permutation(loose[:2999, VOLUME])
    for bars in (loose, bound):
        bars[2999, HIGH], bars[2999, VOLUME] = bars[2998, CLOSE] * 1.01, 500.0
    assert run("shock", bound)[2999, SCORE] < run("shock", loose)[2999, SCORE]


def test_an_event_teaches_a_shock_little_however_many_bars_it_has(run, noise):
    """Five such events a day made the sixth look usual."""
    quiet = noise(4, 3000)
    quiet[2999, HIGH], quiet[2999, VOLUME] = quiet[2998, CLOSE] * 1.012, 300.0
    pumped = quiet.copy()
    for first in range(1200, 2500, 300):
        # In place of the bars that are there: the same volatility before the last bar, the same bar at the end.
        rise = np.exp(np.log(1.2) * np.minimum(np.arange(1, 3001 - first) / 5, 1.0))
        pumped[first:, :4] *= rise[:, None]
        pumped[first, 0] /= 1.2**0.2
        pumped[first : first + 5, VOLUME] *= 5
    untouched, taught = (run("shock", bars)[2999, SCORE] for bars in (quiet, pumped))
    assert untouched > 4
    assert 0.8 * untouched < taught < untouched


def test_volume_confirms_a_move_and_does_not_make_a_shock(run, noise):
    bars = noise(4, 1000)
    bars[999, :4], bars[999, VOLUME] = bars[998, CLOSE], 1e9
    assert run("volume_spike", bars)[999, SCORE] > 6
    assert 0 < abs(run("shock", bars)[999, SCORE]) < 2


def test_usual_nights_are_no_gaps_but_a_night_five_times_as_wide_is(run, noise):
    bars, nights = noise(2, 3900), np.random.default_rng(3).normal(0, 0.006, 10)
    bars[:, SESSION] = np.arange(3900) // 390
    bars[:, :4] *= np.exp(np.cumsum(nights))[bars[:, SESSION].astype(int)][:, None]
    assert spoken(run("gap", bars), 2.5) == []
    bars[3510:, :4] *= 1.08
    assert spoken(run("gap", bars), 2.5) == [3510]


def test_many_small_steps_one_way_are_a_change_and_one_large_one_is_not(run, noise):
    bars, jump = noise(5, 1000), noise(5, 1000)
    bars[900:, :4] *= np.exp(np.arange(1, 101) * 6e-4)[:, None]
    jump[900:, :4] *= 1.06
    assert spoken(run("change_point", bars), 15)
    assert spoken(run("change_point", jump), 15) == []


def test_a_drift_is_said_once(run, noise):
    bars = noise(6, 2000)
    bars[1500:, :4] *= np.exp(np.arange(1, 501) * 5e-4)[:, None]
    assert len(spoken(run("drift", bars), 5)) == 1


def test_heavy_volume_diverges_only_while_the_price_stays(run, noise):
    bars = noise(8, 1000)
    bars[999, :4], bars[999, VOLUME] = bars[998, CLOSE], 50_000.0
    assert spoken(run("divergence", bars)) == [999]
    bars[999, HIGH] *= 1.01
    assert spoken(run("divergence", bars)) == []


@pytest.mark.parametrize("usual", [1e-4, 5e-4, 2e-3])
@pytest.mark.parametrize("rise", [0.05, 0.3, 1.0])
def test_a_pump_over_three_minutes_is_found_in_time(run, noise, usual, rise):
    """Five percent within three minutes is nothing where the usual minute moves 0.2 %, but everywhere else."""
    bars = noise(9, 1000, usual=usual)
    bars[990:, :4] *= np.exp(np.log1p(rise) * np.minimum(np.arange(1, 11) / 3, 1.0))[:, None]
    bars[990:, VOLUME] *= 10
    found = spoken(run("pump", bars))
    assert (found and 990 <= found[0] <= 992) or (usual == 2e-3 and rise == 0.05)
    assert len(found) <= 2


@pytest.mark.parametrize("minutes", [2, 5])
def test_three_percent_on_its_way_is_a_pump_within_its_first_minute(run, noise, minutes):
    """At a usual minute of 0.05 %, where a bar of that size alone would be no shock."""
    bars = noise(9, 1000)
    bars[999, :4] = bars[998, CLOSE]
    bars[999, [HIGH, CLOSE]] *= 1.03 ** (1 / minutes)
    bars[999, VOLUME] = 80.0
    assert spoken(run("pump", bars), 3.16) == [999]


def test_a_move_too_slow_for_three_percent_is_no_pump_however_rare(run, still):
    bars = still(1000)
    bars[999, [HIGH, CLOSE, VOLUME]] = 100.55, 100.55, 100.0
    assert run("shock", bars)[999, SCORE] > 4.2
    assert run("pump", bars)[999, SCORE] == 0


def test_a_rise_without_volume_is_no_pump(run, noise):
    bars = noise(9, 1000)
    bars[990:, :4] *= 1.1
    bars[990:, VOLUME] = 1.0
    assert spoken(run("pump", bars)) == []


def minutes_of(path):
    """Minute bars of the recorded trades."""
    bars: dict[int, list[float]] = {}
    with gzip.open(path, "rt") as lines:
        for row in csv.DictReader(lines):
            minute, price, amount = int(row["timestamp"]) // 60, float(row["price"]), float(row["amount"])
            bar = bars.setdefault(minute, [price, price, price, price, 0.0, 0.0, minute // 1440, 0.0])
            bar[1:6] = [max(bar[1], price), min(bar[2], price), price, bar[4] + amount, bar[5] + price * amount]
    return sorted(bars), np.array([bars[minute] for minute in sorted(bars)])


def test_the_known_moments_of_the_recorded_week_are_found_and_little_else(shared_data):
    """-3.3 % at 04:25Z on the 30th and +3.0 % a minute later, among 9,399 minutes of a heavy-tailed market."""
    minutes, bars = minutes_of(shared_data / "market" / "btcusd_bitstamp_ticks_20131125_1201.csv.gz")
    anomalies = Detectors((), chosen=("price_move", "volume_spike", "surge", "shock", "range_burst", "pump"))
    found = anomalies.run(anomalies.new(1)[0], bars, np.empty((len(bars), 0)))
    signals = anomalies.signals([("x", "B", "1m", minute) for minute in minutes], found)
    fall = int(datetime(2013, 11, 30, 4, 25, tzinfo=UTC).timestamp()) // 60
    assert {(s.start - fall, s.direction) for s in signals} >= {(0, "down"), (1, "up")}
    # Two minutes a day: each is a move of more than one percent, in a week in which the price rose by half.
    assert len({signal.start for signal in signals}) <= 13
