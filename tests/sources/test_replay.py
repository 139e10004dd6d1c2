"""Recordings of files: law 3's clock and heartbeats, going on after any stop, and nothing half-done."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparktrends.bars import Limits, judge
from sparktrends.bus.codec import encode
from sparktrends.errors import BadFile
from sparktrends.model import (
    DAY,
    HOUR,
    INTERVALS,
    MINUTE,
    SECOND,
    Coordinates,
    Heartbeat,
    LateTrade,
    ProviderBar,
    Quarantined,
    Status,
    Trade,
    is_replayed,
)
from sparktrends.sources.recording import Event, LastSeen, Series
from sparktrends.sources.replay import GRACE, Replay

T0 = 1_385_337_600 * SECOND  # a whole minute


def write(path: Path, rows: list[tuple[int, str]], extra: str = "") -> Path:
    """Trades at the given microseconds of the given symbols."""
    lines = [f"{ts},{symbol},{100 + i}.10,0.{i + 1}{extra}" for i, (ts, symbol) in enumerate(rows)]
    path.write_text("\n".join(["ts,symbol,price,size", *lines, ""]))
    return path


def seen_in(events: list[Event]) -> dict[Series, LastSeen]:
    """What the log says of each series after these events."""
    seen: dict[Series, LastSeen] = {}
    for event in events:
        series = (event.source, event.symbol)
        before = seen.get(series, LastSeen("", "", 0))
        id_ = event.id if isinstance(event, Trade) else before.id
        seen[series] = LastSeen(id_, "", event.received or 0)
    return seen


def trades(events: list[Event]) -> list[Trade]:
    return [e for e in events if isinstance(e, Trade)]


def beats(events: list[Event]) -> list[Heartbeat]:
    return [e for e in events if isinstance(e, Heartbeat)]


def test_every_digit_of_the_demo_recording_arrives(shared_data: Path) -> None:
    path = shared_data / "market/btcusd_bitstamp_ticks_20131125_1201.csv.gz"
    recording = Replay(path, source="bitstamp", symbol="BTC/USD")
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode())))
    found = trades(list(recording.events({})))
    assert recording.series == (("bitstamp~replay", "BTC/USD"),)
    # Compared as decimals, because some sizes stand there as 1.5e-06.
    assert [(t.ts, t.price, t.size) for t in found] == [
        (int(r["timestamp"]) * SECOND, Decimal(r["price"]), Decimal(r["amount"])) for r in rows
    ]
    assert [t.id for t in found] == [f"{recording.file_id}-{i}" for i in range(1, 100_001)]


def test_the_demo_recording_has_a_heartbeat_for_each_minute(shared_data: Path) -> None:
    path = shared_data / "market/btcusd_bitstamp_ticks_20131125_1201.csv.gz"
    found = beats(list(Replay(path, symbol="BTC/USD").events({})))
    assert [b.ts for b in found] == [T0 + i * MINUTE for i in range(len(found))]
    assert Counter(b.status for b in found) == {Status.OK: 9_603, Status.CLOSED: 17}


def test_real_bars_become_provider_bars(shared_data: Path) -> None:
    recording = Replay(shared_data / "market/equities_1min_20190211_15.csv.gz")
    events = list(recording.events({}))
    assert recording.bars
    assert (len(events), recording.total, len(recording.series)) == (13_639, 13_639, 7)
    first = events[0]
    assert isinstance(first, ProviderBar)
    assert (first.interval, first.symbol, first.open, first.volume) == ("1m", "AAPL", Decimal("171.14"), 619925)
    assert first.received == first.start + MINUTE


def test_the_interval_of_daily_bars_is_inferred(shared_data: Path) -> None:
    recording = Replay(shared_data / "market/equities_daily_20180102_20190215.csv.gz")
    assert {e.interval for e in recording.events({}) if isinstance(e, ProviderBar)} == {"1d"}


def test_the_volume_of_a_bar_is_not_its_worth_in_money(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(
        "start,open,high,low,close,volume,amount,symbol\n"
        "1704153600,10,11,9,10,500,5000,600519\n1704153660,10,11,9,10,7,70,600519\n"
    )
    assert [e.volume for e in Replay(path).events({}) if isinstance(e, ProviderBar)] == [500, 7]
    path.write_text("start,open,high,low,close,amount\n1704153600,10,11,9,10,5\n1704153660,10,11,9,10,7\n")
    assert [e.volume for e in Replay(path).events({}) if isinstance(e, ProviderBar)] == [5, 7]


def test_of_two_columns_that_may_be_the_size_nobody_guesses(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("ts,price,quantity,amount\n1704153600,10,5,50\n")
    with pytest.raises(BadFile, match="amount and quantity: only one can be the size") as refused:
        Replay(path)
    assert "`size`" in (refused.value.hint or "")
    path.write_text("ts,price,size,amount\n1704153600,10,5,50\n")
    assert [t.size for t in trades(list(Replay(path).events({})))] == [5]
    path.write_text("start,open,high,low,close,quantity,amount\n1704153600,10,11,9,10,5,50\n")
    with pytest.raises(BadFile, match="can be the volume"):
        Replay(path)


def test_symbols_that_are_written_as_bytes_stay_two_series(tmp_path: Path) -> None:
    columns = {"time": [1704153600, 1704153601], "price": [1.5, 2.5], "size": [1, 2]}
    path = tmp_path / "x.parquet"
    frame = pl.DataFrame({**columns, "symbol": [b"A", "É".encode()], "id": [b"7", b"7"], "hash": [b"\xff", b"\xfe"]})
    frame.write_parquet(path)
    assert Replay(path).series == (("x~replay", "A"), ("x~replay", "É"))
    frame.with_columns(symbol=pl.lit("A")).write_parquet(path)
    assert Replay(path).total == 1


@pytest.mark.parametrize(
    ("name", "cells"), [("symbol", [["A"], ["B"]]), ("id", [b"\xff", b"\xfe"]), ("Qty", [[1], [2]])]
)
def test_a_column_that_has_no_text_is_not_left_out(tmp_path: Path, name: str, cells: list[object]) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"time": [1704153600] * 2, "price": [1.5] * 2, "size": [1] * 2, name: cells}).write_parquet(path)
    with pytest.raises(BadFile, match=f"the column {name.lower()} holds (List|Binary)"):
        Replay(path)


def test_only_ids_of_rows_say_where_a_recording_stood(tmp_path: Path) -> None:
    recording = Replay(write(tmp_path / "x.csv", [(T0, "A")]))
    assert recording.owns(f"{recording.file_id}-1", "1")
    assert recording.owns("0123456789ab-77", "")
    for other in (
        "",
        "mine",
        "7-1",
        f"{recording.file_id}-x",
        f"{recording.file_id}-²",
        recording.file_id + "-" + "9" * 30,
    ):
        assert not recording.owns(other, "1")


rows_strategy = st.lists(
    st.tuples(st.integers(0, 40 * HOUR).map(lambda t: T0 + t), st.sampled_from(["A", "B", "C"])),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(rows=rows_strategy, cut=st.floats(0, 1), data=st.data())
def test_after_any_stop_exactly_the_rest_follows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]], cut: float, data: st.DataObject
) -> None:
    recording = Replay(write(tmp_path_factory.mktemp("r") / "x.csv", rows))
    events = list(recording.events({}))
    done = events[: int(cut * len(events))]
    assert list(recording.events(seen_in(done))) == events[len(done) :]


days_strategy = st.lists(
    # Minutes and half minutes: rows of one moment, on the very minute and within one, with holes of days between them.
    st.tuples(st.integers(0, 5 * 24 * 60 * 2).map(lambda t: T0 + t * MINUTE // 2), st.sampled_from(["A", "B", "C"])),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(rows=days_strategy, data=st.data())
def test_partitions_that_stopped_at_different_points_lose_and_repeat_nothing(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]], data: st.DataObject
) -> None:
    recording = Replay(write(tmp_path_factory.mktemp("r") / "x.csv", rows))
    events = list(recording.events({}))
    done: list[Event] = []
    for symbol in ("A", "B", "C"):
        own = [e for e in events if e.symbol == symbol]
        done += own[: data.draw(st.integers(0, len(own)))]
    assert Counter([*done, *recording.events(seen_in(done))]) == Counter(events)


@pytest.mark.parametrize("lost", [False, True])
def test_a_partition_that_stopped_before_a_hole_does_not_fill_it(tmp_path: Path, lost: bool) -> None:
    rows = [(T0 + day * DAY + i * MINUTE, symbol) for day in (0, 3) for i in range(390) for symbol in "AB"]
    recording = Replay(write(tmp_path / "x.csv", rows))
    events = list(recording.events({}))
    end = {"A": 0 if lost else T0 + 2 * DAY, "B": T0 + 3 * DAY + 5 * MINUTE}
    done = [e for e in events if (e.received or 0) <= end[e.symbol]]
    found = [*done, *recording.events(seen_in(done))]
    assert Counter(found) == Counter(events)
    assert sum(e.symbol == "A" for e in beats(found)) == 797


@settings(max_examples=60, deadline=None)
@given(rows=rows_strategy)
def test_the_clock_of_a_recording_obeys_law_3(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]]
) -> None:
    events = list(Replay(write(tmp_path_factory.mktemp("r") / "x.csv", rows)).events({}))
    assert all((a.received or 0) <= (b.received or 0) for a, b in pairwise(events))
    largest: dict[str, int] = {}
    for trade in trades(events):
        largest[trade.symbol] = max(largest.get(trade.symbol, 0), trade.ts)
        assert trade.received == largest[trade.symbol]
    assert len(trades(events)) == len(rows)


@settings(max_examples=60, deadline=None)
@given(rows=rows_strategy)
def test_each_symbol_ends_past_the_grace_of_its_last_bar(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]]
) -> None:
    events = list(Replay(write(tmp_path_factory.mktemp("r") / "x.csv", rows)).events({}))
    end = max(ts for ts, _ in rows) // MINUTE * MINUTE + MINUTE
    for symbol in {symbol for _, symbol in rows}:
        last = [b for b in beats(events) if b.symbol == symbol][-1]
        assert last.ts > end + GRACE
        assert last.status is Status.CLOSED


@pytest.mark.parametrize(("offset", "status"), [(0, Status.OK), (1, Status.START), (59 * SECOND, Status.START)])
def test_a_recording_that_begins_within_a_minute_says_so(tmp_path: Path, offset: int, status: Status) -> None:
    events = list(Replay(write(tmp_path / "x.csv", [(T0 + offset, "A"), (T0 + 3 * MINUTE, "A")])).events({}))
    assert [(b.ts, b.status) for b in beats(events)][:4] == [
        (T0 + offset, status),
        *((T0 + i * MINUTE, Status.OK) for i in (1, 2, 3)),
    ]


def test_one_symbol_after_the_other_makes_neither_late(tmp_path: Path) -> None:
    rows = [(T0 + i * HOUR, symbol) for symbol in ("A", "B") for i in range(5)]
    found = trades(list(Replay(write(tmp_path / "x.csv", rows)).events({})))
    assert all(t.received == t.ts for t in found)
    assert [t.symbol for t in found][:4] == ["A", "B", "A", "B"]


@settings(max_examples=60, deadline=None)
@given(rows=rows_strategy, newest_first=st.sets(st.sampled_from("ABC")), cut=st.floats(0, 1))
def test_a_symbol_that_begins_with_its_newest_trade_is_played_from_its_last_row(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]], newest_first: set[str], cut: float
) -> None:
    rows = sorted(rows)
    # Each symbol keeps its places in the file; only what stands there is turned.
    turned = {s: iter([row for row in rows if row[1] == s][:: -1 if s in newest_first else 1]) for s in "ABC"}
    recording = Replay(write(tmp_path_factory.mktemp("r") / "x.csv", [next(turned[symbol]) for _, symbol in rows]))
    events = list(recording.events({}))
    assert all(t.received == t.ts for t in trades(events))
    assert recording.remarks == ()
    done = events[: int(cut * len(events))]
    assert list(recording.events(seen_in(done))) == events[len(done) :]


def test_of_trades_at_one_time_the_last_row_is_the_first(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("ts,price,size\n9,5,1\n9,4,1\n7,3,1\n7,2,1\n")
    recording = Replay(path)
    found = trades(list(recording.events({})))
    assert [(t.ts // SECOND, int(t.price)) for t in found] == [(7, 2), (7, 3), (9, 4), (9, 5)]
    assert [t.id for t in found] == [f"{recording.file_id}-{i}" for i in (1, 2, 3, 4)]


def test_trades_of_one_moment_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("ts,price,size\n7,2,1\n7,3,1\n")
    assert [int(t.price) for t in trades(list(Replay(path).events({})))] == [2, 3]


def test_turned_rows_never_go_on_by_the_numbers_of_an_earlier_release(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", [(T0 + 5, "A"), (T0, "A")])
    before = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    with pytest.raises(BadFile, match="another version"):
        Replay(path).events({("x~replay", "A"): LastSeen(f"{before}-1", "", T0)})


def test_what_is_in_no_order_keeps_it_and_says_how_many_rows_are_late(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    # The third is late by what stands before it, the fourth just not, the fifth is a price update, which never is.
    path.write_text("ts,price,size\n0,1,1\n5000,2,1\n4099,3,1\n4100,4,1\n1,5,0\n2,6,1\n")
    recording = Replay(path)
    assert [int(t.price) for t in trades(list(recording.events({})))] == [1, 2, 3, 4, 5, 6]
    assert recording.remarks == (
        f"{path}: 2 of 6 rows stand more than 15 minutes behind a row before them, the first in line 4: "
        "they are late and in no bar; sort the file by time if that is not how they came in",
    )
    assert Replay(path, grace=2 * HOUR).remarks == ()


def test_a_recording_ends_past_the_grace_that_holds_but_not_in_the_future(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", [(T0, "A")])
    assert beats(list(Replay(path, grace=2 * HOUR).events({})))[-1].ts == T0 + 2 * MINUTE + 2 * HOUR
    first = list(Replay(path, latest=T0 + 5 * MINUTE).events({}))
    assert beats(first)[-1].ts == T0 + 5 * MINUTE
    # A later run closes it.
    later = beats(list(Replay(path, latest=T0 + HOUR).events(seen_in(first))))
    assert later[-1].ts == T0 + 2 * MINUTE + GRACE


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ts,price,size\n5,1,1\n66,1,1\n65,1,1\n4000000000,1,1\n", "line 3: ts (in the future) is '66'"),
        (
            "start,open,high,low,close,volume,interval\n0,1,2,1,2,5,1m\n120,1,2,1,2,5,1m\n",
            "line 3: start (in the future) is '120'",
        ),
    ],
)
def test_a_row_of_the_future_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(BadFile) as caught:
        Replay(path, latest=65 * SECOND)
    assert says in str(caught.value)
    assert Replay(path).total


def test_a_bar_that_has_not_ended_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("start,open,high,low,close,volume,interval\n60,1,2,1,2,5,1m\n0,1,2,1,2,5,1m\n")
    found = Replay(path, latest=65 * SECOND)
    assert [event.start for event in found.events({}) if isinstance(event, ProviderBar)] == [0]
    assert (found.total, found.remarks) == (1, (f"{path}: 1 of 2 bars have not ended and are left out",))
    path.write_text("start,open,high,low,close,volume,interval\n0,1,2,1,2,5,1m\n")
    with pytest.raises(BadFile, match="no bar of"):
        Replay(path, latest=5 * SECOND)


def test_whatever_a_file_may_hold_is_judged_to_be_good(tmp_path: Path) -> None:
    limits, now = Limits(), T0 + DAY
    latest = now + limits.future
    rows = [(latest, "A"), (T0, "A"), (now, "A"), (latest, "B"), (T0, "B")]
    path = write(tmp_path / "x.csv", rows)
    judged = [
        judge(encode(e)[2], Coordinates("raw.trades", 0, 0, now), limits)
        for e in Replay(path, latest=latest).events({})
    ]
    assert not any(isinstance(one, Quarantined) for one in judged)
    assert sum(isinstance(one, LateTrade) for one in judged) == 1


@pytest.mark.parametrize(("minutes", "beaten"), [(DAY // MINUTE, True), (DAY // MINUTE + 1, False)])
def test_a_hole_of_more_than_a_day_has_no_heartbeats(tmp_path: Path, minutes: int, beaten: bool) -> None:
    # As the stream measures one (decision 0004): by the whole minutes in which nothing was recorded.
    before, after = T0 + MINUTE - 1, T0 + MINUTE + minutes * MINUTE
    rows = [(T0, "A"), (before, "A"), (after, "A"), (after + 5 * MINUTE, "A")]
    ok = [b.ts for b in beats(list(Replay(write(tmp_path / "x.csv", rows)).events({}))) if b.status is Status.OK]
    inside = [T0 + MINUTE + i * MINUTE for i in range(minutes if beaten else 0)]
    assert ok == [T0, *inside, *(after + i * MINUTE for i in range(6))]


@pytest.mark.parametrize("names", [("x", "x~replay"), ("a~b", "a.b"), ("x" * 60, "x" * 60 + "y")])
def test_two_sources_that_would_be_called_the_same_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    rows = "".join(f"{n},2,3,{name}\n" for n, name in enumerate(names, 1))
    (tmp_path / "x.csv").write_text("ts,price,size,source\n" + rows)
    with pytest.raises(BadFile, match="would both be called"):
        Replay(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("name", "header", "source"),
    [
        ("my trades.csv", "ts,price,size\n", "my_trades~replay"),
        ("x.csv", "ts,price,size,source\n", "kraken~replay"),
    ],
)
def test_the_source_is_labelled(tmp_path: Path, name: str, header: str, source: str) -> None:
    (tmp_path / name).write_text(header + ("1,2,3,kraken\n" if "source" in header else "1,2,3\n"))
    [(found, _)] = Replay(tmp_path / name).series
    assert found == source
    assert is_replayed(found)


def test_a_row_with_a_repeated_id_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("ts,price,size,id\n1,2,3,a\n2,2,3,b\n3,9,9,a\n")
    recording = Replay(path)
    assert [str(t.price) for t in trades(list(recording.events({})))] == ["2", "2"]
    assert recording.total == 2


def test_rows_without_an_id_do_not_repeat_each_other(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('ts,price,size,id\n1,2,3,\n2,3,3,\n3,4,3,""\n4,5,3,a\n5,6,3,a\n')
    assert [str(t.price) for t in trades(list(Replay(path).events({})))] == ["2", "3", "4", "5"]


def test_the_id_is_of_the_contents_however_packed(tmp_path: Path) -> None:
    plain = write(tmp_path / "x.csv", [(T0, "A")])
    (tmp_path / "y.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert Replay(plain).file_id == Replay(tmp_path / "y.csv.gz").file_id


def test_another_version_of_the_file_is_not_mixed_in(tmp_path: Path) -> None:
    old = Replay(write(tmp_path / "x.csv", [(T0, "A")]))
    seen = seen_in(list(old.events({})))
    new = Replay(write(tmp_path / "x.csv", [(T0, "A"), (T0 + 1, "A")]))
    with pytest.raises(BadFile, match="another version"):
        new.events(seen)


def bars(path: Path, rows: list[tuple[str, str, int]]) -> Path:
    """Bars of the given symbol, interval and start in minutes; the volume is the row's number."""
    lines = [f"{symbol},{interval},{start * 60},1,2,1,2,{i}" for i, (symbol, interval, start) in enumerate(rows)]
    path.write_text("\n".join(["symbol,interval,start,open,high,low,close,volume", *lines, ""]))
    return path


FIVE = [("A", "1m", i) for i in range(10)] + [("A", "5m", 0), ("A", "5m", 5), ("B", "1m", 4), ("B", "5m", 0)]


@pytest.mark.parametrize("rows", [FIVE, FIVE[::-1], [("A", "1m", i) for i in range(10)][::-1], FIVE[::2] + FIVE[1::2]])
def test_bars_in_any_order_are_all_there_wherever_the_run_stops(
    tmp_path: Path, rows: list[tuple[str, str, int]]
) -> None:
    recording = Replay(bars(tmp_path / "x.csv", rows))
    events = [e for e in recording.events({}) if isinstance(e, ProviderBar)]
    assert len(events) == len(rows)
    assert [e.received for e in events] == sorted(e.start + INTERVALS[e.interval] for e in events)
    for cut in range(len(events) + 1):
        seen = seen_in(list(events[:cut]))
        after = list(recording.events(seen))
        # What ends with the last of its series comes again; nothing else does, and nothing is left out.
        again = [e for e in events[:cut] if e.received == seen[e.source, e.symbol].received]
        assert after == [e for e in events if e in again or e in events[cut:]]
        assert recording.left(seen) <= len(after)
    assert recording.left(seen_in(list(events))) == 0


@pytest.mark.parametrize("way", [1, -1])
def test_bars_of_series_that_stopped_at_different_places_are_all_there(tmp_path: Path, way: int) -> None:
    recording = Replay(bars(tmp_path / "x.csv", FIVE[::way]))
    events = list(recording.events({}))
    own = {name: [e for e in events if e.symbol == name] for name in "AB"}
    for a in range(len(own["A"]) + 1):
        for b in range(len(own["B"]) + 1):
            done = own["A"][:a] + own["B"][:b]
            after = list(recording.events(seen_in(done)))
            assert {id(e) for e in events} == {id(e) for e in events if e in done or e in after}


def test_of_two_bars_for_one_key_the_last_line_counts(tmp_path: Path) -> None:
    events = list(Replay(bars(tmp_path / "x.csv", [("A", "1m", 5), ("A", "1m", 4), ("A", "1m", 5)])).events({}))
    assert [int(e.volume) for e in events if isinstance(e, ProviderBar)] == [1, 0, 2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time,cost\n1,2\n", "has the columns time, cost, but none named price"),
        ("ts,price,size\n1,2,3\n2,x,3\n3,2,3\n", "line 3: price is 'x'; nothing was published"),
        ("ts,price,size\n1,2,3\n2,2,-3\n", "line 3: size is '-3'"),
        ("ts,price,size\n1,2\n", "line 2: size is None"),
        ("ts,price,size\n", "holds no rows"),
        ("start,open,high,low,close,volume\n", "holds no rows"),
        (
            "start,open,high,low,close,volume,interval\n61,1,2,1,2,5,1m\n",
            "start (not that of a minute) is '61'",
        ),
        ("ts,price,size,symbol\n1,2,3,A\n1,2,3,\n", "line 3: symbol is ''"),
        ("start,open,high,low,close,volume\n0,1,2,1,2,5\n60,1,2,3,2,5\n", "line 3: high_low_contradiction"),
        ("start,open,high,low,close,volume\n0,1,2,1,2,5\n7,1,2,1,2,5\n", "none of 1m, 5m, 15m, 1h, 1d"),
    ],
)
def test_what_cannot_be_replayed_says_why(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(BadFile) as caught:
        Replay(path)
    assert says in str(caught.value)
