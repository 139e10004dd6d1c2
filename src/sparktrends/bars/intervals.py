"""Where bars begin and end. A bar of length n covers [start, start + n), counted from 1970 UTC."""

from __future__ import annotations

from sparktrends.model import INTERVALS, MINUTE


def minute_of(ts: int) -> int:
    """The start of the minute that holds ``ts`` (microseconds).

    >>> minute_of(119_999_999)
    60000000
    """
    return ts - ts % MINUTE


def end_of(start: int, interval: str = "1m") -> int:
    """The first microsecond after the bar that begins at ``start``."""
    return start + INTERVALS[interval]


def merge_spans(*groups: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """The union of half-open spans: sorted, and joined where they touch or overlap.

    >>> merge_spans(((60, 120),), ((0, 60), (300, 360)))
    ((0, 120), (300, 360))
    """
    joined: list[tuple[int, int]] = []
    for first, last in sorted(span for group in groups for span in group):
        # Half-open spans that only touch are one: a closed weekend comes as thousands of minutes.
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)
