"""A real database for every test that serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from flask.testing import FlaskClient

from databases import as_reader
from serve.api.world import World
from sparktrends.ops.stack import Stack
from sparktrends.serve.api import Api


@pytest.fixture(scope="session")
def database(stack: Stack, superuser: str, migrated_database: Callable[[], str]) -> tuple[Stack, Callable[[], World]]:
    """The running database, and what makes a migrated one with a market in it."""
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("ALTER ROLE sparktrends_reader CONNECTION LIMIT 100")  # many APIs at once, in tests

    def make() -> World:
        dsn = migrated_database()
        made = World(dsn, as_reader(stack, dsn))
        made.market()
        return made

    return stack, make


@pytest.fixture(scope="module")
def world(database: tuple[Stack, Callable[[], World]]) -> World:
    """A database with a market, for the tests of one module."""
    return database[1]()


@pytest.fixture
def api(world: World) -> Iterator[Api]:
    """An API without a socket."""
    made = Api(world.config())
    yield made
    made.close()


@pytest.fixture
def client(api: Api) -> FlaskClient:
    """Asks that API."""
    return api.app.test_client()
