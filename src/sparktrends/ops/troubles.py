"""What ingest says of its sources, as `status`, `check ingest` and the view of `up` read it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sparktrends.ingest.kept import Kept
from sparktrends.ingest.run import TROUBLES
from sparktrends.ingest.trouble import Trouble
from sparktrends.model import SECOND
from sparktrends.net import JsonFile
from sparktrends.ops.home import Home

# A file of its own: ingest replaces the other as long as live sources run.
_RECORDED = "troubles-of-recordings.json"
_FRESH = 30 * SECOND


def told(home: Home, now: int) -> list[Trouble]:
    """What ingest of this home said last; nothing when it has not spoken for half a minute (µs UTC): it is gone."""
    said = [JsonFile(home.run / name).load() or {} for name in (TROUBLES, _RECORDED)]
    fresh = [one for one in said if now - int(one.get("at", 0)) <= _FRESH]
    return [Trouble.from_json(row) for one in fresh for row in one.get("troubles", ())]


def tell_recorded(home: Home, sentences: Sequence[str], now: int) -> None:
    """Write down what is to be said of recordings as their playback begins (µs UTC)."""
    troubles = [Trouble(words.partition(":")[0], "quiet", words, now).to_json() for words in sentences]
    # A full disk is no reason not to play.
    Kept(JsonFile(home.run / _RECORDED)).save({"at": now, "troubles": troubles})


def forget_recorded(run: Path) -> None:
    """What the playback of another run said is no news of the next."""
    (run / _RECORDED).unlink(missing_ok=True)
