"""What the dashboard asks: rows of the views in `market`, read as `sparktrends_reader`, each a mapping by column.

Prices come as floats, because they are drawn; exact values are in the views and the API. Times are aware, UTC.
"Within a day" and the like count back from a series' own newest minute, so that a recording has them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sparktrends.model import DAY, INTERVALS
from sparktrends.store.connect import Cursor

Row = dict[str, Any]


def views(cursor: Cursor) -> set[str]:
    """The names of the views that this installation has."""
    cursor.execute("SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = to_regnamespace('market')")
    return {str(name) for (name,) in cursor}


def series(cursor: Cursor) -> list[Row]:
    """Every series: its key, what kind it is, its newest minute; ``silent_s`` since it was last heard of."""
    return fetch(cursor, _SERIES)


_SERIES = """
SELECT y.series, y.source, y.symbol, y.simulated, y.replayed, y.last_start, y.last_close::float8 AS close,
    y.last_state AS state, y.clock_at, extract(epoch FROM now() - y.clock_at)::float8 AS age_s,
    extract(epoch FROM now() - y.updated_at)::float8 AS silent_s
FROM market.symbols y ORDER BY y.source, y.symbol
"""


def feeds(cursor: Cursor) -> list[Row]:
    """`series` with what `market.freshness` knows of each: ``reason``, ``exchange_closed``, ``last_price_at`` and
    ``price_age_s``."""
    return fetch(cursor, _FEEDS)


_FEEDS = f"""
SELECT y.*, f.reason, f.exchange_closed, f.last_price_at, extract(epoch FROM f.price_age)::float8 AS price_age_s
FROM ({_SERIES}) y LEFT JOIN market.freshness f USING (source, symbol) ORDER BY y.source, y.symbol
"""  # noqa: S608 - put together from constants


def overview(cursor: Cursor) -> list[Row]:
    """`feeds` with change within a day, the newest metrics of one-minute bars, its last closes, its signals.

    The closes are those of the newest 60 of the last 120 minutes that have a trade.
    """
    return fetch(cursor, _OVERVIEW)


# PostgreSQL cannot read `market.bars`, a union, in the order of an index. So the n-th key of each of its parts says
# first how far back the newest n rows can lie; a part with fewer keys says nothing. (The second bound makes a planner
# that would expect a third of the series go by the index.)
_NEWEST = """
b.start >= (SELECT coalesce(greatest(
    (SELECT min(k.start) FROM (SELECT t.start FROM market.trade_starts t WHERE t.series = {series}
        AND t.interval = {interval} ORDER BY t.start DESC LIMIT {limit}) k HAVING count(*) = {limit}),
    (SELECT min(k.start) FROM (SELECT t.start FROM market.provider_starts t WHERE t.series = {series}
        AND t.interval = {interval} AND t.adjustment = 'raw' ORDER BY t.start DESC LIMIT {limit}) k
        HAVING count(*) = {limit})), '-infinity'))
AND b.start <= (SELECT timestamptz 'infinity')
"""

_OVERVIEW = f"""
SELECT y.series, y.source, y.symbol, y.simulated, y.replayed, y.clock_at, y.age_s, y.silent_s,
    h.last_start, h.close, h.close / nullif(d.open, 0) - 1 AS change, h.closes, m.volume_ratio, m.roc_10, m.rsi_14,
    m.volatility_20, m.sma_50, m.sma_200, g.signals, c.name, c.sector, e.sentiment, y.reason, y.exchange_closed
FROM ({_FEEDS}) y
LEFT JOIN LATERAL (
    SELECT array_agg(c.close ORDER BY c.start) AS closes, max(c.start) AS last_start,
        (array_agg(c.close ORDER BY c.start DESC))[1] AS close FROM (
        SELECT b.close::float8, b.start FROM market.bars b
        WHERE b.series = y.series AND b.interval = '1m' AND b.close IS NOT NULL
          AND {_NEWEST.format(series="y.series", interval="'1m'", limit=120)}
        ORDER BY b.start DESC LIMIT 60) c) h ON true
LEFT JOIN LATERAL (
    SELECT b.open::float8 FROM market.bars b
    WHERE b.series = y.series AND b.interval = '1m' AND b.close IS NOT NULL
      AND b.start BETWEEN h.last_start - interval '1 day' AND h.last_start
    ORDER BY b.start LIMIT 1) d ON true
LEFT JOIN LATERAL (
    SELECT n.* FROM market.metrics n WHERE n.series = y.series AND n.interval = '1m' AND n.final
    ORDER BY n.start DESC LIMIT 1) m ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS signals FROM market.signals s
    WHERE s.series = y.series AND s.retracted_at IS NULL AND s.start >= h.last_start - interval '1 day') g ON true
LEFT JOIN (
    -- Finnhub names an industry alone, as broad as the sectors of others.
    SELECT DISTINCT ON (p.symbol) p.symbol, p.name, coalesce(nullif(p.sector, ''), nullif(p.industry, '')) AS sector
    FROM market.companies p ORDER BY p.symbol, p.day DESC) c ON c.symbol = y.symbol
LEFT JOIN (
    SELECT n.symbol, avg(n.score) AS sentiment FROM market.news_mentions n
    WHERE n.published_at >= now() - interval '7 days' GROUP BY n.symbol) e ON e.symbol = y.symbol
ORDER BY y.source, y.symbol
"""  # noqa: S608 - put together from constants


def intervals(cursor: Cursor, key: int) -> list[str]:
    """The intervals of which a series has bars, shortest first."""
    cursor.execute(_INTERVALS.encode(), {"all": list(INTERVALS), "series": key})
    return [str(name) for (name,) in cursor]


# By the newest key, which an index knows: to see whether there is any the planner would read tables until it meets one.
_INTERVALS = """
SELECT k.i FROM unnest(%(all)s::text[]) WITH ORDINALITY AS k(i, n) WHERE coalesce(
    (SELECT true FROM market.trade_starts t WHERE t.series = %(series)s AND t.interval = k.i
        ORDER BY t.start DESC LIMIT 1),
    (SELECT true FROM market.provider_starts t WHERE t.series = %(series)s AND t.interval = k.i
        AND t.adjustment = 'raw' ORDER BY t.start DESC LIMIT 1))
ORDER BY k.n
"""


def bars(cursor: Cursor, key: int, interval: str, limit: int) -> list[Row]:
    """The newest ``limit`` bars of a series, oldest first; minutes without a trade have null prices."""
    return fetch(cursor, _BARS, {"series": key, "interval": interval, "limit": limit})[::-1]


_BARS = f"""
SELECT b.start, b.open::float8, b.high::float8, b.low::float8, b.close::float8, b.volume::float8, b.vwap::float8,
    b.turnover::float8, b.trades, b.state, b.revision, b.reason, b.origin
FROM market.bars b WHERE b.series = %(series)s AND b.interval = %(interval)s
  AND {_NEWEST.format(series="%(series)s", interval="%(interval)s", limit="%(limit)s")}
ORDER BY b.start DESC LIMIT %(limit)s
"""  # noqa: S608 - put together from constants


def signals(cursor: Cursor, key: int | None = None, severities: Sequence[str] = (), limit: int = 200) -> list[Row]:
    """The newest signals (of one series, of some severities), retracted ones too, newest first."""
    words = {"series": key, "severities": list(severities) or None, "limit": limit}
    return fetch(cursor, _SIGNALS, words)


_SIGNALS = """
SELECT s.id, s.series, s.source, s.symbol, s.interval, s.start, s.kind, s.name, s.direction, s.score, s.severity,
    s.detail, s.detected_at, s.retracted_at
FROM market.signals s
WHERE (%(series)s::integer IS NULL OR s.series = %(series)s)
  AND (%(severities)s::text[] IS NULL OR s.severity = ANY(%(severities)s))
ORDER BY s.detected_at DESC, s.start DESC, s.id LIMIT %(limit)s
"""


def signal(cursor: Cursor, signal_id: str) -> Row | None:
    """One signal; None when there is none of that id."""
    found = fetch(cursor, "SELECT s.* FROM market.signals s WHERE s.id = %(id)s", {"id": signal_id})
    return found[0] if found else None


def around(cursor: Cursor, key: int, interval: str, start: object, before: int = 30, after: int = 30) -> list[Row]:
    """The bars with trades around a start, oldest first: what led to it, and what followed (a weekend is no end)."""
    far = timedelta(microseconds=max(4 * DAY, 4 * (before + after) * INTERVALS[interval]))
    words = {"series": key, "interval": interval, "start": start, "before": before, "after": after, "far": far}
    return fetch(cursor, _AROUND, words)


_AROUND = """
WITH b AS (
    SELECT b.start, b.open::float8, b.high::float8, b.low::float8, b.close::float8, b.volume::float8
    FROM market.bars b WHERE b.series = %(series)s AND b.interval = %(interval)s AND b.close IS NOT NULL
      AND b.start BETWEEN %(start)s::timestamptz - %(far)s::interval AND %(start)s::timestamptz + %(far)s::interval)
SELECT * FROM (
    (SELECT * FROM b WHERE b.start < %(start)s ORDER BY b.start DESC LIMIT %(before)s) UNION ALL
    (SELECT * FROM b WHERE b.start >= %(start)s ORDER BY b.start LIMIT %(after)s + 1)) x
ORDER BY start
"""


def profile_days(cursor: Cursor, key: int, limit: int = 60) -> list[date]:
    """The days whose sessions have a volume profile, newest first."""
    cursor.execute(
        "SELECT DISTINCT p.day FROM market.volume_profile p WHERE p.series = %s ORDER BY 1 DESC LIMIT %s", (key, limit)
    )
    return [day for (day,) in cursor]


def profile(cursor: Cursor, key: int, day: date) -> list[Row]:
    """The levels of price of one session, lowest first: volume, and whether they are of the value area."""
    return fetch(cursor, _PROFILE, {"series": key, "day": day})


_PROFILE = """
SELECT p.price::float8, p.step::float8, p.volume::float8, p.share::float8, p.point_of_control, p.in_value_area,
    p.minutes, p.opens, p.closes
FROM market.volume_profile p WHERE p.series = %(series)s AND p.day = %(day)s ORDER BY p.price
"""


def alerts(cursor: Cursor, limit: int = 200) -> list[Row]:
    """The newest alerts, with what they were made of, who has seen them and where they were sent."""
    return fetch(cursor, "SELECT a.* FROM market.alerts a ORDER BY a.created_at DESC LIMIT %(limit)s", {"limit": limit})


def news(cursor: Cursor, symbols: Sequence[str] = (), limit: int = 300) -> list[Row]:
    """The newest stories (about some symbols)."""
    return fetch(cursor, _NEWS, {"symbols": list(symbols) or None, "limit": limit})


_NEWS = """
SELECT n.published_at, n.source, n.symbols, n.headline, n.summary, n.url, n.publisher, n.score, n.label, n.evidence,
    n.topics
FROM market.news n WHERE %(symbols)s::text[] IS NULL OR n.symbols && %(symbols)s
ORDER BY n.published_at DESC LIMIT %(limit)s
"""


def news_symbols(cursor: Cursor) -> list[str]:
    """Symbols that stories are about, in order."""
    cursor.execute("SELECT DISTINCT m.symbol FROM market.news_mentions m ORDER BY 1")
    return [str(symbol) for (symbol,) in cursor]


def trend_days(cursor: Cursor, limit: int = 400) -> list[date]:
    """The days that the daily run has made, newest first."""
    cursor.execute("SELECT DISTINCT t.day FROM market.daily_trends t ORDER BY 1 DESC LIMIT %s", (limit,))
    return [day for (day,) in cursor]


def daily_trends(cursor: Cursor, day: str) -> list[Row]:
    """What the daily run made of a day (ISO 8601), the strongest mover first."""
    return fetch(cursor, _TRENDS, {"day": day})


_TRENDS = """
SELECT t.* FROM market.daily_trends t WHERE t.day = %(day)s::date ORDER BY t.rank NULLS LAST, t.symbol, t.source
"""


def daily_calls(cursor: Cursor, day: str) -> list[Row]:
    """The calls that the daily run made for a day, and what became of them."""
    words = {"day": day}
    return fetch(
        cursor, "SELECT c.* FROM market.daily_calls c WHERE c.day = %(day)s::date ORDER BY c.updated_at", words
    )


def fetch(cursor: Cursor, statement: str, words: Row | None = None) -> list[Row]:
    """The rows that a statement of this package finds, as mappings by column."""
    # Bytes: the driver's types take text only where it is literal, and these are put together from constants.
    cursor.execute(statement.encode(), words)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]
