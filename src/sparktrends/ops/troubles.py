"""What ingest says of its sources, as `status`, `check ingest` and the view of `up` read it."""

from __future__ import annotations

from sparktrends.ingest.run import TROUBLES
from sparktrends.ingest.trouble import Trouble
from sparktrends.model import SECOND
from sparktrends.net import JsonFile
from sparktrends.ops.home import Home

_FRESH = 30 * SECOND


def told(home: Home, now: int) -> list[Trouble]:
    """What ingest of this home said last; nothing when it has not spoken for half a minute (µs UTC): it is gone."""
    said = JsonFile(home.run / TROUBLES).load() or {}
    if now - int(said.get("at", 0)) > _FRESH:
        return []
    return [Trouble.from_json(row) for row in said.get("troubles", ())]
