"""The trends job: what happened to each symbol on a day, against its own history, by Spark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from sparktrends.batch.plan import MEMORY_DAYS, day_of, day_start, news_from
from sparktrends.batch.trends import Day, Story, Trend, ranked, trend_of
from sparktrends.model import DAY
from sparktrends.quality import market_of
from sparktrends.sessions import calendar
from sparktrends.sources.symbols import exchange_of
from sparktrends.store import daily_calls
from sparktrends.store import trends as rows
from sparktrends.store.archive import archived_months
from sparktrends.store.session import Session
from sparktrends.store.trends import Ends, MoodDay, NewsHours, PriceDay, StoryDay

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_MOST_DAYS = 251
_NEWS_DAYS = 414
"""News are looked at so far back: further than the sessions that a day is held against."""
_TOLD_DAYS = 100
"""No news of longer ago make a difference to a day: the sessions of a quarter."""
Subject = tuple[str, str, list[Day], list[Story]]
"""Source and symbol, its days up to the one in question, and the stories of that day."""
Tag = Callable[[Sequence[Subject]], Iterable[Trend | None]]


def by_spark(session: SparkSession) -> Tag:
    """Trends made by Spark's workers."""
    from sparktrends.spark import working  # here: a worker that imports this module needs no session

    def tag(subjects: Sequence[Subject]) -> Iterable[Trend | None]:
        parts = min(len(subjects), 4 * session.sparkContext.defaultParallelism)
        with working():
            return session.sparkContext.parallelize(subjects, parts).map(tagged).collect()

    return tag


def tagged(subject: Subject) -> Trend | None:
    """The trend of one subject: what a worker does."""
    return trend_of(*subject)


def subjects_of(prices: Iterable[PriceDay], moods: Iterable[MoodDay], stories: Iterable[StoryDay]) -> list[Subject]:
    """Put prices and news together; made-up news never stands beside real prices."""
    mood = {(m.kind, m.symbol, m.day): m for m in moods}
    told: defaultdict[tuple[str, str], list[Story]] = defaultdict(list)
    for s in stories:
        told[s.kind, s.symbol].append(Story(s.headline, s.score, s.label, tuple(s.topics)))
    days: defaultdict[tuple[str, str], list[Day]] = defaultdict(list)
    for p in prices:
        days[p.source, p.symbol].append(_day(p, mood))
    return [
        (source, symbol, found[-_MOST_DAYS:], told[_kind(source), market_of(symbol)])
        for (source, symbol), found in days.items()
    ]


def _day(p: PriceDay, mood: Mapping[tuple[str, str, date], MoodDay]) -> Day:
    of_day = mood.get((_kind(p.source), market_of(p.symbol), p.day))
    sentiment, headlines = (of_day.sentiment, of_day.headlines) if of_day else (None, 0)
    return Day(p.day, p.close, p.volume, p.volatility, sentiment, headlines)


def _market(trend: Trend) -> tuple[str, str]:
    """Several providers tell the day of one market: it is one mover."""
    return _kind(trend.source), market_of(trend.symbol)


def _kind(source: str) -> str:
    _, mark, kind = source.partition("~")
    return mark + kind


def tag_day(session: Session, day: date, tag: Tag) -> list[Trend]:
    """Make and store the trends of a day, the biggest mover first; empty when no series has that day."""
    with session.transaction() as cursor:
        known_at = rows.begin_of(cursor)
        prices = rows.prices(cursor, day)
        hours = news_hours({price.symbol for price in prices}, day)
        subjects = subjects_of(prices, rows.moods(cursor, hours), rows.stories(cursor, hours, day))
    found = ranked([trend for trend in tag(subjects) if trend is not None], _market) if subjects else []
    with session.transaction() as cursor:
        rows.save(cursor, day, [trend.row() for trend in found])
        rows.set_tagged(cursor, day, known_at)
    return found


def news_hours(symbols: Collection[str], day: date) -> NewsHours:
    """Which news belong to which day, up to ``day``: those from one close to the next to the day of the latter."""
    until = day_start(day) + DAY
    exchanges = {market_of(symbol): exchange_of(symbol) for symbol in symbols}
    ends = []
    for name in sorted(set(exchanges.values())):
        closes = calendar(name).closes(until - _NEWS_DAYS * DAY, until)
        # A session that ends at midnight is that of the day before it.
        ends.append(Ends(name, closes, [day_of(at - 1) for at in closes]))
    return NewsHours(exchanges, ends)


def stale_days(session: Session, day: date) -> list[date]:
    """The days of the week before of which something came after they were tagged: a quota keeps calls back for days."""
    with session.transaction() as cursor:
        symbols = rows.priced_lately(cursor, day)
        week = [day - timedelta(days=back) for back in range(MEMORY_DAYS, 0, -1)]
        since = [min([day_start(one), *(news_from(symbol, one) for symbol in symbols)]) for one in week]
        return rows.stale(cursor, week, since)


def archived_news(session: Session, day: date) -> list[date]:
    """The months of news in the archive without which a day that was told once would be told otherwise."""
    with session.transaction() as cursor:
        if not rows.of_day(cursor, day):
            return []
        return archived_months(cursor, "news", "", day - timedelta(days=_TOLD_DAYS), day)


def prices_expected(session: Session, day: date) -> bool:
    """Whether a day without any price lacks something: not when the markets of all our symbols were closed."""
    with session.transaction() as cursor:
        symbols = rows.priced_lately(cursor, day)
    return not symbols or any(trades_on(symbol, day) for symbol in symbols)


def ask_again(session: Session, day: date) -> list[tuple[str, str]]:
    """Open again the calls whose answers had no price of a day on which the market was open: (source, symbol) of each.

    Of a symbol that had some, but none for two weeks, none is expected: it may be gone.
    """
    with session.transaction() as cursor:
        found = daily_calls.unpriced(cursor, day)
        expected = {*rows.priced_lately(cursor, day), *rows.never_priced(cursor, [symbol for _, symbol in found])}
        lacking = [(source, symbol) for source, symbol in found if symbol in expected]
        lacking = [(source, symbol) for source, symbol in lacking if trades_on(symbol, day)]
        daily_calls.reopen(cursor, day, lacking, "the answer had no price of the day")
    return lacking


def trades_on(symbol: str, day: date) -> bool:
    """Whether a session of the symbol's exchange ends on a UTC day: providers tell a day's bar under that day.

    Sunday evening is Monday's session of currencies, and in Sydney Monday.

    >>> [trades_on(symbol, date(2026, 11, 21)) for symbol in ("AAPL", "BTC/USD")]  # a Saturday
    [False, True]
    """
    start = day_start(day)
    return bool(calendar(exchange_of(symbol)).closes(start, start + DAY))
