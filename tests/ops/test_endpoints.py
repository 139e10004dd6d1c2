"""Where broker and database are: what the newest `up` recorded, or what the settings say of others'."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparktrends.errors import Unavailable
from sparktrends.ops.endpoints import endpoints, external, record, write_record
from sparktrends.ops.home import Home
from sparktrends.ops.settings import Settings, load

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


def test_an_address_that_the_home_recorded_is_its_own(tmp_path: Path) -> None:
    write_record(Home.open(tmp_path / "home"), {"kafka": "127.0.0.1:9094", "postgres_port": 5434})
    env = {"KAFKA_BOOTSTRAP": "127.0.0.1:9094", "POSTGRES_HOST": "localhost", "POSTGRES_PORT": "5434"}
    own = external(settings(tmp_path, **env))
    assert (own.kafka, own.database) == (None, None)
    other = external(settings(tmp_path, **(env | {"POSTGRES_PORT": "5435", "KAFKA_BOOTSTRAP": "127.0.0.1:9095"})))
    assert other.kafka == "127.0.0.1:9095"
    assert other.database is not None
