"""Playing recordings: pace, slices, stopping, and going on, through librdkafka's built-in broker."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from librdkafka_broker import Broker, fresh_broker
from sparktrends.bus.codec import decode
from sparktrends.bus.kafka import Connection, Producer, Reader
from sparktrends.errors import Unavailable
from sparktrends.ingest.places import Places
from sparktrends.ingest.playback import Playback, Progress, Summary, Track
from sparktrends.ingest.publish import Publisher
from sparktrends.model import DAY, MINUTE, SECOND
from sparktrends.net import JsonFile
from sparktrends.sources.recording import LastSeen, Recording
from sparktrends.sources.replay import Replay
from sparktrends.sources.simulated import Simulated

T0 = 1_385_337_600


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 5 * MINUTE
        self.slept = 0.0

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += round(seconds * SECOND)


@pytest.fixture
def recording(tmp_path: Path) -> Replay:
    """600 trades, one a second."""
    path = tmp_path / "tape.csv"
    path.write_text("ts,price,size\n" + "".join(f"{T0 + i},1{i}.5,0.1\n" for i in range(600)))
    return Replay(path, symbol="A")


def play(broker: Broker, *tracks: Track, **more: object) -> tuple[Summary, list[Progress], Time]:
    broker.topic("raw.trades")
    time, told = Time(), list[Progress]()
    options = {"clock": time, "sleep": time.sleep, "stop": threading.Event(), "report": told.append, **more}
    playback = Playback(tracks, Publisher(Producer(broker.connection)), **options)  # type: ignore[arg-type]
    with Reader(broker.connection) as reader:
        return playback.run(reader), told, time


def ids(broker: Broker) -> Counter[str]:
    with Reader(broker.connection) as reader:
        rows = [decode(r.value) for p in range(4) for r in reader.tail("raw.trades", p, 1_000_000)]
    return Counter(f"{row['symbol']} {row['id']}" for row in rows if "id" in row)


def ends(broker: Broker) -> dict[tuple[str, int], int]:
    with Reader(broker.connection) as reader:
        places = [(topic, p) for topic in ("raw.trades", "raw.bars") for p in reader.partitions(topic)]
        return {place: reader.watermarks(*place)[1] for place in places}


@pytest.mark.parametrize(("speed", "seconds"), [(1.0, 600 + 16 * 60), (60.0, 26), (600.0, 2.6)])
def test_a_recording_takes_its_time(broker: Broker, recording: Replay, speed: float, seconds: float) -> None:
    summary, _, time = play(broker, Track(recording, speed))
    assert summary.published == 600
    assert summary.done
    # The end is the closing heartbeats, 16 minutes after the last bar, at the same pace.
    assert time.slept == pytest.approx(seconds, rel=0.01, abs=0.02)


def test_at_full_speed_nobody_sleeps(broker: Broker, recording: Replay) -> None:
    summary, _, time = play(broker, Track(recording, None))
    assert (summary.published, time.slept) == (600, 0)
    assert summary.positions["raw.trades", 0] + sum(v for k, v in summary.positions.items() if k[1]) == 600 + 10 + 17


def test_a_log_that_was_trimmed_does_not_begin_anew(broker: Broker, recording: Replay, tmp_path: Path) -> None:
    places, emptied = Places(JsonFile(tmp_path / "places.json")), fresh_broker()
    done, _, _ = play(broker, Track(recording, None), places=places)
    again, _, _ = play(emptied, Track(recording, None), places=places)
    assert (done.published, again.published) == (600, 0)
    assert ids(emptied) == Counter()


def write_foreign(broker: Broker, topic: str, *rows: dict[str, object]) -> None:
    producer = Producer(broker.connection)
    for row in rows:
        producer.send(topic, "A", json.dumps(row).encode())
    producer.flush()


def test_what_others_write_under_a_recordings_name_ends_nothing(broker: Broker, recording: Replay) -> None:
    done, _, _ = play(broker, Track(recording, None))
    row = {"source": "tape~replay", "symbol": "A", "ts": T0 * SECOND, "price": "1", "size": "1"}
    last = (T0 + 599) * SECOND
    write_foreign(broker, "raw.trades", *({**row, "id": id_, "received": last} for id_ in ("mine", "7-1", 5)))
    # Refused by the stream, for the time is yet to come: it was not published.
    write_foreign(broker, "raw.trades", {**row, "id": f"{recording.file_id}-1", "received": 2**62})
    write_foreign(broker, "raw.trades", {**row, "received": -(2**70)}, {**row, "received": True, "id": "x"})
    again, _, _ = play(broker, Track(recording, None))
    assert (done.published, again.published) == (600, 0)
    assert set(Counter(id_ for id_ in ids(broker) if recording.file_id in id_).values()) == {1}


def test_a_bar_of_tomorrow_does_not_say_that_all_were_published(broker: Broker, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(f"start,open,high,low,close,volume,interval\n{T0},1,1,1,1,5,1m\n{T0 + 60},1,1,1,1,5,1m\n")
    bars, said = Replay(path, symbol="A"), list[str]()
    broker.topic("raw.bars")
    tomorrow = time.time_ns() // 1000 + DAY
    write_foreign(broker, "raw.bars", {"source": "bars~replay", "symbol": "A", "received": tomorrow})
    done, _, _ = play(broker, Track(bars, None), say=said.extend)
    assert (done.published, said) == (2, [])


def test_a_simulator_goes_on_behind_what_others_wrote_under_its_name(broker: Broker) -> None:
    market = {"symbols": 1, "rate": 5.0}
    play(broker, Track(Simulated(start=5 * MINUTE, until=6 * MINUTE, **market), None))  # type: ignore[arg-type]
    before = ids(broker)
    row = {"source": "simulator~sim", "symbol": "SIM001/USD", "ts": 6 * MINUTE, "size": "1", "received": 6 * MINUTE}
    write_foreign(broker, "raw.trades", *({**row, "price": p, "id": i} for p, i in (("1", "7-x"), ("-1", "7-9"))))
    play(broker, Track(Simulated(start=6 * MINUTE, until=7 * MINUTE, **market), None))  # type: ignore[arg-type]
    after = Counter({id_: n for id_, n in ids(broker).items() if id_.startswith("SIM001/USD 7-") and id_[-1] != "x"})
    assert after.total() > before.total() + 100
    # "7-9" is in the log twice, for somebody wrote it; nothing else is.
    assert after.total() == len(after) + 1


def test_places_that_an_earlier_release_wrote_are_read(broker: Broker, recording: Replay, tmp_path: Path) -> None:
    store = JsonFile(tmp_path / "places.json")
    end, id_ = (T0 + 599) * SECOND, f"{recording.file_id}-600"
    store.save({"series": [["tape~replay", "A", id_, "1599.5", end], ["bars~replay", "A", "", "", end]]})
    places = Places(store)
    trades, bars = ("raw.trades", "tape~replay", "A"), ("raw.bars", "bars~replay", "A")
    assert places.read() == {trades: LastSeen(id_, "1599.5", end), bars: LastSeen("", "", end)}
    again, _, _ = play(broker, Track(recording, None), places=places)
    assert again.published == 0
    # What others wrote stays.
    assert (places.read()[trades].id, places.read()[bars]) == (id_, LastSeen("", "", end))


def test_a_log_that_lost_its_end_goes_on_where_the_last_run_stood(
    broker: Broker, recording: Replay, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    places, cut, stop = Places(JsonFile(tmp_path / "places.json")), fresh_broker(), threading.Event()

    def report(progress: Progress) -> None:
        if progress.lanes and progress.lanes[0].published >= 300:
            stop.set()

    held, _, _ = play(cut, Track(recording, 60.0), stop=stop, report=report)
    play(broker, Track(recording, None), places=places)
    assert 300 <= held.published < 600
    assert caplog.messages == []
    again, _, _ = play(cut, Track(recording, None), places=places)
    assert again.published == 0
    assert "ends before where the last run stood" in caplog.messages[0]


def test_what_is_written_while_it_plays_has_settled(broker: Broker, recording: Replay, tmp_path: Path) -> None:
    places, unsettled = Places(JsonFile(tmp_path / "places.json")), list[int]()

    def report(progress: Progress) -> None:
        written = places.read()
        if written and progress.lanes and not progress.done:
            (last,) = written.values()
            unsettled.append(progress.lanes[0].published - int(last.id.rpartition("-")[2] or 0))

    play(broker, Track(recording, 1.0), places=places, report=report)
    # A trade a second: the last ten seconds are never told, and it is written every ten seconds.
    assert min(unsettled[60:1000]) >= 10
    assert max(unsettled[60:1000]) <= 21


def test_a_run_waits_until_what_a_killed_one_sent_is_written(
    broker: Broker, recording: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[str] = []
    monkeypatch.setattr(Reader, "wait_still", lambda _, topic: waited.append(topic))
    play(broker, Track(recording, None))
    # Nobody was killed who had never written.
    assert waited == []
    play(broker, Track(recording, None))
    assert waited == ["raw.trades"]


def test_a_second_run_publishes_nothing_and_knows_the_end(broker: Broker, recording: Replay) -> None:
    first, _, _ = play(broker, Track(recording, None))
    said = list[str]()
    second, _, _ = play(broker, Track(recording, None), say=said.extend)
    assert said == ["tape~replay: nothing is left to publish, all 600 trades were published before"]
    assert second.published == 0
    assert second.done
    assert second.positions == first.positions | second.positions


@pytest.mark.parametrize("stops", [(1,), (100, 250, 251, 599)])
def test_stopped_and_started_again_every_trade_is_there_once(
    broker: Broker, recording: Replay, stops: tuple[int, ...]
) -> None:
    for number in stops:
        stop, time = threading.Event(), Time()

        def sleep(seconds: float, time: Time = time, stop: threading.Event = stop, number: int = number) -> None:
            time.sleep(seconds)
            if len(ids(broker)) >= number:
                stop.set()

        # Ten seconds of recording pass in each round, so that the run stops soon after the wanted number.
        summary, _, _ = play(broker, Track(recording, 2_000.0), clock=time, sleep=sleep, stop=stop)
        assert not summary.done
    play(broker, Track(recording, None))
    found = ids(broker)
    assert len(found) == 600
    assert set(found.values()) == {1}


def test_a_fast_recording_does_not_starve_a_paced_one(broker: Broker, recording: Replay) -> None:
    sim = Simulated(start=5 * MINUTE, symbols=2, rate=100, until=6 * MINUTE)
    summary, told, _ = play(broker, Track(sim, 1.0), Track(recording, None))
    assert summary.done
    lanes = told[-1].lanes
    assert [lane.done for lane in lanes] == [True, True]
    assert lanes[0].published == pytest.approx(6_000, rel=0.1)
    assert lanes[1].published == 600


def test_progress_says_rate_position_and_end(broker: Broker, recording: Replay) -> None:
    _, told, _ = play(broker, Track(recording, 60.0))
    middle = next(p for p in told if p.lanes and 200 < p.lanes[0].published < 500)
    assert middle.rate == pytest.approx(61, rel=0.2)
    assert not middle.done
    assert (middle.lanes[0].position or 0) > T0 * SECOND
    assert told[-1].done
    assert told[-1].lanes[0].total == 600


def test_bars_go_to_their_own_topic(broker: Broker, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("start,open,high,low,close,volume\n" + "".join(f"{i * 60},1,2,1,2,5\n" for i in range(10)))
    broker.topic("raw.bars")
    said = list[str]()
    # The last one comes again: of several that end together some may be missing.
    for published in (10, 1):
        summary, _, _ = play(broker, Track(Replay(path), None), say=said.extend)
        assert summary.published == published
    assert sum(v for (topic, _), v in summary.positions.items() if topic == "raw.bars") == 11
    (words,) = said
    assert words.startswith("bars~replay: nothing of 10 bars is left to publish: ")
    assert words.endswith("another version of the file needs another name, --source NAME=FILE")


def bars_of(path: Path, starts: range) -> Replay:
    """Bars of an hour each at these hours, of the name and symbol of `recording`."""
    rows = "".join(f"{T0 + i * 3600},5,6,4,5,1\n" for i in starts)
    path.write_text("start,open,high,low,close,volume\n" + rows)
    return Replay(path, source="tape", symbol="A")


@pytest.mark.parametrize("order", ["trades first", "bars first", "together"])
def test_trades_and_bars_of_one_name_do_not_take_each_others_places(
    broker: Broker, recording: Replay, tmp_path: Path, order: str
) -> None:
    places, bars, said = Places(JsonFile(tmp_path / "places.json")), bars_of(tmp_path / "bars.csv", range(-2, 3)), []
    broker.topic("raw.bars")
    one, other = Track(recording, None), Track(bars, None)
    runs = {"trades first": [(one,), (other,)], "bars first": [(other,), (one,)], "together": [(one, other)]}[order]
    first = [play(broker, *tracks, places=places, say=said.extend)[0] for tracks in runs]
    assert (sum(run.published for run in first), said) == (605, [])
    # The last bar comes again, of the trades nothing.
    assert [play(broker, *tracks, places=places)[0].published for tracks in [(one, other), (one,)]] == [1, 0]
    assert set(ids(broker).values()) == {1}
    # Ten minutes and the closing ones, as beside no bars.
    assert sum(end for (topic, _), end in ends(broker).items() if topic == "raw.trades") == 600 + 10 + 17


def test_each_kind_goes_on_from_its_own_place_where_the_log_was_trimmed(
    broker: Broker, recording: Replay, tmp_path: Path
) -> None:
    places, emptied = Places(JsonFile(tmp_path / "places.json")), fresh_broker()
    bars = bars_of(tmp_path / "bars.csv", range(5))
    for each in (broker, emptied):
        each.topic("raw.bars")
    play(broker, Track(recording, None), Track(bars, None), places=places)
    again, _, _ = play(emptied, Track(recording, None), Track(bars, None), places=places)
    assert (again.published, ids(emptied)) == (1, Counter())


def test_bars_that_are_passed_over_are_told(broker: Broker, tmp_path: Path) -> None:
    path, said = tmp_path / "bars.csv", list[str]()
    broker.topic("raw.bars")
    for begin in (5, 0):
        lines = [f"{i * 60},1,2,1,2,5\n" for i in range(begin, begin + 10)]
        path.write_text("".join(["start,open,high,low,close,volume\n", *lines]))
        play(broker, Track(Replay(path), None), say=said.extend)
    path.write_text("".join(["start,open,high,low,close,volume\n", *(f"{i * 60},1,2,1,2,5\n" for i in range(20))]))
    play(broker, Track(Replay(path), None), say=said.extend)
    assert [words.partition(" bars")[0] for words in said] == [
        "bars~replay: nothing of 10",
        "bars~replay: 5 of 20",
    ]


def test_while_kafka_takes_nothing_it_waits_and_says_so(broker: Broker, recording: Recording) -> None:
    broker.topic("raw.trades")
    stop, told = threading.Event(), list[Progress]()

    def report(progress: Progress) -> None:
        told.append(progress)
        if sum(bool(p.waiting) for p in told if p.lanes) == 3:
            stop.set()

    deaf = Producer(Connection("127.0.0.1:1", {"queue.buffering.max.messages": 5}), patience_s=0.02)
    playback = Playback([Track(recording, None)], Publisher(deaf), Time(), stop, report)
    with Reader(broker.connection) as reader, pytest.raises(Unavailable, match="not acknowledged 5"):
        playback.run(reader, deadline_s=0.1)
    waiting = [p for p in told if p.lanes]
    assert "Kafka took no record" in waiting[0].waiting
    assert {p.lanes[0].published for p in waiting} == {4}
