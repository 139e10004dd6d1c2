"""Which symbols are wanted beside those of the command line: a file that `symbols add` writes and ingest watches."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparktrends.errors import BadFile, BadSetting
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
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Ingest reads it every second: half a file would be taken for a broken one.
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(found), "utf-8")
        os.replace(fresh, self.path)
        return found

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
