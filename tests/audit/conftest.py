"""A small world with every kind of record in it, written out by hand: the log, and the rows that it must come to."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psycopg
import pytest

from sparktrends.store.audit_queries import AuditDatabase
from sparktrends.store.migrate import migrate

SECOND = 1_000_000
MINUTE = 60 * SECOND
T = 1_704_067_200 * SECOND  # 2024-01-01 00:00
H = T + 2 * MINUTE + 25 * 60 * MINUTE
JUNK = b"\xff not json"


class Record(NamedTuple):
    offset: int
    appended: int
    value: bytes | None


class MemoryLog:
    """A `LogReader` over lists; ``low`` trims."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, int], list[Record]] = {}
        self.low: dict[tuple[str, int], int] = {}

    def append(self, topic: str, partition: int, value: bytes, appended: int) -> None:
        held = self.records.setdefault((topic, partition), [])
        held.append(Record(len(held), appended, value))

    def range(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        assert start >= self.low.get((topic, partition), 0)
        yield from self.records[topic, partition][start:end]

    def partitions(self, topic: str) -> list[int]:
        return sorted(partition for name, partition in self.records if name == topic)

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        assert partition in self.partitions(topic)  # a broker would be waited for
        return self.low.get((topic, partition), 0), len(self.records.get((topic, partition), ()))


def event(symbol: str, ts: int, received: int | None = None, **more: object) -> tuple[bytes, int]:
    """A record of raw.trades, and when it was appended."""
    arrival = ts if received is None else received
    fields = {"source": "demo~sim", "symbol": symbol, "ts": ts, "received": arrival, **more}
    return json.dumps(fields).encode(), arrival


def bar(close: str, received: int, closed: bool) -> tuple[bytes, int]:
    fields = {"source": "demo~sim", "symbol": "SPY", "interval": "1m", "start": T, "received": received}
    prices = {"open": "9", "high": "12.5", "low": "8.25", "close": close, "volume": "70"}
    return json.dumps({**fields, **prices, "closed": closed, "turnover": "700.5", "trades": 9}).encode(), received


def btc(log: MemoryLog) -> None:
    """raw.trades[0]: a revised minute, an empty one, a hole of three, a forming one, a late trade, junk."""
    for value, appended in (
        event("BTC/USD", T + SECOND, price="100", size="2", id="a"),
        event("BTC/USD", T + 30 * SECOND, price="101.5", size=0.5, id="b"),
        event("BTC/USD", T + 20 * SECOND, price=99, size="1", id="c"),
        event("BTC/USD", T + 70 * SECOND, kind="heartbeat", status="ok"),
        event("BTC/USD", T + 80 * SECOND, price="100", kind="price"),
        (JUNK, T + 85 * SECOND),
        event("BTC/USD", T + 310 * SECOND, price="1e2", size=1, id="d"),
        event("BTC/USD", T + 40 * SECOND, T + 360 * SECOND, price="102", size="0.1", id="e"),
        event("BTC/USD", T + 2 * SECOND, T + 17 * MINUTE, price="50", size="1", id="f", conditions=["W"]),
        event("BTC/USD", T + 365 * SECOND, kind="heartbeat", status="stale"),
    ):
        log.append("raw.trades", 0, value, appended)


def spy(log: MemoryLog) -> None:
    """raw.trades[1] and raw.bars[0]: a closed session, a start, a hole of more than a day, a provider's bar."""
    for value, appended in (
        event("SPY", T, kind="heartbeat", status="closed"),
        event("SPY", T + MINUTE, kind="heartbeat", status="closed"),
        event("SPY", T + 2 * MINUTE, kind="heartbeat", status="start"),
        event("SPY", T + 2 * MINUTE + SECOND, price="10", size="1", id="a"),
        event("SPY", H, price="11", size="3", id="b"),
    ):
        log.append("raw.trades", 1, value, appended)
    for value, appended in (
        bar("9.5", T + 90 * SECOND, False),
        bar("10", T + 80 * SECOND, True),
        bar("11", T + 95 * SECOND, False),
    ):
        log.append("raw.bars", 0, value, appended)


LEDGER = """
INSERT INTO core.ledger (topic, partition, topic_id, first_offset, next_offset, shard, records, trades, prices,
    heartbeats, bars, late, quarantined, appended_at) VALUES
    ('raw.trades', 0, 'one', 0, 10, '1/1', 10, 5, 1, 2, 0, 1, 1, '2024-01-01 00:17'),
    ('raw.trades', 1, 'one', 0, 5, '1/1', 5, 2, 0, 3, 0, 0, 0, '2024-01-02 01:02'),
    ('raw.bars', 0, 'two', 0, 3, '1/1', 3, 0, 0, 0, 3, 0, 0, '2024-01-01 00:02')
"""
NOTHING = (None,) * 4 + (0, 0, None, 0, 0)
NOWHERE = (None,) * 6
BARS = [
    (1, T, 100, 102, 99, 102, "3.6", "359.95", "99.986111111111111111", 4, 1, 0, "revised", None)
    + (T + SECOND, 0, 0, T + 40 * SECOND, 0, 7),
    (1, T + MINUTE, *NOTHING, 1, "final", "no_trade", *NOWHERE),
    *((1, T + n * MINUTE, *NOTHING, 0, "final", "feed_stale", *NOWHERE) for n in (2, 3, 4)),
    (1, T + 5 * MINUTE, 100, 100, 100, 100, 1, 100, 100, 1, 0, 0, "forming", None)
    + (T + 310 * SECOND, 0, 6, T + 310 * SECOND, 0, 6),
    (1, T + 6 * MINUTE, *NOTHING, 2, "forming", "feed_stale", *NOWHERE),
    (2, T + 2 * MINUTE, 10, 10, 10, 10, 1, 10, 10, 1, 0, 16, "final", "partial_start")
    + (T + 121 * SECOND, 1, 3, T + 121 * SECOND, 1, 3),
    (2, H, 11, 11, 11, 11, 3, 33, 11, 1, 0, 0, "forming", None, H, 1, 4, H, 1, 4),
]
# The minutes of BTC/USD to 00:04 are final, and the first of SPY: what longer bars are made of.
LONGER = [
    (1, T, 100, 102, 99, 102, "3.6", "359.95", "99.986111111111111111", 4, 1, 3, "feed_stale")
    + (T + SECOND, 0, 0, T + 40 * SECOND, 0, 7),
    (2, T, 10, 10, 10, 10, 1, 10, 10, 1, 0, 16, "partial_start", T + 121 * SECOND, 1, 3, T + 121 * SECOND, 1, 3),
]
# The clock of BTC/USD stands at 00:06:05, that of SPY more than a day later.
LONGER_STATES = {(1, "5m"): "revised", (2, "1d"): "final", (2, "5m"): "final", (2, "15m"): "final", (2, "1h"): "final"}
INSERT_BAR = (
    "INSERT INTO core.bars VALUES (%s, %s, core.at(%s), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, "
    "%s, %s, %s, %s, %s, %s, now())"
)


def longer_bars() -> Iterator[tuple[Any, ...]]:
    """The rows of 5m to 1d; all of them begin at midnight."""
    for bar, interval in itertools.product(LONGER, ("5m", "15m", "1h", "1d")):
        state = LONGER_STATES.get((bar[0], interval), "forming")
        yield bar[0], interval, *bar[1:12], state, *bar[12:]


def fill(connection: psycopg.Connection[Any]) -> None:
    """The rows that the world must come to."""
    run = connection.execute
    run("INSERT INTO core.series (source, symbol) VALUES ('demo~sim', 'BTC/USD'), ('demo~sim', 'SPY')")
    run(LEDGER)
    run("SELECT core.ensure_month('bars', '2024-01-01'), core.ensure_month('provider_bars', '2024-01-01')")
    connection.cursor().executemany(INSERT_BAR, [(bar[0], "1m", *bar[1:]) for bar in BARS])
    connection.cursor().executemany(INSERT_BAR, longer_bars())
    run(
        "INSERT INTO core.series_state VALUES (1, 3, %s, %s, %s), (2, 4, %s, %s, %s)",
        (T + 365 * SECOND, T, T + 6 * MINUTE, H, T, H),
    )
    run(
        "INSERT INTO core.gaps VALUES (2, core.at(%s), core.at(%s), 'closed'), (2, core.at(%s), core.at(%s), 'hole')",
        (T, T + 2 * MINUTE, T + 3 * MINUTE, H),
    )
    run(
        "INSERT INTO core.late_trades VALUES ('raw.trades', 'one', 0, 8, 1, %s, %s, %s, 50, 1, 'f', '{W}')",
        (T + 2 * SECOND, T + 17 * MINUTE, T + 17 * MINUTE),
    )
    run(
        "INSERT INTO core.quarantine VALUES ('raw.trades', 'one', 0, 5, 'not_utf8', %s, %s, %s, %s)",
        (T + 85 * SECOND, len(JUNK), hashlib.sha256(JUNK).digest(), JUNK),
    )
    run(
        "INSERT INTO core.provider_bars VALUES (2, '1m', core.at(%s), 'raw', 9, 12.5, 8.25, 10, 70, 700.5, 9, true, "
        "%s, 0, 1, now())",
        (T, T + 80 * SECOND),
    )


class World(NamedTuple):
    log: MemoryLog
    database: AuditDatabase
    connection: psycopg.Connection[Any]
    """Autocommitting, to alter what is stored."""


@pytest.fixture
def log() -> MemoryLog:
    made = MemoryLog()
    btc(made)
    spy(made)
    return made


@pytest.fixture(scope="session")
def filled(new_database: Callable[[str], str]) -> str:
    """The name of a database that holds exactly what the log says: the template of each test's own."""
    dsn = new_database("template0")
    migrate(dsn)
    with psycopg.connect(dsn) as connection:
        fill(connection)
    return str(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])


@pytest.fixture
def world(log: MemoryLog, filled: str, new_database: Callable[[str], str]) -> Iterator[World]:
    dsn = new_database(filled)
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield World(log, AuditDatabase(dsn), connection)
