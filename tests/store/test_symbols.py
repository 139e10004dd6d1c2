"""The newest price of a series, whoever told it: a trade of ours or a provider's bar."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from sparktrends.store import board_health

pytestmark = pytest.mark.e2e
START = datetime(2024, 5, 1, tzinfo=UTC)
NEWEST = "SELECT last_start, last_close, last_state FROM market.symbols"
SHOWN = "SELECT start, close, state FROM market.bars WHERE close IS NOT NULL ORDER BY start DESC LIMIT 1"
OURS = """
INSERT INTO core.bars (series, interval, start, open, high, low, close, volume, turnover, vwap, trades, after_final,
    statuses, state, reason, open_ts, updated_at)
VALUES (1, '1m', %s, 1, 9, 1, %s, 1, 1, 1, %s, 0, 1, %s, %s, 5, now())
"""
PROVIDERS = """
INSERT INTO core.provider_bars (series, interval, start, adjustment, open, high, low, close, volume, closed, arrival,
    log_partition, log_offset, updated_at)
VALUES (1, %s, %s, %s, 1, 9, 1, %s, 3, %s, 1704240000000000, 0, 0, now())
"""


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as made:
        made.execute("INSERT INTO core.series (source, symbol) VALUES ('alpha_vantage', 'AAPL')")
        made.execute("SELECT core.ensure_month(t, '2024-05-01') FROM unnest(ARRAY['bars', 'provider_bars']) t")
        yield made


def minute(n: int) -> datetime:
    return START + timedelta(minutes=n)


def ours(c: psycopg.Connection, n: int, close: int, reason: str | None = None, state: str = "final") -> None:
    c.execute(OURS, (minute(n), close, 1, state, reason))


def providers(c: psycopg.Connection, n: int, close: int, closed: bool = True, **more: str) -> None:
    words = {"interval": "1m", "adjustment": "raw", **more}
    c.execute(PROVIDERS, (words["interval"], minute(n), words["adjustment"], close, closed))


def newest(c: psycopg.Connection) -> tuple[Any, ...] | None:
    """The newest price of the only series; it is what its newest bar with a price shows."""
    found = c.execute(NEWEST).fetchone()
    assert found == (c.execute(SHOWN).fetchone() or (None, None, None))
    return found


def test_of_a_series_that_only_a_provider_tells_it_is_that_of_its_newest_minute(connection: psycopg.Connection) -> None:
    assert newest(connection) == (None, None, None)
    for n in (0, 1, 2):
        providers(connection, n, 3 + n)
    assert newest(connection) == (minute(2), 5, "final")
    providers(connection, 3, 7, closed=False)
    assert newest(connection) == (minute(3), 7, "forming")


def test_of_two_that_tell_it_is_the_newer_ones(connection: psycopg.Connection) -> None:
    providers(connection, 0, 3)
    ours(connection, 1, 4, state="forming")
    assert newest(connection) == (minute(1), 4, "forming")
    providers(connection, 2, 5)
    assert newest(connection) == (minute(2), 5, "final")


def test_of_one_minute_it_is_ours_unless_the_providers_shows_in_its_place(connection: psycopg.Connection) -> None:
    ours(connection, 0, 4, state="revised")
    providers(connection, 0, 3)
    assert newest(connection) == (minute(0), 4, "revised")
    ours(connection, 1, 5, reason="feed_stale")
    providers(connection, 1, 6, closed=False)
    assert newest(connection) == (minute(1), 5, "final")
    connection.execute("UPDATE core.provider_bars SET closed = true")
    assert newest(connection) == (minute(1), 6, "final")


def test_bars_of_other_lengths_and_adjusted_ones_tell_no_minutes_price(connection: psycopg.Connection) -> None:
    providers(connection, 0, 3, interval="1d")
    providers(connection, 0, 3, adjustment="split")
    assert connection.execute(NEWEST).fetchone() == (None, None, None)


def test_providers_minutes_and_empty_ones_are_judged_too(connection: psycopg.Connection) -> None:
    at = int(minute(0).timestamp()) * 1_000_000
    state = (
        "INSERT INTO core.series_state (series, version, clock, first_minute, last_minute) VALUES (1, 1, %s, %s, %s)"
    )
    connection.execute(state, (at, at, at))
    connection.execute(OURS, (minute(0), None, 0, "final", "feed_stale"))
    connection.execute("UPDATE core.bars SET open = NULL, high = NULL, low = NULL")
    with connection.cursor() as cursor:
        assert [(row["reason"], row["minutes"]) for row in board_health.completeness(cursor, 6)] == [("feed_stale", 1)]
        for n in (1, 2):
            providers(connection, n, 3)
        found = {row["reason"]: row["minutes"] for row in board_health.completeness(cursor, 6)}
        assert found == {"feed_stale": 1, None: 2}
