"""When the daily work is due, for those who run without Airflow. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sparktrends.batch.plan import day_of
from sparktrends.model import DAY, HOUR

AT = 30 * DAY // (24 * 60)
"""The daily work begins so long (µs) after midnight UTC, when providers have closed their day."""
AGAIN = HOUR
"""A day that is not complete is tried again after so long (µs)."""
_MOST_DAYS = 7


@dataclass(frozen=True, slots=True)
class Tried:
    """The newest day that was worked on: when (µs), and whether nothing was missing."""

    day: date
    at: int
    complete: bool

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"day": self.day.isoformat(), "at": self.at, "complete": self.complete}

    @classmethod
    def read(cls, state: Mapping[str, Any] | None) -> Tried | None:
        """From JSON; None when nothing was tried, or nobody can tell."""
        try:
            return cls(date.fromisoformat(state["day"]), int(state["at"]), bool(state["complete"])) if state else None
        except (KeyError, TypeError, ValueError):
            return None


def due(now: int, tried: Tried | None) -> date | None:
    """The day to work on now; None when there is none. Days that were slept through come first, at most seven.

    >>> due(AT, None), due(AT - 1, None)
    (datetime.date(1969, 12, 31), datetime.date(1969, 12, 30))
    """
    newest = day_of(now - AT) - timedelta(days=1)
    # A day that has not come was tried by a clock that was ahead: it says nothing of those before it.
    if tried is None or tried.day > newest:
        return newest
    if tried.day < newest:
        return max(tried.day + timedelta(days=1), newest - timedelta(days=_MOST_DAYS - 1))
    return None if tried.complete or now < tried.at + AGAIN else tried.day
