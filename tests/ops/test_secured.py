"""Other people's brokers and databases are entered as they ask, and never with a password that everybody knows."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg.conninfo
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.bus.connection import Connection
from sparktrends.errors import BadSetting
from sparktrends.net.redaction import Redactor, Secret
from sparktrends.ops import secured
from sparktrends.ops.settings import load
from sparktrends.ops.stack import Database

GOOD = "4f1c9d0a2b7e"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        *(("POSTGRES_PASSWORD", word) for word in ("postgres", "PASSWORD", "changeme", "sparktrends", "market")),
        *(("POSTGRES_READER_PASSWORD", word) for word in ("password", "Reader", "sparktrends_reader")),
    ],
)
def test_a_password_that_everybody_knows_is_refused_off_this_machine(name: str, password: str) -> None:
    env = {"POSTGRES_HOST": "db.test", "POSTGRES_USER": "market", "POSTGRES_PASSWORD": GOOD, name: password}
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


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_password_may_hold_anything(password: str) -> None:
    said = psycopg.conninfo.conninfo_to_dict(Database("h", 1, owner_password=password).dsn())
    assert said["password"] == password


def kafka(**values: str) -> dict[str, str]:
    names = {f"KAFKA_{name.upper()}": value for name, value in values.items()}
    return secured.kafka({"KAFKA_BOOTSTRAP": "broker.test:9093", **names})


def test_an_account_at_the_broker_means_scram_over_tls() -> None:
    assert kafka(sasl_username="ingest", sasl_password=GOOD, ssl_ca="/ca.pem") == {
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": "/ca.pem",
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


def test_sparks_client_is_told_in_its_own_words() -> None:
    told = Connection("b.test:1", kafka(sasl_username='a"b', sasl_password="c\\d", ssl_ca="/ca.pem")).java_options()
    assert told == {
        "bootstrap.servers": "b.test:1",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required "
        'username="a\\"b" password="c\\\\d";',
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": "/ca.pem",
    }
    assert Connection("b.test:1").java_options() == {"bootstrap.servers": "b.test:1"}


def test_what_sparks_client_cannot_do_is_said() -> None:
    with pytest.raises(BadSetting, match=r"ssl\.key\.location"):
        Connection("b.test:1", {"ssl.key.location": "/k.pem"}).java_options()
    with pytest.raises(BadSetting, match="GSSAPI"):
        Connection("b.test:1", {"sasl.mechanism": "GSSAPI"}).java_options()
