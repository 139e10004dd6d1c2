"""The volume profiles of a day: of every session that ended on it, from stored minutes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sparktrends.analysis.profile import profile_of
from sparktrends.batch.plan import day_start
from sparktrends.model import DAY
from sparktrends.sessions import ALWAYS, calendar
from sparktrends.sources.symbols import exchange_of
from sparktrends.store import profiles
from sparktrends.store.profiles import Minute, Row
from sparktrends.store.session import Session


def profile_day(session: Session, day: date) -> int:
    """Make and store them; returns how many. The same minutes give the same profiles, so it may be run again."""
    begin, end = day_start(day), day_start(day) + DAY
    made: list[Row] = []
    with session.transaction() as cursor:
        # A session may have begun before midnight, but no whole day before: that of currencies, or Sydney's.
        for series, _, symbol in profiles.series_traded(cursor, begin - DAY, end):
            found = row_of(series, symbol, begin, profiles.minutes(cursor, series, begin - DAY, end))
            made += [found] if found else []
        profiles.save(cursor, day, made)
    return len(made)


def row_of(series: int, symbol: str, begin: int, minutes: Iterable[Minute]) -> Row | None:
    """The profile of the session of a symbol that ended on the day from ``begin`` on (µs UTC); None without a trade.

    Minutes outside of the exchange's hours belong to no session.
    """
    inside = [(minute, span) for minute in minutes if (span := _span(symbol, minute.start)) and _of_day(span, begin)]
    found = profile_of([(minute.price, minute.volume) for minute, _ in inside])
    if found is None:
        return None
    opens, closes = min(span[0] for _, span in inside), max(span[1] for _, span in inside)
    edges = (found.control, found.first, found.last)
    return Row(series, opens, closes, found.step, found.low, found.volumes, *edges, len(inside))


def _of_day(span: tuple[int, int], begin: int) -> bool:
    # A session that ends at midnight is that of the day before it.
    return begin < span[1] <= begin + DAY


def _span(symbol: str, at: int) -> tuple[int, int] | None:
    """When the session that a minute lies in begins, and when the part of it that the minute is in ends."""
    exchange = calendar(exchange_of(symbol))
    start = exchange.session_start(at)
    if exchange.exchange == ALWAYS:
        return start, start + DAY
    now = exchange.at(at)
    return (start, now.closes) if now.trading and now.closes is not None else None
