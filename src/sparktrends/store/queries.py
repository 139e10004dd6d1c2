"""What people and processes ask of the store. Every SELECT of the product that is not part of a transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import LiteralString

import psycopg
from psycopg.sql import SQL

from sparktrends.store.connect import Connection, translated


@dataclass(frozen=True, slots=True)
class Totals:
    """The whole numbers of `status`; bars, signals and alerts that take too long to count are estimates."""

    trades: int
    bars: int
    signals: int
    alerts: int
    quarantined: int
    late: int


@dataclass(frozen=True, slots=True)
class NewestBar:
    """The newest bar of a series with a trade, for the terminal view; without ``close`` where none of its trades may
    move prices (`sparktrends.bars.conditions`)."""

    source: str
    symbol: str
    start: datetime
    close: Decimal | None
    volume: Decimal
    trades: int
    state: str
    age_s: float


_COUNTED: Mapping[str, LiteralString] = {
    "bars": "FROM core.bars WHERE interval = '1m' AND trades > 0",
    "signals": "FROM core.signals WHERE retracted_at IS NULL",
    "alerts": "FROM core.alerts",
}
PATIENCE = "1s"
"""As long a number is counted before it is estimated, where it is counted again and again."""
_SHARE = 0.05
"""As much of the time may go into counting, whatever a year has left in the tables."""


class Tally:
    """Counts everything again and again, by one connection in autocommit; ``timer`` (s) never goes back."""

    def __init__(self, connection: Connection, timer: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._timer = timer
        self._known: dict[str, int] = {}
        self._due = dict.fromkeys(_COUNTED, 0.0)

    def totals(self, *, anew: bool = False) -> Totals:
        """Counts from the ledger where it knows, from the tables where it does not, and there not before it is time to
        count again. ``anew`` for figures that stand: all are counted, as long as the connection lets it take."""
        with translated():
            row = self._connection.execute(
                "SELECT coalesce(sum(trades), 0), coalesce(sum(quarantined), 0), coalesce(sum(late), 0)"
                " FROM market.progress"
            ).fetchone()
            for name, rows in _COUNTED.items():
                began = self._timer()
                if anew or began >= self._due[name]:
                    self._known[name] = _counted(self._connection, rows, "" if anew else PATIENCE)
                    ended = self._timer()
                    self._due[name] = ended + (ended - began) / _SHARE
        assert row is not None
        trades, quarantined, late = (int(value) for value in row)
        return Totals(trades, **self._known, quarantined=quarantined, late=late)


def _counted(connection: Connection, rows: LiteralString, patience: str) -> int:
    try:
        with connection.transaction():
            if patience:
                connection.execute(SQL("SET LOCAL statement_timeout = {}").format(patience))
            found = connection.execute(f"SELECT count(*) {rows}").fetchone()
    except psycopg.errors.QueryCanceled:
        plan = connection.execute(f"EXPLAIN (FORMAT JSON) SELECT 1 {rows}").fetchone()
        return int(plan[0][0]["Plan"]["Plan Rows"]) if plan else 0
    return int(found[0]) if found else 0


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
