"""A home that vanishes, with the real broker and database in it, and our own processes beside them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sparktrends.bus.admin import Admin
from sparktrends.bus.connection import Connection, wait_ready
from sparktrends.ops import endpoints, jars, java, ports
from sparktrends.ops.home import Home
from sparktrends.ops.settings import ALIASES, NAMES, Settings
from sparktrends.ops.stack import External, Stack
from sparktrends.ops.supervise import Process
from sparktrends.ops.workers import Worker, keeping_bytecode
from sparktrends.store.migrate import migrate, set_reader_password

NOWHERE = External(kafka="127.0.0.1:1")
"""For a benchmark that needs the database alone."""


@dataclass(frozen=True, slots=True)
class Lab:
    """What a benchmark works with: ``kafka`` and ``dsn`` (its owner's) are those of its own stack."""

    home: Home
    kafka: Connection
    dsn: str = field(repr=False)
    environment: dict[str, str] = field(repr=False)
    reader_dsn: str = field(default="", repr=False)

    @contextmanager
    def running(self, name: str, arguments: Sequence[str] = ()) -> Iterator[Process]:
        """One of our processes, as `up` would start it, for the time of the block."""
        process = Process(Worker(name, [name, *arguments], self.home, self.environment, self.home.path).spec())
        try:
            yield process
        finally:
            process.stop()


@contextmanager
def temporary_home() -> Iterator[Home]:
    """A home where the database's user can go too; it is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="sparktrends-bench-", dir="/var/tmp"))
    try:
        yield Home.open(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def own_environment(settings: Settings) -> dict[str, str]:
    """The environment without anybody's broker, database or keys: a benchmark brings its own."""
    own = {name: value for name, value in settings.env.items() if name not in NAMES and name not in ALIASES}
    return keeping_bytecode(own)


def free_ports() -> dict[str, int]:
    """Ports that do not disturb a stack which runs beside the benchmark."""
    return {name: ports.any_free() for name in ports.WANTED}


@contextmanager
def lab(settings: Settings, external: External | None = None) -> Iterator[Lab]:
    """Broker and database in a temporary home, topics and tables made; settings that name others' are not used."""
    found = java.find(settings.env, settings.cache)
    resolver = jars.Resolver(found, settings.cache, settings.env)
    with temporary_home() as home, home.owned(), Stack(home, resolver, external=external, wanted=free_ports()) as stack:
        connection = Connection(stack.kafka)
        if external is None:
            wait_ready(connection, 30)
            Admin(connection).ensure()
        migrate(stack.database.dsn())
        set_reader_password(stack.database.dsn(), stack.database.reader_password)
        endpoints.write_record(home, endpoints.stack_record(stack))
        environment = own_environment(settings) | {"JAVA_HOME": str(found.home)}
        yield Lab(home, connection, stack.database.dsn(), environment, stack.database.dsn(reader=True))
