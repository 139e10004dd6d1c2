"""Bars to try the kernel on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from sparktrends.indicators import Kernel

Floats = NDArray[np.float64]


def random_walk(m: int, seed: int = 1, *, price: float = 100.0) -> Floats:
    """``m`` plausible bars; a session is 100 of them, every third bar is a provider's."""
    rng = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(rng.normal(0, 0.002, m)))
    open_ = close * (1 + rng.normal(0, 0.001, m))
    high = np.maximum(open_, close) * (1 + rng.random(m) * 0.001)
    low = np.minimum(open_, close) * (1 - rng.random(m) * 0.001)
    volume = rng.lognormal(3, 1, m)
    number = np.arange(m)
    return np.column_stack([open_, high, low, close, volume, close * volume, number // 100, number % 3 == 0])


@pytest.fixture(scope="session")
def walk() -> Callable[..., Floats]:
    """The function ``walk(m, seed)``."""
    return random_walk


@pytest.fixture(scope="session")
def kernel() -> Kernel:
    """Everything that is computed by default, and two windows a person asked for."""
    return Kernel({"sma": [10], "wma": [30]})
