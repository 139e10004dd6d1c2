"""A connection that opens when first used, and again after an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import Rollback

from sparktrends.store.connect import Connection, Cursor, connect, translated


class Session:
    """One connection for one thread; ``transaction`` raises our errors: Retryable while the database is away."""

    def __init__(self, conninfo: str, application: str, timeout_s: float = 10.0) -> None:
        self._conninfo = conninfo
        self._application = application
        self._timeout_s = timeout_s
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """Commit when the block ends, roll back when it raises."""
        if self._connection is None or self._connection.closed:
            self.close()
            # Autocommit: else the driver begins a transaction with the first statement and holds it open between ours.
            self._connection = connect(
                self._conninfo, autocommit=True, timeout_s=self._timeout_s, application=self._application
            )
        with translated(), self._connection.transaction(), self._connection.cursor() as cursor:
            yield cursor

    @contextmanager
    def trial(self) -> Iterator[Cursor]:
        """As `transaction`, but nothing of what was written stays."""
        with self.transaction() as cursor:
            yield cursor
            raise Rollback

    def close(self) -> None:
        """Close the connection, if there is one; the next transaction opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
