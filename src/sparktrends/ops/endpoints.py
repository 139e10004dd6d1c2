"""Where broker and database of a home are: recorded by the running `up`, or external by the settings."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparktrends.bus.connection import Connection
from sparktrends.errors import Unavailable
from sparktrends.ops import jars, java, ports
from sparktrends.ops.home import Home
from sparktrends.ops.settings import Settings
from sparktrends.ops.stack import Database, External, Stack
from sparktrends.store.migrate import migrate, set_reader_password

RECORD, USED = "stack.json", "addresses.json"
_PARTS = ("kafka", "postgres_port")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The two services that every process of ours talks to."""

    kafka: Connection
    database: Database

    @property
    def owner_dsn(self) -> str:
        """The connection string of the account that writes."""
        return self.database.dsn()

    @property
    def reader_dsn(self) -> str:
        """The connection string of `sparktrends_reader`."""
        return self.database.dsn(reader=True)


def external(settings: Settings, home: Path | None = None) -> External:
    """What somebody else runs; an address that the home (that of the settings by default) recorded as its own, ever, is
    embedded all the same."""
    wished, own = settings.external(), used(home or settings.home)
    kafka = None if wished.kafka in own["kafka"] else wished.kafka
    database = wished.database
    if database and database.host in (ports.LOOPBACK, "localhost") and database.port in own["postgres_port"]:
        database = None
    return External(kafka, database)


def used(home: Path) -> dict[str, list[Any]]:
    """Every address at which broker and database of this home ever were: a `.env` may name any of them."""
    before = _read(home / "run" / USED)
    known = {part: before.get(part) for part in _PARTS}
    return _with({part: found if isinstance(found, list) else [] for part, found in known.items()}, record(home))


def _with(own: Mapping[str, list[Any]], values: Mapping[str, Any]) -> dict[str, list[Any]]:
    new = {part: [values[part]] if part in values else [] for part in own}
    return {part: found + [one for one in new[part] if one not in found] for part, found in own.items()}


def record(home: Path) -> Mapping[str, Any]:
    """What the newest `up` of this home wrote down (addresses and process ids, no secret); empty without one."""
    return _read(home / "run" / RECORD)


def processes(home: Path) -> dict[str, int]:
    """Name → process id of the parts that the newest `up` of this home started."""
    found = record(home).get("processes", {})
    pids = found.items() if isinstance(found, dict) else ()
    return {name: pid for name, pid in pids if isinstance(pid, int)}


def write_record(home: Home, values: Mapping[str, Any]) -> None:
    """Replace the record, and remember its addresses as this home's own for good."""
    # After a port was replaced, a `.env` with the old one must not turn to whoever listens there now (decision 0210).
    if (own := _with(used(home.path), values)) != _read(home.run / USED):
        _write(home.run / USED, own)
    _write(home.run / RECORD, values)


def _read(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(file: Path, values: Mapping[str, Any]) -> None:
    """In one step, so that nobody reads half of it."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(json.dumps(values))
    os.replace(fresh, file)


def endpoints(settings: Settings) -> Endpoints:
    """Where to connect now; raises Unavailable when the home is stopped and nothing external is configured."""
    there = external(settings)
    if there.kafka and there.database:
        return Endpoints(Connection(there.kafka, settings.kafka_security()), there.database)
    home, own = Home.running(settings.home), record(settings.home)
    if home is None or not own:
        raise Unavailable(f"nothing runs in {settings.home}", hint="start it with `sparktrends up`")
    embedded = Database.embedded(int(own.get("postgres_port", 0)), home.secrets())
    kafka = Connection(there.kafka or str(own.get("kafka")), settings.kafka_security() if there.kafka else {})
    return Endpoints(kafka, there.database or embedded)


@contextmanager
def started(settings: Settings) -> Iterator[Endpoints]:
    """The endpoints, with broker and database started for the time of the block when the home is stopped.

    Raises Unavailable where nothing is stored: no home is made to be looked at.
    """
    try:
        found = endpoints(settings)
    except Unavailable:
        found = None
    if found is not None:
        yield found
        return
    there, home = external(settings), Home.found(settings.home)
    if home is None or not (there.database or (home.postgres / "data").exists()):
        raise Unavailable(
            f"nothing runs in {settings.home}, and nothing is stored there",
            hint="name the folder of a home with --home, or start one with `sparktrends up`",
        )
    resolver = jars.Resolver(java.find(settings.env, settings.cache), settings.cache, settings.env)
    wanted = settings.wanted_ports(ports.WANTED)
    with home.owned(), Stack(home, resolver, external=there, wanted=wanted) as stack:
        # What others run is brought up to date by `up` and `migrate` alone; ours may be as an older release left it.
        if "postgres" in stack.keepers:
            bring_up_to_date(stack.database)
        write_record(home, stack_record(stack))
        yield Endpoints(reached(settings, stack), stack.database)


def bring_up_to_date(database: Database) -> list[str]:
    """Migrate it and give the reader's account its password; the names of what was applied."""
    applied = migrate(database.dsn())
    # The role is made by a migration, which knows no password.
    if database.reader_password:
        set_reader_password(database.dsn(), database.reader_password)
    return applied


def stack_record(stack: Stack) -> dict[str, Any]:
    """What a running stack puts into the record: the addresses of its own parts. What others run, settings say."""
    kafka = {"kafka": stack.kafka} if "kafka" in stack.keepers else {}
    if "postgres" not in stack.keepers:
        return kafka
    return {**kafka, "postgres_port": stack.database.port, "postgres_host": stack.database.host}


def reached(settings: Settings, stack: Stack) -> Connection:
    """The broker of a running stack, with what an external one asks for."""
    return Connection(stack.kafka, {} if "kafka" in stack.keepers else settings.kafka_security())


def addresses_of(stack: Stack) -> dict[str, str]:
    """The settings that lead a process of ours to the stack's own parts, whatever a `.env` says of an older address."""
    own = stack_record(stack)
    named = {"KAFKA_BOOTSTRAP": "kafka", "POSTGRES_HOST": "postgres_host", "POSTGRES_PORT": "postgres_port"}
    return {name: str(own[part]) for name, part in named.items() if part in own}


def outdated(settings: Settings, stack: Stack) -> Iterator[str]:
    """A sentence for each address in the settings at which this home's own part was before, and is no more."""
    wished, own = settings.external(), addresses_of(stack)
    if wished.kafka and own.get("KAFKA_BOOTSTRAP", wished.kafka) != wished.kafka:
        yield f"KAFKA_BOOTSTRAP={wished.kafka} is where this home's broker was: `sparktrends env` says where it is"
    port = str(wished.database.port) if wished.database else ""
    if port and own.get("POSTGRES_PORT", port) != port:
        yield f"POSTGRES_PORT={port} is where this home's database was: `sparktrends env` says where it is"
