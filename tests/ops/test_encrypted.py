"""Encrypted servers for real: who belongs there gets in with every client of ours, anybody else hears what to do."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from e2e.product import Product, until
from ops.encrypted import (
    NAME,
    PASSWORDS,
    Authority,
    SecureBroker,
    SecureDatabase,
    client,
    environment,
    secure_broker,
    secure_database,
)
from sparktrends import spark
from sparktrends.bus.connection import Connection
from sparktrends.bus.kafka import Admin, Producer, Reader, wait_ready
from sparktrends.bus.topics import RAW_TRADES, TABLE
from sparktrends.errors import AccessDenied, BadSetting, SparkTrendsError, Unavailable
from sparktrends.ops import jars, java
from sparktrends.ops.containers.secured_broker import ADMIN
from sparktrends.ops.jars import Resolver
from sparktrends.ops.settings import load
from sparktrends.store.connect import connect
from sparktrends.store.migrate import migrate

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # py4j leaves sockets behind
]

WRONG = "canary-that-is-wrong-5d20"
CANARIES = (*PASSWORDS.values(), WRONG)


@pytest.fixture(scope="module")
def broker(resolver: Resolver) -> Iterator[SecureBroker]:
    with secure_broker(resolver) as running:
        Admin(running.connection).ensure()
        yield running


@pytest.fixture(scope="module")
def database() -> Iterator[SecureDatabase]:
    with secure_database() as running:
        yield running


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """The certificate of an authority that signed nothing here."""
    return Authority(tmp_path).file


def test_what_python_writes_python_reads(broker: SecureBroker) -> None:
    producer = Producer(broker.connection)
    producer.send("ops.quarantine", "k", b"by python")
    producer.flush()
    producer.close()
    with Reader(broker.connection) as reader:
        assert b"by python" in [record.value for record in reader.tail("ops.quarantine", 0, 10)]


def test_what_spark_writes_spark_and_python_read(broker: SecureBroker, resolver: Resolver, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    for name, value in java.spark_env(resolver.java, {}).items():
        monkeypatch.setenv(name, value)
    connector = resolver.ensure([jars.CONNECTOR])[jars.CONNECTOR]
    session = spark.session("encrypted", spark.Settings("local[1]", connector, tmp_path))
    try:
        options = {f"kafka.{name}": value for name, value in broker.connection.java_options().items()}
        rows = session.createDataFrame([("k", "by spark")], "key string, value string")
        rows.write.format("kafka").options(**options).option("topic", "out.signals").save()
        frame = session.read.format("kafka").options(**options).option("subscribe", "out.signals").load()
        assert [bytes(row.value) for row in frame.select("value").collect()] == [b"by spark"]
        plan = session._jvm.PythonSQLUtils.explainString(frame._jdf.queryExecution(), "extended")
        assert PASSWORDS[ADMIN] not in plan
    finally:
        spark.close(session)
    with Reader(broker.connection) as reader:
        assert [record.value for record in reader.tail("out.signals", 0, 10)] == [b"by spark"]


def refused(broker: SecureBroker, how: str, stranger: Path) -> Connection:
    elsewhere = broker.address.replace(NAME, "127.0.0.1")
    return {
        "password": client(broker.address, ADMIN, WRONG, broker.authority),
        "account": client(broker.address, "nobody", WRONG, broker.authority),
        "no TLS": Connection(broker.address),
        "authority": client(broker.address, ADMIN, PASSWORDS[ADMIN], stranger),
        "name": client(elsewhere, ADMIN, PASSWORDS[ADMIN], broker.authority),
    }[how]


@pytest.mark.parametrize(
    ("how", "kind", "advice"),
    [
        ("password", AccessDenied, "KAFKA_SASL_PASSWORD"),
        ("account", AccessDenied, "KAFKA_SASL_USERNAME"),
        ("no TLS", Unavailable, "KAFKA_SECURITY_PROTOCOL"),
        ("authority", BadSetting, "KAFKA_SSL_CA"),
        ("name", BadSetting, "KAFKA_BOOTSTRAP"),
    ],
)
def test_the_broker_refuses_and_a_sentence_says_what_to_do(
    broker: SecureBroker, stranger: Path, caplog: pytest.LogCaptureFixture, how: str, kind: type[Exception], advice: str
) -> None:
    caplog.set_level(logging.DEBUG)
    connection = refused(broker, how, stranger)
    for ask in (
        lambda: wait_ready(connection, 3),
        lambda: Admin(connection, timeout_s=3).names(),
        lambda: Reader(connection, patience_s=3).partitions(RAW_TRADES),
    ):
        with pytest.raises(SparkTrendsError) as told:
            ask()
        assert type(told.value) is kind, told.value
        assert advice in str(told.value)
        assert "\n" not in str(told.value)
    spoken = caplog.text + repr(connection)
    assert [secret for secret in CANARIES if secret in spoken] == []


def dsn(database: SecureDatabase, **other: str) -> str:
    found = load({**database.env, **other}, Path("/nonexistent")).external().database
    assert found
    return found.dsn()


def test_our_tables_are_made_and_read_over_tls(database: SecureDatabase) -> None:
    assert migrate(dsn(database))
    with connect(dsn(database)) as connection:
        encrypted = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert encrypted.fetchone() == (True,)
        assert connection.execute("SELECT count(*) FROM market.bars").fetchone() == (0,)


@pytest.mark.parametrize(
    ("other", "advice"),
    [
        ({"POSTGRES_PASSWORD": WRONG}, "check POSTGRES_USER and POSTGRES_PASSWORD"),
        ({"POSTGRES_SSLMODE": "disable"}, "POSTGRES_SSLMODE=verify-full"),
        ({"POSTGRES_SSLROOTCERT": "stranger"}, "POSTGRES_SSLROOTCERT names the file"),
        ({"POSTGRES_SSLROOTCERT": "/nonexistent/ca.crt"}, "POSTGRES_SSLROOTCERT names the file"),
        ({"POSTGRES_HOST": "127.0.0.1"}, "POSTGRES_HOST must call it"),
    ],
)
def test_the_database_refuses_and_a_sentence_says_what_to_do(
    database: SecureDatabase, stranger: Path, other: dict[str, str], advice: str
) -> None:
    other = {name: str(stranger) if value == "stranger" else value for name, value in other.items()}
    with pytest.raises(AccessDenied) as told:
        connect(dsn(database, **other))
    assert advice in str(told.value)
    assert "\n" not in str(told.value)
    assert [secret for secret in CANARIES if secret in str(told.value)] == []


@pytest.fixture
def product(broker: SecureBroker, database: SecureDatabase) -> Iterator[Product]:
    with Product.fresh(environment(broker, database)) as made:
        yield made


def spoken(product: Product) -> str:
    """Every command line of a process, and everything the product wrote or printed."""
    words: list[str] = []
    for process in psutil.process_iter():
        try:
            words += process.cmdline()
        except psutil.Error:
            continue
    logs = [file.read_text(errors="replace") for file in (product.home / "logs").iterdir() if file.is_file()]
    return "\n".join([*words, *logs, *(command.out + command.err for command in product.commands)])


@pytest.mark.timeout(600)
def test_the_whole_product_runs_on_them_and_tells_no_password(product: Product) -> None:
    up = product.up("--source", "simulator", "--symbols", "10", "--rate", "200")
    until(lambda: product.folded() > 2_000, 150, lambda: product.log("stream")[-3000:])
    asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert product.run("psql", "-Atc", asked).out.strip() == "t"
    assert f"POSTGRES_SSLROOTCERT={product.env['POSTGRES_SSLROOTCERT']}" in product.run("env").out
    shown = product.commands.pop()  # `env` is there to hand the reader's password over
    assert shown.err == ""
    said = spoken(product)
    secrets: tuple[Any, ...] = (*PASSWORDS.values(), product.env["POSTGRES_READER_PASSWORD"])
    assert [secret for secret in secrets if secret in said] == []
    assert up.stop() == 0, up.err
    assert product.audit()["ok"]


def test_the_table_of_topics_is_whole_on_an_encrypted_broker(broker: SecureBroker) -> None:
    assert Admin(broker.connection).plan() == []
    assert Admin(broker.connection).names() >= {topic.name for topic in TABLE}
