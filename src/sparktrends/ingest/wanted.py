"""Which symbols are wanted beside those of the command line: a file that `symbols add` writes and ingest watches."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparktrends.errors import BadFile, BadSetting, NotFound
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
        """Want these as well; returns everything wanted. The file is replaced in one step."""
        found = self.read()
        found[source] = list(dict.fromkeys([*found.get(source, []), *symbols]))
        self._write(found)
        return found

    def remove(self, symbols: Sequence[str], source: str = "") -> dict[str, list[str]]:
        """Want these no longer, of one source or wherever they were added; returns everything still wanted.

        Raises NotFound, and changes nothing, when one of them was not added there.
        """
        found = self.read()
        places = [source] if source else list(found)
        for symbol in symbols:
            if not any(symbol in found.get(place, ()) for place in places):
                raise _not_added(symbol, source, found)
        for place in places:
            found[place] = [symbol for symbol in found[place] if symbol not in symbols]
        left = {place: kept for place, kept in found.items() if kept}
        self._write(left)
        return left

    def _write(self, wanted: dict[str, list[str]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Ingest reads it every second: half a file would be taken for a broken one.
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(wanted), "utf-8")
        os.replace(fresh, self.path)

    def of(self, source: Source) -> list[str]:
        """What is wanted of one source; what is meant for each, only where the source can have it."""
        found = self.read()
        return [*found.get(source.provider, []), *possible(source, found.get(EVERY, []))]


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
