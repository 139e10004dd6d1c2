"""Where recordings stood, in a small file: asked where the log, trimmed by its retention, no longer says it.

The log is the memory of what was published, and it forgets after a week. Without this file a recording that was played
to its end began anew on a day after that, and each of its trades was counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping

from sparktrends.net import JsonFile
from sparktrends.sources.recording import LastSeen, Series


class Places:
    """The last place of each series, kept in ``store``; without one nothing is kept.

    >>> import tempfile
    >>> from pathlib import Path
    >>> places = Places(JsonFile(Path(tempfile.mkdtemp()) / "places.json"))
    >>> places.write({("demo", "A"): LastSeen("7", "1.5", 5)})
    >>> places.read()
    {('demo', 'A'): LastSeen(id='7', price='1.5', received=5)}
    """

    def __init__(self, store: JsonFile | None = None) -> None:
        self._store = store

    def read(self) -> dict[Series, LastSeen]:
        """What was written last; nothing where there is no such file, or one that nobody can read."""
        rows = (self._store.load() or {}).get("series", []) if self._store else []
        return {(source, symbol): LastSeen(id_, price, received) for source, symbol, id_, price, received in rows}

    def write(self, places: Mapping[Series, LastSeen]) -> None:
        """Replace what was written."""
        if self._store:
            self._store.save({"series": [[*series, *last] for series, last in places.items()]})
