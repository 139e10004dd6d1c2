"""ONE table of accounts: what each service may do at the broker and in the database, and nothing else.

At the broker a service is a user of its own name; in the database it is the role ``sparktrends_NAME``. Only the
administrator makes topics and rights there, only the owner makes tables here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sparktrends.bus.rights import DESCRIBE, GROUP, READ, TOPIC, WRITE, Right
from sparktrends.bus.topics import OUT_BARS, OUT_SIGNALS, QUARANTINE, RAW_BARS, RAW_PAYLOADS, RAW_TRADES, TABLE

PREFIX = "sparktrends_"
_EVERY_TOPIC = tuple(topic.name for topic in TABLE)
_EVERY_TABLE = ("*",)
_PYTHON = Right("", READ, GROUP, "sparktrends-reader")
# What Spark's executors call themselves; the driver has no group.
_SPARK = Right("", READ, GROUP, "spark-kafka-", prefix=True)
_OUTBOX = ("alerts", "deliveries")
_FOLDED = (
    *("series", "series_state", "ledger", "log_gaps", "shards", "bars", "provider_bars", "gaps", "late_trades"),
    *("limits", "quarantine", "repeats", "changes", "cursors", "metrics", "snapshots", "signals"),
)


@dataclass(frozen=True, slots=True)
class Service:
    """One row. Who writes a topic also reads it: after an accident it looks up what it wrote.

    ``changes`` are tables of `core` that it inserts into and updates, ``deletes`` whether it deletes there too and
    makes months. All read `core` (without the keys of the API) and `market`; ``keys`` and ``payloads`` add to it.
    """

    name: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    watches: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    deletes: bool = False
    keys: bool = False
    payloads: tuple[str, ...] = ()

    @property
    def role(self) -> str:
        """Its account in the database."""
        return role_of(self.name)

    def rights(self) -> Iterator[Right]:
        """What it may do at the broker."""
        read = tuple(dict.fromkeys((*self.reads, *self.writes)))
        for operation, names in ((READ, read), (WRITE, self.writes), (DESCRIBE, self.watches)):
            yield from (Right(self.name, operation, TOPIC, name) for name in names)
        for group in (_PYTHON, _SPARK) if read else ():
            yield Right(self.name, group.operation, group.kind, group.name, group.prefix)


SERVICES: tuple[Service, ...] = (
    Service("ingest", writes=(RAW_TRADES, RAW_BARS, RAW_PAYLOADS, QUARANTINE), changes=_OUTBOX),
    Service("stream", (RAW_TRADES, RAW_BARS), (OUT_BARS, OUT_SIGNALS), changes=(*_FOLDED, *_OUTBOX), deletes=True),
    Service("alerts", watches=_EVERY_TOPIC, changes=(*_OUTBOX, "channels", "silences"), payloads=("SELECT",)),
    Service("api", changes=(*_OUTBOX, "silences"), keys=True),
    Service("dashboard", reads=_EVERY_TOPIC, changes=(*_OUTBOX, "silences")),
    Service(
        "batch",
        (RAW_TRADES,),
        (RAW_BARS, RAW_PAYLOADS, QUARANTINE),
        watches=_EVERY_TOPIC,
        changes=_EVERY_TABLE,
        deletes=True,
        payloads=("SELECT", "INSERT", "UPDATE", "DELETE"),
    ),
    Service("audit", reads=(RAW_TRADES, RAW_BARS, QUARANTINE)),
)
NAMES = tuple(service.name for service in SERVICES)


def role_of(name: str) -> str:
    """The role of a service in the database."""
    return PREFIX + name


def secret_of(name: str) -> str:
    """The variable of `.env` that holds the password of a service, at the broker and in the database alike."""
    return f"{name.upper()}_PASSWORD"


def rights() -> set[Right]:
    """Everything that the services may do at the broker."""
    return {right for service in SERVICES for right in service.rights()}


def sql() -> str:
    """Makes the roles of the database, or brings them to the table: to be run by the owner, after each migration.

    It holds no password: a new role cannot log in before it has got one.
    """
    statements = [statement for service in SERVICES for statement in _statements(service)]
    return "BEGIN;\n" + "".join(f"{statement};\n" for statement in statements) + "COMMIT;\n"


def _statements(service: Service) -> Iterator[str]:
    role = service.role
    missing = f"NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}')"
    yield f"DO $$ BEGIN IF {missing} THEN CREATE ROLE {role} LOGIN; END IF; END $$"
    yield f"GRANT USAGE ON SCHEMA core, market, raw TO {role}"
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA core, market, raw FROM {role}"
    yield f"GRANT SELECT ON ALL TABLES IN SCHEMA core, market TO {role}"
    if service.changes:
        where = "ALL TABLES IN SCHEMA core"
        if service.changes != _EVERY_TABLE:
            where = ", ".join(f"core.{table}" for table in service.changes)
        yield f"GRANT INSERT, UPDATE{', DELETE' if service.deletes else ''} ON {where} TO {role}"
    if service.payloads:
        yield f"GRANT {', '.join(service.payloads)} ON raw.payloads TO {role}"
    if not service.keys:
        yield f"REVOKE ALL ON core.api_keys FROM {role}"
    months = "GRANT EXECUTE ON FUNCTION core.ensure_month(text, date) TO" if service.deletes else ""
    yield f"{months or 'REVOKE ALL ON FUNCTION core.ensure_month(text, date) FROM'} {role}"
