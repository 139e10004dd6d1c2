"""What detectors must beat: a rolling z-score, NAB's windowed Gaussian, and chance. Each scores a series of values."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ROLLING = 60
WINDOW, STEP = 6400, 100
LEAST_DEVIATION = 1e-6
CHANCE = 10.0**-4.2
"""Of a false alarm at one bar: what the detectors' own threshold says of itself (decision 0006)."""


def rolling_z(values: Floats) -> Floats:
    """|value − mean| / deviation of the 60 values before; 0 before there are so many, and where they are equal."""
    scores = np.zeros(len(values))
    if len(values) > ROLLING:
        before = np.lib.stride_tricks.sliding_window_view(values, ROLLING)[:-1]
        deviation = before.std(axis=1)
        far = np.abs(values[ROLLING:] - before.mean(axis=1))
        scores[ROLLING:] = np.divide(far, deviation, out=np.zeros_like(far), where=deviation > 0)
    return scores


def windowed_gaussian(values: Floats) -> Floats:
    """NAB's baseline: 1 − the upper tail of a Gaussian over the values before, at most 6,400, moved on by 100."""
    rows = np.arange(1, len(values))
    end = np.where(rows <= WINDOW, rows, WINDOW + (rows - WINDOW) // STEP * STEP)
    begin, centred = np.maximum(0, end - WINDOW), values - values.mean()
    sums, squares = (np.concatenate([[0.0], np.cumsum(of)]) for of in (centred, centred**2))
    mean = (sums[end] - sums[begin]) / (end - begin)
    variance = (squares[end] - squares[begin]) / (end - begin) - mean**2
    deviation = np.maximum(np.sqrt(np.maximum(variance, 0.0)), LEAST_DEVIATION)
    tails = [math.erfc(z) for z in (np.abs(centred[1:] - mean) / deviation / 1.4142).tolist()]
    return np.concatenate([[0.0], 1.0 - 0.5 * np.array(tails)])


def chance(values: Floats, seed: int = 0) -> Floats:
    """Uniform random scores: NAB's random detector."""
    return np.random.default_rng(seed).random(len(values))


BASELINES = {"rolling_z": rolling_z, "windowed_gaussian": windowed_gaussian, "random": chance}
THRESHOLDS = {"rolling_z": 4.0, "windowed_gaussian": 1.0 - CHANCE / 2.0, "random": 1.0 - CHANCE}
"""Where each would cry wolf at that chance, were the values Gaussian."""
