"""The reader's account sees the views of `market`, all of them, and nothing else; and it writes nothing anywhere."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from databases import as_reader
from sparktrends.ops.stack import Stack

pytestmark = pytest.mark.e2e
ELSEWHERE = """
SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname NOT IN ('market', 'pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg\\_%%' AND (%s OR has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE'))
"""
VIEWS = "SELECT relname::text FROM pg_class WHERE relnamespace = 'market'::regnamespace AND relkind IN ('v', 'm', 'r')"

# The second: of a view that nobody can write to.
REFUSED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)


@pytest.fixture
def reader(stack: Stack, database: str) -> Iterator[psycopg.Connection]:
    """A session of the reader's own, by password."""
    with psycopg.connect(as_reader(stack, database), autocommit=True) as connection:
        yield connection


def test_every_view_is_read_and_nothing_else_is_seen(database: str, reader: psycopg.Connection) -> None:
    with psycopg.connect(database) as owner:
        assert owner.execute(ELSEWHERE, (True,)).fetchall(), "there is something to keep from the reader"
    assert reader.execute(ELSEWHERE, (False,)).fetchall() == []
    views = [name for (name,) in reader.execute(VIEWS)]
    assert len(views) > 15
    for name in views:
        reader.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(name)))
    seen = "SELECT DISTINCT table_schema FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', %s)"
    assert reader.execute(seen, ("information_schema",)).fetchall() == [("market",)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO market.series (source, symbol) VALUES ('a', 'b')",
        "DELETE FROM market.bars",
        "CREATE TABLE market.mine (a int)",
        "CREATE TABLE public.mine (a int)",
        "CREATE SCHEMA mine",
        "SELECT * FROM core.api_keys",
        "SELECT * FROM raw.payloads",
        "SELECT pg_read_file('/etc/hostname')",
        "COPY market.series TO PROGRAM 'cat'",
        "ALTER ROLE sparktrends_reader SUPERUSER",
    ],
)
def test_what_a_reader_may_not_do_is_refused_even_when_it_asks_to_write(
    reader: psycopg.Connection, statement: str
) -> None:
    reader.execute("SET default_transaction_read_only = off")
    with pytest.raises(REFUSED):
        reader.execute(statement)
