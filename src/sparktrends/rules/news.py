"""What a rule knows of the news about a symbol: stories that were known before the bar began, never by the wall clock
of whoever looks. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparktrends.model import DAY, HOUR

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NEWS_NAMES = ("news_1h", "news_24h", "sentiment_24h")
"""Stories known in the hour and in the day before the bar's start, and the mean score (-1 to 1) of those of the day
whose score was known by then; NaN without any."""
LONGEST = DAY
"""How long before a bar a story still matters (µs)."""
NEVER = 2**62


@dataclass(frozen=True, slots=True)
class Stories:
    """Stories about one symbol: when each was known and when its score was (`NEVER`: not yet), µs UTC; the scores."""

    known: Ints
    scored: Ints
    scores: Floats


def news_rows(starts: Ints, stories: Stories) -> Floats:
    """A row of `NEWS_NAMES` for each bar, ``float64[m, 3]``: the same bits however the bars are cut into calls."""
    if len(starts) == 1:
        return np.array([_row(int(starts[0]), stories)])  # thousands of series, each with one bar: so it is quicker
    known = np.sort(stories.known)
    before = np.searchsorted(known, starts)
    counts = [before - np.searchsorted(known, starts - length) for length in (HOUR, DAY)]
    return np.column_stack([*counts, _means(starts, stories)]).astype(np.float64)


def _row(start: int, stories: Stories) -> tuple[float, float, float]:
    if not len(stories.known):
        return 0.0, 0.0, math.nan
    told = zip(stories.known.tolist(), stories.scored.tolist(), stories.scores.tolist(), strict=True)
    day = [(known, scored, score) for known, scored, score in told if start - DAY <= known < start]
    scores = [score for _, scored, score in day if scored < start]
    hour = sum(known >= start - HOUR for known, _, _ in day)
    # fsum: the database tells stories in no order, and this sum is the same in any.
    return float(hour), float(len(day)), math.fsum(scores) / len(scores) if scores else math.nan


def _means(starts: Ints, stories: Stories) -> Floats:
    """The mean changes only where a story or a score becomes known, or a day old: it is made once for each stretch."""
    changes = np.sort(np.concatenate([stories.scored, stories.known + DAY]))
    stretches, first, of_bar = np.unique(np.searchsorted(changes, starts), return_index=True, return_inverse=True)
    means = np.full(len(stretches), np.nan)
    for number, start in enumerate(starts[first].tolist()):
        counted = (stories.known >= start - DAY) & (stories.scored < start)
        if counted.any():
            means[number] = math.fsum(stories.scores[counted].tolist()) / int(counted.sum())
    made: Floats = means[of_bar]
    return made
