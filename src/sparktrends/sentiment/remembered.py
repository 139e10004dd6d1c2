"""What was made of a piece of text, kept for when it comes again: headlines are made of few words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
_MOST = 20_000


class Remembered(dict[str, Value]):
    """``remembered[text]`` is ``make(text)``, made once. It begins again when it holds 20,000: some megabytes.

    >>> lengths = Remembered(len)
    >>> lengths["shares"], list(lengths)
    (6, ['shares'])
    """

    def __init__(self, make: Callable[[str], Value]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: str) -> Value:
        if len(self) >= _MOST:
            self.clear()
        made = self[text] = self._make(text)
        return made
