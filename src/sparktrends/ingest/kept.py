"""States that outlive the process as far as the disk lets: one that is full must not end the taking in."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sparktrends.errors import DiskFull
from sparktrends.net.quota import Store

_log = logging.getLogger(__name__)


class Kept:
    """A `Store` that keeps in memory what does not fit on the disk: `save` raises nothing, `again` makes up for it.

    A kill until then leaves the state that was saved last.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unsaved: Mapping[str, Any] | None = None

    def load(self) -> Mapping[str, Any] | None:
        """The newest state, on the disk or not yet; None when there is none."""
        return self._store.load() if self._unsaved is None else self._unsaved

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state, now or when there is room."""
        before, self._unsaved = self._unsaved, state
        try:
            self._store.save(state)
        except DiskFull as error:
            # Once: it is tried again every second or two.
            if before is None:
                _log.warning("%s; it is tried again", error)
        else:
            self._unsaved = None

    def again(self) -> None:
        """Save what could not be saved, if anything."""
        if self._unsaved is not None:
            self.save(self._unsaved)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """As of the store."""
        with self._store.exclusive():
            yield
