"""The Numenta Anomaly Benchmark's scorer, by its published rules, standard profile (Lavin and Ahmad, 2015).

A detection inside a labelled window counts once, the more the earlier it is: σ(y) = 2 / (1 + exp(5y)) − 1 at its
position y, −1 at the window's first row and 0 just behind its last, over σ(−1). Outside it costs 0.11 · |σ(y)| with y
counted in widths of the window before it, 0.11 beyond three of them or where there is none. A window missed costs 1.
The first 15 % of a file, at most 750 rows, are probation. A score of 0 is a detector that never speaks, 100 a
perfect one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sparktrends.errors import BadFile

Floats = NDArray[np.float64]
FALSE_POSITIVE, MISSED = 0.11, 1.0
PROBATION, PROBATION_ROWS = 0.15, 5000
FAR = 3.0


def sigmoid(position: Floats) -> Floats:
    """NAB's scaled sigmoid: 1 long before the end of a window, 0 at its end, −1 from three widths behind it on.

    >>> sigmoid(np.array([-1.0, 0.0, 3.1])).round(4).tolist()
    [0.9866, 0.0, -1.0]
    """
    # Beyond the last width counted everything is the same, and the exponential would overflow.
    curve: Floats = 2.0 / (1.0 + np.exp(5.0 * np.minimum(position, FAR))) - 1.0
    return np.where(position > FAR, -1.0, curve)


@dataclass(frozen=True)
class Series:
    """A file: its values, and its windows as first and last row."""

    name: str
    values: Floats
    windows: tuple[tuple[int, int], ...]

    @property
    def probation(self) -> int:
        """Rows at the start that are not scored."""
        return math.floor(PROBATION * min(len(self.values), PROBATION_ROWS))

    @cached_property
    def worth(self) -> Floats:
        """What a detection at each row is worth: above 0 within a window, below outside."""
        worth = np.full(len(self.values), -FALSE_POSITIVE)
        for number, (first, last) in enumerate(self.windows):
            width = last - first + 1
            behind = self.windows[number + 1][0] if number + 1 < len(self.windows) else len(worth)
            inside, after = np.arange(first, last + 1), np.arange(last + 1, behind)
            worth[inside] = sigmoid(-(last - inside + 1) / width) / sigmoid(np.array(-1.0))
            worth[after] = FALSE_POSITIVE * sigmoid((after - last) / max(width - 1, 1))
        return worth

    def score(self, spoken: NDArray[np.bool_]) -> float:
        """The raw score of a detector that speaks at these rows."""
        spoken = spoken.copy()
        spoken[: self.probation] = False
        outside = spoken.copy()
        total = 0.0
        for first, last in self.windows:
            found = self.worth[first : last + 1][spoken[first : last + 1]]
            total += float(found.max()) if len(found) else -MISSED
            outside[first : last + 1] = False
        return total + float(self.worth[outside].sum())


def read(folder: Path) -> list[Series]:
    """The files of a folder in NAB's layout, ``data/*/*.csv`` and ``labels/*windows.json``; raises BadFile."""
    labels = sorted((folder / "labels").glob("*windows.json"))
    if not labels:
        raise BadFile(f"{folder} has no labels/*windows.json", hint="give a folder in NAB's layout")
    windows = json.loads(labels[0].read_text())
    return [_series(folder / "data" / name, name, windows[name]) for name in sorted(windows)]


def _series(file: Path, name: str, windows: Sequence[Sequence[str]]) -> Series:
    frame = pl.read_csv(file, schema_overrides={"value": pl.Float64}, try_parse_dates=True)
    times = frame["timestamp"].cast(pl.Datetime("us"))
    limits = [pl.Series(window).str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us") for window in windows]
    rows = tuple(
        (int(times.search_sorted(first, "left")), int(times.search_sorted(last, "right")) - 1) for first, last in limits
    )
    return Series(name, frame["value"].to_numpy(), rows)


def corpus_score(corpus: Sequence[Series], scores: Sequence[Floats], threshold: float) -> float:
    """The score of the corpus for a detector with this threshold, 0 to 100 (or less than 0)."""
    raw = sum(series.score(of >= threshold) for series, of in zip(corpus, scores, strict=True))
    count = sum(len(series.windows) for series in corpus)
    return 100.0 * (raw + MISSED * count) / (count + MISSED * count)


def best_score(corpus: Sequence[Series], scores: Sequence[Floats]) -> tuple[float, float]:
    """NAB's optimiser: the best score that any one threshold gives on this corpus, and the threshold. What tunes itself
    on the test like this is a bound, not a result."""
    rows = [_scored(number, series, of) for number, (series, of) in enumerate(zip(corpus, scores, strict=True))]
    loudness, worth, window = (np.concatenate(columns) for columns in zip(*rows, strict=True))
    order = np.argsort(-loudness, kind="stable")
    gain = _gains(worth[order], window[order])
    # A threshold lets in all rows of its own score.
    lets_in = np.append(np.diff(loudness[order]) != 0, True)
    best = int(np.argmax(np.where(lets_in, gain, -np.inf)))
    count = sum(len(series.windows) for series in corpus)
    if gain[best] <= 0:
        return 0.0, np.inf
    return 100.0 * float(gain[best]) / (count + MISSED * count), float(loudness[order][best])


def _scored(number: int, series: Series, scores: Floats) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Score, worth and window (-1: none) of the rows behind the probation."""
    window = np.full(len(scores), -1)
    for inside, (first, last) in enumerate(series.windows):
        window[first : last + 1] = number * 1000 + inside
    return scores[series.probation :], series.worth[series.probation :], window[series.probation :]


def _gains(worth: Floats, window: NDArray[np.int64]) -> Floats:
    """What a detector has gained over a silent one after each row, loudest first: of a window its best row counts."""
    gain, total, best = np.empty(len(worth)), 0.0, dict[int, float]()
    for row, (of, where) in enumerate(zip(worth.tolist(), window.tolist(), strict=True)):
        if where < 0:
            total += of
        else:
            before = best.get(where, -MISSED)
            best[where] = max(before, of)
            total += best[where] - before
        gain[row] = total
    return gain
