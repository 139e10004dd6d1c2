"""What the dashboard asks about the data and the machinery: holes, late and refused records, progress, sizes."""

from __future__ import annotations

from sparktrends.store.board import Row, fetch
from sparktrends.store.connect import Cursor


def completeness(cursor: Cursor, hours: int) -> list[Row]:
    """Each series' one-minute bars by clock hour within its own last ``hours``: minutes, empty, by reason, revised.

    ``reason`` is null for complete bars. A series without any price yet goes by its newest minute.
    """
    return fetch(cursor, _COMPLETENESS, {"hours": hours})


# Series by series, and with two bounds: a planner that knows both ends goes by the index, else it reads every bar.
_COMPLETENESS = """
SELECT y.source, y.symbol, h.*
FROM market.symbols y
CROSS JOIN LATERAL (
    SELECT date_trunc('hour', b.start) AS hour, b.reason, count(*) AS minutes,
        count(*) FILTER (WHERE b.state = 'revised') AS revised, coalesce(sum(b.revision), 0)::bigint AS revisions
    FROM market.bars b
    WHERE b.series = y.series AND b.interval = '1m'
      AND b.start >= coalesce(y.last_start, y.last_minute) - make_interval(hours => %(hours)s)
      AND b.start <= (SELECT timestamptz 'infinity')
    GROUP BY 1, 2) h
ORDER BY y.source, y.symbol, h.hour
"""


def late(cursor: Cursor, limit: int = 500) -> list[Row]:
    """Trades that came too late, by series and hour of their arrival, newest first, and how many repair folded in."""
    return fetch(cursor, _LATE, {"limit": limit})


_LATE = """
SELECT l.source, l.symbol, date_trunc('hour', l.arrived_at) AS hour, count(*) AS trades,
    count(l.folded_at) AS folded, extract(epoch FROM max(l.arrived_at - l.ts))::float8 AS worst_s
FROM market.late_trades l GROUP BY l.source, l.symbol, date_trunc('hour', l.arrived_at)
ORDER BY hour DESC, trades DESC LIMIT %(limit)s
"""


def quarantine_counts(cursor: Cursor, limit: int = 500) -> list[Row]:
    """Refused records by reason, topic and hour, newest first."""
    return fetch(cursor, _QUARANTINED, {"limit": limit})


_QUARANTINED = """
SELECT date_trunc('hour', q.quarantined_at) AS hour, q.reason, q.topic, count(*) AS records,
    sum(q.size)::bigint AS bytes
FROM market.quarantine q GROUP BY date_trunc('hour', q.quarantined_at), q.reason, q.topic
ORDER BY hour DESC, records DESC LIMIT %(limit)s
"""


def quarantined(cursor: Cursor, limit: int = 50) -> list[Row]:
    """The newest refused records with their first 400 bytes: whatever somebody sent, so hostile."""
    return fetch(cursor, _REFUSED, {"limit": limit})


_REFUSED = """
SELECT q.quarantined_at, q.reason, q.topic, q.partition, q."offset", q.size,
    substring(q.payload FROM 1 FOR 400) AS payload
FROM market.quarantine q ORDER BY q.quarantined_at DESC, q."offset" DESC LIMIT %(limit)s
"""


def gaps(cursor: Cursor, limit: int = 100) -> list[Row]:
    """The newest spans without rows: closed sessions, and holes over 24 hours."""
    return fetch(cursor, _GAPS, {"limit": limit})


_GAPS = """
SELECT g.source, g.symbol, g.from_at, g.to_at, g.reason FROM market.gaps g ORDER BY g.to_at DESC LIMIT %(limit)s
"""


def quality(cursor: Cursor, limit: int = 500) -> list[Row]:
    """Scores with reasons, newest days first."""
    return fetch(cursor, "SELECT v.* FROM market.quality v ORDER BY v.day DESC LIMIT %(limit)s", {"limit": limit})


def progress(cursor: Cursor) -> list[Row]:
    """How far each partition is stored, and the age of its newest commit and append in seconds."""
    return fetch(cursor, _PROGRESS)


_PROGRESS = """
SELECT p.topic, p.partition, p.shard, p.next_offset, p.records, p.trades, p.prices, p.heartbeats, p.bars, p.late,
    p.quarantined, extract(epoch FROM now() - p.updated_at)::float8 AS commit_age_s,
    extract(epoch FROM now() - p.appended_at)::float8 AS append_age_s
FROM market.progress p ORDER BY p.topic, p.partition
"""


def commits(cursor: Cursor, seconds: int = 120) -> list[Row]:
    """Commits of the last seconds, one row a second with any: how many, bars changed, signals made."""
    return fetch(cursor, _COMMITS, {"seconds": seconds})


_COMMITS = """
SELECT date_trunc('second', c.at) AS at, count(*) AS commits, sum(cardinality(c.starts))::bigint AS bars,
    sum(cardinality(c.signals))::bigint AS signals
FROM market.changes c WHERE c.at > now() - make_interval(secs => %(seconds)s)
GROUP BY date_trunc('second', c.at) ORDER BY 1
"""


def sizes(cursor: Cursor) -> list[Row]:
    """Bytes on disk of the ten biggest tables (partitions together) and, under the name ``all``, of the database."""
    return fetch(cursor, _SIZES)


_SIZES = """
SELECT 'all' AS name, pg_database_size(current_database()) AS bytes, 0 AS rows UNION ALL (
SELECT regexp_replace(c.relname, '_[0-9]{6}$', ''), sum(pg_total_relation_size(c.oid))::bigint,
    greatest(sum(c.reltuples), 0)::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('core', 'raw') AND c.relkind = 'r' GROUP BY 1 ORDER BY 2 DESC LIMIT 10)
"""
