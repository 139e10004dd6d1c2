"""The memory at the door, and finding in the log where an earlier run stopped."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from librdkafka_broker import Broker
from sparktrends.bus.codec import encode
from sparktrends.bus.kafka import Producer, Reader
from sparktrends.ingest import dedupe
from sparktrends.ingest.dedupe import Door, Known, Numbers, last_seen, recall
from sparktrends.model import Heartbeat, Trade
from sparktrends.sources.recording import Event, LastSeen

ONE = Decimal(1)


def trade(source: str, symbol: str, number: int, price: str = "1") -> Trade:
    return Trade(source, symbol, number, Decimal(price), ONE, f"f-{number}", number)


def publish(broker: Broker, events: list[Event], junk: tuple[bytes, ...] = ()) -> None:
    producer = Producer(broker.connection)
    for event in events:
        producer.send(*encode(event))
    for value in junk:
        producer.send("raw.trades", "A", value)
    producer.flush()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 50).map(str)), max_size=300))
def test_each_id_of_a_series_passes_once(records: list[tuple[str, str, str]]) -> None:
    door = Door()
    passed = [record for record in records if door.admit(*record)]
    assert passed == list(dict.fromkeys(records))


def test_records_without_an_id_always_pass() -> None:
    door = Door()
    assert door.admit("a", "x", "")
    assert door.admit("a", "x", "")


def test_what_could_not_be_sent_may_try_again() -> None:
    door = Door()
    door.admit("a", "x", "1")
    door.forget("a", "x", "1")
    assert door.admit("a", "x", "1")


def test_memory_is_bounded_and_keeps_the_newest() -> None:
    door = Door(capacity=2_000)
    for number in range(100_000):
        door.admit("a", "x", str(number))
    held = sum(len(s) for generation in (door._young, door._old) for s in generation.values())
    assert held <= 2_000
    assert not any(door.admit("a", "x", str(number)) for number in range(99_500, 100_000))


def test_a_busy_series_does_not_push_out_a_quiet_one() -> None:
    door = Door(capacity=2_000)
    door.admit("a", "quiet", "1")
    for number in range(50_000):
        door.admit("a", "busy", str(number))
    assert not door.admit("a", "quiet", "1")


def test_the_door_learns_from_the_log(broker: Broker) -> None:
    publish(broker, [trade("a", "A", i) for i in range(50)], junk=(b"\xff", b"[]", b'{"id":"1"}', b'{"source":1}'))
    door = Door()
    with Reader(broker.connection) as reader:
        assert recall(door, reader, "raw.trades").learnt == 50
    assert not door.admit("a", "A", "f-49")
    assert door.admit("a", "A", "f-50")


def test_what_is_missing_in_the_log_is_found_and_nothing_absurd() -> None:
    numbers, day = Numbers({"x"}), 86_400_000_000
    told = [(5, 0), (8, 1), (12, day + 5), (15, day + 6), (15, day + 6), (10**15, day + 7), (2, -1)]
    for id_, ts in told:
        numbers.add({"source": "x", "symbol": "A", "id": str(id_), "ts": ts})
    for other in (
        {"source": "y"},
        {"id": "seven"},
        {"id": "9" * 20},
        {"id": "²"},
        {"id": 7},
        {"kind": "price"},
        {"ts": "5"},
        {"id": None},
    ):
        numbers.add({"source": "x", "symbol": "A", "id": "900", "ts": day, **other})
    assert numbers.of(("x", "A"), since=1) == Known([2, 5, 8, 12, 15, 15, 10**15], 5, [(13, 15)])
    assert numbers.of(("x", "A"), since=0).holes == [(9, 12), (13, 15)]
    assert numbers.of(("x", "B"), since=0) == Known()


def test_between_what_was_fetched_late_and_the_tail_nothing_is_missing() -> None:
    """It lies in the log before the tail; fetched once more it would be there twice, for no door remembers so much."""
    numbers = Numbers({"x"})
    for id_, fill in ((9 * 10**18, False), (5_000, False), (1_000, True), (1_001, True), (5_001, False), (5_004, True)):
        numbers.add({"source": "x", "symbol": "A", "id": str(id_), "ts": 5, "fill": fill})
    known = numbers.of(("x", "A"), since=0)
    assert (known.first, known.holes) == (5_000, [(5_002, 5_004)])
    numbers.add({"source": "x", "symbol": "B", "id": "7", "ts": 5, "fill": True})
    assert numbers.of(("x", "B"), since=0) == Known([7])


def test_a_few_ids_that_are_far_from_all_others_are_no_run() -> None:
    numbers = Numbers({"x"})
    for id_ in (4_213_371, 4_213_400, *range(3_500_000_000, 3_500_000_010), 9 * 10**18):
        numbers.add({"source": "x", "symbol": "A", "id": str(id_), "ts": 5})
    known = numbers.of(("x", "A"), since=0)
    assert (known.first, known.holes, len(known.ids)) == (3_500_000_000, [], 13)


def test_the_last_of_each_series_is_found(broker: Broker) -> None:
    events: list[Event] = [trade("a~replay", s, i, f"{i}.50") for i in range(10) for s in ("A", "B", "C")]
    publish(broker, [*events, Heartbeat("a~replay", "B", 60, received=60), trade("b", "A", 99)])
    with Reader(broker.connection) as reader:
        seen = last_seen(reader, "raw.trades", {("a~replay", "A"), ("a~replay", "B"), ("a~replay", "never")})
    assert seen.series == {
        ("a~replay", "A"): LastSeen("f-9", "9.50", 9),
        ("a~replay", "B"): LastSeen("f-9", "9.50", 60),
    }
    assert sum(seen.ends.values()) == 32


def test_it_reads_back_only_as_far_as_needed(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedupe, "_CHUNK", 10)
    publish(broker, [trade("a", "A", i) for i in range(200)])
    told: list[str] = []
    with Reader(broker.connection) as reader:
        last_seen(reader, "raw.trades", {("a", "A")}, told.append)
        assert len(told) == 1
        last_seen(reader, "raw.trades", {("a", "A"), ("a", "never")}, told.append)
    assert len(told) == 21


def test_what_was_recalled_is_not_read_again(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedupe, "_CHUNK", 10)
    trades: list[Event] = [trade("b", "A", 1), *(trade("a", "A", i) for i in range(200))]
    publish(broker, [*trades, Heartbeat("a", "A", 300, received=300)])
    told: list[str] = []
    with Reader(broker.connection) as reader:
        recalled = recall(Door(), reader, "raw.trades", 180, {("a", "A"), ("b", "A")})
        assert recalled.found == {("a", "A"): LastSeen("f-199", "1", 300)}
        assert last_seen(reader, "raw.trades", {("a", "A")}, told.append, recalled=recalled).series == recalled.found
        assert told == []
        deeper = last_seen(reader, "raw.trades", {("a", "A"), ("b", "A")}, told.append, recalled=recalled)
    assert (len(told), deeper.series) == (3, {**recalled.found, ("b", "A"): LastSeen("f-1", "1", 1)})


def test_heartbeats_alone_do_not_hide_the_last_trade(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedupe, "_CHUNK", 10)
    beats: list[Event] = [Heartbeat("a", "A", i, received=i) for i in range(100, 150)]
    publish(broker, [trade("a", "A", 5), *beats])
    with Reader(broker.connection) as reader:
        seen = last_seen(reader, "raw.trades", {("a", "A")})
    assert seen.series == {("a", "A"): LastSeen("f-5", "1", 149)}


def test_of_sources_that_do_not_go_on_by_id_any_record_will_do(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedupe, "_CHUNK", 10)
    publish(broker, [trade("b", "B", i) for i in range(100)] + [Heartbeat("a", "A", 200, received=200)])
    told: list[str] = []
    with Reader(broker.connection) as reader:
        seen = last_seen(reader, "raw.trades", {("a", "A")}, told.append, unnumbered={"a"})
    assert (len(told), seen.series["a", "A"].received) == (1, 200)
