"""Where broker and database are: what the newest `up` recorded, or what the settings say of others'."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psycopg
import pytest

from embedded import free_ports
from sparktrends.errors import Unavailable
from sparktrends.ops.endpoints import (
    addresses_of,
    endpoints,
    external,
    outdated,
    record,
    started,
    used,
    write_record,
)
from sparktrends.ops.home import Home
from sparktrends.ops.ports import any_free
from sparktrends.ops.postgres_server import PostgresServer
from sparktrends.ops.settings import Settings, load
from sparktrends.ops.stack import Database, Stack
from sparktrends.ops.supervise import Keeper

EXTERNAL = {
    "POSTGRES_HOST": "db",
    "POSTGRES_PASSWORD": "pw",
    "POSTGRES_SSLMODE": "require",
    "KAFKA_BOOTSTRAP": "k:9092",
}


def settings(folder: Path, **env: str) -> Settings:
    return load(env, folder, folder / "home")


def test_what_was_recorded_is_read(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    write_record(home, {"kafka": "127.0.0.1:9094"})
    assert record(home.path) == {"kafka": "127.0.0.1:9094"}


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_half_a_record_is_none(tmp_path: Path, text: str) -> None:
    home = Home.open(tmp_path / "home")
    (home.run / "stack.json").write_text(text)
    assert record(home.path) == {}
    assert record(tmp_path / "never") == {}


def test_a_stopped_home_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="sparktrends up"):
        endpoints(settings(tmp_path))


def test_a_home_in_which_nothing_is_stored_is_not_started_to_be_looked_at(tmp_path: Path) -> None:
    for home in (None, Home.open(tmp_path / "home")):
        with pytest.raises(Unavailable, match="nothing is stored there"), started(settings(tmp_path)):
            pytest.fail(f"started {home}")


@pytest.mark.e2e
def test_what_an_older_release_left_is_brought_up_to_date(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A database without any of our tables, as a release before all migrations would have left it.
    server = PostgresServer(home.postgres, home.logs, any_free(), home.secrets(), os.environ)
    keeper = Keeper(server)
    keeper.start()
    keeper.stop()
    numbers = free_ports()
    (tmp_path / "sparktrends.toml").write_text(
        f"[ports]\npostgres = {numbers['postgres']}\nkafka = {numbers['kafka']}\n"
    )
    with started(load(os.environ, tmp_path, home.path)) as where:
        assert where.database.port == numbers["postgres"]
        with psycopg.connect(where.owner_dsn) as owner:
            assert owner.execute("SELECT count(*) FROM core.ledger").fetchone() == (0,)
        with psycopg.connect(where.reader_dsn) as reader:
            assert reader.execute("SELECT count(*) FROM market.bars").fetchone() == (0,)


def test_a_record_of_a_stack_that_died_is_no_stack(tmp_path: Path) -> None:
    write_record(Home.open(tmp_path / "home"), {"kafka": "127.0.0.1:9094", "postgres_port": 5434})
    with pytest.raises(Unavailable):
        endpoints(settings(tmp_path))


def test_a_running_home_is_entered_with_its_own_passwords(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    with home.owned():
        write_record(home, {"kafka": "127.0.0.1:9094", "postgres_port": 6543})
        found = endpoints(settings(tmp_path))
    assert found.kafka.bootstrap == "127.0.0.1:9094"
    assert "port=6543" in found.owner_dsn
    assert home.secrets().owner in found.owner_dsn
    assert "user=sparktrends_reader" in found.reader_dsn
    assert home.secrets().reader in found.reader_dsn


def test_external_parts_need_no_home(tmp_path: Path) -> None:
    found = endpoints(settings(tmp_path, **EXTERNAL))
    assert (found.kafka.bootstrap, found.database.host) == ("k:9092", "db")
    assert "password=pw" in found.owner_dsn
    assert "pw" not in repr(found)


def test_psql_goes_where_the_settings_say_and_not_to_a_service_of_the_shell(tmp_path: Path) -> None:
    asked, elsewhere = any_free(), any_free()
    services = tmp_path / "services"
    services.write_text(f"[production]\nhost=127.0.0.1\nport={elsewhere}\npassword=theirs\n")
    named = {**EXTERNAL, "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(asked), "POSTGRES_SSLMODE": "disable"}
    shell = {"PGSERVICE": "production", "PGSERVICEFILE": str(services)}
    command = [sys.executable, "-m", "sparktrends.ops.cli", "--home", str(tmp_path / "home"), "psql", "-c", "SELECT 1"]
    said = subprocess.run(command, env={**os.environ, **named, **shell}, cwd=tmp_path, capture_output=True, text=True)
    assert f"port {asked} failed" in said.stderr


def test_an_address_that_the_home_recorded_is_its_own(tmp_path: Path) -> None:
    write_record(Home.open(tmp_path / "home"), {"kafka": "127.0.0.1:9094", "postgres_port": 5434})
    env = {"KAFKA_BOOTSTRAP": "127.0.0.1:9094", "POSTGRES_HOST": "localhost", "POSTGRES_PORT": "5434"}
    own = external(settings(tmp_path, **env))
    assert (own.kafka, own.database) == (None, None)
    other = external(settings(tmp_path, **(env | {"POSTGRES_PORT": "5435", "KAFKA_BOOTSTRAP": "127.0.0.1:9095"})))
    assert other.kafka == "127.0.0.1:9095"
    assert other.database is not None


def test_an_address_that_the_home_had_before_stays_its_own(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    # As an older release left it: one record, and nothing of those before.
    (home.run / "stack.json").write_text('{"kafka": "127.0.0.1:9094", "postgres_port": 5434}')
    for kafka, postgres in ((9095, 5435), (9095, 5436), (9094, 5435)):
        write_record(home, {"kafka": f"127.0.0.1:{kafka}", "postgres_port": postgres})
    assert used(home.path) == {"kafka": ["127.0.0.1:9094", "127.0.0.1:9095"], "postgres_port": [5434, 5435, 5436]}
    for kafka, postgres in ((9094, 5434), (9095, 5435), (9095, 5436)):
        env = {"KAFKA_BOOTSTRAP": f"127.0.0.1:{kafka}", "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(postgres)}
        own = external(settings(tmp_path, **env))
        assert (own.kafka, own.database) == (None, None)


def test_what_runs_is_entered_where_it_is_whatever_a_dotenv_says(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    write_record(home, {"kafka": "127.0.0.1:9094", "postgres_port": 5434})
    env = {"KAFKA_BOOTSTRAP": "127.0.0.1:9094", "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "5434"}
    with home.owned():
        write_record(home, {"kafka": "127.0.0.1:9095", "postgres_port": 5435})
        found = endpoints(settings(tmp_path, **env, POSTGRES_USER="sparktrends_reader", POSTGRES_PASSWORD="x1y2z3"))
    assert (found.kafka.bootstrap, found.database.port) == ("127.0.0.1:9095", 5435)
    assert home.secrets().owner in found.owner_dsn


@pytest.mark.parametrize("text", ["", "[1]", '{"kafka": "127.0.0.1:9094", "postgres_port": {"a": 1}}'])
def test_torn_memories_are_none(tmp_path: Path, text: str) -> None:
    home = Home.open(tmp_path / "home")
    (home.run / "addresses.json").write_text(text)
    assert used(home.path) == {"kafka": [], "postgres_port": []}
    write_record(home, {"postgres_port": 5434})
    assert used(home.path) == {"kafka": [], "postgres_port": [5434]}


def running(kafka: int | None, postgres: int | None) -> Stack:
    """A stack with these parts of its own; the others are somebody else's."""
    own = {name: None for name, number in (("kafka", kafka), ("postgres", postgres)) if number}
    database = Database("127.0.0.1", postgres) if postgres else Database("db", 5432)
    return cast(Stack, SimpleNamespace(keepers=own, kafka=f"127.0.0.1:{kafka}", database=database))


def test_workers_are_led_to_the_own_parts_only() -> None:
    both = {"KAFKA_BOOTSTRAP": "127.0.0.1:9095", "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "5435"}
    assert addresses_of(running(9095, 5435)) == both
    assert addresses_of(running(9095, None)) == {"KAFKA_BOOTSTRAP": "127.0.0.1:9095"}
    assert addresses_of(running(None, None)) == {}


def test_an_address_of_the_past_is_told(tmp_path: Path) -> None:
    env = {"KAFKA_BOOTSTRAP": "127.0.0.1:9094", "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "5434"}
    moved = list(outdated(settings(tmp_path, **env), running(9095, 5435)))
    assert [sentence.split(" is where")[0] for sentence in moved] == [
        "KAFKA_BOOTSTRAP=127.0.0.1:9094",
        "POSTGRES_PORT=5434",
    ]
    for stayed in (running(9094, 5434), running(None, None)):
        assert list(outdated(settings(tmp_path, **env), stayed)) == []
    assert list(outdated(settings(tmp_path), running(9095, 5435))) == []
