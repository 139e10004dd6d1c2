"""The schema: forward only, each step once, every column explained, and the reader sees what it should and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from databases import as_reader
from sparktrends.errors import IntegrityError
from sparktrends.ops.stack import Stack
from sparktrends.sources import PROVIDERS, make_source
from sparktrends.store import migrate as module
from sparktrends.store.migrate import migrate, migrations

pytestmark = pytest.mark.e2e


def rows(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


@pytest.fixture
def reader(stack: Stack, database: str) -> str:
    """The test's database, as a person's tools connect to it."""
    return as_reader(stack, database)


def test_a_second_time_there_is_nothing_to_do(database: str) -> None:
    assert migrate(database) == []
    applied = [name for (name,) in rows(database, "SELECT name FROM public.sparktrends_migrations ORDER BY name")]
    assert applied == [name for name, _ in migrations()]


def test_a_migration_that_was_changed_is_refused(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (name, text), *others = migrations()
    monkeypatch.setattr(module, "migrations", lambda: [(name, text + " "), *others])
    with pytest.raises(IntegrityError, match=f"{name} was changed"):
        migrate(database)


def test_a_newer_database_is_refused(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    older = migrations()[:-1]
    monkeypatch.setattr(module, "migrations", lambda: older)
    with pytest.raises(IntegrityError, match="this release lacks"):
        migrate(database)


def test_a_migration_that_fails_leaves_nothing(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ("9999_broken.sql", "CREATE TABLE core.half (); SELECT 1 / 0")
    known = [*migrations(), broken]
    monkeypatch.setattr(module, "migrations", lambda: known)
    with pytest.raises(Exception, match="division by zero"):
        migrate(database)
    assert rows(database, "SELECT to_regclass('core.half')") == [(None,)]
    monkeypatch.undo()
    assert migrate(database) == []


def test_every_view_and_column_that_people_read_says_what_it_is(database: str) -> None:
    silent = rows(
        database,
        "SELECT c.relname, coalesce(a.attname, '(the view)') FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace "
        "LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE n.nspname = 'market' AND c.relkind IN ('v', 'm', 'r') "
        "AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL) ORDER BY 1, 2",
    )
    assert silent == []


def test_the_reader_reads_every_view(database: str, reader: str) -> None:
    views = rows(database, "SELECT viewname FROM pg_views WHERE schemaname = 'market'")
    assert len(views) > 8
    for (view,) in views:
        rows(reader, f"SELECT * FROM {view} LIMIT 1")  # noqa: S608 - names of the catalogue


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM core.bars",
        "SELECT * FROM raw.payloads",
        "SELECT * FROM public.sparktrends_migrations",
        "BEGIN READ WRITE; DELETE FROM market.quarantine",
        "BEGIN READ WRITE; CREATE TABLE public.mine ()",
        "BEGIN READ WRITE; CREATE TABLE market.mine ()",
        "BEGIN READ WRITE; SELECT core.ensure_month('bars', '2024-01-01')",
    ],
)
def test_the_reader_touches_nothing_else(reader: str, statement: str) -> None:
    with psycopg.connect(reader, autocommit=True) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_the_reader_has_a_right_to_nothing_but_reading_market(database: str) -> None:
    beyond = """
        SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'v', 'm', 'p', 'S')
        AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        AND (has_table_privilege('sparktrends_reader', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
             OR c.relnamespace <> 'market'::regnamespace AND has_table_privilege('sparktrends_reader', c.oid, 'SELECT'))
    """
    assert rows(database, beyond) == []
    entered = (
        "SELECT nspname FROM pg_namespace WHERE has_schema_privilege('sparktrends_reader', oid, 'USAGE') ORDER BY 1"
    )
    assert {name for (name,) in rows(database, entered)} - {"pg_toast"} <= {
        *("information_schema", "market", "pg_catalog", "public")
    }


def test_the_reader_is_read_only_from_the_start(reader: str) -> None:
    with psycopg.connect(reader, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TEMPORARY TABLE mine ()")
        assert connection.execute("SHOW statement_timeout").fetchone() == ("30s",)


def test_months_are_made_once(database: str, migrated_database: Callable[[], str]) -> None:
    for _ in range(2):
        rows(database, "SELECT core.ensure_month('bars', '2024-12-01')")
    bounds = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'bars_202412'"
    assert rows(database, bounds) == [("FOR VALUES FROM ('2024-12-01 00:00:00+00') TO ('2025-01-01 00:00:00+00')",)]


def test_sources_without_trades_are_those_whose_bars_are_pseudo(database: str) -> None:
    names = [name + suffix for name in PROVIDERS for suffix in ("", "~sim")]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.cursor().executemany(
            "INSERT INTO core.series (source, symbol) VALUES (%s, 'A')", [(name,) for name in names]
        )
    found = {source for source, pseudo in rows(database, "SELECT source, pseudo FROM core.series") if pseudo}
    assert found == {n for n in names if (s := make_source(n.partition("~")[0])).stream and not s.tape}


def test_market_moves_of_before_there_were_events_get_theirs(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DELETE FROM public.sparktrends_migrations WHERE name LIKE '0145%'")
        connection.execute("DROP VIEW market.market_moves")
        connection.execute("ALTER TABLE core.market_moves DROP COLUMN event")
        connection.execute(
            "INSERT INTO core.market_moves (source, exchange, start, direction, median, log_return, members, up, down, "
            "found_at) SELECT source, '24/7', timestamptz '2024-01-01Z' + minute * interval '1 minute', 'up', 4, 0.01, "
            "12, 9, 0, now() FROM unnest(ARRAY['a', 'b']) source, unnest(ARRAY[3, 4, 9, 15, 16]) minute"
        )
    migrate(database)
    minutes = "SELECT source, extract(minute FROM start)::int, extract(minute FROM event_start)::int"
    found = rows(database, f"{minutes} FROM market.market_moves ORDER BY source, start")
    assert found == [(source, *of) for source in "ab" for of in ((3, 3), (4, 3), (9, 3), (15, 15), (16, 15))]
