"""Connections to PostgreSQL, and what its errors mean to us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg.rows import TupleRow

from sparktrends.errors import AccessDenied, BadRecord, DiskFull, Retryable, Terminal, Unavailable

Connection = psycopg.Connection[TupleRow]
Cursor = psycopg.Cursor[TupleRow]

# Away for a moment, or two transactions in each other's way: the same transaction may well succeed later.
_RETRYABLE = (
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.TooManyConnections,
    pg.SerializationFailure,
    pg.DeadlockDetected,
    pg.LockNotAvailable,
    pg.QueryCanceled,
    pg.IdleInTransactionSessionTimeout,
)

# Parts of libpq's sentences → what to do.
# In this order: libpq may try with and without TLS, and whom a server refuses with it does not lack it.
_REFUSALS = {
    "authentication method requirement": "give the account its password anew with password_encryption=scram-sha-256, or"
    " say how the server asks: POSTGRES_REQUIRE_AUTH=md5",
    "password authentication failed": "check POSTGRES_USER and POSTGRES_PASSWORD",
    "no password supplied": "check POSTGRES_USER and POSTGRES_PASSWORD",
    ", SSL encryption": "the server does not know this account from here: ask who runs it",
    "no encryption": "the server wants TLS: POSTGRES_SSLMODE=verify-full with POSTGRES_SSLROOTCERT",
    "no pg_hba.conf entry": "the server does not know this account from here: ask who runs it",
    "certificate verify failed": "POSTGRES_SSLROOTCERT names the file with the server's certificate authority",
    "does not match host name": "POSTGRES_HOST must call it by a name that stands in its certificate",
    "root certificate file": "POSTGRES_SSLROOTCERT names the file with the server's certificate authority",
    "does not support SSL": "the server has no TLS: ask who runs it (POSTGRES_SSLMODE=prefer goes without)",
}


# A machine that is gone says no more that it is: asked after five seconds of silence, given up after fifteen.
_NOTICES: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


def connect(conninfo: str, *, autocommit: bool = False, timeout_s: float = 30.0, application: str = "") -> Connection:
    """Open a connection in UTC whose statements end after ``timeout_s``; raises Unavailable or AccessDenied."""
    # Options of the session, so that not even its first statement runs without them.
    options = f"-c timezone=UTC -c statement_timeout={int(timeout_s * 1000)}"
    with translated():
        made = psycopg.connect(
            conninfo,
            autocommit=autocommit,
            connect_timeout=5,
            **_NOTICES,
            client_encoding="UTF8",
            options=options,
            application_name=f"sparktrends {application}".strip(),
        )
        # The shell's PGTZ and PGDATESTYLE win over options.
        said = [made.info.parameter_status(name) or "" for name in ("TimeZone", "DateStyle")]
        if said[0] != "UTC" or not said[1].startswith("ISO"):
            made.execute("SELECT set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO', false)")
            if not autocommit:
                made.commit()
        return made


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors instead of the driver's inside the block: Retryable, DiskFull, AccessDenied or Terminal."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error) from error
    # Half a surrogate: the driver fails at it before the server sees anything.
    except UnicodeEncodeError as error:
        raise BadRecord("bad_text", f"text that PostgreSQL cannot hold: {error.reason}") from error


def translate(error: psycopg.Error) -> Exception:
    """The error of our tree that this one of the driver's means."""
    words = _first_line(error)
    if isinstance(error, pg.OutOfMemory):
        # The server's own hint names the setting: a day with all its months and intervals locks hundreds of tables.
        hint = error.diag.message_hint or "its machine has too little memory"
        return Retryable(f"PostgreSQL: {words}", hint=hint)
    if isinstance(error, pg.DiskFull | pg.ConfigurationLimitExceeded):
        return DiskFull(f"PostgreSQL cannot write: {words}", hint="free space where its data lies; the stream waits")
    if isinstance(error, pg.InvalidPassword | pg.InvalidAuthorizationSpecification | pg.InsufficientPrivilege):
        return AccessDenied(f"PostgreSQL refused: {words}", hint="check POSTGRES_USER and POSTGRES_PASSWORD")
    if isinstance(error, _RETRYABLE):
        return Retryable(f"PostgreSQL: {words}")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return _refused(str(error)) or Unavailable(
            f"PostgreSQL does not answer: {words}", hint="is it running? try `sparktrends status`"
        )
    return Terminal(f"PostgreSQL: {words}")


def _refused(said: str) -> AccessDenied | None:
    """Why a server that is there lets nobody in; libpq has no code for it, and says a line for each of its attempts."""
    for words, hint in _REFUSALS.items():
        if line := next((line for line in said.splitlines() if words in line), None):
            return AccessDenied(f"PostgreSQL refused: {line.strip()}", hint=hint)
    return None


def _first_line(error: psycopg.Error) -> str:
    """The message alone: the rest of the text may repeat values of a row."""
    primary = error.diag.message_primary
    text: Any = primary or str(error) or type(error).__name__
    return str(text).splitlines()[0]
