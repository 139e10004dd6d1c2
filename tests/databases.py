"""Migrated databases of a test's own, on the server of the `stack`; registered by tests/conftest.py."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import psycopg
import pytest

from sparktrends.ops.stack import Stack
from sparktrends.store.migrate import migrate


@pytest.fixture(scope="session")
def server(stack: Stack) -> str:
    """The connection string of the superuser, up to the name of a database."""
    password = stack._home.secrets().superuser
    return f"host={stack.database.host} port={stack.database.port} user=postgres password={password} dbname="


@pytest.fixture(scope="session")
def migrated_database(server: str) -> Callable[[], str]:
    """Makes a migrated database and returns its connection string."""
    numbers = itertools.count()

    def create(name: str, template: str) -> str:
        with psycopg.connect(server + "postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return server + name

    migrate(create("template_migrated", "template0"))
    return lambda: create(f"own_{next(numbers)}", "template_migrated")


@pytest.fixture
def database(migrated_database: Callable[[], str]) -> str:
    """A migrated database of the test's own."""
    return migrated_database()
