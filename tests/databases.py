"""Databases of a test's own, on the server of the `stack`; registered by tests/conftest.py."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from embedded import superuser_of
from sparktrends.ops.stack import Stack
from sparktrends.store.migrate import migrate, set_reader_password


@pytest.fixture(scope="session")
def superuser(stack: Stack) -> str:
    """The connection string of the one who may do everything."""
    return superuser_of(stack)


@pytest.fixture(scope="session")
def new_database(superuser: str) -> Callable[[str], str]:
    """Makes a database from a template (`template0` is empty) and returns its connection string."""
    names = (f"own_{number}" for number in itertools.count())

    def make(template: str) -> str:
        name = next(names)
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return make_conninfo(superuser, dbname=name)

    return make


@pytest.fixture(scope="session")
def migrated_database(stack: Stack, new_database: Callable[[str], str]) -> Callable[[], str]:
    """Makes a migrated database and returns its connection string."""
    template = new_database("template0")
    migrate(template)
    set_reader_password(template, stack.database.reader_password)
    name = str(conninfo_to_dict(template)["dbname"])
    return lambda: new_database(name)


@pytest.fixture
def database(migrated_database: Callable[[], str]) -> str:
    """A migrated database of the test's own."""
    return migrated_database()


def as_reader(stack: Stack, dsn: str) -> str:
    """The same database as its reader sees it."""
    database = stack.database
    return make_conninfo(dsn, user=database.reader, password=database.reader_password)
