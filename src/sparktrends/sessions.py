"""Market calendars: is an exchange open, is it a half day, when does it open and close next; crypto never closes.

A thin layer over exchange_calendars, which knows holidays, half days, lunch breaks and daylight saving. Importing it
takes seconds, so that happens at the first question about an exchange (never for ``24/7``), and not at all where
another process has kept the answer (`keep_in`). Times are microseconds since 1970, UTC; an exchange is named by its
market identifier code (``XNYS``), currencies by ``24/5``: they trade from Sunday to Friday, 17:00 in New York, and
their days change at that hour. Nobody closes them for a holiday.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sparktrends.errors import BadSetting
from sparktrends.telemetry import Clock

ALWAYS = "24/7"
CURRENCIES = "24/5"
STOCKS = "XNYS"
"""The exchange whose hours hold for a stock unless somebody says otherwise: New York."""

Kind = Literal["open", "half day", "closed", "24/7"]
_DAY = 86_400_000_000
_BREAK = 4 * 3_600_000_000
"""Longer than any lunch break and shorter than any night."""


@dataclass(frozen=True, slots=True)
class Session:
    """What an exchange does at a moment. Trading or not, ``opens`` and ``closes`` are of the span at hand or the next.

    A lunch break is ``closed``, and ends with the afternoon; both are None for ``24/7``.
    """

    kind: Kind
    opens: int | None = None
    closes: int | None = None

    @property
    def trading(self) -> bool:
        """Whether trades can happen at that moment."""
        return self.kind != "closed"


class Calendar:
    """The trading spans of one exchange, about twenty years back and one ahead, and the name of its ``zone``, such as
    ``Asia/Tokyo``; make one with `calendar`."""

    def __init__(
        self, exchange: str, opens: list[int], closes: list[int], half_days: frozenset[int], zone: str
    ) -> None:
        self.exchange = exchange
        self.zone = zone
        self._opens = opens
        self._closes = closes
        self._half_days = half_days
        # The afternoon follows its morning within hours, the next day's session does not (that of currencies at once).
        afternoons = {b for a, b in zip(closes, opens[1:], strict=False) if 0 < b - a < _BREAK}
        self._starts = [start for start in opens if start not in afternoons]

    def at(self, ts: int) -> Session:
        """What the exchange does at ``ts``; BadSetting outside of what the calendar knows."""
        if self.exchange == ALWAYS:
            return Session("24/7")
        i = bisect_right(self._opens, ts) - 1
        if i >= 0 and ts < self._closes[i]:
            kind: Kind = "half day" if self._closes[i] in self._half_days else "open"
            return Session(kind, self._opens[i], self._closes[i])
        # Guessing that a market is closed, beyond what the calendar knows, would silence a live feed.
        if i + 1 >= len(self._opens) or i < 0:
            raise BadSetting(f"the calendar of {self.exchange} does not reach that time", hint="update the package")
        return Session("closed", self._opens[i + 1], self._closes[i + 1])

    def traded(self, since: int, until: int) -> bool:
        """Whether it was open at any time in [since, until)."""
        session = self.at(since)
        return session.trading or session.opens is None or session.opens < until

    def closes(self, since: int, until: int) -> list[int]:
        """When the days' sessions of (since, until] end, oldest first: midnight for ``24/7``. A break ends none."""
        if self.exchange == ALWAYS:
            return list(range((since // _DAY + 1) * _DAY, until + 1, _DAY))
        first, last = bisect_right(self._closes, since), bisect_right(self._closes, until)
        opens = [*self._opens, self._closes[-1] + _DAY]
        return [self._closes[i] for i in range(first, last) if not 0 < opens[i + 1] - self._closes[i] < _BREAK]

    def session_start(self, ts: int) -> int:
        """When the day's session that holds or precedes ``ts`` began (before the break, if there is one): for VWAP."""
        return self.session_span(ts)[0]

    def session_span(self, ts: int) -> tuple[int, int]:
        """That beginning, and when the session after it begins: whatever is traded until then belongs to it.

        BadSetting outside of what the calendar knows.
        """
        if self.exchange == ALWAYS:
            return ts - ts % _DAY, ts - ts % _DAY + _DAY
        i = bisect_right(self._starts, ts)
        if i == 0 or i == len(self._starts):
            raise BadSetting(f"the calendar of {self.exchange} does not reach that time", hint="update the package")
        return self._starts[i - 1], self._starts[i]


_MONTH = 30 * _DAY
_GUESSED_DAYS = 800
_RULES = 4
"""Raised when the rules that are ours change, or what is kept: a kept calendar is then computed again."""
_kept: tuple[Path, Clock] | None = None


def keep_in(folder: Path, clock: Clock) -> None:
    """From now on calendars are looked for in this folder, and kept there for a month: every process but the first has
    them within milliseconds and without pandas."""
    global _kept
    if _kept != (folder, clock):
        _kept = (folder, clock)
        calendar.cache_clear()


@lru_cache(maxsize=32)
def calendar(exchange: str = STOCKS) -> Calendar:
    """The calendar of an exchange; BadSetting when nobody knows it.

    >>> calendar("24/7").at(0)
    Session(kind='24/7', opens=None, closes=None)
    """
    if exchange == ALWAYS:
        return Calendar(ALWAYS, [], [], frozenset(), "UTC")
    file = _file(exchange)
    found = _read(file) if file else None
    if found is None:
        found = _computed(exchange)
        if file:
            _write(file, found)
    opens, closes, half_days, zone = found
    return Calendar(exchange, opens, closes, frozenset(half_days), zone)


_Hours = tuple[list[int], list[int], list[int], str]
"""When the exchange opens and closes, the closes of its half days, and its zone."""


def _file(exchange: str) -> Path | None:
    """Where the calendar is kept: a new version of the rules, or another month, is another file."""
    if _kept is None:
        return None
    folder, clock = _kept
    return folder / f"{quote(exchange, safe='')}-{version('exchange_calendars')}-{_RULES}-{clock() // _MONTH}.json"


def _read(file: Path) -> _Hours | None:
    try:
        opens, closes, half_days, zone = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return None
    whole = all(isinstance(of, list) and all(type(at) is int for at in of) for of in (opens, closes, half_days))
    whole = whole and isinstance(zone, str) and len(opens) == len(closes) > 0
    return (opens, closes, half_days, zone) if whole else None


def _write(file: Path, hours: _Hours) -> None:
    fresh = file.with_suffix(f".{os.getpid()}")
    with suppress(OSError):  # a cache that cannot be written costs a second the next time
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(hours), "utf-8")
        fresh.replace(file)


def _computed(exchange: str) -> _Hours:
    import exchange_calendars

    try:
        known = exchange_calendars.get_calendar(exchange)
    except exchange_calendars.errors.InvalidCalendarName:
        raise BadSetting(f"no exchange is called {exchange!r}", hint="give its code, such as XNYS or XLON") from None
    if exchange == CURRENCIES:
        # Its weekdays, from as far back to as far ahead as everybody's; its hours are those of UTC days.
        return *_of_currencies([day.date() for day in known.sessions]), known.tz.key
    opens: list[int] = []
    closes: list[int] = []
    schedule = known.schedule[["open", "break_start", "break_end", "close"]]
    for opened, pause, resumed, closed in chain(schedule.itertuples(index=False), _guessed(known, schedule)):
        opens.append(opened.value // 1000)
        if pause == pause:  # not a time at all where there is no break
            closes.append(pause.value // 1000)
            opens.append(resumed.value // 1000)
        closes.append(closed.value // 1000)
    early = known.schedule.loc[known.early_closes, "close"]
    return opens, closes, [moment.value // 1000 for moment in early], known.tz.key


def _guessed(known: Any, schedule: Any) -> Iterator[Sequence[Any]]:
    """The sessions behind the last that the package knows of an exchange which tells its holidays year by year: the
    hours of the last whole one on each such weekday.

    On a holiday a feed is then called stale, which a person sees; the other guess would call a dead one closed.
    """
    import pandas as pd

    bound = known.bound_max()
    if bound is None or bound - known.last_session > pd.Timedelta(days=30):
        return
    usual = schedule.drop(index=known.early_closes).iloc[-1]
    day, weekdays = usual.name, set(known.sessions[-20:].weekday)
    for n in range(1, _GUESSED_DAYS):
        later = day + pd.DateOffset(days=n)
        if later > known.last_session and later.weekday() in weekdays:
            # In the exchange's own clock, whose hour may change.
            local = (moment.tz_convert(known.tz) + pd.DateOffset(days=n) for moment in usual)
            yield [moment.tz_convert("UTC") for moment in local]


def _of_currencies(weekdays: Sequence[date]) -> tuple[list[int], list[int], list[int]]:
    """Each weekday begins when the day before it ends, Monday on Sunday."""
    return [_change(day - timedelta(days=1)) for day in weekdays], [_change(day) for day in weekdays], []


def _change(day: date) -> int:
    """When the day of currencies ends in New York, in winter as in summer."""
    return int(datetime.combine(day, time(17), ZoneInfo("America/New_York")).timestamp()) * 1_000_000
