"""What ingest wrote down is read as it was written, and forgotten when ingest is gone."""

from __future__ import annotations

import threading
from pathlib import Path

from librdkafka_broker import fresh_broker
from sparktrends.ingest.playback import Track
from sparktrends.ingest.run import TROUBLES
from sparktrends.ingest.trouble import Trouble
from sparktrends.model import SECOND
from sparktrends.net import JsonFile
from sparktrends.ops.commands.processes import _play
from sparktrends.ops.home import Home
from sparktrends.ops.troubles import forget_recorded, tell_recorded, told
from sparktrends.sources.replay import Replay
from sparktrends.telemetry import system_clock

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


def test_a_file_that_was_played_before_is_told_of(tmp_path: Path) -> None:
    home, broker, file = Home.open(tmp_path), fresh_broker(), tmp_path / "x.csv"
    file.write_text("ts,price,size\n5,1,1\n4,1,1\n")
    broker.topic("raw.trades")
    for published, words in (
        (2, []),
        (0, ["x~replay: nothing is left to publish, all 2 trades were published before"]),
    ):
        done = _play(broker.connection, [Track(Replay(file), None)], home, threading.Event())
        assert (done["published"], [one.words for one in told(home, system_clock())]) == (published, words)
