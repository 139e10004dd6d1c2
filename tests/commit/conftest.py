"""A real database for every run of a log, and logs with everything in them that can be between two bars."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import psycopg
import pytest

from sparktrends.ops.stack import Stack
from sparktrends.store.migrate import migrate


@pytest.fixture(scope="session")
def new_database(stack: Stack) -> Callable[[], str]:
    """Makes a migrated database and returns its connection string."""
    server = f"host={stack.database.host} port={stack.database.port} user=postgres "
    server += f"password={stack._home.secrets().superuser} dbname="
    numbers = itertools.count()

    def create(name: str, template: str) -> str:
        with psycopg.connect(server + "postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return server + name

    migrate(create("template_commit", "template0"))
    return lambda: create(f"commit_{next(numbers)}", "template_commit")


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """A database of the test's own."""
    return new_database()
