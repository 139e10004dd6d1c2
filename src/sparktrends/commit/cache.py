"""What the last batch knew of each series, so that the next one need not read it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from sparktrends.analysis.work import Floats
from sparktrends.model import PartialBar
from sparktrends.store.writer import SeriesKey

Minutes = dict[int, PartialBar]


Position = tuple[Floats, int]
"""A state, and the start of the bar it was left by (-1: no bar yet)."""


@dataclass(frozen=True, slots=True)
class Known:
    """The minutes of a series that are not final, the same of its longer bars by interval and the clock up to which
    none of these is over, and where the analysis of each interval stands (missing: read it)."""

    minutes: Minutes
    longer: Mapping[str, Minutes] = field(default_factory=dict)
    longer_until: int = -1
    positions: Mapping[str, Position] = field(default_factory=dict)


@dataclass(slots=True)
class Cache:
    """`Known` of each series as of a version of its state.

    Another writer (repair, backfill) makes the version differ, and the entry is not used. A cache must be thrown
    away when the transaction that filled it fails.
    """

    limit: int = 20_000
    entries: dict[SeriesKey, tuple[int, Known]] = field(default_factory=dict)

    def get(self, key: SeriesKey, version: int) -> Known | None:
        """What is known, if it is of this version."""
        found = self.entries.get(key)
        return found[1] if found is not None and found[0] == version else None

    def keep(self, news: Mapping[SeriesKey, tuple[int, Known]]) -> None:
        """Remember what one step left, each with its version; the whole cache starts anew when it is full.

        All of a step at once: what is not at hand is read, so nothing may vanish between the first and last look of it.
        """
        if len(self.entries.keys() | news.keys()) > self.limit:
            self.entries.clear()
        self.entries.update(islice(news.items(), self.limit))
