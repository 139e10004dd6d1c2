"""What repair reads and notes inside a `writer.Transaction`: unfolded late trades, and records that repeat an id."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sparktrends.model import Coordinates, LateTrade, Trade
from sparktrends.store.writer import SeriesKey, Transaction

Place = tuple[str, int, int]
"""Topic, partition, offset: with the topic's id that the ledger has."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition of raw.trades as the ledger knows it; ``replaced``: a topic of another id was folded before.

    ``appended`` is when (µs UTC) the newest record came that was folded of it, 0 when none was.
    """

    partition: int
    topic_id: str
    first_offset: int
    next_offset: int
    replaced: bool
    appended: int = 0


def partitions(tx: Transaction) -> list[Partition]:
    """The partitions that trades were folded of, in order."""
    tx.cursor.execute(
        "SELECT l.partition, l.topic_id, l.first_offset, l.next_offset, EXISTS (SELECT FROM core.log_gaps g "
        "WHERE g.topic = l.topic AND g.partition = l.partition), "
        "coalesce((extract(epoch FROM l.appended_at) * 1000000)::bigint, 0) "
        "FROM core.ledger l WHERE l.topic = 'raw.trades' ORDER BY l.partition"
    )
    return [Partition(*row) for row in tx.cursor.fetchall()]


def go_by_index(tx: Transaction) -> None:
    """Look minutes up by their key for the rest of the transaction: nothing counts rows that came a moment ago, and
    a table that is taken to be empty would be read whole for each of them."""
    tx.cursor.execute("SET LOCAL enable_seqscan = off")


def known_series(tx: Transaction, symbols: Collection[str]) -> dict[SeriesKey, tuple[int, int]]:
    """The first and the last known minute (µs UTC) of each series of these symbols, of every series when empty."""
    tx.cursor.execute(
        "SELECT s.source, s.symbol, t.first_minute, t.last_minute FROM core.series s "
        "JOIN core.series_state t ON t.series = s.id WHERE t.first_minute IS NOT NULL "
        "AND (cardinality(%(symbols)s::text[]) = 0 OR s.symbol = ANY(%(symbols)s)) ORDER BY 1, 2",
        {"symbols": list(symbols)},
    )
    return {(source, symbol): (first, last) for source, symbol, first, last in tx.cursor.fetchall()}


def series_with_late(tx: Transaction, symbols: Collection[str], since: int, until: int) -> list[SeriesKey]:
    """Series with late trades of [since, until) (µs UTC) that are in no bar yet."""
    tx.cursor.execute(_SERIES, {"symbols": list(symbols), "since": since, "until": until})
    return [(source, symbol) for source, symbol in tx.cursor.fetchall()]


def late_trades(tx: Transaction, key: SeriesKey, since: int, until: int, *, folded: bool = False) -> list[LateTrade]:
    """Late trades of a series with times in [since, until): those in no bar yet, or those that repair folded in."""
    words = {"source": key[0], "symbol": key[1], "since": since, "until": until}
    tx.cursor.execute(_FOLDED if folded else _UNFOLDED, words)
    return [
        LateTrade(
            Trade(*key, ts, price, size, id_, arrival, tuple(conditions)), arrival, Coordinates(topic, part, offset, at)
        )
        for topic, part, offset, at, ts, price, size, id_, conditions, arrival in tx.cursor.fetchall()
    ]


def mark_folded(tx: Transaction, late: Iterable[LateTrade], now: int) -> None:
    """Note that these are in their bars now."""
    tx.cursor.executemany(
        # By the time too: another topic of this name, or a lost end of this one, had the same offsets.
        "UPDATE core.late_trades SET folded_at = core.at(%s) "
        "WHERE topic = %s AND partition = %s AND log_offset = %s AND appended = %s",
        [(now, item.at.topic, item.at.partition, item.at.offset, item.at.appended) for item in late],
    )


def removed(tx: Transaction) -> set[Place]:
    """Every record of the present log that repair left out because it repeats an id."""
    tx.cursor.execute(
        "SELECT r.topic, r.partition, r.log_offset FROM core.repeats r JOIN core.ledger l USING (topic, partition) "
        "WHERE r.topic_id = l.topic_id"
    )
    return {(topic, partition, offset) for topic, partition, offset in tx.cursor.fetchall()}


def note_removed(tx: Transaction, series: int, places: Iterable[Place], ids: Mapping[int, str], now: int) -> None:
    """Note that these records of a series are left out; ``ids`` are the topic's ids by partition."""
    tx.cursor.executemany(
        "INSERT INTO core.repeats (topic, topic_id, partition, log_offset, series, removed_at) "
        "VALUES (%s, %s, %s, %s, %s, core.at(%s)) ON CONFLICT DO NOTHING",
        [(topic, ids[partition], partition, offset, series, now) for topic, partition, offset in places],
    )


# A trade whose minute is in the archive waits until that is restored: alone it would stand for the minute, and for the
# hour and the day, which are made anew of the minutes that are there.
_OPEN = """l.folded_at IS NULL AND l.ts >= %(since)s AND l.ts < %(until)s AND NOT EXISTS (
    SELECT FROM core.repeats r WHERE r.topic = l.topic AND r.topic_id = l.topic_id AND r.partition = l.partition
       AND r.log_offset = l.log_offset)
  AND (s.source LIKE '%%~replay' OR NOT EXISTS (
    SELECT FROM core.archived a WHERE a.table_name = 'bars' AND a.interval = '1m'
       AND a.month = date_trunc('month', core.at(l.ts) AT TIME ZONE 'UTC')::date))"""
_LATE = """
SELECT l.topic, l.partition, l.log_offset, l.appended, l.ts, l.price, l.size, l.trade_id, l.conditions, l.arrival
FROM core.late_trades l JOIN core.series s ON s.id = l.series AND s.source = %(source)s AND s.symbol = %(symbol)s
"""
_UNFOLDED = f"{_LATE} WHERE {_OPEN} ORDER BY 1, 2, 3"
_FOLDED = f"{_LATE} WHERE l.folded_at IS NOT NULL AND l.ts >= %(since)s AND l.ts < %(until)s ORDER BY 1, 2, 3"
_SERIES = f"""
SELECT DISTINCT s.source, s.symbol FROM core.late_trades l JOIN core.series s ON s.id = l.series
WHERE {_OPEN} AND (cardinality(%(symbols)s::text[]) = 0 OR s.symbol = ANY(%(symbols)s)) ORDER BY 1, 2
"""  # noqa: S608 - constants of this file
