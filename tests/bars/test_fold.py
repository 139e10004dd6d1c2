from __future__ import annotations

import json

from sparktrends.bars import RAW_BARS, RAW_TRADES, Fold, Limits, fold_records
from sparktrends.model import MINUTE, Coordinates, SeriesMark, Statuses

BASE = {"source": "s", "symbol": "A", "price": "2", "size": "1"}
ONE = 10**18


def record(now, offset, topic=RAW_TRADES, partition=0, **changes):
    arrival = now + 90_000_000
    return json.dumps(BASE | {"ts": now} | changes).encode(), Coordinates(topic, partition, offset, arrival)


def test_trades_of_a_minute_make_one_bar(now):
    changes = [("3", 2), ("5", 1), ("1", 3), ("4", 59_999_999)]
    records = [record(now, i, price=price, ts=now + ts, size="0.5") for i, (price, ts) in enumerate(changes)]
    (bar,) = fold_records(records, Limits()).bars
    assert (bar.open, bar.high, bar.low, bar.close) == (5 * ONE, 5 * ONE, ONE, 4 * ONE)
    assert (bar.volume, bar.turnover, bar.trades) == (2 * ONE, 13 * ONE * ONE // 2, 4)
    assert (bar.start, bar.open_at, bar.close_at) == (now, (now + 1, 0, 1), (now + 59_999_999, 0, 3))
    assert bar.after_final == 4


def test_of_one_moment_partition_and_offset_decide(now):
    records = [record(now, 9, price="1"), record(now, 2, partition=1, price="2"), record(now, 3, price="3")]
    (bar,) = fold_records(records, Limits()).bars
    assert (bar.open, bar.close) == (3 * ONE, 2 * ONE)


def test_a_volume_only_trade_counts_but_moves_no_price(now):
    limits = Limits(volume_only=(("s", frozenset({"W"})),))
    wick = record(now, 1, price="99", conditions=["W"])
    (bar,) = fold_records([wick], limits).bars
    assert (bar.open, bar.high, bar.close_at, bar.trades, bar.turnover) == (None, None, None, 1, 99 * ONE * ONE)
    (bar,) = fold_records([wick, record(now, 2)], limits).bars
    assert (bar.open, bar.high, bar.trades) == (2 * ONE, 2 * ONE, 2)


def test_heartbeats_mark_their_minute(now):
    beats = [record(now, i, kind="heartbeat", status=status) for i, status in enumerate(["ok", "stale", "ok"])]
    result = fold_records(beats, Limits())
    assert [(bar.statuses, bar.trades, bar.open) for bar in result.bars] == [(Statuses.OK | Statuses.STALE, 0, None)]
    assert result.marks == (SeriesMark("s", "A", now + 90_000_000),)


def test_a_closed_exchange_has_spans_and_no_rows(now):
    beats = [record(now, i, kind="heartbeat", status="closed", ts=now + i * MINUTE) for i in range(2)]
    result = fold_records(beats, Limits())
    assert result.bars == ()
    assert result.marks[0].closed == ((now, now + 2 * MINUTE),)


def test_late_heartbeats_move_the_clock_only(now):
    beats = [record(now, i, kind="heartbeat", status=s, ts=now - 10**10) for i, s in enumerate(["stale", "closed"])]
    result = fold_records(beats, Limits())
    assert (result.bars, result.marks) == ((), (SeriesMark("s", "A", now + 90_000_000),))


def test_late_trades_and_bad_records_move_no_clock(now):
    result = fold_records([record(now, 1, ts=now - 10**10), (b"?", record(now, 2)[1])], Limits())
    assert (result.bars, result.marks, len(result.late), len(result.quarantined)) == ((), (), 1, 1)


def test_every_record_is_counted_once(now):
    fields = [{}, {"size": 0}, {"kind": "heartbeat"}, {"ts": now - 10**10}, {"price": -1}]
    records = [record(now, i, **change) for i, change in enumerate(fields)]
    bar = {"interval": "1m", "start": now, "open": 1, "high": 1, "low": 1, "close": 1, "volume": 0}
    records.append(record(now, 0, RAW_BARS, **bar))
    bars, trades = fold_records(records, Limits()).counts
    assert (trades.trades, trades.prices, trades.heartbeats, trades.late, trades.quarantined) == (1, 1, 1, 1, 1)
    assert (bars.topic, bars.bars, bars.records, trades.records) == (RAW_BARS, 1, 1, 5)


def test_payloads_are_bounded_while_folding(now):
    fold = Fold(Limits(payloads=150_000))
    for offset in range(5):
        fold.add(b"x" * 70_000, Coordinates(RAW_TRADES, offset % 2, offset, now))
    kept = [len(bad.payload) for bad in fold.result().quarantined]
    assert kept == [65_536, 65_536, 0, 65_536, 65_536]
    assert {bad.size for bad in fold.result().quarantined} == {70_000}
