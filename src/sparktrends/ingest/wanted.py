"""Which symbols are wanted beside those of the command line: a file that `symbols add` writes and ingest watches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparktrends.errors import BadFile, BadSetting, NotFound
from sparktrends.net import JsonFile
from sparktrends.sources.base import Source

EVERY = "*"
"""The key of symbols that are meant for each source that can have them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """``{"<source>": ["BTC/USDT", …], "*": […]}`` in one file; no file is an empty list."""

    path: Path

    def read(self) -> dict[str, list[str]]:
        """By source; BadFile when somebody wrote something else into it."""
        try:
            found = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            raise BadFile(f"{self.path} cannot be read", hint="remove it, and add the symbols again") from None
        if not isinstance(found, dict) or not all(isinstance(v, list) for v in found.values()):
            raise BadFile(f"{self.path} is no list of symbols", hint="remove it, and add the symbols again")
        return {str(source): [str(symbol) for symbol in symbols] for source, symbols in found.items()}

    def add(self, symbols: Sequence[str], source: str = EVERY) -> dict[str, list[str]]:
        """Want these as well; returns everything wanted. Raises BadFile, and DiskFull when it cannot be written."""
        file = JsonFile(self.path)
        # Whoever adds or removes at the same time waits: else what one of us wanted would be lost.
        with file.exclusive():
            found = self.read()
            found[source] = list(dict.fromkeys([*found.get(source, []), *symbols]))
            file.save(found)
        return found

    def remove(self, symbols: Sequence[str], source: str = "") -> dict[str, list[str]]:
        """Want these no longer, of one source or wherever they were added; returns everything still wanted.

        Raises NotFound, and changes nothing, when one of them was not added there; else as `add`.
        """
        # Before there is a lock: who was mistaken makes no folder.
        _without(self.read(), symbols, source)
        file = JsonFile(self.path)
        with file.exclusive():
            left = _without(self.read(), symbols, source)
            file.save(left)
        return left

    def of(self, source: Source) -> list[str]:
        """What is wanted of one source; what is meant for each, only where the source can have it."""
        found = self.read()
        return [*found.get(source.provider, []), *possible(source, found.get(EVERY, []))]


def _without(found: dict[str, list[str]], symbols: Sequence[str], source: str) -> dict[str, list[str]]:
    """What is left of ``found`` without these, of one source or of all; NotFound."""
    places = [source] if source else list(found)
    for symbol in symbols:
        if not any(symbol in found.get(place, ()) for place in places):
            raise _not_added(symbol, source, found)
    kept = {place: [s for s in wanted if place not in places or s not in symbols] for place, wanted in found.items()}
    return {place: left for place, left in kept.items() if left}


def possible(source: Source, symbols: Sequence[str]) -> list[str]:
    """Those that the source can have."""
    able = []
    for symbol in symbols:
        try:
            source.spell(symbol)
        except BadSetting:
            continue
        able.append(symbol)
    return able


def _not_added(symbol: str, source: str, found: dict[str, list[str]]) -> NotFound:
    if source and symbol in found.get(EVERY, ()):
        return NotFound(f"{symbol} was added for all sources", hint="leave --source out")
    where = f" for {source}" if source else ""
    hint = "`sparktrends symbols list` shows what was; what the command line names is left out there"
    return NotFound(f"{symbol} was not added{where}", hint=hint)
