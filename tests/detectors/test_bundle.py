"""The bundle: settings, columns, thresholds, fingerprints, signals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sparktrends.detectors import REGISTRY, SCORE, Detectors
from sparktrends.detectors.base import BARS, SESSION
from sparktrends.errors import BadSetting, IntegrityError
from sparktrends.indicators import BAR_COLUMNS

TWO = ("price_move", "volume_spike")


def test_the_columns_of_a_bar_are_those_of_the_kernel():
    assert BAR_COLUMNS.index("session") == SESSION
    assert BAR_COLUMNS[:6] == ("open", "high", "low", "close", "volume", "turnover")


def test_columns_come_in_the_order_asked_for():
    assert Detectors((), chosen=TWO[::-1]).columns == ("anomaly.volume_spike", "anomaly.price_move")


def test_thresholds_are_those_of_the_settings():
    few = Detectors((), {"price_move": {"threshold": 6}}, chosen=TWO)
    assert few.thresholds == {"anomaly.price_move": 6.0, "anomaly.volume_spike": 4.2}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"price_mov": {}}, "did you mean price_move"),
        ({"price_move": {"treshold": 5}}, "did you mean threshold"),
        ({"price_move": {"threshold": 0}}, "positive number"),
        ({"price_move": {"threshold": math.nan}}, "positive number"),
        ({"price_move": {"span": True}}, "positive number"),
        ({"price_move": {"span": "60"}}, "positive number"),
        ({"pump": {"threshold": 5}}, "unknown detector"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(BadSetting, match=message):
        Detectors((), settings, chosen=TWO)


def test_an_unknown_metric_is_refused():
    with pytest.raises(BadSetting, match="unknown metric 'rsi_14'"):
        Detectors(("rsi_15x",), chosen=("rsi_extreme",))


def test_two_of_one_name_are_refused():
    with pytest.raises(BadSetting, match="same name"):
        Detectors((), registry=(REGISTRY[0], REGISTRY[0]))


def test_state_of_another_layout_is_refused(still):
    few = Detectors((), chosen=TWO)
    with pytest.raises(IntegrityError, match="floats a series"):
        few.step(np.zeros((3, few.size + 1)), still(3), np.empty((3, 0)))


def test_the_fingerprint_follows_what_decides_the_state():
    base = Detectors((), chosen=TWO).fingerprint
    assert Detectors((), chosen=TWO).fingerprint == base
    assert Detectors((), {"price_move": {"threshold": 9}}, chosen=TWO).fingerprint == base
    assert Detectors((), {"price_move": {"span": 61}}, chosen=TWO).fingerprint != base
    assert Detectors((), chosen=TWO[:1]).fingerprint != base


def test_peek_shows_only_what_may_speak_early(still):
    few = Detectors((), chosen=TWO)
    state = few.new(1)
    few.run(state[0], still(200), np.empty((200, 0)))
    scores = few.peek(state, still(1), np.empty((1, 0)))[0, :, SCORE]
    assert np.isnan(scores).tolist() == [True, False]


def test_severity_grows_with_the_score(still):
    few = Detectors((), chosen=("price_move",))
    found = np.full((4, 1, 5), np.nan)
    found[:, 0, SCORE] = 4.1, 4.3, -5.3, 7.0
    found[:, 0, BARS] = 200
    signals = few.signals([("x", "A", "1m", j) for j in range(4)], found)
    assert [(s.start, s.severity, s.direction) for s in signals] == [
        (1, "info", "up"),
        (2, "warning", "down"),
        (3, "critical", "up"),
    ]
    assert signals[0].detail["value"] is None


def test_a_combined_score_tells_what_its_parts_scored_at_the_same_bar(still):
    bars = still(200)
    bars[199, [1, 4]] = 104.0, 60.0
    few = Detectors((), chosen=("volume_spike", "shock", "surge"))
    state = few.new(1)
    few.run(state[0], bars[:199], np.empty((199, 0)))
    for found in (few.peek(state, bars[199:], np.empty((1, 0))), few.step(state, bars[199:], np.empty((1, 0)))):
        details = {s.name: s.detail for s in few.signals([("x", "A", "1m", 199)], found)}
        assert details["shock"]["scores"] == {"volume_spike": found[0, 0, SCORE], "surge": found[0, 2, SCORE]}
        assert details["shock"]["scores"]["surge"] == details["surge"]["score"] > 4.2
        assert "scores" not in details["surge"]


def test_no_bars_are_no_signals():
    few = Detectors((), chosen=TWO)
    assert few.signals([], few.run(few.new(1)[0], np.empty((0, 8)), np.empty((0, 0)))) == []


def test_read_only_rows_are_taken(still):
    bars = still(5)
    bars.flags.writeable = False
    few = Detectors((), chosen=TWO)
    assert few.run(few.new(1)[0], bars, np.empty((5, 0))).shape == (5, 2, 5)
