"""What PostgreSQL's errors mean to us: wait, free a disk, mend a setting, or stop."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors as pg

from sparktrends.errors import AccessDenied, BadRecord, DiskFull, Retryable, Terminal, Unavailable
from sparktrends.store.connect import connect, translate, translated


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (pg.DiskFull("x"), DiskFull),
        (pg.OutOfMemory("x"), Retryable),
        (pg.InvalidPassword("x"), AccessDenied),
        (pg.InsufficientPrivilege("x"), AccessDenied),
        (psycopg.OperationalError('FATAL:  password authentication failed for user "u"'), AccessDenied),
        (pg.DeadlockDetected("x"), Retryable),
        (pg.QueryCanceled("x"), Retryable),
        (psycopg.OperationalError("connection refused"), Unavailable),
        (psycopg.InterfaceError("the connection is closed"), Unavailable),
        (pg.CheckViolation("x"), Terminal),
        (pg.UndefinedTable("x"), Terminal),
    ],
)
def test_an_error_says_whether_to_try_again(error: psycopg.Error, meant: type[Exception]) -> None:
    assert type(translate(error)) is meant


def test_only_the_first_line_is_told() -> None:
    assert "secret" not in str(translate(pg.UniqueViolation("duplicate key\nDETAIL: Key (x)=(secret)")))


def test_text_that_no_database_holds_is_a_bad_record() -> None:
    with pytest.raises(BadRecord, match="PostgreSQL cannot hold"), translated():
        "\ud800".encode()


def test_nobody_there_is_unavailable_at_once() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        connect("host=127.0.0.1 port=1 dbname=x user=x password=x")


@pytest.mark.e2e
@pytest.mark.parametrize("autocommit", [True, False])
def test_what_the_shell_says_to_other_programs_changes_no_answer(
    database: str, monkeypatch: pytest.MonkeyPatch, autocommit: bool
) -> None:
    for name, value in (("PGTZ", "Europe/Berlin"), ("PGDATESTYLE", "German"), ("PGCLIENTENCODING", "SQL_ASCII")):
        monkeypatch.setenv(name, value)
    with connect(database, autocommit=autocommit) as connection:
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        (moment, text) = connection.execute("SELECT timestamptz '2024-07-01 00:00+00', 'é'").fetchone() or ()
        assert (moment.isoformat(), text) == ("2024-07-01T00:00:00+00:00", "é")


@pytest.mark.e2e
def test_a_connection_lives_in_utc_and_has_an_end(database: str) -> None:
    with connect(database, timeout_s=1.0, application="test") as connection:
        told = connection.info.get_parameters()
        # A machine that is gone is noticed: without these a commit hangs for a quarter of an hour, an answer for two.
        assert int(told["tcp_user_timeout"]) == 15_000
        silence = (int(told[f"keepalives_{name}"]) for name in ("idle", "interval", "count"))
        assert next(silence) + next(silence) * next(silence) <= 15
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
        assert connection.execute("SHOW application_name").fetchone() == ("sparktrends test",)
        with pytest.raises(Retryable), translated():
            connection.execute("SELECT pg_sleep(20)")


@pytest.mark.e2e
def test_too_many_locks_are_no_full_disk_and_the_setting_is_named(database: str) -> None:
    with connect(database) as connection, pytest.raises(Retryable, match="max_locks_per_transaction"), translated():
        connection.execute("SELECT pg_advisory_xact_lock(n) FROM generate_series(1, 10000000) n")


@pytest.mark.e2e
def test_a_wrong_password_is_denied(database: str) -> None:
    with pytest.raises(AccessDenied, match="POSTGRES_PASSWORD"):
        connect(psycopg.conninfo.make_conninfo(database, password="wrong"))
