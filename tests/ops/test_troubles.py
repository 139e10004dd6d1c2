"""What ingest wrote down is read as it was written, and forgotten when ingest is gone."""

from __future__ import annotations

from pathlib import Path

from sparktrends.ingest.run import TROUBLES
from sparktrends.ingest.trouble import Trouble
from sparktrends.model import SECOND
from sparktrends.net import JsonFile
from sparktrends.ops.home import Home
from sparktrends.ops.troubles import told

DEAD = Trouble("binance", "down", "binance: nothing of BTC/USDT", 5, ("BTC/USDT",))


def test_what_was_written_is_read_until_nobody_writes_any_more(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    assert told(home, 0) == []
    JsonFile(home.run / TROUBLES).save({"at": 7 * SECOND, "troubles": [DEAD.to_json()]})
    assert told(home, 37 * SECOND) == [DEAD]
    assert told(home, 38 * SECOND) == []
