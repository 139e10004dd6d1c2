"""The real embedded stack for tests: `pytest_plugins` of tests/conftest.py registers it.

One broker and one database for the whole run, in a home of their own; tests make topics and databases of their own
names in it. ``stack`` starts it at first use; every test that asks for it belongs to the mark ``e2e``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from sparktrends.bus.connection import Connection
from sparktrends.ops import java, ports
from sparktrends.ops.home import Home, default_cache
from sparktrends.ops.jars import Resolver
from sparktrends.ops.stack import Stack


@pytest.fixture(scope="session")
def cache() -> Path:
    """The user's own cache: what `make setup` or an earlier run downloaded is not fetched again."""
    return default_cache(os.environ)


@pytest.fixture(scope="session")
def resolver(cache: Path) -> Resolver:
    """Java and the jars of this machine."""
    return resolver_of(cache)


def resolver_of(cache: Path) -> Resolver:
    """Java and jars, found as the product finds them."""
    return Resolver(java.find(os.environ, cache), cache, dict(os.environ))


@pytest.fixture
def home() -> Iterator[Home]:
    """A fresh home where also the database's user may go: pytest's own folders are closed to others."""
    with temporary_home() as made:
        yield made


@contextmanager
def temporary_home(prefix: str = "sparktrends de josé ") -> Iterator[Home]:
    """A home below /var/tmp that vanishes; its path has a space and an é, as a person's may."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/var/tmp"))
    try:
        yield Home.open(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


PLAIN = "sparktrends-"
"""The beginning of a home for what others run: their scripts and options know no spaces."""


@pytest.fixture(scope="session")
def stack(resolver: Resolver) -> Iterator[Stack]:
    """The running stack: ``stack.kafka``, ``stack.database`` (see `Stack`)."""
    with temporary_home() as made, made.owned(), Stack(made, resolver, wanted=free_ports()) as running:
        without_power_cuts(running)
        yield running


def without_power_cuts(stack: Stack) -> None:
    """Tests kill processes, not machines: no database of a test need reach the disk, and hundreds of them would."""
    with psycopg.connect(superuser_of(stack), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")


def superuser_of(stack: Stack) -> str:
    """The connection string of the one who may do everything."""
    password = stack._home.secrets().superuser
    return f"host={stack.database.host} port={stack.database.port} user=postgres password={password} dbname=postgres"


def free_ports() -> dict[str, int]:
    """Ports that do not disturb a stack which a person runs beside the tests."""
    # Each is free when it is asked for, and may be found a second time.
    numbers: set[int] = set()
    while len(numbers) < len(ports.WANTED):
        numbers.add(ports.any_free())
    return dict(zip(ports.WANTED, numbers, strict=True))


def delete_topic(connection: Connection, name: str) -> None:
    """Remove a topic with all its records: no code of ours can."""
    client = AdminClient(connection.options())
    client.delete_topics([name])[name].result(timeout=15)
    # The controller says yes before the brokers' own picture of the topics has changed.
    end = time.monotonic() + 15
    while name in client.list_topics(timeout=15).topics:
        assert time.monotonic() < end, f"{name} is still there"
        time.sleep(0.02)
