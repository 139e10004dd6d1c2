"""A series on today's basis from end to end, whatever was stored before and after its splits; raw stays as traded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from sparktrends.store import trends

pytestmark = pytest.mark.e2e
TODAY = datetime.now(UTC).date()
SPLIT = TODAY - timedelta(days=5)
ADJUSTED = "SELECT close, volume, adjustment FROM market.bars_adjusted WHERE symbol = 'AAPL' ORDER BY start"


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def bar(c: psycopg.Connection, day: date, close: int, adjustment: str, told: date, source: str = "yahoo") -> None:
    """A provider's daily bar of volume 100, as it was told on a day."""
    start, arrival = (datetime(d.year, d.month, d.day, tzinfo=UTC) for d in (day, told))
    (series,) = c.execute(
        "INSERT INTO core.series (source, symbol) VALUES (%s, 'AAPL') "
        "ON CONFLICT (source, symbol) DO UPDATE SET symbol = excluded.symbol RETURNING id",
        (source,),
    ).fetchone() or (0,)
    c.execute("SELECT core.ensure_month('provider_bars', date_trunc('month', %s::date)::date)", (day,))
    c.execute(
        "INSERT INTO core.provider_bars (series, interval, start, adjustment, open, high, low, close, volume, closed,"
        " arrival, log_partition, log_offset, updated_at)"
        " VALUES (%(s)s, '1d', %(at)s, %(a)s, %(c)s, %(c)s, %(c)s, %(c)s, 100, true, %(arrival)s, 0, 0, now())",
        {"s": series, "at": start, "a": adjustment, "c": close, "arrival": int(arrival.timestamp() * 1_000_000)},
    )


def split(c: psycopg.Connection, day: date, ratio: int, source: str = "yahoo") -> None:
    c.execute(
        "INSERT INTO core.corporate_actions (source, symbol, day, kind, value, payload, updated_at) "
        "VALUES (%s, 'AAPL', %s, 'split', %s, 0, now())",
        (source, day, ratio),
    )


def test_without_a_split_both_are_the_same(connection: psycopg.Connection) -> None:
    bar(connection, ago(2), 100, "raw", ago(1))
    assert connection.execute(ADJUSTED).fetchall() == [(100, 100, "split")]


def test_a_split_after_it_was_stored_changes_the_adjusted_series_alone(connection: psycopg.Connection) -> None:
    bar(connection, ago(20), 200, "split", ago(8))  # told before the newest split: still on the basis of then
    bar(connection, ago(7), 400, "raw", ago(6))
    bar(connection, SPLIT, 101, "raw", ago(4))
    split(connection, ago(15), 2)
    split(connection, SPLIT, 4)
    split(connection, SPLIT, 4, "alpha_vantage")  # the same split, told by somebody else
    split(connection, TODAY + timedelta(days=3), 10)  # announced
    split(connection, ago(1), 7, "yahoo~sim")  # made up
    assert connection.execute(ADJUSTED).fetchall() == [(50, 400, "split"), (100, 400, "split"), (101, 100, "split")]
    raw = connection.execute("SELECT close FROM market.bars WHERE interval = '1d' ORDER BY start").fetchall()
    assert raw == [(400,), (101,)]


def test_where_both_are_stored_the_raw_one_is_adjusted(connection: psycopg.Connection) -> None:
    bar(connection, ago(7), 400, "raw", ago(6))
    bar(connection, ago(7), 100, "split", ago(1))
    split(connection, SPLIT, 4)
    assert connection.execute(ADJUSTED).fetchall() == [(100, 400, "split")]


def test_a_ratio_that_does_not_end_is_rounded_at_the_last_place(connection: psycopg.Connection) -> None:
    bar(connection, ago(7), 100, "raw", ago(6))
    split(connection, SPLIT, 3)
    assert connection.execute(ADJUSTED).fetchall() == [(Decimal("33.333333333333333333"), 300, "split")]


def test_a_split_is_no_fall_to_the_trends_of_a_day(connection: psycopg.Connection) -> None:
    bar(connection, ago(6), 400, "raw", ago(6))
    bar(connection, SPLIT, 101, "raw", ago(4))
    split(connection, SPLIT, 4)
    with connection.cursor() as cursor:
        assert [row.close for row in trends.prices(cursor, SPLIT)] == [100.0, 101.0]


def test_the_reader_may_read_it(connection: psycopg.Connection) -> None:
    bar(connection, ago(7), 400, "raw", ago(6))
    split(connection, SPLIT, 4)
    connection.execute("SET ROLE sparktrends_reader")
    assert connection.execute(ADJUSTED).fetchall() == [(100, 400, "split")]
    silent = connection.execute(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
        "WHERE c.relname IN ('bars_adjusted', 'raw_starts') AND coalesce(col_description(c.oid, a.attnum), '') = ''"
    ).fetchall()
    assert silent == []
