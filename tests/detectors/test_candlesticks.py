"""Candlestick patterns: TA-Lib over the whole series, value by value, on real bars and on made ones full of ties."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from talib import abstract

from sparktrends.detectors.candlesticks import PATTERNS, Candlesticks
from sparktrends.detectors.candlesticks.window import DEPTH
from sparktrends.errors import BadSetting, IntegrityError

ALL = Candlesticks()
RECORDED = ["bitstamp_btc_1m_from_ticks_20131125", "eqker_AAPL_1min", "eqker_AAPL_daily", "eqker_SPY_1min"]
each = pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)


def table(prices):
    return np.column_stack([prices, np.ones(len(prices)), np.zeros((len(prices), 3))])


def ours(bars, cuts=()):
    state, edges = ALL.new(1), [0, *sorted(cuts), len(bars)]
    return np.concatenate([ALL.run(state[0], bars[a:b]) for a, b in pairwise(edges)]) * 100.0


def theirs(bars):
    columns = [np.ascontiguousarray(bars[:, i]) for i in range(4)]
    return np.column_stack([getattr(talib, pattern.talib)(*columns) for pattern in PATTERNS])


def gridded(seed, n, grid=0.01, step=3):
    """Bars on a coarse price grid, where bodies, shadows and averages of them are equal all the time."""
    random = np.random.default_rng(seed)
    moves = random.integers(-step, step + 1, n) * (random.random(n) < 0.6)
    bodies = random.integers(-1, 2, n) * random.choice([0, 1, 2, step, 4 * step], n)
    start = 2000 + np.cumsum(moves) + np.concatenate([[0], np.cumsum(bodies)[:-1]])
    start, end = 500 + start % 3000, 500 + start % 3000 + bodies
    upper, lower = (random.integers(0, 1 + random.choice([0, 0, 1, step, 3 * step], n)) for _ in range(2))
    return table(np.column_stack([start, np.maximum(start, end) + upper, np.minimum(start, end) - lower, end]) * grid)


def aimed(seed, n):
    """Bars that imitate each other with small changes: fours and fives that fit together turn up."""
    random = np.random.default_rng(seed)
    color = np.where(random.random(n) < 0.9, -1, 1) if seed % 2 else np.where(np.arange(n) // 3 % 2, 1, -1)
    body = random.choice([1, 2, 10, 20], n, p=[0.3, 0.2, 0.2, 0.3])
    gap = random.choice([-5, -1, 0, 1, 5], n)
    start = 5000 + np.cumsum(gap + color * random.integers(0, 3, n)) % 900
    end = start + color * body
    upper, lower = (random.choice([0, 1, 12], n, p=[0.6, 0.2, 0.2]) for _ in range(2))
    return table(np.column_stack([start, np.maximum(start, end) + upper, np.minimum(start, end) - lower, end]) / 100.0)


RARE = {
    "two_crows": [(0, 20, 0, 20), (26, 26, 23, 23), (24, 24, 10, 10)],
    "upside_gap_two_crows": [(0, 20, 0, 20), (25, 25, 23, 23), (27, 27, 22, 22)],
    "concealing_baby_swallow": [(100, 100, 80, 80), (79, 79, 60, 60), (55, 65, 50, 50), (66, 67, 48, 49)],
    "three_stars_in_the_south": [(60, 60, 5, 40), (50, 50, 15, 35), (30, 30, 25, 25)],
    "three_black_crows": [(0, 20, 0, 20), (19, 19, 9, 9), (14, 14, 4, 4), (9, 9, -1, -1)],
    "mat_hold": [(0, 40, 0, 40), (45, 45, 43, 43), (42, 42, 38, 38), (38, 38, 35, 35), (37, 60, 37, 60)],
    "breakaway": [(99, 99, 60, 60), (55, 55, 50, 50), (49, 52, 45, 48), (47, 50, 40, 40), (41, 58, 41, 57)],
}


def planted(seed, n=600):
    """Rare patterns, some of them a tick off, among usual candles."""
    random, shapes, rows = np.random.default_rng(seed), list(RARE.values()), []
    while len(rows) < n:
        rows += [(3, 9, 0, 6), (6, 9, 0, 3)] * 6
        shape = np.array(shapes[random.integers(len(shapes))])
        rows += (shape + random.integers(-1, 2, shape.shape) * (random.random(shape.shape) < 0.1)).tolist()
    sides = np.array(rows[:n]) + 500.0
    return table(np.column_stack([sides[:, 0], sides.max(axis=1), sides.min(axis=1), sides[:, 3]]) / 100.0)


def test_they_are_the_61_of_ta_lib():
    assert [pattern.talib for pattern in PATTERNS] == talib.get_function_groups()["Pattern Recognition"]
    assert len({pattern.name for pattern in PATTERNS}) == 61


@each
def test_the_look_back_is_ta_libs(pattern):
    assert abstract.Function(pattern.talib).lookback == pattern.lookback < DEPTH


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("grid", "step"), [(0.01, 3), (0.01, 10), (0.25, 5), (1e-7, 4)])
def test_equal_to_ta_lib_where_ties_are_common(seed, grid, step):
    bars = gridded(seed, 4000, grid, step)
    assert np.array_equal(ours(bars), theirs(bars))


@pytest.mark.parametrize("seed", range(6))
def test_equal_to_ta_lib_where_patterns_are_common(seed):
    for bars in (aimed(seed, 8000), planted(seed)):
        assert np.array_equal(ours(bars), theirs(bars))


PRICE = st.integers(1, 25).map(lambda ticks: ticks * 0.1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(PRICE, PRICE, PRICE, PRICE), min_size=1, max_size=60), st.lists(st.integers(0, 60), max_size=4)
)
def test_equal_to_ta_lib_on_any_bars_cut_anywhere(rows, cuts):
    sides = np.array(rows)
    bars = table(np.column_stack([sides[:, 1], sides.max(axis=1), sides.min(axis=1), sides[:, 2]]))
    found = ours(bars, [min(cut, len(bars)) for cut in cuts])
    assert np.array_equal(found, theirs(bars))


@pytest.mark.parametrize("name", RECORDED)
def test_equal_to_ta_lib_as_recorded_on_real_bars(name, shared_data):
    prices = pl.read_csv(shared_data / "indicators" / f"{name}.indicators.csv.gz", infer_schema_length=None)
    bars = table(prices.select("open", "high", "low", "close").cast(pl.Float64).to_numpy())
    recorded = pl.read_csv(shared_data / "candles" / f"{name}.patterns.csv.gz")
    expected, places = np.zeros((len(bars), 61)), {p.talib: j for j, p in enumerate(PATTERNS)}
    for row, pattern, value in recorded.select("row", "pattern", "value").iter_rows():
        expected[row, places[pattern]] = value
    found = ours(bars)
    assert len(recorded) > 500
    assert np.array_equal(found, theirs(bars))
    assert np.array_equal(found, expected)


def test_every_pattern_turns_up_somewhere():
    series = [*(aimed(seed, 8000) for seed in range(6)), *map(planted, range(6)), gridded(1, 4000)]
    seen = sum((theirs(bars) != 0).sum(axis=0) for bars in series)
    assert [p.name for p, times in zip(PATTERNS, seen, strict=True) if not times] == []


def test_many_series_at_once_are_each_alone():
    series = np.stack([gridded(seed, 40) for seed in range(30)])
    state = ALL.new(30)
    found = np.stack([ALL.step(state, np.ascontiguousarray(series[:, j])) for j in range(40)], axis=1)
    alone = np.stack([ours(bars) / 100.0 for bars in series])
    assert found.tobytes() == alone.tobytes()


def test_a_row_without_a_bar_scores_nothing_and_teaches_nothing():
    bars, state = gridded(3, 50), ALL.new(1)
    ALL.run(state[0], bars)
    before = state.tobytes()
    bars[0, 1] = np.nan
    assert not ALL.step(state, bars[:1]).any()
    assert state.tobytes() == before


def test_each_pattern_found_is_a_signal_of_low_severity():
    bars = gridded(5, 200)
    scores = ALL.run(ALL.new(1)[0], bars)
    signals = ALL.signals([("x", "A", "1d", j) for j in range(200)], scores)
    assert len(signals) == np.count_nonzero(scores)
    assert {s.severity for s in signals} == {"info"}
    assert {s.direction for s in signals if s.name == "doji"} == {"none"}
    for signal in signals:
        json.dumps(asdict(signal), allow_nan=False)


def test_an_interval_that_does_not_exist_is_refused():
    with pytest.raises(BadSetting, match="2h"):
        Candlesticks(["2h"])


def test_state_of_another_layout_is_refused():
    with pytest.raises(IntegrityError, match="candlesticks keep"):
        ALL.step(np.zeros((2, 7)), np.ones((2, 8)))
