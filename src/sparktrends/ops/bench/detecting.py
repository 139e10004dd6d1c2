"""How well the detectors find what is there, and how often they cry wolf: on NAB's files, and on simulated days.

NAB: a file's values become the logarithm of a price, over the range that NAB tells every detector. Thresholds are those
that ship, for the baselines the ones of the same chance; ``optimised`` is the best that any threshold would have given
on these very files, for every contestant.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparktrends.detectors import SCORE, Detectors
from sparktrends.indicators import BAR_COLUMNS, Kernel
from sparktrends.ops.bench import nab
from sparktrends.ops.bench.baselines import BASELINES, THRESHOLDS

Floats = NDArray[np.float64]
PRICE = 100.0


class Combined:
    """All anomaly detectors as one score: the largest of theirs, each in units of its own threshold."""

    def __init__(self, detectors: Detectors | None = None) -> None:
        self.kernel = Kernel()
        self.detectors = detectors or Detectors(self.kernel.columns)
        thresholds = self.detectors.thresholds
        self.anomalies = [c for c, name in enumerate(self.detectors.columns) if name.startswith("anomaly.")]
        self.limits = np.array([thresholds[self.detectors.columns[c]] for c in self.anomalies])

    def of(self, found: Floats) -> Floats:
        """1 and more is a signal."""
        strength = np.abs(found[:, self.anomalies, SCORE]) / self.limits
        largest: Floats = np.nan_to_num(strength, nan=0.0).max(axis=1)
        return largest

    def __call__(self, values: Floats) -> Floats:
        """The combined score of a series of values."""
        bars = as_bars(values)
        metrics = self.kernel.run(self.kernel.new(1)[0], bars)
        return self.of(self.detectors.run(self.detectors.new(1)[0], bars, metrics))


def as_bars(values: Floats) -> Floats:
    """Bars that close where the values are, opening at the one before; one unit traded in each."""
    spread = float(np.ptp(values)) or 1.0
    close = PRICE * np.exp((values - values.min()) / spread)
    start = np.concatenate([close[:1], close[:-1]])
    bars = np.zeros((len(values), len(BAR_COLUMNS)))
    bars[:, 0], bars[:, 3], bars[:, 4], bars[:, 5] = start, close, 1.0, close
    bars[:, 1], bars[:, 2] = np.maximum(start, close), np.minimum(start, close)
    return bars


def on_nab(folder: Path) -> dict[str, Any]:
    """Each contestant's score on a folder in NAB's layout: at its fixed threshold, and the best that any would give."""
    corpus = nab.read(folder)
    contestants: dict[str, Callable[[Floats], Floats]] = {"sparktrends": Combined(), **BASELINES}
    figures: dict[str, Any] = {
        "nab_files": len(corpus),
        "nab_windows": sum(len(series.windows) for series in corpus),
    }
    for name, score in contestants.items():
        scores = [score(series.values) for series in corpus]
        figures[f"nab_{name}"] = round(nab.corpus_score(corpus, scores, THRESHOLDS.get(name, 1.0)), 1)
        figures[f"nab_{name}_optimised"] = round(nab.best_score(corpus, scores)[0], 1)
    return figures
