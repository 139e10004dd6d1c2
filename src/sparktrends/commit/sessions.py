"""Which session a bar belongs to, for everybody who steps bars: the stream, repair, backfill, backtests and files."""

from __future__ import annotations

from sparktrends.analysis.work import SeriesKey
from sparktrends.errors import BadSetting
from sparktrends.model import DAY, INTERVALS
from sparktrends.sessions import calendar
from sparktrends.sources.symbols import hours_of

_NOTHING = (0, 0)
"""A span that holds no time."""


class Sessions:
    """The session of each bar of an interval, as a number that changes with it: when the session began, µs UTC.

    Hours are those of the exchange (`sources.symbols.hours_of`). What is traded after a close or before an opening
    belongs to the session before. A bar that holds an opening belongs to what opens; one of a day is a session of its
    own. Where no calendar reaches, twenty years back, the session is the UTC day.
    """

    def __init__(self, interval: str) -> None:
        self._last = INTERVALS[interval] - 1
        self._daily = INTERVALS[interval] >= DAY
        # Asked for every bar of every series: the calendar is looked up once a session.
        self._spans: dict[SeriesKey, tuple[int, int]] = {}

    def __call__(self, key: SeriesKey, start: int) -> float:
        """The number of the session of the bar that starts at a time (µs); raises BadSetting for no exchange."""
        at = start + self._last
        begin, end = self._spans.get(key, _NOTHING)
        if not begin <= at < end:
            begin, end = self._spans[key] = self._span(key, at)
        return float(begin)

    def _span(self, key: SeriesKey, at: int) -> tuple[int, int]:
        day = at - at % DAY
        if not self._daily:
            hours = calendar(hours_of(*key))
            try:
                return hours.session_span(at)
            except BadSetting:
                pass
        return day, day + DAY
