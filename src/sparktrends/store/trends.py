"""What the trends of a day are made of, and the trends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sparktrends.store.connect import Cursor


class PriceDay(NamedTuple):
    """One final day of one series."""

    source: str
    symbol: str
    day: date
    close: float
    volume: float
    volatility: float | None


class MoodDay(NamedTuple):
    """The stories of one day about one symbol: ``kind`` is empty, or ``~sim`` or ``~replay`` of their sources."""

    kind: str
    symbol: str
    day: date
    sentiment: float
    headlines: int


class StoryDay(NamedTuple):
    """One story of the day about one symbol."""

    kind: str
    symbol: str
    headline: str
    score: float
    label: str
    topics: list[str]


class Ends(NamedTuple):
    """Of an exchange: when sessions ended (µs UTC, rising), and the days they are of."""

    exchange: str
    closes: list[int]
    days: list[date]


class NewsHours(NamedTuple):
    """Whose news belong to which day: the exchange of each market (`quality.market_of`), and when its sessions ended.
    A story belongs to the first session that ends after it was published."""

    exchanges: Mapping[str, str]
    ends: Sequence[Ends]


# Only series that have the day itself; of these what lies up to 400 days before it, on one basis: a split is no fall.
_PRICES = """
WITH chosen AS (SELECT DISTINCT p.series FROM market.bars_adjusted p
    WHERE p.interval = '1d' AND p.start = %(day)s::date::timestamp AT TIME ZONE 'UTC' AND p.state <> 'forming')
SELECT p.source, p.symbol, (p.start AT TIME ZONE 'UTC')::date, p.close::float8, p.volume::float8, m.volatility_20
FROM chosen c JOIN market.bars_adjusted p ON p.series = c.series AND p.interval = '1d'
LEFT JOIN core.metrics m ON m.series = p.series AND m.interval = '1d' AND m.start = p.start
WHERE p.start >= (%(day)s::date - 400)::timestamp AT TIME ZONE 'UTC'
  AND p.start <= %(day)s::date::timestamp AT TIME ZONE 'UTC' AND p.close IS NOT NULL AND p.state <> 'forming'
ORDER BY p.source, p.symbol, p.start
"""
# Several providers tell the same story: it counts once. Tether is a dollar to whoever writes about Bitcoin.
_STORIES = """
SELECT DISTINCT ON (kind, symbol, day, n.headline_key)
    coalesce(substring(n.source FROM '~.*$'), '') AS kind, k.symbol,
    e.days[width_bucket(n.published_at, e.closes) + 1] AS day, n.headline, coalesce(m.score, n.score) AS score,
    coalesce(m.label, n.label) AS label, n.topics
FROM core.news n JOIN core.mentions m ON m.source = n.source AND m.story = n.id
JOIN unnest(%(symbols)s::text[], %(exchanges)s::text[]) AS k(symbol, exchange)
    ON k.symbol = regexp_replace(m.symbol, '/USD[TC]$', '/USD')
JOIN (
    SELECT r.exchange, r.days, ARRAY(SELECT core.at(c) FROM unnest(r.closes) AS c ORDER BY c) AS closes
    FROM jsonb_to_recordset(%(ends)s::jsonb) AS r(exchange text, closes bigint[], days date[]) OFFSET 0
) e ON e.exchange = k.exchange
WHERE n.published_at >= core.at(%(since)s) AND n.published_at < core.at(%(until)s) AND n.score IS NOT NULL
  AND n.published_at >= e.closes[1] AND n.published_at < e.closes[cardinality(e.closes)]
ORDER BY kind, symbol, day, n.headline_key, n.published_at, n.source, n.id
"""
# As numeric the mean has the same digits in whatever order the rows are met.
_MOODS = f"SELECT kind, symbol, day, avg(score::numeric)::float8, count(*) FROM ({_STORIES}) s GROUP BY 1, 2, 3"  # noqa: S608
_OF_DAY = f"SELECT kind, symbol, headline, score, label, topics FROM ({_STORIES}) s ORDER BY abs(score) DESC, headline"  # noqa: S608


def prices(cursor: Cursor, day: date) -> list[PriceDay]:
    """The days up to ``day`` of every series that has it, oldest first."""
    cursor.execute(_PRICES.encode(), {"day": day})
    return [PriceDay(*row) for row in cursor]


def priced_lately(cursor: Cursor, day: date) -> list[str]:
    """The symbols with a daily price in the two weeks before ``day``."""
    cursor.execute(
        "SELECT DISTINCT symbol FROM market.daily_prices WHERE interval = '1d' AND state <> 'forming' "
        "AND start >= (%(day)s::date - 14)::timestamp AT TIME ZONE 'UTC' "
        "AND start < %(day)s::date::timestamp AT TIME ZONE 'UTC'",
        {"day": day},
    )
    return [str(symbol) for (symbol,) in cursor]


def never_priced(cursor: Cursor, symbols: Sequence[str]) -> set[str]:
    """Those of the symbols of which nobody ever had a daily price."""
    cursor.execute(
        "SELECT k.symbol FROM unnest(%s::text[]) AS k(symbol) WHERE NOT EXISTS (SELECT FROM market.daily_prices d "
        "WHERE d.symbol = k.symbol AND d.interval = '1d' AND d.state <> 'forming')",
        (list(symbols),),
    )
    return {str(symbol) for (symbol,) in cursor}


def moods(cursor: Cursor, hours: NewsHours) -> list[MoodDay]:
    """The mean sentiment of each market on each of its days."""
    cursor.execute(_MOODS.encode(), _of(hours))
    return [MoodDay(*row) for row in cursor]


def stories(cursor: Cursor, hours: NewsHours, day: date) -> list[StoryDay]:
    """The stories of the day, those that say most first."""
    ends = [Ends(name, closes[-2:], days[-2:]) for name, closes, days in hours.ends if days[-1:] == [day]]
    cursor.execute(_OF_DAY.encode(), _of(hours._replace(ends=ends)))
    return [StoryDay(*row) for row in cursor]


def _of(hours: NewsHours) -> dict[str, object]:
    times = [at for ends in hours.ends for at in ends.closes]
    return {
        "symbols": list(hours.exchanges),
        "exchanges": list(hours.exchanges.values()),
        "ends": json.dumps([ends._asdict() for ends in hours.ends], default=str),
        "since": min(times, default=0),
        "until": max(times, default=0),
    }


_COLUMNS = (
    *("source", "symbol", "day", "close", "return", "return_z", "volatility", "volatility_ratio", "volume"),
    *("volume_ratio", "volume_z", "momentum", "headlines", "sentiment", "sentiment_z", "topics", "changes", "tag"),
    *("summary", "rank", "evidence"),
)
_NAMES = ", ".join(f'"{name}"' for name in _COLUMNS)
_REST = _COLUMNS[3:]
_OLD, _NEW = (", ".join(f'{row}."{name}"' for name in _REST) for row in ("t", "excluded"))
_OF_TRENDS = f"SELECT {_NAMES} FROM core.daily_trends WHERE day = %s ORDER BY rank, source, symbol"  # noqa: S608
_SAVE = f"""
INSERT INTO core.daily_trends AS t ({_NAMES}, updated_at)
SELECT {_NAMES}, now() FROM jsonb_populate_recordset(NULL::core.daily_trends, %s::jsonb)
ON CONFLICT (source, symbol, day) DO UPDATE SET ({", ".join(f'"{n}"' for n in _REST)}, updated_at)
    = ({_NEW}, excluded.updated_at)
WHERE ({_OLD}) IS DISTINCT FROM ({_NEW})
"""  # noqa: S608 - constants of this file


def save(cursor: Cursor, day: date, rows: Sequence[Mapping[str, Any]]) -> None:
    """Make these the trends of the day; rows that say the same as before stay untouched."""
    cursor.execute(_SAVE.encode(), (json.dumps(list(rows), default=str),))
    keys = [(str(row["source"]), str(row["symbol"])) for row in rows]
    cursor.execute(
        "DELETE FROM core.daily_trends t WHERE t.day = %s AND NOT EXISTS ("
        "SELECT FROM unnest(%s::text[], %s::text[]) AS k(source, symbol) "
        "WHERE k.source = t.source AND k.symbol = t.symbol)",
        (day, [source for source, _ in keys], [symbol for _, symbol in keys]),
    )


def of_day(cursor: Cursor, day: date) -> list[dict[str, Any]]:
    """The stored trends of a day, the biggest mover first."""
    cursor.execute(_OF_TRENDS.encode(), (day,))
    return [dict(zip(_COLUMNS, row, strict=True)) for row in cursor]


_STALE = """
SELECT d.day FROM core.days_told d JOIN unnest(%(days)s::date[], %(since)s::bigint[]) AS k(day, since) USING (day)
WHERE (
    EXISTS (SELECT FROM core.news n WHERE n.published_at >= core.at(k.since)
        AND n.published_at < (d.day + 1)::timestamp AT TIME ZONE 'UTC' AND n.updated_at > d.tagged_at)
    OR EXISTS (SELECT FROM core.series s JOIN core.provider_bars p ON p.series = s.id AND p.interval = '1d'
        AND p.start = d.day::timestamp AT TIME ZONE 'UTC' AND p.closed AND p.updated_at > d.tagged_at))
ORDER BY 1
"""


def begin_of(cursor: Cursor) -> datetime:
    """When the transaction began: what is committed later has a later time."""
    row = cursor.execute("SELECT now()").fetchone()
    assert row is not None
    began: datetime = row[0]
    return began


def set_tagged(cursor: Cursor, day: date, at: datetime) -> None:
    """The trends of a day were made of what was known at a time."""
    cursor.execute(
        "INSERT INTO core.days_told (day, tagged_at) VALUES (%s, %s) "
        "ON CONFLICT (day) DO UPDATE SET tagged_at = excluded.tagged_at",
        (day, at),
    )


def set_reported(cursor: Cursor, day: date, at: datetime) -> None:
    """The report of a day was written from what was known at a time."""
    cursor.execute("UPDATE core.days_told SET reported_at = %s WHERE day = %s", (at, day))


def stale(cursor: Cursor, days: Sequence[date], since: Sequence[int]) -> list[date]:
    """Which of the days, whose news begin at the times ``since`` (µs UTC), were tagged before something of them came or
    was scored, oldest first."""
    cursor.execute(_STALE, {"days": list(days), "since": list(since)})
    return [one for (one,) in cursor]


def unreported(cursor: Cursor, day: date, days: int) -> list[date]:
    """Which of the ``days`` before ``day`` were tagged again after their report was written, oldest first."""
    cursor.execute(
        "SELECT day FROM core.days_told WHERE day >= %(day)s::date - %(days)s AND day < %(day)s::date "
        "AND reported_at < tagged_at ORDER BY 1",
        {"day": day, "days": days},
    )
    return [one for (one,) in cursor]
