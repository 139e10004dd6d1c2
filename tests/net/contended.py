"""A stored quota that another process also spends, at the worst moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sparktrends.net import JsonFile


@dataclass
class Contended:
    """``file``, before whose lock is had the next of ``others`` has been quicker."""

    file: JsonFile
    others: list[Callable[[], object]]

    def load(self) -> Mapping[str, Any] | None:
        return self.file.load()

    def save(self, state: Mapping[str, Any]) -> None:
        self.file.save(state)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        if self.others:
            self.others.pop(0)()
        with self.file.exclusive():
            yield
