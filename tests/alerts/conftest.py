"""A real database for every test of the outbox."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import psycopg
import pytest

from alerts.world import World
from embedded import free_ports, temporary_home
from sparktrends.ops.jars import Resolver
from sparktrends.ops.stack import External, Stack
from sparktrends.store.migrate import migrate


@pytest.fixture(scope="session")
def new_database(resolver: Resolver) -> Iterator[Callable[[], str]]:
    """Makes a migrated database and returns its connection string; no broker is started for it."""
    nowhere = External(kafka="127.0.0.1:1")
    with temporary_home() as home, home.owned(), Stack(home, resolver, external=nowhere, wanted=free_ports()) as stack:
        server = f"host={stack.database.host} port={stack.database.port} user=postgres "
        server += f"password={home.secrets().superuser} dbname="
        numbers = itertools.count()
        _create(server, "template_alerts", "template0")
        migrate(server + "template_alerts")

        def make() -> str:
            name = f"alerts_{next(numbers)}"
            _create(server, name, "template_alerts")
            return server + name

        yield make


@pytest.fixture
def world(new_database: Callable[[], str]) -> Iterator[World]:
    """A database of the test's own."""
    made = World(new_database())
    yield made
    made.close()


def _create(server: str, name: str, template: str) -> None:
    with psycopg.connect(server + "postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
