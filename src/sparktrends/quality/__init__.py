"""How good the data of a series is, minute by minute and day by day: named checks, and a score with its reasons.

`Tally` counts what only the log shows (repeats, disorder, fields), `judged` finds the faults of each minute of one
series, `day_of` makes the day of them; `uncorroborated` and `coverage` compare the sources of one symbol. The formula
is in `score`.
"""

from __future__ import annotations

from sparktrends.quality.checks import CHECKS, Check, Minute, Prices, faults
from sparktrends.quality.coverage import Coverage, coverage
from sparktrends.quality.prices import jumps, market_of, uncorroborated
from sparktrends.quality.score import Day, Judged, day_of, judged
from sparktrends.quality.tally import Counts, Tally
from sparktrends.quality.truth import Truth, truth_of

__all__ = [
    "CHECKS",
    "Check",
    "Counts",
    "Coverage",
    "Day",
    "Judged",
    "Minute",
    "Prices",
    "Tally",
    "Truth",
    "coverage",
    "day_of",
    "faults",
    "judged",
    "jumps",
    "market_of",
    "truth_of",
    "uncorroborated",
]
