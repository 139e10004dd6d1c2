"""Where recordings stood, in a small file: asked where the log, trimmed by its retention, no longer says it.

The log is the memory of what was published, and it forgets after a week. Without this file a recording that was played
to its end began anew on a day after that, and each of its trades was counted twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from sparktrends.sources.recording import LastSeen, Series


class Places:
    """The last place of each series, written to ``path``; without a path nothing is kept.

    >>> import tempfile
    >>> places = Places(Path(tempfile.mkdtemp()) / "places.json")
    >>> places.write({("demo", "A"): LastSeen("7", "1.5", 5)})
    >>> places.read()
    {('demo', 'A'): LastSeen(id='7', price='1.5', received=5)}
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> dict[Series, LastSeen]:
        """What was written last; nothing where there is no such file, or one that nobody can read."""
        if self._path is None:
            return {}
        try:
            rows = json.loads(self._path.read_text("utf-8"))
            return {(source, symbol): LastSeen(id_, price, received) for source, symbol, id_, price, received in rows}
        except (OSError, ValueError, TypeError):
            return {}

    def write(self, places: Mapping[Series, LastSeen]) -> None:
        """Replace the file."""
        if self._path is None:
            return
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps([[*series, *last] for series, last in places.items()]), "utf-8")
        os.replace(fresh, self._path)
