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


def connect(conninfo: str, *, autocommit: bool = False, timeout_s: float = 30.0, application: str = "") -> Connection:
    """Open a connection in UTC whose statements end after ``timeout_s``; raises Unavailable or AccessDenied."""
    options = f"-c timezone=UTC -c statement_timeout={int(timeout_s * 1000)}"
    with translated():
        return psycopg.connect(
            conninfo,
            autocommit=autocommit,
            connect_timeout=5,
            options=options,
            application_name=f"sparktrends {application}".strip(),
        )


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors instead of the driver's inside the block: Retryable, DiskFull, AccessDenied or Terminal."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error) from error
    except UnicodeEncodeError as error:
        raise BadRecord("bad_text", f"text that PostgreSQL cannot hold: {error.reason}") from error


def translate(error: psycopg.Error) -> Exception:
    """The error of our tree that this one of the driver's means."""
    words = _first_line(error)
    if isinstance(error, pg.DiskFull | pg.OutOfMemory | pg.ConfigurationLimitExceeded):
        return DiskFull(f"PostgreSQL cannot write: {words}", hint="free space where its data lies; the stream waits")
    if isinstance(error, pg.InvalidPassword | pg.InvalidAuthorizationSpecification | pg.InsufficientPrivilege):
        return AccessDenied(f"PostgreSQL refused: {words}", hint="check POSTGRES_USER and POSTGRES_PASSWORD")
    if isinstance(error, _RETRYABLE):
        return Retryable(f"PostgreSQL: {words}")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        if "password authentication failed" in words or "no password supplied" in words:
            return AccessDenied(f"PostgreSQL refused: {words}", hint="check POSTGRES_USER and POSTGRES_PASSWORD")
        return Unavailable(f"PostgreSQL does not answer: {words}", hint="is it running? try `sparktrends status`")
    return Terminal(f"PostgreSQL: {words}")


def _first_line(error: psycopg.Error) -> str:
    """The message alone: the rest of the text may repeat values of a row."""
    primary = error.diag.message_primary
    text: Any = primary or str(error) or type(error).__name__
    return str(text).splitlines()[0]
