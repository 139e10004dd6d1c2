"""The vwap of bars that a provider made: to its last place, in every view, in a home of any age."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Context, Decimal

import psycopg
import pytest

from sparktrends.bars.numbers import vwap_of
from sparktrends.store import migrate as module
from sparktrends.store.migrate import migrate, migrations

pytestmark = pytest.mark.e2e
BAR = """
INSERT INTO core.provider_bars (series, interval, start, adjustment, open, high, low, close, volume, turnover, closed,
    arrival, log_partition, log_offset, updated_at)
VALUES (1, '1d', '2024-01-02Z', %s, 30, 40, 20, 30, 3, 100, true, 1704240000000000, 0, 0, now())
"""
EXACT = Context(prec=200)
THIRD = Decimal("33.333333333333333333")


def fill(connection: psycopg.Connection, adjustment: str = "raw") -> None:
    connection.execute("INSERT INTO core.series (source, symbol) VALUES ('yahoo', 'AAPL')")
    connection.execute("SELECT core.ensure_month('provider_bars', '2024-01-01')")
    connection.execute(BAR, (adjustment,))


def shown(connection: psycopg.Connection, view: str) -> list[Decimal]:
    return [vwap for (vwap,) in connection.execute(f"SELECT vwap FROM market.{view}".encode())]  # noqa: S608 - a view


@pytest.mark.parametrize(
    ("view", "adjustment"), [("bars", "raw"), ("bars_all", "raw"), ("bars_adjusted", "raw"), ("bars_adjusted", "split")]
)
def test_a_quotient_that_does_not_end_has_eighteen_places(database: str, view: str, adjustment: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        fill(connection, adjustment)
        assert shown(connection, view) == [THIRD]


def test_in_place_of_an_incomplete_minute_too(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        fill(connection)
        connection.execute("SELECT core.ensure_month('bars', '2024-01-01')")
        connection.execute(
            "INSERT INTO core.bars (series, interval, start, volume, turnover, trades, after_final, statuses, state, "
            "reason, updated_at) VALUES (1, '1d', '2024-01-02Z', 0, 0, 0, 0, 0, 'final', 'feed_stale', now())"
        )
        assert shown(connection, "bars") == [THIRD]


def test_it_is_rounded_as_that_of_trades_is(database: str) -> None:
    """Halves away from zero, and what is a little less than a half is no half, however little that is."""
    rng = random.Random(3)
    pairs = [(10**36 * rng.randrange(10**9), 10 ** rng.randrange(38) + rng.randrange(9)) for _ in range(200)]
    pairs += [(rng.randrange(10**76), rng.randrange(1, 10**38)) for _ in range(200)]
    pairs += [((2 * k + 1) * v // 2 + d, v) for k in (0, 7, 10**20) for v in (10**37, 2) for d in (-1, 0, 1)]
    pairs += [(5, 0), (0, 5)]
    with psycopg.connect(database, autocommit=True) as connection:
        for turnover, volume in pairs:
            words = (Decimal(f"{turnover}e-36"), Decimal(f"{volume}e-18"))
            row = connection.execute("SELECT core.vwap(%s, %s)::text", words).fetchone()
            expected = vwap_of(turnover, volume)
            assert row is not None
            assert row[0] == (None if expected is None else f"{Decimal(expected).scaleb(-18, EXACT):.18f}"), words


def test_a_home_from_before_shows_it_too(new_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    dsn, older = new_database("template0"), [step for step in migrations() if step[0] < "0220"]
    monkeypatch.setattr(module, "migrations", lambda: older)
    migrate(dsn)
    monkeypatch.undo()
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill(connection)
        assert shown(connection, "bars") == [Decimal("33.3333333333333333")]
        said = "SELECT col_description('market.bars'::regclass, 11)"
        words = connection.execute(said).fetchone()
        assert "0220_vwap_of_providers.sql" in migrate(dsn)
        assert [shown(connection, view) for view in ("bars", "bars_all", "bars_adjusted")] == [[THIRD]] * 3
        assert connection.execute(said).fetchone() == words
