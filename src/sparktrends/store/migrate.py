"""Bring a database to the newest schema: numbered SQL files, each once, each in its own transaction, forward only.

No schema has been released yet. Steps from before the first release need only go over tables as the step before made
them (0031 wants `core.daily_calls` empty); each later one must go over full ones.
"""

from __future__ import annotations

import hashlib
from importlib import resources

from psycopg import sql

from sparktrends.errors import IntegrityError
from sparktrends.store.connect import Connection, connect, translated

_LOCK = 0x53_54_4D_47  # one migrator at a time, whoever starts it


def migrations() -> list[tuple[str, str]]:
    """(name, SQL) of every migration in this release, in order."""
    folder = resources.files("sparktrends.store") / "migrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [(f.name, f.read_text(encoding="utf-8")) for f in files]


def migrate(conninfo: str) -> list[str]:
    """Apply what is missing and return its names.

    Raises IntegrityError when a migration that was applied reads differently now, or the database is newer.
    """
    with connect(conninfo, autocommit=True, timeout_s=600, application="migrate") as connection, translated():
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS public.sparktrends_migrations "
            "(name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        rows = connection.execute("SELECT name, sha256 FROM public.sparktrends_migrations").fetchall()
        done: dict[str, str] = dict(rows)
        known = migrations()
        _check_history(done, known)
        return [_apply(connection, name, text) for name, text in known if name not in done]


def _check_history(done: dict[str, str], known: list[tuple[str, str]]) -> None:
    digests = {name: _digest(text) for name, text in known}
    for name, digest in done.items():
        if name not in digests:
            raise IntegrityError(f"the database has migration {name}, which this release lacks", hint="upgrade first")
        if digests[name] != digest:
            raise IntegrityError(f"migration {name} was changed after it had been applied")


def _apply(connection: Connection, name: str, text: str) -> str:
    with connection.transaction():
        connection.execute(text.encode())  # bytes: the driver reads no placeholders in it
        connection.execute(
            "INSERT INTO public.sparktrends_migrations (name, sha256) VALUES (%s, %s)", (name, _digest(text))
        )
    return name


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def set_reader_password(conninfo: str, password: str) -> None:
    """Give the reader's account its password; it exists since `migrate`."""
    with connect(conninfo, autocommit=True) as connection, translated():
        # ALTER ROLE takes no parameters: what proves the password stands in the statement, quoted. The password itself
        # does not, for servers log statements.
        proof = connection.pgconn.encrypt_password(password.encode(), b"sparktrends_reader", b"scram-sha-256").decode()
        connection.execute(sql.SQL("ALTER ROLE sparktrends_reader PASSWORD {}").format(sql.Literal(proof)))


def grant(conninfo: str, statements: str) -> None:
    """Run the statements of accounts as the owner, all of them or none."""
    with connect(conninfo, autocommit=True) as connection, translated():
        connection.execute(statements.encode())
