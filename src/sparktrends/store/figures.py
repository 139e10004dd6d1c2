"""What the database knows of the whole, for `/metrics`: ages, counts, the outbox, quality, and itself."""

from __future__ import annotations

from collections.abc import Iterable

from sparktrends.store.connect import Cursor
from sparktrends.telemetry import Figure

_KINDS = ("trades", "prices", "heartbeats", "bars", "late", "quarantined")


def figures(cursor: Cursor) -> list[Figure]:
    """Everything at once; each statement goes by an index or over few rows."""
    return [*_ages(cursor), *_ledger(cursor), *_alerts(cursor), *_database(cursor), *_quality(cursor)]


def next_offsets(cursor: Cursor) -> dict[tuple[str, int], int]:
    """Where the ledger stands, by (topic, partition)."""
    cursor.execute("SELECT topic, partition, next_offset FROM core.ledger")
    return {(topic, partition): offset for topic, partition, offset in cursor}


def _ages(cursor: Cursor) -> Iterable[Figure]:
    cursor.execute(
        "SELECT s.source, count(*), extract(epoch FROM now() - core.at(max(t.clock)))::float8,"
        " extract(epoch FROM now() - max(t.updated_at))::float8"
        " FROM core.series_state t JOIN core.series s ON s.id = t.series GROUP BY s.source"
    )
    rows = cursor.fetchall()
    by = ("source",)
    yield Figure("series", "series stored", {(source,): count for source, count, _, _ in rows}, by)
    clocks = {(source,): age for source, _, age, _ in rows}
    yield Figure("source_clock_age_seconds", "since the newest arrival; a recording's is years", clocks, by)
    stored = {(source,): age for source, *_, age in rows}
    yield Figure("source_stored_age_seconds", "since something of a source was last stored", stored, by)


def _ledger(cursor: Cursor) -> Iterable[Figure]:
    cursor.execute(
        "SELECT coalesce(sum(trades), 0), coalesce(sum(prices), 0), coalesce(sum(heartbeats), 0),"
        " coalesce(sum(bars), 0), coalesce(sum(late), 0), coalesce(sum(quarantined), 0),"
        " extract(epoch FROM now() - max(updated_at))::float8 FROM market.progress"
    )
    *counts, age = cursor.fetchall()[0]
    kinds = {(kind,): float(count) for kind, count in zip(_KINDS, counts, strict=True)}
    yield Figure("ledger_records", "records stored since the beginning, by kind", kinds, ("kind",), total=True)
    if age is not None:
        yield Figure("commit_age_seconds", "since the newest commit", {(): age})


def _alerts(cursor: Cursor) -> Iterable[Figure]:
    cursor.execute("SELECT severity, count(*) FROM core.alerts WHERE status = 'firing' GROUP BY severity")
    firing = {("info",): 0, ("warning",): 0, ("critical",): 0} | {(severity,): n for severity, n in cursor}
    yield Figure("alerts_firing", "alerts that fire now, by severity", firing, ("severity",))
    cursor.execute(
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8 FROM core.deliveries"
        " WHERE state IN ('due', 'leased') AND due_at <= now()"
    )
    ((waiting, age),) = cursor.fetchall()
    yield Figure("outbox_waiting", "messages that are due and not sent", {(): waiting})
    yield Figure("outbox_age_seconds", "how long the oldest due message waits", {(): max(0.0, age)})
    cursor.execute(_DELIVERIES)
    rows = cursor.fetchall()
    dead = {(channel,): count for channel, count, *_ in rows}
    yield Figure("deliveries_dead", "messages of the last hour that were given up", dead, ("channel",))
    slowest = {(channel,): wait for channel, _, wait, _ in rows}
    yield Figure("alert_delay_seconds", "from commit to sent, the slowest of the last hour", slowest, ("channel",))
    whole = {(channel,): wait for channel, *_, wait in rows if wait is not None}
    words = "from the end of the bar (the commit, where it fired before) to sent, the slowest of the last hour"
    yield Figure("event_to_alert_seconds", words, whole, ("channel",))


# The whole way only of alerts that are sent as they happen: a fill, a replay or a bar of the past says nothing of it. A
# bar that still forms may fire before its end; then the wait begins with the commit.
_DELIVERIES = """
SELECT d.channel, count(*) FILTER (WHERE d.state = 'dead'),
    coalesce(max(extract(epoch FROM d.sent_at - a.created_at)), 0)::float8,
    (max(extract(epoch FROM d.sent_at - least(a.start + a.interval::interval, a.created_at)))
        FILTER (WHERE a.start + a.interval::interval > a.created_at - interval '1 hour'
            AND coalesce(a.silent, 'simulated') = 'simulated'))::float8
FROM core.deliveries d JOIN core.alerts a ON a.id = d.alert
WHERE a.created_at > now() - interval '1 hour' AND d.kind = 'alert' GROUP BY d.channel
"""


def _database(cursor: Cursor) -> Iterable[Figure]:
    cursor.execute(
        "SELECT pg_database_size(current_database()), numbackends, xact_commit, xact_rollback, deadlocks, blks_hit,"
        " blks_read FROM pg_stat_database WHERE datname = current_database()"
    )
    ((size, connections, commits, rollbacks, deadlocks, hit, read),) = cursor.fetchall()
    yield Figure("database_bytes", "size of the database on disk", {(): size})
    yield Figure("database_connections", "connections to the database", {(): connections})
    ends = {("commit",): commits, ("rollback",): rollbacks}
    yield Figure("database_transactions", "transactions by their end", ends, ("end",), total=True)
    yield Figure("database_deadlocks", "transactions that were in each other's way", {(): deadlocks}, total=True)
    blocks = {("memory",): hit, ("disk",): read}
    yield Figure("database_blocks", "blocks read, from memory or from disk", blocks, ("from",), total=True)


def _quality(cursor: Cursor) -> Iterable[Figure]:
    """Only where the view of scores exists."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM information_schema.columns"
        " WHERE table_schema = 'market' AND table_name = 'quality' AND column_name = 'score')"
    )
    if cursor.fetchall()[0][0]:
        cursor.execute(
            "SELECT source, min(score)::float8 FROM market.quality"
            " WHERE day = (SELECT max(day) FROM market.quality) AND score IS NOT NULL GROUP BY source"
        )
        scores = {(source,): score for source, score in cursor}
        yield Figure("quality_score", "lowest quality score of a source on its newest day", scores, ("source",))
