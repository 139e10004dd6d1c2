"""Names, and rules made of one condition."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sparktrends.rules import Names, Rules

MINUTE = 60_000_000


@pytest.fixture(scope="session")
def names():
    return Names(("rsi_14", "sma_20", "sma_50", "volume_ratio", "return"), {"anomaly.move": 4.0, "trend.state": 1.0})


@pytest.fixture
def make(names):
    """Rules of one rule: ``make('close > 5', cooldown='0s')``."""

    def made(when, **more):
        settings = {"name": "it", "when": when, "cooldown": "0s", **more}
        lines = [f"{key} = {_toml(value)}" for key, value in settings.items()]
        return Rules.parse("[[rule]]\n" + "\n".join(lines), names)

    return made


@pytest.fixture
def fires(make):
    """At which bars a condition fires, over closes and, when given, RSI and scores of the first signal."""

    def fired(when, close, rsi=None, score=None, starts=None, **more):
        rules, n = make(when, **more), len(close)
        tables = tables_of(close, rsi, score)
        when_bars = np.arange(n) * MINUTE if starts is None else np.array(starts) * MINUTE
        return np.flatnonzero(rules.run(rules.new(1)[0], when_bars, *tables)[:, 0]).tolist()

    return fired


@pytest.fixture
def lasts(make):
    """From which bar to which an alert of a condition lasts, by their numbers: as `fires`, but pairs."""

    def lasted(when, close, rsi=None, **more):
        rules, ends = make(when, **more), []
        when_bars = np.arange(len(close)) * MINUTE
        rules.run(rules.new(1)[0], when_bars, *tables_of(close, rsi), ends=ends)
        return [(end.start // MINUTE, end.row) for end in ends]

    return lasted


def tables_of(close, rsi=None, score=None):
    n = len(close)
    bars = np.tile(np.array(close, dtype=float)[:, None], (1, 8))
    metrics = np.full((n, 5), np.nan)
    metrics[:, 0] = np.nan if rsi is None else rsi
    scores = np.full((n, 2), np.nan)
    scores[:, 0] = np.nan if score is None else score
    return bars, metrics, scores


def _toml(value):
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(inner)}' for key, inner in value.items())} }}"
    return json.dumps(value)
