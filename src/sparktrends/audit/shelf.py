"""Stored rows in order of their key, walked in step with what the log says, in the same order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sparktrends.store.audit_queries import Row


class Shelf:
    """Hands out the row of a key; rows that nobody asked for (also a second one of the same key) go to ``extra``.

    >>> shelf = Shelf(iter([(1, "a"), (3, "b"), (3, "again")]), 1, lambda row: print("extra", row))
    >>> shelf.take((2,)), shelf.take((3,))
    extra (1, 'a')
    (None, (3, 'b'))
    >>> shelf.finish()
    extra (3, 'again')
    """

    def __init__(self, rows: Iterator[Row], key_length: int, extra: Callable[[Row], None]) -> None:
        self._rows = rows
        self._length = key_length
        self._extra = extra
        self._next = next(rows, None)

    def take(self, key: Row) -> Row | None:
        """The row of this key, or None; keys must be asked for in rising order."""
        self.pass_over(key)
        row = self._next
        if row is None or row[: self._length] != key:
            return None
        self._next = next(self._rows, None)
        return row

    def pass_over(self, key: Row) -> None:
        """Every row before this key is one too many."""
        while self._next is not None and self._next[: self._length] < key:
            self._extra(self._next)
            self._next = next(self._rows, None)

    def finish(self) -> None:
        """Every row that is left is one too many."""
        while self._next is not None:
            self._extra(self._next)
            self._next = next(self._rows, None)
