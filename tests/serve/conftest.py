"""A real database for every test that serves."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import psycopg
import pytest
from flask.testing import FlaskClient

from embedded import free_ports, temporary_home
from serve.api.world import World
from sparktrends.ops.jars import Resolver
from sparktrends.ops.stack import External, Stack
from sparktrends.serve.api import Api
from sparktrends.store.migrate import migrate, set_reader_password


@pytest.fixture(scope="session")
def database(resolver: Resolver) -> Iterator[tuple[Stack, Callable[[], World]]]:
    """The running database, and what makes a migrated one with a market in it. No broker is started for it."""
    nowhere = External(kafka="127.0.0.1:1")
    with temporary_home() as home, home.owned(), Stack(home, resolver, external=nowhere, wanted=free_ports()) as stack:
        where = f"host={stack.database.host} port={stack.database.port} "
        server = f"{where}user=postgres password={home.secrets().superuser} dbname="
        reader = f"{where}user=sparktrends_reader password=read-only dbname="
        names = (f"api_{number}" for number in itertools.count())
        _create(server, "template_api", "template0")
        migrate(server + "template_api")
        set_reader_password(server + "template_api", "read-only")
        with psycopg.connect(server + "postgres", autocommit=True) as connection:
            connection.execute("ALTER ROLE sparktrends_reader CONNECTION LIMIT 100")  # many APIs at once, in tests

        def make() -> World:
            name = next(names)
            _create(server, name, "template_api")
            made = World(server + name, reader + name)
            made.market()
            return made

        yield stack, make


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


def _create(server: str, name: str, template: str) -> None:
    with psycopg.connect(server + "postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
