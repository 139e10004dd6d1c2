"""Bars for detectors: seeded noise with the tails and the clustering of real returns, and bars that do nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def noise_bars(seed: int, n: int, tails: float = 4.0, usual: float = 5e-4) -> Floats:
    """Student-t returns with GARCH(1,1) volatility, log-normal volume that grows with the move, sessions of a day."""
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


def still_bars(n: int) -> Floats:
    """Bars of a market that ticks up and down by one basis point."""
    bars = np.tile([100.0, 100.02, 99.99, 100.0, 5.0, 500.0, 0.0, 0.0], (n, 1))
    bars[::2, 3] = 100.01
    return bars


def no_metrics(bars: Floats) -> Floats:
    return np.empty((len(bars), 0))


@pytest.fixture
def noise():
    return noise_bars


@pytest.fixture
def still():
    return still_bars


@pytest.fixture
def run():
    """Run one detector that reads no metrics over bars of one series: its scores."""

    def scores_of(name, bars, **settings):
        from sparktrends.detectors import Detectors

        one = Detectors((), {name: settings}, chosen=(name,))
        return one.run(one.new(1)[0], bars, no_metrics(bars))[:, 0]

    return scores_of
