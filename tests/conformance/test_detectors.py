"""What every registered detector must hold. A new one is covered by being in the registry; it only needs a plant."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.detectors import SCORE, Detectors
from sparktrends.detectors.base import CLOSE, HIGH, LOW, OPEN, SESSION, VOLUME, Detector, Row, Verdict, compiled
from sparktrends.detectors.registry import REGISTRY
from sparktrends.indicators import Kernel

KERNEL = Kernel()
SET = Detectors(KERNEL.columns)
ANOMALIES = [kind for kind in REGISTRY if kind.kind == "anomaly"]
each = pytest.mark.parametrize("kind", REGISTRY, ids=lambda kind: kind.name)


def noise(seed, n, tails=4.0, usual=5e-4):
    """Student-t returns with GARCH(1,1) volatility and volume that grows with the move."""
    random = np.random.default_rng(seed)
    shocks = random.standard_t(tails, n) / np.sqrt(tails / (tails - 2))
    returns, variance = np.empty(n), usual**2
    for i in range(n):
        returns[i] = np.sqrt(variance) * shocks[i]
        variance = 0.03 * usual**2 + 0.07 * returns[i] ** 2 + 0.90 * variance
    close = 100 * np.exp(np.cumsum(returns))
    start = np.concatenate([[100.0], close[:-1]])
    wicks = np.exp(0.5 * usual * np.abs(random.standard_normal((2, n))))
    high, low = np.maximum(start, close) * wicks[0], np.minimum(start, close) / wicks[1]
    volume = np.exp(3 + 0.6 * random.standard_normal(n) + 0.3 * np.abs(returns) / usual)
    return np.column_stack([start, high, low, close, volume, volume * close, np.arange(n) // 1440, np.zeros(n)])


BARS = noise(7, 1500)
METRICS = KERNEL.run(KERNEL.new(1)[0], BARS)
KEYS = [("x", "A", "1m", j) for j in range(len(BARS))]


def single(kind):
    return Detectors(KERNEL.columns, chosen=(kind.name,))


def found_in(detectors, bars, metrics=None):
    metrics = KERNEL.run(KERNEL.new(1)[0], bars) if metrics is None else metrics
    return detectors.run(detectors.new(1)[0], bars, metrics)


def moved(bars, share, volume):
    """The last bar closes ``share`` away from the one before, on ``volume`` times its volume."""
    bar = bars[-1]
    bar[OPEN], bar[CLOSE] = bars[-2, CLOSE], bars[-2, CLOSE] * (1 + share)
    bar[HIGH], bar[LOW] = max(bar[OPEN], bar[CLOSE]), min(bar[OPEN], bar[CLOSE])
    bar[VOLUME] *= volume


def gapped(bars):
    bars[-1, :4] *= 0.8
    bars[:, SESSION] = 0.0
    bars[-1, SESSION] = 1.0


def busy_but_still(bars):
    moved(bars, 0.0, 2000)


def drifting(bars):
    bars[-90:, :4] *= np.exp(np.arange(1, 91) * 8e-4)[:, None]


PLANTS = {
    "price_move": lambda bars: moved(bars, -0.08, 1),
    "volume_spike": lambda bars: moved(bars, 0.0, 500),
    "surge": lambda bars: moved(bars, 0.08, 1),
    "shock": lambda bars: moved(bars, -0.03, 30),
    "range_burst": lambda bars: moved(bars, 0.15, 1),
    "gap": gapped,
    "change_point": drifting,
    "drift": drifting,
    "divergence": busy_but_still,
    "pump": lambda bars: moved(bars, 0.10, 20),
}
"""For each anomaly what must make it speak, planted at the end of a day of noise."""


def test_every_anomaly_has_a_plant():
    assert set(PLANTS) == {kind.name for kind in ANOMALIES}


@pytest.mark.parametrize("kind", ANOMALIES, ids=lambda kind: kind.name)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_planted_is_found(kind, seed):
    detectors, bars = single(kind), noise(seed, 1000)
    PLANTS[kind.name](bars)
    scores = np.abs(found_in(detectors, bars)[:, 0, SCORE])
    since = -90 if PLANTS[kind.name] is drifting else -1
    assert scores[since:].max() >= kind.defaults["threshold"]
    assert not (scores[:since] >= kind.defaults["threshold"])[-300:].any()


@each
def test_something_makes_it_speak(kind):
    scores = found_in(single(kind), noise(11, 20_000))[:, 0, SCORE]
    spoken = np.abs(scores) >= kind.defaults["threshold"]
    assert kind.kind == "anomaly" or 0 < spoken.sum() < len(scores) / 20


@pytest.mark.parametrize("tails", [3.0, 4.0, 6.0])
def test_anomalies_are_quiet_on_noise(tails):
    """At most one false alarm per symbol and day, for all of them together (two where the tails are of degree 3)."""
    detectors = Detectors(KERNEL.columns, chosen=[kind.name for kind in ANOMALIES])
    thresholds, alarms, days = np.array(list(detectors.thresholds.values())), 0, 0
    for seed in range(100, 108):
        alarms += int((np.abs(found_in(detectors, noise(seed, 14_400, tails))[:, :, SCORE]) >= thresholds).sum())
        days += 10
    assert alarms / days <= (2.0 if tails == 3.0 else 1.0)


@each
def test_a_constant_series_is_quiet(kind):
    bars = np.tile([100.0, 100.0, 100.0, 100.0, 5.0, 500.0, 0.0, 0.0], (1000, 1))
    assert not np.nan_to_num(found_in(single(kind), bars)[:, 0, SCORE]).any()


@each
def test_nothing_before_the_warm_up(kind):
    scores = found_in(single(kind), BARS)[:, 0, SCORE]
    assert np.isnan(scores[: int(kind.defaults["warm"])]).all()
    assert not np.isnan(scores[400:]).any() or kind.name == "gap"


@each
def test_score_leaves_the_state_alone(kind):
    assert score_keeps_state(single(kind))


def score_keeps_state(detectors):
    state = detectors.new(1)
    detectors.run(state[0], BARS[:500], METRICS[:500])
    before = state.tobytes()
    # A peek asks only those that may speak early.
    detectors._drive(np.arange(1), state, BARS[500:501], METRICS[500:501], learning=False)
    return state.tobytes() == before


@compiled
def _no_score(_p: Row, _state: Row, _bar: Row, _seen: Row) -> Verdict:
    return 0.0, 0.0, 0.0, 1.0


@compiled
def _broken_score(_p: Row, state: Row, _bar: Row, _seen: Row) -> Verdict:
    state[1] += 1.0
    return state[1], 0.0, 0.0, 1.0


@compiled
def _no_learning(_p: Row, _state: Row, _bar: Row, _seen: Row) -> None:
    return


class LearnsInScore(Detector):
    """Wrong: counts in score."""

    name = "learns_in_score"
    size = 2
    defaults = {"threshold": 1, "warm": 1}  # noqa: RUF012
    measure = "calls"
    score = staticmethod(_broken_score)
    learn = staticmethod(_no_learning)


class Neighbour(Detector):
    """Keeps floats that nobody may touch."""

    name = "neighbour"
    size = 16
    defaults = {"threshold": 1, "warm": 1}  # noqa: RUF012
    measure = "nothing"
    score = staticmethod(_no_score)
    learn = staticmethod(_no_learning)


@each
def test_it_writes_no_state_but_its_own(kind):
    detectors = Detectors(KERNEL.columns, registry=(kind, Neighbour))
    state = detectors.new(1)
    detectors.run(state[0], BARS, METRICS)
    assert not state[0, kind.size + 1 :].any()


def test_a_detector_that_learns_in_score_is_caught():
    assert not score_keeps_state(Detectors(KERNEL.columns, registry=(LearnsInScore,)))


@each
def test_what_it_may_say_early_never_shrinks_while_the_bar_forms(kind):
    """High, low and volume grow outwards: so must the score, or an early signal would come and go."""
    if not kind.forming:
        return
    detectors = single(kind)
    state = detectors.new(1)
    detectors.run(state[0], BARS[:500], METRICS[:500])
    last, scores = BARS[499, CLOSE], []
    for part in np.linspace(0.0, 1.0, 50):
        bar = BARS[500].copy()
        bar[[OPEN, HIGH, LOW, CLOSE, VOLUME]] = last, last * (1 + part * 0.06), last, last, 1 + part * 50_000
        scores.append(abs(detectors.peek(state, bar[None], METRICS[500:501])[0, 0, SCORE]))
    assert (np.diff(scores) >= 0).all()
    assert scores[-1] > kind.defaults["threshold"]


@each
def test_its_early_verdict_on_a_whole_bar_is_the_final_one(kind):
    detectors = single(kind)
    state = detectors.new(1)
    detectors.run(state[0], BARS[:500], METRICS[:500])
    early = detectors.peek(state, BARS[500:501], METRICS[500:501])
    final = detectors.step(state, BARS[500:501], METRICS[500:501])
    assert early.tobytes() == final.tobytes() if kind.forming else np.isnan(early).all()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 600), max_size=5))
def test_any_split_gives_the_same_bits(cuts):
    whole_state = SET.new(1)
    whole = SET.run(whole_state[0], BARS[:600], METRICS[:600])
    state, edges = SET.new(1), [0, *sorted(cuts), 600]
    pieces = [SET.run(state[0], BARS[a:b], METRICS[a:b]) for a, b in pairwise(edges)]
    assert np.concatenate(pieces).tobytes() == whole.tobytes()
    assert state.tobytes() == whole_state.tobytes()


def test_a_series_has_the_same_bits_in_any_company():
    n = 17
    together, alone = SET.new(n), SET.new(1)
    series = np.stack([noise(seed, 400) for seed in range(n)])
    metrics = np.stack([KERNEL.run(KERNEL.new(1)[0], bars) for bars in series])
    for j in range(400):
        found = SET.step(together, series[:, j], metrics[:, j])
    assert SET.run(alone[0], series[5], metrics[5])[-1].tobytes() == found[5].tobytes()
    assert together[5].tobytes() == alone[0].tobytes()


@each
def test_its_state_stays_finite_and_its_size_fixed(kind):
    detectors = single(kind)
    state = detectors.new(1)
    detectors.run(state[0], noise(3, 20_000, tails=3.0), np.zeros((20_000, len(KERNEL.columns))))
    assert state.shape == (1, kind.size)
    assert np.isfinite(state).all()


@each
def test_hostile_rows_are_no_opinion_and_teach_nothing(kind):
    detectors = single(kind)
    state = detectors.new(1)
    detectors.run(state[0], BARS[:500], METRICS[:500])
    before = state.tobytes()
    for value in (math.nan, math.inf, 0.0, -1.0):
        bar = BARS[500:501].copy()
        bar[0, LOW] = value
        assert np.isnan(detectors.step(state, bar, METRICS[500:501])[0, 0, SCORE])
    assert state.tobytes() == before


@each
@pytest.mark.parametrize("price", [1e-12, 1e12])
def test_any_price_and_volume_may_come(kind, price):
    bars = BARS.copy()
    bars[:, :4] *= price
    bars[::7, VOLUME] = 0.0
    bars[::11, VOLUME] = 1e15
    scores = found_in(single(kind), bars)[400:, 0, SCORE]
    assert np.isfinite(scores).all()


def test_signals_are_plain_json():
    bars = noise(1, 2000)
    moved(bars, 0.2, 1000)
    signals = SET.signals(KEYS + [("x", "A", "1m", j) for j in range(len(KEYS), 2000)], found_in(SET, bars))
    assert {"price_move", "volume_spike", "surge", "shock"} <= {signal.name for signal in signals}
    assert len({signal.id for signal in signals}) == len(signals)
    for signal in signals:
        json.dumps(asdict(signal), allow_nan=False)
        assert {"value", "baseline", "scale", "bars", "score", "threshold", "measure"} <= set(signal.detail)


@each
def test_it_says_what_it_is(kind):
    assert kind.__doc__
    assert ">>>" in kind.__doc__
    assert list(kind.defaults)[:2] == ["threshold", "warm"]
    assert kind.measure
