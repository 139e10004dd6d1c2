"""What ingest wrote down is read as it was written, and forgotten when ingest is gone."""

from __future__ import annotations

from pathlib import Path

from sparktrends.ingest.run import TROUBLES
from sparktrends.ingest.trouble import Trouble
from sparktrends.model import SECOND
from sparktrends.net import JsonFile
from sparktrends.ops.home import Home
from sparktrends.ops.troubles import forget_recorded, tell_recorded, told

DEAD = Trouble("binance", "down", "binance: nothing of BTC/USDT", 5, ("BTC/USDT",))


def test_what_was_written_is_read_until_nobody_writes_any_more(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    assert told(home, 0) == []
    JsonFile(home.run / TROUBLES).save({"at": 7 * SECOND, "troubles": [DEAD.to_json()]})
    assert told(home, 37 * SECOND) == [DEAD]
    assert told(home, 38 * SECOND) == []


def test_recordings_are_told_beside_live_sources_and_forgotten_by_the_next_run(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    JsonFile(home.run / TROUBLES).save({"at": 0, "troubles": [DEAD.to_json()]})
    tell_recorded(home, ["x~replay: nothing is left"], 5 * SECOND)
    found = told(home, 20 * SECOND)
    assert [(one.source, one.words) for one in found[1:]] == [("x~replay", "x~replay: nothing is left")]
    assert found[0] == DEAD
    assert len(told(home, 32 * SECOND)) == 1
    tell_recorded(home, [], 20 * SECOND)
    assert told(home, 20 * SECOND) == [DEAD]
    tell_recorded(home, ["x~replay: nothing is left"], 20 * SECOND)
    forget_recorded(home.run)
    forget_recorded(home.run)
    assert told(home, 20 * SECOND) == [DEAD]
