"""What a text says: a score, a label, and the words that made it."""

from __future__ import annotations

import math
from typing import NamedTuple

POSITIVE, NEUTRAL, NEGATIVE = "positive", "neutral", "negative"
LABELS = (POSITIVE, NEUTRAL, NEGATIVE)

THRESHOLD = 0.15
"""A score within ± this is neutral: Alpha Vantage draws the same line, and one faint word alone does not pass it."""

# VADER's: about the largest sum that one sentence reaches.
_ALPHA = 15.0


class Evidence(NamedTuple):
    """Words of the text, in its order, and what they added to the sum before it was brought into [-1, 1]."""

    words: str
    weight: float


class Sentiment(NamedTuple):
    """``score`` in [-1, 1], ``label`` positive, neutral or negative, ``evidence`` in the order of the text."""

    score: float
    label: str
    evidence: tuple[Evidence, ...] = ()


def squash(total: float) -> float:
    """A sum of valences as a score in [-1, 1], rounded to 4 places (Hutto & Gilbert 2014).

    >>> squash(2.0), squash(-1e9)
    (0.4588, -1.0)
    """
    return round(total / math.sqrt(total * total + _ALPHA), 4)


def label_of(score: float) -> str:
    """The label of a score.

    >>> label_of(0.2), label_of(-0.1)
    ('positive', 'neutral')
    """
    return POSITIVE if score >= THRESHOLD else NEGATIVE if score <= -THRESHOLD else NEUTRAL


SILENT = Sentiment(0.0, NEUTRAL)
"""What a text says in which nothing was found."""
