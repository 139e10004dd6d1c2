"""Where recordings stood, in a small file: asked where the log, trimmed by its retention, no longer says it.

The log is the memory of what was published, and it forgets after a week. Without this file a recording that was played
to its end began anew on a day after that, and each of its trades was counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping

from sparktrends.bus.topics import RAW_BARS, RAW_TRADES
from sparktrends.net.quota import Store
from sparktrends.sources.recording import LastSeen

Place = tuple[str, str, str]
"""(topic, source, symbol): trades and bars of one name are two series, of which each stands where it stands."""


class Places:
    """The last event of each place, kept in ``store``; without one nothing is kept.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from sparktrends.net import JsonFile
    >>> places = Places(JsonFile(Path(tempfile.mkdtemp()) / "places.json"))
    >>> places.write({("raw.trades", "demo", "A"): LastSeen("7", "1.5", 5)})
    >>> places.read()
    {('raw.trades', 'demo', 'A'): LastSeen(id='7', price='1.5', received=5)}
    """

    def __init__(self, store: Store | None = None) -> None:
        self._store = store

    def read(self) -> dict[Place, LastSeen]:
        """What was written last; nothing where there is no such file, or one that nobody can read."""
        found = (self._store.load() or {}) if self._store else {}
        # As an earlier release wrote them, for trades and bars alike; only trades have ids.
        old = [[RAW_TRADES if row[2] else RAW_BARS, *row] for row in found.get("series", [])]
        rows = [*old, *found.get("places", [])]
        return {(topic, source, symbol): LastSeen(*last) for topic, source, symbol, *last in rows}

    def write(self, places: Mapping[Place, LastSeen]) -> None:
        """Replace what was written."""
        if self._store:
            self._store.save({"places": [[*place, *last] for place, last in places.items()]})
