"""The audit agrees with a right database, and finds whatever is altered, dropped or doubled in it."""

# ruff: noqa: S608 - statements of this file, put together from its own constants
from __future__ import annotations

import gc
import hashlib
import importlib
import json
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from audit.conftest import JUNK, SECOND, H, T, event
from sparktrends import audit
from sparktrends.audit.log import LogAudit
from sparktrends.errors import LogGap
from sparktrends.store.audit_queries import Snapshot
from sparktrends.store.ledger import PartitionLog, open_ledger

pytestmark = pytest.mark.e2e

BTC = "WHERE series = 1 AND interval = '1m' AND start = '2024-01-01 00:00+00'"
EVERY_BTC = "WHERE series = 1 AND start = '2024-01-01 00:00+00'"  # the minute, and the bars of all intervals from it


def run(world: Any) -> audit.Report:
    return audit.run(world.log, world.database)


def test_a_right_database_has_no_findings(world: Any) -> None:
    report = run(world)
    assert report.findings == ()
    assert report.ok
    assert report.bars_checked == 9
    assert report.longer_bars_checked == 8
    assert report.provider_bars_checked == 1
    assert report.unchecked == {}
    assert report.checked_from == {"raw.trades": None, "raw.bars": None}
    assert "every bar is right" in report.text()
    expected = {"trades": 7, "prices": 1, "heartbeats": 5, "bars": 3, "late": 1, "quarantined": 1}
    assert report.counts == expected


@pytest.mark.parametrize(
    ("kind", "sql"),
    [
        # altered
        ("bar", f"UPDATE core.bars SET close = close + 1e-18 {BTC}"),
        ("bar", f"UPDATE core.bars SET open = 101 {BTC}"),
        ("bar", f"UPDATE core.bars SET high = 103 {BTC}"),
        ("bar", f"UPDATE core.bars SET low = 98 {BTC}"),
        ("bar", f"UPDATE core.bars SET volume = volume + 1e-30 {BTC}"),
        ("bar", f"UPDATE core.bars SET turnover = turnover - 1e-36 {BTC}"),
        ("bar", f"UPDATE core.bars SET vwap = vwap + 1e-18 {BTC}"),
        ("bar", f"UPDATE core.bars SET vwap = NULL {BTC}"),
        ("bar", f"UPDATE core.bars SET trades = 5 {BTC}"),
        ("bar", f"UPDATE core.bars SET after_final = 0 {BTC}"),
        ("bar", f"UPDATE core.bars SET statuses = 1 {BTC}"),
        ("bar", f"UPDATE core.bars SET state = 'final' {BTC}"),
        ("bar", f"UPDATE core.bars SET reason = 'throttled' {BTC}"),
        ("bar", f"UPDATE core.bars SET open_offset = 1 {BTC}"),
        ("bar", f"UPDATE core.bars SET close_ts = close_ts + 1 {BTC}"),
        ("bar", "UPDATE core.bars SET reason = 'no_trade' WHERE start = '2024-01-01 00:03+00'"),
        ("bar", f"UPDATE core.bars SET start = '2024-01-01 00:00:30+00' {BTC}"),
        ("bar", "UPDATE core.bars SET close = close + 1e-18 WHERE interval = '1h' AND series = 1"),
        ("bar", "UPDATE core.bars SET state = 'final' WHERE interval = '1d' AND series = 1"),
        ("bar", "UPDATE core.bars SET statuses = 1 WHERE interval = '5m' AND series = 1"),
        ("provider bar", "UPDATE core.provider_bars SET close = 11"),
        ("provider bar", "UPDATE core.provider_bars SET turnover = NULL"),
        ("provider bar", "UPDATE core.provider_bars SET closed = false"),
        ("provider bar", "UPDATE core.provider_bars SET log_offset = 2"),
        ("state", "UPDATE core.series_state SET clock = clock + 1 WHERE series = 1"),
        ("state", "UPDATE core.series_state SET first_minute = NULL WHERE series = 1"),
        ("state", "UPDATE core.series_state SET last_minute = last_minute - 60000000 WHERE series = 2"),
        ("late trade", "UPDATE core.late_trades SET price = 50.5"),
        ("late trade", "UPDATE core.late_trades SET series = 2"),
        ("late trade", "UPDATE core.late_trades SET conditions = '{}'"),
        ("late trade", "UPDATE core.late_trades SET topic_id = 'other'"),
        ("quarantine", "UPDATE core.quarantine SET payload = 'x'"),
        ("quarantine", "UPDATE core.quarantine SET payload = ''"),
        ("quarantine", "UPDATE core.quarantine SET size = size + 1"),
        ("quarantine", "UPDATE core.quarantine SET log_offset = 4"),
        ("gap", "UPDATE core.gaps SET to_at = to_at + interval '1 minute' WHERE reason = 'hole'"),
        ("gap", "UPDATE core.gaps SET reason = 'hole' WHERE reason = 'closed'"),
        ("ledger", "UPDATE core.ledger SET records = 11, trades = 6 WHERE partition = 0 AND topic = 'raw.trades'"),
        ("ledger", "UPDATE core.ledger SET late = 2, quarantined = 0 WHERE partition = 0 AND topic = 'raw.trades'"),
        ("log", "UPDATE core.ledger SET next_offset = 11 WHERE partition = 0 AND topic = 'raw.trades'"),
        # dropped
        ("bar", f"DELETE FROM core.bars {BTC}"),
        ("bar", "DELETE FROM core.bars WHERE start = '2024-01-01 00:04+00'"),
        ("bar", "DELETE FROM core.bars WHERE interval = '15m' AND series = 2"),
        ("provider bar", "DELETE FROM core.provider_bars"),
        ("state", "DELETE FROM core.series_state WHERE series = 2"),
        ("late trade", "DELETE FROM core.late_trades"),
        ("quarantine", "DELETE FROM core.quarantine"),
        ("gap", "DELETE FROM core.gaps WHERE reason = 'closed'"),
        # doubled, or from nowhere
        ("bar", "INSERT INTO core.bars SELECT series, '5m', start + interval '5 minutes', open, high, low, close, "
         "volume, turnover, vwap, trades, after_final, statuses, state, reason, open_ts, open_partition, open_offset, "
         "close_ts, close_partition, close_offset, now() FROM core.bars WHERE interval = '5m'"),
        ("gap", "INSERT INTO core.gaps VALUES (1, '2024-01-01', '2024-01-02', 'hole')"),
        ("state", "WITH s AS (INSERT INTO core.series (source, symbol) VALUES ('x', 'y') RETURNING id) "
         "INSERT INTO core.series_state SELECT id, 1, 5 FROM s"),
        ("quarantine", "INSERT INTO core.quarantine SELECT topic, topic_id, partition, 6, reason, appended, size, "
         "sha256, payload FROM core.quarantine"),
        ("late trade", "INSERT INTO core.late_trades SELECT topic, topic_id, partition, 9, series, ts, arrival, "
         "appended, price, size, trade_id FROM core.late_trades"),
    ],
)  # fmt: skip
def test_whatever_is_wrong_is_found(world: Any, kind: str, sql: str) -> None:
    assert world.connection.execute(sql).rowcount > 0
    report = run(world)
    assert not report.ok
    assert report.findings_by_kind[kind] >= 1, report.text()
    assert report.findings[0].key in report.text()


@pytest.mark.parametrize("table", ["bars", "provider_bars", "late_trades", "quarantine"])
def test_a_row_that_is_there_twice_is_found(world: Any, table: str) -> None:
    world.connection.execute(f"ALTER TABLE core.{table} DROP CONSTRAINT {table}_pkey")
    doubled = world.connection.execute(f"INSERT INTO core.{table} SELECT * FROM core.{table}").rowcount
    assert run(world).findings_total == doubled > 0


def test_a_series_that_is_not_stored_is_one_finding(world: Any) -> None:
    for table in ("gaps", "series_state", "bars", "provider_bars"):
        world.connection.execute(f"DELETE FROM core.{table} WHERE series = 2")
    world.connection.execute("DELETE FROM core.series WHERE id = 2")
    assert run(world).findings_by_kind == {"series": 1}


def test_a_forming_minute_that_no_view_shows_need_not_be_there(world: Any) -> None:
    world.connection.execute("UPDATE core.series_state SET last_minute = last_minute WHERE series = 1")
    world.connection.execute("DELETE FROM core.bars WHERE start = '2024-01-01 00:06+00'")
    assert run(world).findings_by_kind == {"bar": 1}, "this one was touched by a heartbeat, so it must be there"


def test_what_the_stream_has_not_folded_yet_is_no_finding(world: Any) -> None:
    world.log.append("raw.trades", 0, b"later", 0)
    report = run(world)
    assert report.ok
    assert report.spans[1].waiting == 1
    assert "1 after it not folded yet" in report.text()


def test_a_repeated_id_is_counted_and_named(world: Any) -> None:
    held = world.log.records["raw.trades", 0]
    held.append(held[0]._replace(offset=10))
    world.connection.execute(
        "UPDATE core.ledger SET next_offset = 11, records = 11, trades = 6 WHERE partition = 0 AND topic = 'raw.trades'"
    )
    world.connection.execute(
        f"UPDATE core.bars SET trades = 5, volume = 5.6, turnover = 559.95, vwap = 99.991071428571428571 {EVERY_BTC}"
    )
    report = run(world)
    assert report.findings == ()
    assert (report.repeated_ids, report.repeated_examples) == (1, ("raw.trades[0]@10",))
    assert not report.ok


REMOVED = "INSERT INTO core.repeats VALUES ('raw.trades', 'one', 0, %s, 1, '2024-01-02')"


def test_a_repeat_that_repair_left_out_is_no_fault(world: Any) -> None:
    held = world.log.records["raw.trades", 0]
    held.append(held[0]._replace(offset=10))
    world.connection.execute(
        "UPDATE core.ledger SET next_offset = 11, records = 11, trades = 6 WHERE partition = 0 AND topic = 'raw.trades'"
    )
    world.connection.execute(REMOVED, (10,))
    report = run(world)
    assert report.ok
    assert (report.repeated_ids, report.repeats_removed) == (0, 1)
    assert "repair left them out" in report.text()


def test_only_what_repeats_may_be_left_out(world: Any) -> None:
    world.connection.execute(REMOVED, (0,))
    assert run(world).findings_by_kind["repeat"] == 1


@pytest.mark.parametrize("low", [1, 11])
def test_what_was_left_out_is_no_fault_when_the_log_is_trimmed(world: Any, low: int) -> None:
    # Gone is what was repeated, or the repeat too.
    test_a_repeat_that_repair_left_out_is_no_fault(world)
    world.log.low["raw.trades", 0] = low
    report = run(world)
    assert report.findings == ()
    assert report.unchecked["records left out by repair"] == 1


def test_bars_in_the_archive_are_counted_as_unchecked(world: Any) -> None:
    world.connection.execute("DELETE FROM core.bars WHERE interval = '1m'")
    world.connection.execute("DELETE FROM core.provider_bars")
    assert set(run(world).findings_by_kind) == {"bar", "provider bar"}
    world.connection.execute(
        "INSERT INTO core.archived SELECT t, i, '2024-01-01', now() "
        "FROM unnest(ARRAY['bars', 'provider_bars']) t, unnest(ARRAY['1m', '1d']) i"
    )
    report = run(world)
    assert report.findings == ()
    assert report.unchecked["archived bars"] > 1


def test_a_recording_is_never_in_the_archive(world: Any) -> None:
    # Retention leaves what somebody plays back where it is, whatever else it takes out of the month.
    for held in world.log.records.values():
        held[:] = [record._replace(value=record.value.replace(b"~sim", b"~replay")) for record in held]
    world.connection.execute("UPDATE core.series SET source = 'demo~replay'")
    assert run(world).findings == ()
    world.connection.execute("INSERT INTO core.archived VALUES ('bars', '1m', '2024-01-01', now())")
    world.connection.execute("DELETE FROM core.bars WHERE interval = '1m'")
    report = run(world)
    assert report.findings_by_kind == {"bar": 9}
    assert "archived bars" not in report.unchecked


def test_payloads_that_a_flood_left_no_room_for_are_no_fault(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.connection.execute("UPDATE core.quarantine SET payload = ''")
    # The room of a batch is shared by the three partitions of this ledger.
    monkeypatch.setattr("sparktrends.audit.log.BATCH_PAYLOADS", 3 * len(JUNK))
    assert run(world).findings_by_kind == {"quarantine": 1}
    monkeypatch.setattr("sparktrends.audit.log.BATCH_PAYLOADS", 3 * len(JUNK) - 1)
    assert run(world).findings == ()


def test_bad_records_that_were_trimmed_had_their_share_of_the_room(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.log.append("raw.trades", 0, JUNK, H_PLUS_10)
    world.log.low["raw.trades", 0] = 10
    world.connection.execute(
        "UPDATE core.ledger SET next_offset = 11, records = 11, quarantined = 2 "
        "WHERE partition = 0 AND topic = 'raw.trades'"
    )
    world.connection.execute(
        "INSERT INTO core.quarantine SELECT topic, topic_id, partition, 10, reason, %s, size, sha256, '' "
        "FROM core.quarantine",
        (H_PLUS_10,),
    )
    assert run(world).findings_by_kind == {"quarantine": 1}
    monkeypatch.setattr("sparktrends.audit.log.BATCH_PAYLOADS", 3 * len(JUNK))
    assert run(world).findings == ()


RESTORED = """
INSERT INTO core.restored SELECT t, i, '2023-01-01', now()
FROM unnest(ARRAY['bars', 'provider_bars', 'late_trades', 'quarantine']) t, unnest(ARRAY['1m', '']) i
"""


def test_rows_that_were_restored_from_another_homes_archive_are_counted_as_unchecked(world: Any) -> None:
    run_sql = world.connection.execute
    run_sql("SELECT core.ensure_month(t, '2023-01-01') FROM unnest(ARRAY['bars', 'provider_bars']) t")
    run_sql("CREATE TEMPORARY TABLE again AS SELECT * FROM core.bars WHERE interval = '1m'")
    run_sql("UPDATE again SET start = start - interval '365 days'")
    run_sql("INSERT INTO core.bars TABLE again")
    run_sql("UPDATE core.provider_bars SET start = start - interval '365 days'")
    for table in ("late_trades", "quarantine"):
        run_sql(f"UPDATE core.{table} SET topic_id = 'old', appended = appended - 365 * 86400000000")
    before = run(world).findings_by_kind
    run_sql(RESTORED)
    report = run(world)
    # What is not there is found as before.
    found = {kind: before[kind] - report.findings_by_kind.get(kind, 0) for kind in before}
    assert found == {"bar": 9, "provider bar": 1, "late trade": 1, "quarantine": 1}
    assert report.unchecked == {"restored rows": 12}
    # A recording is never archived.
    run_sql("UPDATE core.series SET source = 'demo~replay' WHERE id = 1")
    assert run(world).unchecked["restored rows"] == 12 - 7


def test_rows_whose_records_were_trimmed_are_counted_as_unchecked(world: Any) -> None:
    world.log.low["raw.trades", 1] = 4
    world.log.low["raw.trades", 0] = 10
    world.connection.execute(f"UPDATE core.bars SET close = 1 {BTC}")
    report = run(world)
    assert report.findings == ()
    assert report.unchecked["late trades"] == report.unchecked["quarantined records"] == 1
    assert report.unchecked["minutes"] == 9
    assert sum(span.trimmed for span in report.spans) == 14
    assert report.checked_from == {"raw.trades": "2024-01-02T01:05:00+00:00", "raw.bars": None}
    assert "every bar" not in report.text()


def test_rows_of_a_time_that_was_trimmed_are_counted_and_not_fetched(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[Any] = []

    def counted(rows: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def of(*args: Any) -> Iterator[Any]:
            for row in rows(*args):
                fetched.append(row)
                yield row

        return of

    for name in ("bars", "provider_bars"):
        monkeypatch.setattr(Snapshot, name, counted(getattr(Snapshot, name)))
    assert run(world).unchecked == {}
    assert len(fetched) == 9 + 8 + 1
    fetched.clear()
    # What was last appended to partition 0 lies at 00:17: only the minute of a day later is compared.
    world.log.low.update({("raw.trades", 0): 10, ("raw.trades", 1): 3, ("raw.bars", 0): 3})
    report = run(world)
    assert report.findings == ()
    assert {kind: report.unchecked[kind] for kind in ("minutes", "longer bars", "provider bars")} == {
        "minutes": 8, "longer bars": 8, "provider bars": 1,
    }  # fmt: skip
    assert report.bars_checked == len(fetched) == 1


def test_a_bar_of_before_1970_is_one_too_many(world: Any) -> None:
    world.connection.execute("SELECT core.ensure_month('bars', '1969-12-01')")
    world.connection.execute(f"UPDATE core.bars SET start = '1969-12-31 23:59+00' {BTC}")
    assert run(world).findings_by_kind["bar"] == 2


def test_what_lies_after_the_trimmed_part_is_still_checked(world: Any) -> None:
    # A later trade on partition 1 whose minute no trimmed record can have touched.
    later = H_PLUS_10
    world.log.append("raw.trades", 1, trade(later), later)
    world.log.append("raw.trades", 1, trade(later + 10 * 60_000_000), later + 10 * 60_000_000)
    world.log.low["raw.trades", 1] = 5
    world.connection.execute("UPDATE core.ledger SET next_offset = 7 WHERE partition = 1")
    report = run(world)
    missing = [finding.key for finding in report.findings if finding.kind == "bar" and " 1m " in finding.key]
    assert len(missing) == 7, report.text()  # the eighth is empty and forming: it may be absent
    assert missing[0] == "demo~sim SPY 1m 2024-01-02T01:15:00+00:00"
    assert report.checked_from["raw.trades"] == "2024-01-02T01:15:00+00:00"
    assert "minutes and longer bars were compared from 2024-01-02T01:15:00+00:00 on" in report.text()


class TrimmedWhileRead:
    """The log of a `MemoryLog`, of whose raw.trades[1] the next record goes as often as told while it is read."""

    def __init__(self, log: Any, times: int) -> None:
        self._log, self.left = log, times
        self.partitions, self.watermarks = log.partitions, log.watermarks

    def range(self, topic: str, partition: int, start: int, end: int) -> Iterator[Any]:
        if (topic, partition) == ("raw.trades", 1) and self.left:
            self.left -= 1
            self._log.low[topic, partition] = start + 1
            raise LogGap("raw.trades-1 was trimmed while it was read")
        yield from self._log.range(topic, partition, start, end)


def test_a_log_that_is_trimmed_while_it_is_read_is_read_once_more(world: Any) -> None:
    log = TrimmedWhileRead(world.log, 2)
    report = audit.run(log, world.database)
    assert log.left == 0
    assert [(span.topic, span.records, span.trimmed) for span in report.spans] == [
        ("raw.bars", 3, 0), ("raw.trades", 10, 0), ("raw.trades", 3, 2),
    ]  # fmt: skip
    assert sum(report.counts.values()) == 16, "nothing is counted twice"
    assert report.repeated_ids == 0


def test_a_log_that_is_trimmed_each_time_is_given_up(world: Any) -> None:
    with pytest.raises(LogGap):
        audit.run(TrimmedWhileRead(world.log, 100), world.database)


class Meanwhile:
    """The log of a `MemoryLog`; does something when the reading of a topic's last partition is half way."""

    def __init__(self, world: Any, does: Callable[[], object], times: int = 1) -> None:
        self._log, self._does, self.left = world.log, does, times
        self.partitions, self.watermarks = world.log.partitions, world.log.watermarks

    def range(self, topic: str, partition: int, start: int, end: int) -> Iterator[Any]:
        records = self._log.range(topic, partition, start, end)
        yield next(records)
        if (topic, partition) == ("raw.trades", 1) and self.left:
            self.left -= 1
            self._does()
        yield from records


def test_no_snapshot_is_held_while_the_log_is_read(world: Any) -> None:
    held: list[Any] = []
    log = Meanwhile(world, lambda: held.extend(world.connection.execute(
        "SELECT backend_xmin FROM pg_stat_activity WHERE application_name = 'sparktrends audit' "
        "AND datname = current_database()").fetchall()))  # fmt: skip
    assert audit.run(log, world.database).ok
    assert held == [(None,)]


def test_the_audit_outlives_the_servers_limits_for_those_who_are_idle(world: Any) -> None:
    world.connection.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET idle_in_transaction_session_timeout = 1000', "
        "current_database()); END $$"
    )
    for opened in (world.database.snapshot(), world.database.set_aside()):
        with opened as stored:
            assert stored._all("SHOW idle_in_transaction_session_timeout") == [("0",)]


def fold_more(world: Any) -> None:
    """The stream goes on: a late trade, a bad record, a price and an id of before, in both partitions of raw.trades."""
    run, late = world.connection.execute, H - 3600 * SECOND
    for number, (partition, value, appended) in enumerate((
        (0, event("BTC/USD", late, H, price="7", size="1", id="l")[0], H),
        (0, b"more junk", H),
        (0, event("BTC/USD", T + 365 * SECOND, price="7", kind="price")[0], H),
        (1, event("SPY", H, price="11", size="3", id="c")[0], H),
    )):  # fmt: skip
        world.log.append("raw.trades", partition, value, appended)
        if number == 0:
            run("INSERT INTO core.late_trades VALUES ('raw.trades', 'one', 0, 10, 1, %s, %s, %s, 7, 1, 'l')",
                (late, H, H))  # fmt: skip
        if number == 1:
            run("INSERT INTO core.quarantine VALUES ('raw.trades', 'one', 0, 11, 'not_json', %s, 9, %s, %s)",
                (H, hashlib.sha256(value).digest(), value))  # fmt: skip
    run("UPDATE core.ledger SET next_offset = 13, records = 13, late = 2, quarantined = 2, prices = 2 "
        "WHERE topic = 'raw.trades' AND partition = 0")  # fmt: skip
    run("UPDATE core.ledger SET next_offset = 6, records = 6, trades = 3 WHERE partition = 1")
    run("UPDATE core.bars SET trades = 2, volume = 6, turnover = 66, close_offset = 5 WHERE series = 2 "
        "AND interval = '1m' AND start > '2024-01-02'")  # fmt: skip


def test_what_was_folded_while_the_log_was_read_is_compared_too(world: Any) -> None:
    log = Meanwhile(world, lambda: fold_more(world))
    report = audit.run(log, world.database)
    assert report.findings == ()
    assert report.counts == {"trades": 8, "prices": 2, "heartbeats": 5, "bars": 3, "late": 2, "quarantined": 2}
    assert [(span.end, span.records) for span in report.spans] == [(3, 3), (13, 13), (6, 6)]
    assert log.left == 0
    world.connection.execute("UPDATE core.late_trades SET price = 8 WHERE log_offset = 10")
    assert run(world).findings_by_kind == {"late trade": 1}


@pytest.mark.parametrize("offset", [12, 13])
@pytest.mark.parametrize("table", ["late_trades", "quarantine"])
def test_a_row_too_many_is_found_also_where_the_log_is_read_in_two_parts(world: Any, table: str, offset: int) -> None:
    def doubled() -> None:
        fold_more(world)
        world.connection.execute(f"DELETE FROM core.{table} WHERE log_offset IN (10, 11)")
        world.connection.execute(f"CREATE TEMPORARY TABLE again AS SELECT * FROM core.{table} LIMIT 1")
        world.connection.execute("UPDATE again SET log_offset = %s", (offset,))
        world.connection.execute(f"INSERT INTO core.{table} TABLE again")

    words = audit.run(Meanwhile(world, doubled), world.database).text()
    assert f"raw.trades[0]@{offset}: the log says no such row" in words


def fold_late(world: Any) -> None:
    world.connection.execute("UPDATE core.late_trades SET folded_at = now()")
    world.connection.execute(
        "UPDATE core.bars SET low = 50, volume = 4.6, turnover = 409.95, vwap = 89.119565217391304348, trades = 5, "
        f"after_final = 2 {EVERY_BTC}"
    )


def leave_out(world: Any) -> None:
    """A repeat of the first trade goes out of its bar."""
    world.connection.execute(REMOVED, (10,))
    world.connection.execute(
        f"UPDATE core.bars SET trades = 4, volume = 3.6, turnover = 359.95, vwap = 99.986111111111111111 {EVERY_BTC}"
    )


def lose_the_end(world: Any) -> None:
    del world.log.records["raw.trades", 0][6:]
    open_ledger(world.database._conninfo, "1/1", [PartitionLog("raw.trades", 0, "one", 0, 6)], accept_gap=True)


def make_one_anew(world: Any) -> None:
    world.log.records["raw.trades", 0] = []
    open_ledger(world.database._conninfo, "1/1", [PartitionLog("raw.trades", 0, "three", 0, 0)], accept_gap=True)


@pytest.mark.parametrize("does", [fold_late, lose_the_end, make_one_anew])
def test_what_moves_under_the_reading_is_read_once_more(world: Any, does: Callable[[Any], None]) -> None:
    log = Meanwhile(world, lambda: does(world))
    report = audit.run(log, world.database)
    assert log.left == 0
    assert report.findings == ()
    assert replace(report, seconds=0) == replace(run(world), seconds=0), "as if nobody had done anything meanwhile"


def test_a_repeat_that_repair_leaves_out_while_the_log_is_read_is_no_fault(world: Any) -> None:
    test_a_repeated_id_is_counted_and_named(world)
    report = audit.run(Meanwhile(world, lambda: leave_out(world)), world.database)
    assert report.findings == ()
    assert (report.repeated_ids, report.repeats_removed) == (0, 1)


def test_where_something_moves_each_time_the_log_is_read_inside_of_the_snapshot(world: Any) -> None:
    def fold_or_unfold() -> None:
        world.connection.execute("UPDATE core.late_trades SET folded_at = CASE WHEN folded_at IS NULL THEN now() END")

    log = Meanwhile(world, fold_or_unfold, 3)
    # The third time it is done after the snapshot: what it does is not seen.
    assert audit.run(log, world.database).findings == ()
    assert log.left == 0


def test_what_was_read_for_nothing_is_let_go_before_it_is_read_again(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("sparktrends.audit.run")
    made: list[weakref.ref[Any]] = []
    alive: list[int] = []

    def noted(*words: Any) -> Any:
        alive.append(sum(one() is not None for one in made))
        log = LogAudit(*words)
        made.append(weakref.ref(log))
        return log

    monkeypatch.setattr(module, "LogAudit", noted)
    gc.disable()  # as it does not come by itself where few objects are made
    try:
        test_where_something_moves_each_time_the_log_is_read_inside_of_the_snapshot(world)
    finally:
        gc.enable()
    assert alive == [0, 0, 0]


H_PLUS_10 = (1_704_067_200 + 25 * 3600 + 120 + 600) * 1_000_000


def test_partitions_that_a_topic_made_anew_lacks_are_counted_as_unchecked(world: Any) -> None:
    dsn = world.database._conninfo
    assert run(world).findings == ()
    world.log.records = {("raw.trades", 0): [], ("raw.bars", 0): []}
    logs = [PartitionLog("raw.trades", 0, "three", 0, 0), PartitionLog("raw.bars", 0, "four", 0, 0)]
    open_ledger(dsn, "1/1", logs, accept_gap=True)
    report = run(world)
    assert report.findings == ()
    assert [(span.partition, span.topic_id, span.trimmed) for span in report.spans] == [
        (0, "four", 0), (0, "three", 0), (1, "one", 5),
    ]  # fmt: skip
    assert report.unchecked["minutes"] == 9


def make_anew(world: Any) -> None:
    """Both topics are made again, with an empty third partition of raw.trades of which nothing was ever stored; two
    new trades on the first partition are folded, and none of their bars is there."""
    world.connection.execute(
        "INSERT INTO core.ledger (topic, partition, topic_id, first_offset, next_offset, shard) "
        "VALUES ('raw.trades', 2, 'one', 0, 0, '1/1')"
    )
    world.log.records = {("raw.trades", number): [] for number in range(3)} | {("raw.bars", 0): []}
    logs = [PartitionLog("raw.trades", number, "three", 0, 0) for number in range(3)]
    open_ledger(world.database._conninfo, "1/1", [*logs, PartitionLog("raw.bars", 0, "four", 0, 0)], accept_gap=True)
    for number, later in enumerate((H_PLUS_10, H_PLUS_10 + 10 * 60_000_000), 1):
        world.log.append("raw.trades", 0, trade(later), later)
        world.connection.execute(
            "UPDATE core.ledger SET next_offset = %s, records = %s, trades = %s, appended_at = core.at(%s) "
            "WHERE partition = 0 AND topic = 'raw.trades'",
            (number, number, number, later),
        )


def test_a_partition_that_never_stored_anything_hides_nothing_when_its_topic_is_made_anew(world: Any) -> None:
    make_anew(world)
    missing = run(world).findings_by_kind
    assert missing["bar"] > 0
    # Releases before this one noted a gap for it too.
    world.connection.execute("INSERT INTO core.log_gaps VALUES ('raw.trades', 2, 'one', 0, 0)")
    assert run(world).findings_by_kind == missing


def test_the_first_record_of_such_a_partition_hides_nothing_before_it(world: Any) -> None:
    make_anew(world)
    missing = run(world).findings_by_kind["bar"]
    later = H_PLUS_10 + 86_400_000_000
    world.log.append("raw.trades", 2, trade(later), later)
    world.connection.execute(
        "UPDATE core.ledger SET next_offset = 1, records = 1, trades = 1, appended_at = core.at(%s) "
        "WHERE partition = 2 AND topic = 'raw.trades'",
        (later,),
    )
    assert run(world).findings_by_kind["bar"] > missing


def trade(ts: int) -> bytes:
    return json.dumps({"source": "demo~sim", "symbol": "SPY", "ts": ts, "price": 1, "size": 1}).encode()


def test_an_accepted_gap_is_left_out(world: Any) -> None:
    world.connection.execute("INSERT INTO core.log_gaps VALUES ('raw.trades', 0, 'one', 5, 6)")
    world.connection.execute("DELETE FROM core.quarantine")
    world.connection.execute(
        "UPDATE core.ledger SET records = 9, quarantined = 0 WHERE partition = 0 AND topic = 'raw.trades'"
    )
    report = run(world)
    assert report.findings == ()
    assert report.spans[1].accepted == 1


@pytest.mark.parametrize("end", [6, 4])
def test_a_lost_end_that_was_accepted_is_no_fault_even_twice(world: Any, end: int) -> None:
    lost = [PartitionLog("raw.trades", 0, "one", 0, end)]
    dsn = world.database._conninfo
    del world.log.records["raw.trades", 0][end:]
    assert run(world).findings != ()
    for number in (1, 2):
        open_ledger(dsn, "1/1", lost, accept_gap=True)
        report = run(world)
        assert report.findings == ()
        assert report.unchecked["rows of former topics"] == number * (1 if end == 6 else 2)
        assert "raw.trades[0]" in report.notes[0]
        # The offsets are given out again, folded, and lost again.
        for table in ("late_trades", "quarantine"):
            world.connection.execute(f"CREATE TEMPORARY TABLE again AS TABLE core.{table}")
            world.connection.execute("DELETE FROM again WHERE topic_id <> 'one~lost1'")
            world.connection.execute("UPDATE again SET topic_id = 'one'")
            world.connection.execute(f"INSERT INTO core.{table} TABLE again")
            world.connection.execute("DROP TABLE again")
        world.connection.execute("UPDATE core.ledger SET next_offset = 10 WHERE topic_id = 'one' AND partition = 0")


def test_a_late_trade_that_repair_folded_is_in_its_bar(world: Any) -> None:
    fold_late(world)
    assert run(world).findings == ()


def test_the_report_is_one_json_document(world: Any) -> None:
    world.connection.execute("DELETE FROM core.quarantine")
    document = json.loads(json.dumps(run(world).to_json()))
    assert document["ok"] is False
    assert document["findings_total"] == 1
    assert document["findings"][0]["kind"] == "quarantine"


def test_progress_is_told(world: Any) -> None:
    told: list[tuple[str, int, int]] = []
    audit.run(world.log, world.database, lambda *args: told.append(args))
    assert ("reading the log", 18, 18) in told
    assert told[-1] == ("comparing series", 2, 2)


def test_an_empty_ledger_is_said(world: Any) -> None:
    for table in ("ledger", "bars", "provider_bars", "gaps", "late_trades", "quarantine", "series_state"):
        world.connection.execute(f"DELETE FROM core.{table}")
    report = run(world)
    assert report.ok
    assert "nothing was folded yet" in report.text()
