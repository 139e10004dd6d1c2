"""Other people's brokers and databases are entered as they ask, and never with a password that everybody knows."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg.conninfo
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.bus.connection import Connection
from sparktrends.errors import AccessDenied, BadSetting
from sparktrends.net.redaction import Redactor, Secret
from sparktrends.ops import secured
from sparktrends.ops.cli import main
from sparktrends.ops.home import Secrets
from sparktrends.ops.settings import load
from sparktrends.ops.stack import Database
from sparktrends.store.connect import connect

GOOD = "4f1c9d0a2b7e"
FAR_DATABASE = {"POSTGRES_HOST": "db.test", "POSTGRES_SSLMODE": "verify-full"}


@pytest.mark.parametrize(
    ("name", "password"),
    [
        *(("POSTGRES_PASSWORD", word) for word in ("postgres", "PASSWORD", "changeme", "sparktrends", "market")),
        *(("POSTGRES_READER_PASSWORD", word) for word in ("password", "Reader", "sparktrends_reader")),
    ],
)
def test_a_password_that_everybody_knows_is_refused_off_this_machine(name: str, password: str) -> None:
    env = {**FAR_DATABASE, "POSTGRES_USER": "market", "POSTGRES_PASSWORD": GOOD, name: password}
    with pytest.raises(BadSetting, match=f"^{name} ") as refused:
        load(env, Path("/nonexistent")).external()
    assert f"'{password}'" not in str(refused.value)
    # On this machine nobody else can knock; and who comes with a certificate has no password at all.
    assert load({**env, name: ""}, Path("/nonexistent")).external().database
    assert load({**env, "POSTGRES_HOST": "127.0.0.1"}, Path("/nonexistent")).external().database


def test_a_database_is_entered_by_tls_when_asked_for() -> None:
    env = {"POSTGRES_HOST": "db.test", "POSTGRES_PASSWORD": GOOD, "POSTGRES_SSLROOTCERT": "/etc/my ca.pem"}
    database = load(env, Path("/nonexistent")).external().database
    assert database
    said = psycopg.conninfo.conninfo_to_dict(database.dsn())
    assert (said["sslmode"], said["sslrootcert"]) == ("verify-full", "/etc/my ca.pem")
    with pytest.raises(BadSetting, match="verify-full"):
        load({**env, "POSTGRES_SSLMODE": "always"}, Path("/nonexistent")).external()


def test_a_database_of_another_machine_wants_a_word_on_tls() -> None:
    env = {"POSTGRES_HOST": "db.test", "POSTGRES_PASSWORD": GOOD}
    with pytest.raises(BadSetting, match="POSTGRES_SSLMODE=verify-full with POSTGRES_SSLROOTCERT"):
        load(env, Path("/nonexistent")).external()
    with pytest.raises(BadSetting, match="POSTGRES_SSLMODE"):
        load({**env, "POSTGRES_HOST": "127.0.0.1,db.test"}, Path("/nonexistent")).external()
    assert load({**env, "POSTGRES_SSLMODE": "prefer"}, Path("/nonexistent")).external().database
    for host in ("127.0.0.1", "localhost", "::1", "/run/postgresql"):
        assert load({**env, "POSTGRES_HOST": host}, Path("/nonexistent")).external().database


def said_to_libpq(**values: str) -> dict[str, Any]:
    database = load({**FAR_DATABASE, **values}, Path("/nonexistent")).external().database
    assert database
    return psycopg.conninfo.conninfo_to_dict(database.dsn())


def test_a_password_is_proved_and_not_handed_over() -> None:
    assert said_to_libpq(POSTGRES_PASSWORD=GOOD)["require_auth"] == "scram-sha-256"
    assert said_to_libpq(POSTGRES_PASSWORD=GOOD, POSTGRES_REQUIRE_AUTH="md5")["require_auth"] == "md5"
    assert said_to_libpq(POSTGRES_PASSWORD=GOOD, POSTGRES_REQUIRE_AUTH="password")["require_auth"] == "password"
    # Who comes with a certificate is asked for nothing.
    assert "require_auth" not in said_to_libpq()
    for wrong in (
        {"POSTGRES_REQUIRE_AUTH": "MD4"},
        {"POSTGRES_REQUIRE_AUTH": "password", "POSTGRES_SSLMODE": "require"},
    ):
        with pytest.raises(BadSetting, match="POSTGRES_REQUIRE_AUTH"):
            said_to_libpq(POSTGRES_PASSWORD=GOOD, **wrong)


@contextmanager
def somebody_in_its_place(heard: list[bytes]) -> Iterator[int]:
    """Answers like a PostgreSQL without TLS that asks for the password in the clear; its port."""

    def answer() -> None:
        with server.accept()[0] as client:
            # Requests for encryption are eight bytes long; the third packet names the account.
            while len(packet := client.recv(4096)) == 8:
                client.sendall(b"N")
            heard.append(packet)
            client.sendall(b"R" + struct.pack("!ii", 8, 3))
            heard.append(client.recv(4096))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join(60)


def test_whoever_asks_for_a_password_in_a_servers_place_gets_none() -> None:
    heard: list[bytes] = []
    with somebody_in_its_place(heard) as port, pytest.raises(AccessDenied, match="POSTGRES_REQUIRE_AUTH=md5"):
        connect(Database("127.0.0.1", port, owner_password=GOOD).dsn())
    assert b"sparktrends" in heard[0]
    assert heard[1:] == [b""]


def test_what_the_shell_says_of_other_servers_is_not_meant_for_the_embedded_one() -> None:
    found = psycopg.conninfo.conninfo_to_dict(Database.embedded(5, Secrets("s", "o", "r")).dsn())
    chosen = {"sslmode", "gssencmode", "channel_binding", "target_session_attrs", "require_auth", "hostaddr"}
    assert chosen <= found.keys()
    assert (found["host"], found["hostaddr"], found["sslmode"]) == ("127.0.0.1", "127.0.0.1", "disable")


@pytest.fixture
def shell_of_another_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names another database in libpq's own words; the settings name one where nobody listens."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "services").write_text("[prod]\nhost=127.0.0.9\nport=9\npassword=other\n")
    theirs = {"PGSERVICEFILE": str(tmp_path / "services"), "PGHOSTADDR": "127.0.0.8"}
    ours = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "1", "POSTGRES_PASSWORD": GOOD, "KAFKA_BOOTSTRAP": "k:1"}
    for name, value in {**theirs, **ours}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("shell_of_another_server")
@pytest.mark.parametrize("service", ["prod", "unknown", ""])
def test_every_command_calls_the_database_of_the_settings_whatever_the_shell_says(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    monkeypatch.setenv("PGSERVICE", service)
    called = CliRunner().invoke(main, ["check", "database"])
    assert called.exit_code == 3
    assert 'connection to server at "127.0.0.1", port 1 failed: Connection refused' in called.output


@pytest.mark.usefixtures("shell_of_another_server")
def test_psql_goes_where_every_other_command_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICE", "prod")
    became: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda _, words, env: became.append((words, env)))
    assert CliRunner().invoke(main, ["psql", "-c", "SELECT 1"]).exit_code == 0
    ((words, env),) = became
    told = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=60).stderr
    assert 'connection to server at "127.0.0.1", port 1 failed: Connection refused' in told


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_password_may_hold_anything(password: str) -> None:
    said = psycopg.conninfo.conninfo_to_dict(Database("h", 1, owner_password=password).dsn())
    assert said["password"] == password


@pytest.fixture
def authority(tmp_path: Path) -> str:
    """A file that can be read; whether a certificate is in it is for the clients to see."""
    (tmp_path / "ca.pem").touch()
    return str(tmp_path / "ca.pem")


def kafka(**values: str) -> dict[str, str]:
    names = {f"KAFKA_{name.upper()}": value for name, value in values.items()}
    return secured.kafka({"KAFKA_BOOTSTRAP": "broker.test:9093", **names})


def test_an_account_at_the_broker_means_scram_over_tls(authority: str) -> None:
    assert kafka(sasl_username="ingest", sasl_password=GOOD, ssl_ca=authority) == {
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": authority,
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ingest",
        "sasl.password": GOOD,
    }
    assert kafka() == {}


@pytest.mark.parametrize(
    "values",
    [
        {"security_protocol": "TLS"},
        {"security_protocol": "SASL_PLAINTEXT", "sasl_username": "u", "sasl_password": GOOD},
        {"sasl_username": "u"},
        {"sasl_username": "u", "sasl_password": "kafka"},
        {"sasl_username": "ingest", "sasl_password": "ingest"},
    ],
)
def test_what_would_give_a_password_away_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(BadSetting):
        kafka(**values)


def test_small_letters_lose_no_account_and_mean_what_capitals_do() -> None:
    account = {"sasl_username": "ingest", "sasl_password": GOOD}
    capitals = kafka(security_protocol="SASL_SSL", sasl_mechanism="SCRAM-SHA-256", **account)
    assert capitals["sasl.password"] == GOOD
    assert kafka(security_protocol="sasl_ssl", sasl_mechanism="scram-sha-256", **account) == capitals


@pytest.mark.parametrize("name", ["sasl.mechanism", "sasl.mechanisms"])
def test_small_letters_may_stand_in_the_table_of_kafka_too(name: str) -> None:
    table = {"security.protocol": "sasl_ssl", name: "plain", "sasl.username": "u"}
    found = secured.kafka({"KAFKA_BOOTSTRAP": FAR}, {**table, "sasl.password": GOOD})
    assert (found["security.protocol"], found[name]) == ("SASL_SSL", "PLAIN")
    with pytest.raises(BadSetting, match="KAFKA_SASL_PASSWORD is not set"):
        secured.kafka({"KAFKA_BOOTSTRAP": FAR}, table)


def test_an_authority_that_is_no_file_is_named(tmp_path: Path) -> None:
    for wrong in (tmp_path, tmp_path / "ca.crt"):
        with pytest.raises(BadSetting, match=f"KAFKA_SSL_CA = '{wrong}' is no file that can be read"):
            kafka(security_protocol="SSL", ssl_ca=str(wrong))


FAR, HERE = "broker.test:9093", "127.0.0.1:9093"
OVER_TLS = {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "u"}


@pytest.mark.parametrize(
    "table",
    [
        {**OVER_TLS, "security.protocol": "SASL_PLAINTEXT", "sasl.password": GOOD},
        {**OVER_TLS, "security.protocol": "sasl_plaintext", "sasl.password": GOOD},
        {**OVER_TLS, "sasl.password": "admin"},
        {**OVER_TLS, "sasl.password": GOOD, "enable.ssl.certificate.verification": False},
        {**OVER_TLS, "sasl.password": GOOD, "ssl.endpoint.identification.algorithm": "none"},
    ],
)
def test_the_table_of_kafka_gives_no_password_away_either(tmp_path: Path, table: dict[str, object]) -> None:
    lines = "\n".join(f'"{name}" = {json.dumps(value)}' for name, value in table.items())
    (tmp_path / "sparktrends.toml").write_text(f"[kafka]\n{lines}\n")
    (tmp_path / "sparktrends.toml").chmod(0o600)
    with pytest.raises(BadSetting) as refused:
        load({"KAFKA_BOOTSTRAP": FAR}, tmp_path).kafka_security()
    assert GOOD not in str(refused.value)
    assert load({"KAFKA_BOOTSTRAP": HERE}, tmp_path).kafka_security()["sasl.username"] == "u"
    # A broker that only the table names is as far away.
    with (tmp_path / "sparktrends.toml").open("a") as file:
        file.write(f'"bootstrap.servers" = "SASL_SSL://{FAR}"\n')
    with pytest.raises(BadSetting):
        load({"KAFKA_BOOTSTRAP": HERE}, tmp_path).kafka_security()


def test_a_password_may_stand_in_the_table_of_kafka_alone(tmp_path: Path) -> None:
    (tmp_path / "sparktrends.toml").write_text(f'[kafka]\n"sasl.password" = "{GOOD}"\n')
    (tmp_path / "sparktrends.toml").chmod(0o600)
    found = load({"KAFKA_BOOTSTRAP": FAR, "KAFKA_SASL_USERNAME": "u"}, tmp_path).kafka_security()
    assert found == {**OVER_TLS, "sasl.password": GOOD}


TABLES = """
[kafka]
"sasl.password" = "tiger-1"
"ssl.key.password" = "tiger-2"
"client.id" = "not-secret"
sasl.oauthbearer.client.secret = "tiger-3"
[spark.conf]
"spark.authenticate.secret" = "tiger-4"
"spark.executor.memory" = "not-secret"
[channels.hook]
url = "https://x.example/tiger-5"
secret = "tiger-6-of-sixteen"
[channels.mail]
kind = "email"
host = "not-secret"
password = 70_000_007
"""


def test_secrets_of_tables_are_known_to_every_redactor(tmp_path: Path) -> None:
    (tmp_path / "sparktrends.toml").write_text(TABLES)
    (tmp_path / "sparktrends.toml").chmod(0o600)
    redact = Redactor(map(Secret, load({}, tmp_path).secrets()))
    said = redact(str(load({}, tmp_path).tables))
    assert "tiger" not in said
    assert "70000007" not in said
    assert said.count("not-secret") == 3


def test_tables_with_secrets_that_everybody_can_read_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "sparktrends.toml"
    file.write_text(TABLES)
    file.chmod(0o644)
    with pytest.raises(BadSetting, match="chmod 600"):
        load({}, tmp_path)
    # Its volume is entered by nobody else, and `docker compose cp` makes it root's.
    assert load({"SPARKTRENDS_CONTAINER": "1"}, tmp_path).secrets()
    file.write_text("[ports]\napi = 8001\n")
    assert load({}, tmp_path).tables == {"ports": {"api": 8001}}


def test_a_secret_of_the_broker_shows_nowhere() -> None:
    settings = load(
        {"KAFKA_BOOTSTRAP": "b.test:1", "KAFKA_SASL_USERNAME": "u", "KAFKA_SASL_PASSWORD": GOOD}, Path("/x")
    )
    connection = Connection("b.test:1", settings.kafka_security())
    assert GOOD not in repr(settings) + repr(connection)
    assert GOOD in settings.secrets()


def test_sparks_client_is_told_in_its_own_words(authority: str) -> None:
    told = Connection("b.test:1", kafka(sasl_username='a"b', sasl_password="c\\d", ssl_ca=authority)).java_options()
    assert told == {
        "bootstrap.servers": "b.test:1",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required "
        'username="a\\"b" password="c\\\\d";',
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": authority,
    }
    assert Connection("b.test:1").java_options() == {"bootstrap.servers": "b.test:1"}
    unchecked = Connection("localhost:1", {"ssl.endpoint.identification.algorithm": "none"}).java_options()
    assert unchecked["ssl.endpoint.identification.algorithm"] == ""


def test_what_sparks_client_cannot_do_is_said() -> None:
    with pytest.raises(BadSetting, match=r"ssl\.key\.location"):
        Connection("b.test:1", {"ssl.key.location": "/k.pem"}).java_options()
    with pytest.raises(BadSetting, match="GSSAPI"):
        Connection("b.test:1", {"sasl.mechanism": "GSSAPI"}).java_options()
