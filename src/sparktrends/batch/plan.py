"""Which calls a day needs, what they cost, and how much of it a quota lets through when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sparktrends.errors import BadSetting
from sparktrends.model import DAY, stable_id
from sparktrends.sessions import calendar
from sparktrends.sources.base import Ask, Request, Source, What
from sparktrends.sources.symbols import exchange_of

BACKFILL_DAYS = 400
"""A symbol without history is asked for so many days: 270 sessions of a stock, enough for SMA 200 and its warm-up."""
ENOUGH = 250
"""Stored days of a symbol from which on only what is new is asked for."""
_PIECE_DAYS: Mapping[str, int] = {"1m": 5, "1d": 366}
_AGAIN_DAYS = 5  # the newest days are asked for again: providers correct them
_LONGEST_REST = 14 * DAY  # no exchange was closed for longer in our time
MEMORY_DAYS = 7
"""Calls that a quota or an outage prevented are made up for within so many days."""
NOW_ONLY: frozenset[str] = frozenset({"company", "quote"})
"""What a provider tells only as it is now."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of the daily bars of one symbol: how many, and the start of the newest (microseconds)."""

    days: int = 0
    newest: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One question for one day: a call, or the pages and windows of it. ``source`` is the source's name."""

    day: date
    source: str
    what: What
    endpoint: str
    interval: str
    symbols: tuple[str, ...]

    @property
    def id(self) -> str:
        """The same for the same question, whatever stretch of time it will be asked for."""
        return stable_id(self.what, self.endpoint, self.interval, *self.symbols)

    def requests(self, source: Source, stored: Mapping[str, Stored]) -> list[Request]:
        """The first requests of the call, for the time that is missing."""
        ask = Ask(self.what, self.symbols, self.interval, *self._span(stored))
        return [request for request in source.requests(ask) if request.endpoint == self.endpoint]

    def since(self, stored: Mapping[str, Stored]) -> date:
        """The first day whose call, if it still waits, this one answers too: bars of days come with those before."""
        if (self.what, self.interval) != ("bars", "1d"):
            return self.day
        return max(day_of(self._span(stored)[0]), self.day - timedelta(days=MEMORY_DAYS))

    def _span(self, stored: Mapping[str, Stored]) -> tuple[int, int]:
        start = day_start(self.day)
        if self.what == "bars" and self.interval == "1d":
            return min(_daily_from(start, stored.get(s, Stored())) for s in self.symbols), start + DAY
        if self.what == "news":
            return min((news_from(s, self.day) for s in self.symbols), default=start), start + DAY
        return start, start + DAY


@dataclass(frozen=True, slots=True)
class Stretch(Call):
    """A question for the bars of several days, to ``until`` inclusive: a piece of a backfill.

    Of days before ``oldest`` the provider has none. That moves on each day, and the question stays the same.
    """

    until: date
    oldest: date = date.min

    @property
    def id(self) -> str:
        """Of another length, another question."""
        return stable_id(self.what, self.endpoint, self.interval, self.until.isoformat(), *self.symbols)

    def _span(self, stored: Mapping[str, Stored]) -> tuple[int, int]:  # noqa: ARG002
        return day_start(max(self.day, self.oldest)), day_start(self.until) + DAY


def stretches(
    source: Source, symbols: Sequence[str], interval: str, first: date, last: date, today: date
) -> list[Stretch]:
    """The calls for bars from ``first`` to ``last`` (inclusive): five days each of minutes, a year each of days; none
    for days that the provider no longer has, and one where several pieces come to the same question."""
    found: dict[object, Stretch] = {}
    reached = by_oldest_day(source, symbols, interval, today)
    for start, end in pieces(first, last, _PIECE_DAYS.get(interval, 31)):
        for oldest, of in reached.items():
            if end < oldest:
                continue
            for call, asked in _questions(source, tuple(of), interval, start, end, oldest).items():
                # Who takes no days answers each piece alike: the newest stands for all.
                found[tuple(asked)] = call
    return list(found.values())


def _questions(
    source: Source, symbols: tuple[str, ...], interval: str, first: date, last: date, oldest: date
) -> dict[Stretch, list[object]]:
    """The calls of one piece, each with what it sends."""
    found: dict[Stretch, list[object]] = {}
    begin = day_start(max(first, oldest))
    for request in source.requests(Ask("bars", symbols, interval, begin, day_start(last) + DAY)):
        call = Stretch(first, source.name, "bars", request.endpoint, interval, request.ask.symbols, last, oldest)
        found.setdefault(call, []).append((request.path, tuple(sorted(request.params.items()))))
    return found


def by_oldest_day(source: Source, symbols: Iterable[str], interval: str, today: date) -> dict[date, list[str]]:
    """The symbols by the first day of which the source still has bars of the interval; ``date.min`` where any has."""
    found: dict[date, list[str]] = {}
    for symbol in symbols:
        reach = source.reach_of(symbol, interval)
        oldest = today - timedelta(days=reach // DAY - 1) if reach else date.min
        found.setdefault(oldest, []).append(symbol)
    return found


def pieces(first: date, last: date, days: int) -> Iterator[tuple[date, date]]:
    """The days from ``first`` to ``last`` cut into pieces of at most so many.

    >>> [(a.day, b.day) for a, b in pieces(date(2024, 1, 1), date(2024, 1, 5), 2)]
    [(1, 2), (3, 4), (5, 5)]
    """
    for start in range(first.toordinal(), last.toordinal() + 1, days):
        yield date.fromordinal(start), date.fromordinal(min(start + days - 1, last.toordinal()))


def _daily_from(day: int, stored: Stored) -> int:
    if stored.days < ENOUGH:
        return day - BACKFILL_DAYS * DAY
    return min(day, stored.newest) - _AGAIN_DAYS * DAY


def day_start(day: date) -> int:
    """The beginning of a day, UTC, in microseconds.

    >>> day_start(date(1970, 1, 2)) == DAY
    True
    """
    return (day - date(1970, 1, 1)).days * DAY


def news_from(symbol: str, day: date) -> int:
    """Since when (µs) news of a symbol belong to a day: the close before that of the day's session; the beginning of a
    day without a session, and of each day of what is always traded.

    >>> [day_of(news_from(symbol, date(2026, 11, 23))).day for symbol in ("AAPL", "BTC/USD")]  # a Monday
    [20, 23]
    """
    start, hours = day_start(day), calendar(exchange_of(symbol))
    closes = hours.closes(start, start + DAY)
    before = hours.closes(start - _LONGEST_REST, closes[-1] - 1) if closes else []
    return before[-1] if before else start


def day_of(at: int) -> date:
    """The UTC day of a time in microseconds."""
    return datetime.fromtimestamp(at // 1_000_000, UTC).date()


def calls_of(
    source: Source, asks: Iterable[Ask], day: date, today: date, symbols: Sequence[str] | None = None
) -> list[Call]:
    """The calls of one source for a day, of ``symbols`` only when given; those it cannot spell are left out.

    Company data and quotes are of now: they are asked for the day that is or has just ended, not for the past; nor are
    bars of a day that the provider no longer has.
    """
    found: dict[str, Call] = {}
    for ask in asks:
        chosen = _still_told(source, ask, chosen_symbols(source, ask.symbols, symbols), day, today)
        if not chosen:
            continue
        start = day_start(day)
        for request in source.requests(Ask(ask.what, chosen, ask.interval, start, start + DAY)):
            if ask.endpoint not in ("", request.endpoint):
                continue
            call = Call(day, source.name, ask.what, request.endpoint, ask.interval, request.ask.symbols)
            found.setdefault(call.id, call)
    return list(found.values())


def _still_told(source: Source, ask: Ask, symbols: tuple[str, ...], day: date, today: date) -> tuple[str, ...]:
    if ask.what in NOW_ONLY:
        return symbols if (today - day).days <= 1 else ()
    if ask.what != "bars":
        return symbols
    reached = by_oldest_day(source, symbols, ask.interval, today)
    gone = {symbol for oldest, of in reached.items() if day < oldest for symbol in of}
    return tuple(symbol for symbol in symbols if symbol not in gone)


def chosen_symbols(source: Source, configured: Sequence[str], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The configured symbols, or those of ``wanted`` that are of their kind (stock or pair) and the source can have."""
    if wanted is None:
        return tuple(configured)
    pairs = {"/" in symbol for symbol in configured}
    return tuple(dict.fromkeys(s for s in wanted if ("/" in s) in pairs and _can_have(source, s)))


def _can_have(source: Source, symbol: str) -> bool:
    try:
        source.spell(symbol)
    except BadSetting:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Cost:
    """What the calls of one source come to: requests, units of quota, seconds until the last may be sent."""

    source: str
    symbols: tuple[str, ...]
    requests: int
    units: int
    seconds: float


def weights(calls: Iterable[Call], source: Source, stored: Mapping[str, Stored]) -> list[int]:
    """The units of each request that the calls begin with."""
    return [request.weight for call in calls for request in call.requests(source, stored)]
