"""What people and processes ask of the store. Every SELECT of the product that is not part of a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sparktrends.store.connect import Connection, translated


@dataclass(frozen=True, slots=True)
class Totals:
    """The whole numbers of `status`."""

    trades: int
    bars: int
    signals: int
    alerts: int
    quarantined: int
    late: int


@dataclass(frozen=True, slots=True)
class NewestBar:
    """The newest bar of a series with a trade, for the terminal view."""

    source: str
    symbol: str
    start: datetime
    close: Decimal
    volume: Decimal
    trades: int
    state: str
    age_s: float


def totals(connection: Connection) -> Totals:
    """Counts of everything, from the ledger where it knows and from the tables where they are small."""
    with translated():
        row = connection.execute(
            "SELECT (SELECT coalesce(sum(trades), 0) FROM core.ledger),"
            " (SELECT count(*) FROM core.bars WHERE interval = '1m' AND trades > 0),"
            " (SELECT count(*) FROM core.signals WHERE retracted_at IS NULL),"
            " (SELECT count(*) FROM core.alerts),"
            " (SELECT coalesce(sum(quarantined), 0) FROM core.ledger),"
            " (SELECT coalesce(sum(late), 0) FROM core.ledger)"
        ).fetchone()
    assert row is not None
    return Totals(*(int(value) for value in row))


def next_offsets(connection: Connection) -> dict[tuple[str, int], int]:
    """Where the ledger stands, by (topic, partition)."""
    with translated():
        found = connection.execute("SELECT topic, partition, next_offset FROM core.ledger").fetchall()
    return {(topic, partition): offset for topic, partition, offset in found}


def newest_bars(connection: Connection, limit: int = 30) -> Sequence[NewestBar]:
    """The newest bar with a trade of each series, most recently touched series first."""
    with translated():
        found = connection.execute(
            "SELECT s.source, s.symbol, b.start, b.close, b.volume, b.trades, b.state,"
            " extract(epoch FROM now() - t.updated_at)::float8"
            " FROM (SELECT * FROM core.series_state ORDER BY updated_at DESC LIMIT %s) t"
            " JOIN core.series s ON s.id = t.series"
            " CROSS JOIN LATERAL (SELECT * FROM core.bars b WHERE b.series = t.series AND b.interval = '1m'"
            "   AND b.trades > 0 AND b.start >= core.at(t.last_minute) - interval '1 day'"
            "   ORDER BY b.start DESC LIMIT 1) b"
            " ORDER BY s.source, s.symbol",
            (limit,),
        ).fetchall()
    return [NewestBar(*row) for row in found]


def database_clock(connection: Connection) -> int:
    """The time by the database's clock: microseconds since 1970, UTC."""
    with translated():
        row = connection.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").fetchone()
    assert row is not None
    return int(row[0])


def database_bytes(connection: Connection) -> int:
    """The size of the database on disk."""
    with translated():
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])
