"""Other people's brokers and databases are entered as they ask, and never with a password that everybody knows."""

from __future__ import annotations

from pathlib import Path

import psycopg.conninfo
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.bus.connection import Connection
from sparktrends.errors import BadSetting
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
