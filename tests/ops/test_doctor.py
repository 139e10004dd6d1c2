"""The doctor finds what was done to a home and to settings, says what to do, and finds nothing where nothing is."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from embedded import free_ports
from sparktrends.errors import NotFound
from sparktrends.ops import doctor
from sparktrends.ops.cli import main
from sparktrends.ops.doctor import Finding, examine
from sparktrends.ops.home import Home
from sparktrends.ops.jars import LOCK, _place, damaged, read_lock
from sparktrends.ops.settings import TABLES, load
from sparktrends.telemetry import system_clock


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which commands are typed, with ports of its own."""
    monkeypatch.setattr(doctor, "_PATIENCE_S", 0.3)  # the brokers of these tests never answer
    wanted = "\n".join(f"{name} = {number}" for name, number in free_ports().items())
    (tmp_path / "sparktrends.toml").write_text(f"[ports]\n{wanted}\n")
    return tmp_path


def findings(folder: Path, env: dict[str, str] | None = None, only: str = "") -> list[Finding]:
    settings = load(
        {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), **(env or {})}, folder, folder / "home"
    )
    return [f for f in examine(settings, system_clock) if not only or f.check == only]


def test_where_nothing_is_wrong_nothing_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparktrends.ops.home.NEEDED_BYTES", 1)
    assert findings(folder) == []
    assert not (folder / "home").exists(), "who only looks makes no home"


def test_a_taken_port_is_a_notice(folder: Path) -> None:
    number = int((folder / "sparktrends.toml").read_text().split("api = ")[1].split()[0])
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", number))
        squatter.listen()
        (found,) = findings(folder, only="ports")
    assert not found.problem
    assert str(number) in found.what


def test_damaged_data_is_a_problem(folder: Path) -> None:
    home = Home.open(folder / "home")
    (home.postgres / "data").mkdir()
    (home.postgres / "data" / "PG_VERSION").touch()
    assert findings(folder, only="data") == []
    (home.kafka / "formatted").touch()
    (found,) = findings(folder, only="data")
    assert found.problem
    assert found.what == f"{home.kafka / 'data'} is damaged: meta.properties is not there"


@pytest.mark.parametrize("owner", [b"\xff\xfe\x00", "a folder"])
@pytest.mark.parametrize("record", ['{"processes": ["kafka"]}', '{"processes": {"kafka": "x"}}', "{", "7"])
def test_torn_files_of_a_home_end_nothing(folder: Path, owner: bytes | str, record: str) -> None:
    run = Home.open(folder / "home").run
    (run / "stack.json").write_text(record)
    (run / "owner").write_bytes(owner) if isinstance(owner, bytes) else (run / "owner").mkdir()
    assert findings(folder, only="home") == []


def test_passwords_that_others_can_read_are_a_problem(folder: Path) -> None:
    home = Home.open(folder / "home")
    home.secrets()
    (home.run / "secrets.json").chmod(0o644)
    (found,) = findings(folder, only="home")
    assert found.problem
    assert found.do == f"chmod 600 {home.run / 'secrets.json'}"


def test_a_home_that_cannot_be_made_is_a_problem(folder: Path) -> None:
    (folder / "home").write_text("a file where a folder should be")
    (found,) = findings(folder, only="home")
    assert (found.problem, found.do) == (True, "name another folder with --home")


def test_a_full_disk_is_a_problem(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparktrends.ops.home.NEEDED_BYTES", 10**18)
    (found,) = findings(folder, only="disk")
    assert "are free on the disk" in found.what


def test_a_cache_that_cannot_be_written_is_a_problem_until_the_jars_are_in_it(folder: Path) -> None:
    (folder / "cache").write_text("a file where a folder should be")
    (found,) = findings(folder, only="cache")
    assert found.problem
    assert "XDG_CACHE_HOME" in found.do
    (folder / "cache").unlink()
    assert findings(folder, only="cache") == []


def test_a_jar_with_a_wrong_byte_is_named(tmp_path: Path) -> None:
    assert damaged(tmp_path) == []
    place = _place(tmp_path, "demo", read_lock(LOCK)["demo"])
    place.mkdir(parents=True)
    (place / next(iter(read_lock(LOCK)["demo"]))).write_bytes(b"something else")
    assert [file.parent for file in damaged(tmp_path)] == [place]


CONTRADICTIONS = {
    "a password for nobody": ({"POSTGRES_PASSWORD": "x1y2z3"}, "without POSTGRES_HOST", False),
    "a cluster that cannot reach the broker": ({"SPARK_MASTER": "spark://m:7077"}, "listens on loopback only", True),
    "no reader": (
        {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PASSWORD": "x1y2z3"},
        "need POSTGRES_READER_PASSWORD",
        True,
    ),
    "a certificate that nobody checks": (
        {"POSTGRES_HOST": "db.test", "POSTGRES_SSLMODE": "require"},
        "nobody checks whose certificate",
        False,
    ),
    "a way in the clear": ({"KAFKA_BOOTSTRAP": "broker.test:9092"}, "is not encrypted", False),
    "one of two ways in the clear": ({"KAFKA_BOOTSTRAP": "127.0.0.1:9092,b.test:9092"}, "is not encrypted", False),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_settings_that_contradict_are_told(folder: Path, name: str) -> None:
    env, what, problem = CONTRADICTIONS[name]
    found = [f for f in findings(folder, env, "settings") if what in f.what]
    assert [f.problem for f in found] == [problem]


WRONG = {
    "alerts": "operational = 'yes'",
    "api": "rates = 5",
    "candlesticks": "signals = '1d'",
    "channels": "slack = {url = 'ftp://x'}",
    "daily": "call = 'x'",
    "detectors": "no_such = {threshold = 3}",
    "exchanges": "'7203.T' = 5",
    "indicators": "sma = [-1]",
    "kafka": "'security.protocol' = 'TLS'",
    "limits": "foo = 1",
    "net": "allow = 'x'",
    "ports": "foo = 1",
    "retention": "x = 1",
    "rules": "file = 'not-there.toml'",
    "sandbox": "rate = 'fast'",
    "sentiment": "words = 5",
    "sources": "foo = {rest = 'https://x'}",
    "spark": "foo = 1",
    "stale_after_s": "a = 'b'",
    "tags": "AAPL = 5",
}


@pytest.mark.parametrize("table", sorted(TABLES))
def test_what_no_process_would_start_with_is_a_problem_and_told_once(folder: Path, table: str) -> None:
    with (folder / "sparktrends.toml").open("a") as toml:
        toml.write("" if table == "ports" else f"[{table}]\n")
        toml.write(f"{WRONG[table]}\n")
    (folder / "sparktrends.toml").chmod(0o600)
    (found,) = [f for f in findings(folder) if f.check != "disk"]
    assert (found.check, found.problem) == ("settings", True)


def test_the_port_of_a_database_or_broker_of_somebody_else_is_theirs_to_take(folder: Path) -> None:
    text = (folder / "sparktrends.toml").read_text()
    env = {"POSTGRES_HOST": "localhost", "KAFKA_BOOTSTRAP": "localhost:9094", "POSTGRES_READER_PASSWORD": "x1y2z3"}
    with contextlib.ExitStack() as squatters:
        for name in ("postgres", "kafka"):
            squatter = squatters.enter_context(socket.socket())
            squatter.bind(("127.0.0.1", int(text.split(f"{name} = ")[1].split()[0])))
            squatter.listen()
        assert len(findings(folder, only="ports")) == 2
        assert findings(folder, env, "ports") == []


@pytest.mark.parametrize(
    ("env", "conf", "reached"),
    [
        ({}, "", False),
        ({"SPARK_LOCAL_IP": "127.0.0.1"}, "", False),
        ({"SPARK_LOCAL_IP": "10.0.0.7"}, "", True),
        ({}, "'spark.driver.host' = 'here.test'", True),
        ({"SPARK_MASTER": "spark://127.0.0.1:7077,localhost:7078"}, "", True),
    ],
)
def test_a_cluster_that_cannot_call_this_machine_is_a_problem(
    folder: Path, env: dict[str, str], conf: str, reached: bool
) -> None:
    with (folder / "sparktrends.toml").open("a") as toml:
        toml.write(f"[spark.conf]\n{conf}\n")
    env = {"SPARK_MASTER": "spark://m1.test:7077,m2.test:7077", "KAFKA_BOOTSTRAP": "127.0.0.1:9092", **env}
    found = [f for f in findings(folder, env, "settings") if "SPARK_LOCAL_IP" in f.do]
    assert [f.problem for f in found] == ([] if reached else [True])


@pytest.mark.parametrize(("conf", "told"), [("", [False]), ("'spark.cores.max' = 2", [])])
def test_a_cluster_of_which_the_first_takes_all_is_a_notice(folder: Path, conf: str, told: list[bool]) -> None:
    with (folder / "sparktrends.toml").open("a") as toml:
        toml.write(f"[spark.conf]\n{conf}\n")
    env = {"SPARK_MASTER": "spark://127.0.0.1:7077", "KAFKA_BOOTSTRAP": "127.0.0.1:9092"}
    assert [f.problem for f in findings(folder, env, "settings") if "spark.cores.max" in f.do] == told


def test_brokers_of_this_machine_need_no_encryption(folder: Path) -> None:
    assert findings(folder, {"KAFKA_BOOTSTRAP": "127.0.0.1:9092,127.0.0.1:9093"}, "settings") == []


SERVERS = {"KAFKA_BOOTSTRAP": "127.0.0.1:1", "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "1"}
ACCOUNT = {"KAFKA_SASL_USERNAME": "u", "KAFKA_SASL_PASSWORD": "x1y2z3"}


@pytest.mark.parametrize(
    ("env", "check", "what"),
    [
        ({"KAFKA_SSL_CA": "/nowhere/ca.crt", "KAFKA_SECURITY_PROTOCOL": "SSL"}, "settings", "KAFKA_SSL_CA"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "settings", "KAFKA_SECURITY_PROTOCOL"),
        ({**ACCOUNT, "KAFKA_SASL_MECHANISM": "CRAM-MD5"}, "services", "CRAM-MD5"),
        # They are not wrong, and nobody listens there.
        ({**ACCOUNT, "KAFKA_SECURITY_PROTOCOL": "sasl_plaintext"}, "services", "it is asked in SASL_PLAINTEXT"),
        ({**ACCOUNT, "KAFKA_SASL_MECHANISM": "scram-sha-512"}, "services", "it is asked in SASL_SSL"),
    ],
)
def test_what_is_wrong_with_the_way_to_the_broker_is_a_finding(
    folder: Path, env: dict[str, str], check: str, what: str
) -> None:
    found = findings(folder, {**SERVERS, **env}, check)
    assert [f.problem for f in found if what in f.what] == [True], found


@pytest.mark.parametrize(
    ("env", "what"),
    [
        ({"KAFKA_BOOTSTRAP": "127.0.0.1:1"}, "no Kafka broker answers at 127.0.0.1:1"),
        ({"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "1"}, "PostgreSQL does not answer"),
    ],
)
def test_one_service_of_somebody_else_is_asked_although_nothing_runs_here(
    folder: Path, env: dict[str, str], what: str
) -> None:
    (found,) = findings(folder, env, "services")
    assert found.problem
    assert what in found.what


@pytest.mark.e2e
def test_a_password_that_a_database_of_somebody_else_refuses_is_a_problem(folder: Path, database: str) -> None:
    where = psycopg.conninfo.conninfo_to_dict(database)
    env = {f"POSTGRES_{name.upper()}": str(where[name]) for name in ("host", "port", "user", "password")}
    env |= {"POSTGRES_DB": str(where["dbname"])}
    assert findings(folder, env, "services") == []
    (found,) = findings(folder, {**env, "POSTGRES_PASSWORD": "wrong"}, "services")
    assert (found.problem, found.do) == (True, "check POSTGRES_USER and POSTGRES_PASSWORD")


def test_a_container_lacks_nothing_that_its_part_does_not_need(folder: Path) -> None:
    env = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PASSWORD": "x1y2z3", "SPARKTRENDS_CONTAINER": "1"}
    assert findings(folder, env, "settings") == []


def test_a_check_that_fails_is_a_finding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_java(*_: object) -> None:
        raise NotFound("no Java 17 or 21 was found", hint="install one")

    monkeypatch.setattr(doctor.java, "find", no_java)
    (found,) = findings(folder, only="java")
    assert (found.problem, found.do) == (True, "install one")


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.chdir(folder)
    return CliRunner().invoke(main, ["--home", str(folder / "home"), *words], env={"XDG_CACHE_HOME": str(folder / "c")})


def test_the_command_ends_with_1_on_a_problem_and_shows_no_secret(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparktrends.ops.home.NEEDED_BYTES", 1)
    well = run(folder, monkeypatch, "doctor", "--json")
    assert (well.exit_code, json.loads(well.stdout)["ok"]) == (0, True)
    (folder / ".env").write_text(
        "SPARK_MASTER=spark://m:7077\nSLACK_WEBHOOK=https://hooks.slack.com/services/a/b/canary7\n"
    )
    (folder / ".env").chmod(0o600)
    ill = run(folder, monkeypatch, "doctor", "--json")
    assert (ill.exit_code, json.loads(ill.stdout)["ok"]) == (1, False)
    assert "canary7" not in ill.output
    (folder / ".env").chmod(0o644)
    readable = run(folder, monkeypatch, "doctor")
    assert readable.exit_code == 1
    assert "chmod 600" in readable.output
