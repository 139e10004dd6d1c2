"""Each service does what it needs with an account of its own, and nothing else: at the broker and in the database."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Producer as RawProducer

from alerts.world import World
from batch import test_market
from commit.world import Road
from e2e.product import Command, Product, until
from embedded import free_ports
from ops.encrypted import PASSWORDS, SecureBroker, SecureDatabase, client, environment, secure_broker, secure_database
from sparktrends.alerts.manual import acknowledge, end_condition, raise_condition, silence
from sparktrends.alerts.operational import Monitor
from sparktrends.batch.load import Loader
from sparktrends.batch.market import MarketStep
from sparktrends.batch.refused import RefusedLoader
from sparktrends.batch.retention import restore, retain
from sparktrends.bus.connection import Connection
from sparktrends.bus.kafka import Admin, Reader
from sparktrends.bus.rights import Right, Rights
from sparktrends.bus.topics import TABLE
from sparktrends.errors import AccessDenied, BadSetting
from sparktrends.model import DAY
from sparktrends.ops import accounts
from sparktrends.ops.accounts import SERVICES, Service
from sparktrends.ops.jars import Resolver
from sparktrends.ops.stack import Stack
from sparktrends.store import figures, followers
from sparktrends.store.api_keys import usable_keys
from sparktrends.store.connect import connect
from sparktrends.store.migrate import migrate, set_reader_password
from sparktrends.store.session import Session

TOPICS = [topic.name for topic in TABLE]
SLOW = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def slow(test: object) -> object:
    for mark in SLOW:
        test = mark(test)
    return test


def test_what_comes_in_is_written_by_two_and_what_goes_out_by_one() -> None:
    writers = {topic: {service.name for service in SERVICES if topic in service.writes} for topic in TOPICS}
    assert writers == {
        "raw.trades": {"ingest"},
        "raw.bars": {"ingest", "batch"},
        "raw.payloads": {"ingest", "batch"},
        "ops.quarantine": {"ingest", "batch"},
        "out.bars": {"stream"},
        "out.signals": {"stream"},
    }


@pytest.fixture
def with_roles(database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(accounts.sql().encode())
        connection.execute(accounts.sql().encode())  # a second time changes nothing
        yield connection


@pytest.mark.e2e
@pytest.mark.parametrize("service", SERVICES, ids=accounts.NAMES)
def test_a_role_may_what_its_row_says(with_roles: psycopg.Connection[tuple[object, ...]], service: Service) -> None:
    rows = with_roles.execute(
        "SELECT relname, privilege, has_table_privilege(%s, c.oid, privilege) FROM pg_class c,"
        " unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) privilege"
        " WHERE relnamespace = 'core'::regnamespace AND relkind IN ('r', 'p')",
        (service.role,),
    ).fetchall()
    tables = {str(table) for table, *_ in rows}
    changed = tables - {"api_keys"} if service.changes == ("*",) else set(service.changes)
    kinds = {"INSERT", "UPDATE"} | ({"DELETE"} if service.deletes else set())
    wanted = {(table, "SELECT") for table in tables if service.keys or table != "api_keys"}
    wanted |= {(table, kind) for table in changed for kind in kinds}
    assert {(table, kind) for table, kind, allowed in rows if allowed} == wanted
    payloads = with_roles.execute("SELECT has_table_privilege(%s, 'raw.payloads', 'SELECT')", (service.role,))
    assert payloads.fetchone() == (bool(service.payloads),)


@pytest.mark.e2e
def test_months_are_made_by_who_writes_bars_and_by_nobody_else(
    with_roles: psycopg.Connection[tuple[object, ...]],
) -> None:
    make = "SELECT core.ensure_month('bars', '2031-05-01')"
    for service in SERVICES:
        with_roles.execute(f"SET ROLE {service.role}")
        if service.deletes:
            with_roles.execute(make)
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                with_roles.execute(make)
        with_roles.execute("RESET ROLE")
    owner = "SELECT relowner = (SELECT relowner FROM pg_class WHERE oid = 'core.bars'::regclass) FROM pg_class"
    assert with_roles.execute(f"{owner} WHERE oid = 'core.bars_203105'::regclass").fetchone() == (True,)


@pytest.fixture
def entered(database: str, with_roles: psycopg.Connection[tuple[object, ...]]) -> Callable[[str], str]:
    """The connection string of a service's own account in the test's database."""

    def enter(name: str) -> str:
        role = f"{accounts.PREFIX}{name}"
        with_roles.execute(f"ALTER ROLE {role} PASSWORD '{PASSWORDS[name]}'")
        return psycopg.conninfo.make_conninfo(database, user=role, password=PASSWORDS[name])

    return enter


@pytest.mark.e2e
def test_stream_and_follow_do_their_work_with_their_own_accounts(
    stack: Stack, entered: Callable[[str], str], tmp_path: Path
) -> None:
    own, kafka = {name: entered(name) for name in ("stream", "batch")}, Connection(stack.kafka)
    road = Road(own["stream"], test_market.written().log)
    road.all()
    road.close()
    with closing(Session(own["stream"], "test")) as session, session.transaction() as cursor:
        followers.begin(cursor, "out", ["1/1"])
        page = followers.next_page(cursor, "out", "1/1", 9)
        assert isinstance(page, followers.Page)
        followers.move_cursor(cursor, "out", page)
        assert followers.prune(cursor, ["1/1"], road.now + 2 * DAY) == 1
    with closing(Session(own["batch"], "test")) as session:
        with session.transaction() as cursor:
            followers.begin(cursor, "market", ["1/1"])
        assert MarketStep(session, lambda: road.now).run() >= 10
        cursor_of = "SELECT commit FROM core.cursors WHERE reader = 'market'"
        with session.transaction() as cursor:
            assert cursor.execute(cursor_of).fetchall() == [(1,)]
        archived = list(retain(session, tmp_path, {"1m": 1}, date(2025, 1, 1), lambda: date(2025, 1, 1)))
        assert {month.table for month in archived} == {"bars", "metrics", "signals", "market_moves", "peer_moves"}
        restored = {(month.table, month.rows) for month in restore(session, tmp_path)}
        assert restored == {(month.table, month.rows) for month in archived}
    Admin(kafka).ensure()
    for kind in (Loader, RefusedLoader):
        with kind(kafka, own["batch"]) as loader:
            loader.run()


@pytest.mark.e2e
def test_alerts_pages_and_ingest_do_their_work_with_their_own_accounts(
    database: str, entered: Callable[[str], str]
) -> None:
    world = World(database)
    alert = world.alert()
    world.insert(alert)
    own = replace(world, dsn=entered("alerts"))
    own.run(own.worker(own.channel("console")), 5)
    assert world.deliveries("console") == [("alert", "sent")]
    Monitor(own.conditions(), own.clock, ["console"], lambda *_: []).step()
    own.outbox().set_up(["console", "hook"])
    with connect(own.dsn) as connection, connection.cursor() as cursor:
        assert figures.figures(cursor)
    for name in ("api", "dashboard"):
        acknowledge(entered(name), alert.id, name, world.clock)
        assert silence(entered(name), {"symbol": alert.symbol}, 1, name, world.clock)
    with connect(entered("api")) as connection:
        assert list(usable_keys(connection)) == []
    assert raise_condition(entered("ingest"), ("ops.feed", "binance"), "dead", "warning", ["*"], world.clock)
    assert end_condition(entered("ingest"), ("ops.feed", "binance"), world.clock)
    own.close()


@pytest.mark.e2e
def test_a_broker_without_authorizer_says_so(stack: object) -> None:
    with pytest.raises(BadSetting, match="no authorizer"):
        Rights(Connection(stack.kafka)).allow(accounts.rights())  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def broker(resolver: Resolver) -> Iterator[SecureBroker]:
    with secure_broker(resolver) as running:
        admin = Admin(running.connection)
        admin.ensure()
        yield running


@pytest.fixture(scope="module")
def allowed(broker: SecureBroker) -> SecureBroker:
    rights = Rights(broker.connection)
    rights.allow(accounts.rights())
    until(lambda: rights.existing(accounts.NAMES) == accounts.rights(), 10, "the rights are not there")
    return broker


def as_service(broker: SecureBroker, name: str) -> Connection:
    return client(broker.address, name, PASSWORDS[name], broker.authority)


@slow
def test_without_rights_an_account_may_nothing(broker: SecureBroker) -> None:
    assert written(as_service(broker, "ingest")) == set()
    with pytest.raises(AccessDenied):
        Rights(as_service(broker, "ingest")).allow([Right("ingest", "WRITE", "TOPIC", "raw.trades")])


@slow
@pytest.mark.parametrize("service", SERVICES, ids=accounts.NAMES)
def test_an_account_at_the_broker_may_what_its_row_says(allowed: SecureBroker, service: Service) -> None:
    connection = as_service(allowed, service.name)
    assert written(connection) == set(service.writes)
    assert {topic for topic in TOPICS if readable(connection, topic)} == {*service.reads, *service.writes}
    assert Admin(connection).names() == {*service.reads, *service.writes, *service.watches}


@slow
def test_how_a_topic_is_set_is_for_the_administrator_and_its_name_for_who_uses_it(allowed: SecureBroker) -> None:
    own = Admin(as_service(allowed, "batch"))
    assert own.names() == set(TOPICS)
    with pytest.raises(AccessDenied):
        own.plan()


def written(connection: Connection) -> set[str]:
    """The topics that took a record. A plain client: what ours do when they are refused is tried elsewhere."""
    told: dict[str, object] = {}
    producer = RawProducer({**connection.options(), "message.timeout.ms": 5_000})
    for topic in TOPICS:
        producer.produce(topic, b"{}", on_delivery=lambda error, _, topic=topic: told.update({topic: error}))
    assert producer.flush(20) == 0
    return {topic for topic, error in told.items() if error is None}


def readable(connection: Connection, topic: str) -> bool:
    with Reader(connection, patience_s=5) as reader:
        try:
            partitions = reader.partitions(topic)
            for partition in partitions:
                list(reader.tail(topic, partition, 1))
        except AccessDenied:
            return False
    return True


@pytest.fixture
def encrypted() -> Iterator[SecureDatabase]:
    with secure_database() as running:
        yield running


class Services:
    """Our processes on encrypted servers, each with its own account at both."""

    def __init__(self, product: Product, database: SecureDatabase) -> None:
        self.product = product
        with database.superuser() as connection:
            for name in accounts.NAMES:
                connection.execute(f"ALTER ROLE {accounts.PREFIX}{name} PASSWORD '{PASSWORDS[name]}'")

    def account(self, name: str) -> dict[str, str]:
        broker = {"KAFKA_SASL_USERNAME": name, "KAFKA_SASL_PASSWORD": PASSWORDS[name]}
        return {**broker, "POSTGRES_USER": f"{accounts.PREFIX}{name}", "POSTGRES_PASSWORD": PASSWORDS[name]}

    def start(self, name: str, *words: str) -> Command:
        return self.product.start(name, *words, env=self.account(name))

    def run(self, name: str, *words: str) -> Command:
        return self.product.run(*words, env=self.account(name))


@pytest.fixture
def services(allowed: SecureBroker, encrypted: SecureDatabase) -> Iterator[Services]:
    env = environment(allowed, encrypted)
    with Product.fresh(env) as product:
        owner = product.where().owner_dsn
        migrate(owner)
        set_reader_password(owner, env["POSTGRES_READER_PASSWORD"])
        product.run("accounts", "--apply")
        assert json.loads(product.run("accounts", "--json").out) == {"applied": False, "missing": [], "beyond": []}
        yield Services(product, encrypted)


@pytest.mark.timeout(600)
@slow
def test_every_service_does_its_work_with_its_own_account(services: Services) -> None:
    product, port, page = services.product, free_ports()["api"], free_ports()["dashboard"]
    feeding = services.start("ingest", "--source", "simulator", "--symbols", "5", "--rate", "200")
    streaming = services.start("stream")
    alerting = services.start("alerts")
    serving = services.start("api", "--port", str(port))
    following = services.start("batch", "follow")
    showing = services.start("dashboard", "--port", str(page))
    until(lambda: product.folded() > 2_000, 150, lambda: feeding.err[-1500:] + streaming.err[-3000:])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/symbols", timeout=60) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"http://127.0.0.1:{page}/_stcore/health", timeout=60) as answer:
        assert answer.status == 200
    until(lambda: product.ask("SELECT max(commit) FROM core.cursors WHERE reader = 'market'"), 60, following.err)
    # What Airflow asks every five minutes.
    for part in ("kafka", "stream", "ingest"):
        services.run("batch", "check", part)
    running = (feeding, streaming, alerting, serving, following, showing)
    assert [command.err[-2000:] for command in running if command.process.poll() is not None] == []
    assert feeding.stop() == 0
    product.wait_folded()
    assert services.run("audit", "audit", "--json").json()["ok"]
    services.run("batch", "batch", "repair", "--json")
    services.run("batch", "batch", "quality", "--json")
    for command in running[1:]:
        assert command.stop() == 0, command.err[-2000:]
    told = "".join(command.out + command.err for command in product.commands)
    assert [
        words for words in ("permission denied", "authorization failed", *PASSWORDS.values()) if words in told
    ] == []
