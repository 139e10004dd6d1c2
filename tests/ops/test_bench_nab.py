"""NAB's scorer: its published figures, a perfect detector and a silent one, and what a detection is worth where."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from sparktrends.errors import BadFile
from sparktrends.ops.bench import nab
from sparktrends.ops.bench.baselines import BASELINES, rolling_z, windowed_gaussian
from sparktrends.ops.bench.detecting import Combined, as_bars, on_nab

SERIES = nab.Series("a", np.zeros(1000), ((400, 499), (700, 719)))


def rows(*spoken):
    mask = np.zeros(1000, bool)
    mask[list(spoken)] = True
    return mask


def test_silence_is_0_and_the_first_row_of_every_window_100():
    assert nab.corpus_score([SERIES], [np.zeros(1000)], 0.5) == 0.0
    assert nab.corpus_score([SERIES], [rows(400, 700).astype(float)], 0.5) == pytest.approx(100.0)


def test_an_early_detection_is_worth_more_and_only_one_counts():
    early, late, both = (SERIES.score(rows(*at)) for at in ((400,), (499,), (400, 450, 499)))
    assert early > late > SERIES.score(rows())
    assert both == early == pytest.approx(1.0 - nab.MISSED)
    # NAB's own sigmoid at the last row of a window of a hundred.
    assert late == pytest.approx((2 / (1 + math.exp(-0.05)) - 1) / (2 / (1 + math.exp(-5)) - 1) - nab.MISSED)


def test_a_false_alarm_costs_more_the_farther_it_is_from_the_window_before():
    silent = SERIES.score(rows())
    costs = [silent - SERIES.score(rows(at)) for at in (200, 500, 550, 690, 999)]
    assert costs[0] == pytest.approx(0.11)
    assert costs[1] < costs[2] < costs[3] < 0.11
    assert costs[4] == pytest.approx(0.11)


def test_probation_is_not_scored():
    assert SERIES.probation == 150
    assert nab.Series("b", np.zeros(20_000), ()).probation == 750
    assert SERIES.score(rows(10, 149)) == SERIES.score(rows())
    assert SERIES.score(rows(150)) < SERIES.score(rows())


def test_the_optimiser_finds_the_best_threshold():
    scores = np.random.default_rng(1).random(1000) * 0.5
    scores[[410, 705]] = 0.9, 0.8
    best, threshold = nab.best_score([SERIES], [scores])
    assert threshold == 0.8
    assert best == nab.corpus_score([SERIES], [scores], 0.8)


def test_a_folder_in_nabs_layout_is_read(tmp_path):
    (tmp_path / "data" / "x").mkdir(parents=True)
    (tmp_path / "labels").mkdir()
    lines = [f"2014-04-01 00:{minute:02d}:00,{minute}" for minute in range(0, 60, 5)]
    (tmp_path / "data" / "x" / "a.csv").write_text("\n".join(["timestamp,value", *lines]))
    windows = {"x/a.csv": [["2014-04-01 00:10:00.000000", "2014-04-01 00:20:00.000000"]]}
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps(windows))
    (series,) = nab.read(tmp_path)
    assert series.windows == ((2, 4),)
    assert series.values.tolist() == list(range(0, 60, 5))


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(BadFile, match=r"windows\.json"):
        nab.read(tmp_path)


def test_the_windowed_gaussian_is_nabs():
    values = np.random.default_rng(3).normal(5, 2, 7000)
    scores = windowed_gaussian(values)
    for row, window in ((1, values[:1]), (50, values[:50]), (6400, values[:6400]), (6755, values[300:6700])):
        deviation = window.std() or 1e-6
        expected = 1 - 0.5 * math.erfc(abs(values[row] - window.mean()) / deviation / 1.4142)
        assert scores[row] == pytest.approx(expected, abs=1e-9)


def test_the_rolling_z_score_looks_back_only():
    values = np.append(np.tile([1.0, 2.0], 30), 6.5)
    assert rolling_z(values)[60] == pytest.approx((6.5 - 1.5) / 0.5)
    assert not rolling_z(values)[:60].any()


def test_values_become_log_prices_over_their_range():
    bars = as_bars(np.array([3.0, 5.0, 4.0]))
    assert np.log(bars[:, 3] / 100).tolist() == pytest.approx([0.0, 1.0, 0.5])
    assert bars[1:, 0].tolist() == bars[:-1, 3].tolist()
    assert (bars[:, 1] >= bars[:, [0, 3]].max(axis=1)).all()


def test_a_jump_is_found_and_a_flat_line_is_not():
    values = np.tile([0.0, 0.01], 400)
    values[700] = 1.0
    combined = Combined()
    assert combined(values)[700] >= 1.0
    assert not combined(np.ones(800)).any()


def test_every_contestant_is_scored_at_its_own_threshold_and_at_the_best(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "labels").mkdir()
    values = np.tile([0.0, 0.01], 400)
    values[700] = 1.0
    times = [datetime(2020, 1, 1) + timedelta(minutes=minute) for minute in range(800)]
    pl.DataFrame({"timestamp": times, "value": values}).write_csv(
        tmp_path / "data" / "a.csv", datetime_format="%Y-%m-%d %H:%M:%S"
    )
    window = [[f"{times[at]:%Y-%m-%d %H:%M:%S.%f}" for at in (690, 710)]]
    (tmp_path / "labels" / "windows.json").write_text(json.dumps({"a.csv": window}))
    figures = on_nab(tmp_path)
    assert figures["nab_windows"] == 1
    assert figures["nab_sparktrends"] > 50
    assert all(figures[f"nab_{name}_optimised"] >= figures[f"nab_{name}"] for name in ("sparktrends", *BASELINES))
