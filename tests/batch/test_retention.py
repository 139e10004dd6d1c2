"""Old months into Parquet and back, row for row and digit for digit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest

from batch.world import ask_rows
from sparktrends.batch import retention
from sparktrends.batch.limits import DEFAULTS, limits_of
from sparktrends.batch.plan import day_of
from sparktrends.batch.retention import Month, log_begin, restore, retain
from sparktrends.bus.admin import Admin
from sparktrends.bus.connection import Connection
from sparktrends.bus.producer import Producer
from sparktrends.bus.reader import Reader
from sparktrends.bus.topics import TABLE
from sparktrends.errors import BadSetting, DiskFull, Fenced, IntegrityError, Unavailable
from sparktrends.ops.stack import Stack
from sparktrends.store import archive
from sparktrends.store.archive import TABLES, Column
from sparktrends.store.session import Session

TODAY = date(2026, 11, 21)
ROWS = "SELECT * FROM core.{} b ORDER BY series, interval, start"
BAR = """
INSERT INTO core.bars (series, interval, start, open, high, low, close, volume, turnover, vwap, trades, after_final,
    statuses, state, reason, open_ts, updated_at)
SELECT s.id, %s, %s, 97123.450000000000000001, 99999999999999999999, 0.000000000000000001, 1, 2,
    3.000000000000000000000000000000000001, NULL, 4, 0, 1, 'final', NULL, 5, now()
FROM core.series s WHERE s.source = %s
"""


@pytest.fixture
def filled(database: str) -> str:
    """Minutes and a day of January, minutes of November, and a recording of long ago."""
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO core.series (source, symbol) VALUES ('binance', 'X'), ('demo~replay', 'X')")
        for month in ("2025-01-01", "2026-11-01", "2013-11-01"):
            connection.execute("SELECT core.ensure_month(t, %s) FROM unnest(ARRAY['bars', 'metrics']) t", (month,))
        for interval, start, source in (
            ("1m", "2025-01-01 00:00Z", "binance"),
            ("1m", "2025-01-31 23:59Z", "binance"),
            ("1d", "2025-01-31 00:00Z", "binance"),
            ("1m", "2026-11-01 00:00Z", "binance"),
            ("1m", "2013-11-25 00:00Z", "demo~replay"),
        ):
            connection.execute(BAR, (interval, start, source))
        connection.execute(
            "INSERT INTO core.metrics (series, interval, start, sma_20, warm, revision, final, extra, updated_at) "
            "SELECT series, interval, start, 0.1::float8 / 3, true, 0, true, '{\"a\": 1.5}', now() FROM core.bars"
        )
    return database


def archived(
    dsn: str,
    folder: Path,
    limits: Mapping[str, int] = {"1m": 400},
    logged_since: Callable[[], date] = lambda: TODAY,
) -> list[Month]:
    session = Session(dsn, "test", 60)
    try:
        return list(retain(session, folder, limits, TODAY, logged_since))
    finally:
        session.close()


def restored(dsn: str, folder: Path) -> list[Month]:
    session = Session(dsn, "test", 60)
    try:
        return list(restore(session, folder))
    finally:
        session.close()


NOTED = "SELECT table_name, interval, month::text FROM core.restored ORDER BY 1"


@pytest.mark.e2e
def test_what_came_out_of_an_archive_is_remembered_until_it_is_archived_again(filled: str, tmp_path: Path) -> None:
    archived(filled, tmp_path)
    assert ask_rows(filled, NOTED) == []
    restored(filled, tmp_path)
    assert ask_rows(filled, NOTED) == [("bars", "1m", "2025-01-01"), ("metrics", "1m", "2025-01-01")]
    archived(filled, tmp_path)
    assert ask_rows(filled, NOTED) == []


@pytest.mark.e2e
def test_a_month_goes_and_comes_back_as_it_was(filled: str, tmp_path: Path) -> None:
    before = {table: ask_rows(filled, ROWS.format(table)) for table in ("bars", "metrics")}
    done = archived(filled, tmp_path)
    assert [(m.table, m.interval, m.month, m.rows) for m in done] == [
        ("bars", "1m", date(2025, 1, 1), 2),
        ("metrics", "1m", date(2025, 1, 1), 2),
    ]
    assert ask_rows(filled, "SELECT interval, count(*) FROM core.bars GROUP BY 1 ORDER BY 1") == [("1d", 1), ("1m", 2)]
    assert pq.read_table(done[0].file).column("symbol").to_pylist() == ["X", "X"]
    assert archived(filled, tmp_path) == []
    assert [m.rows for m in restored(filled, tmp_path)] == [2, 2]
    assert {table: ask_rows(filled, ROWS.format(table)) for table in before} == before
    assert [m.rows for m in restored(filled, tmp_path)] == [0, 0]


@pytest.mark.e2e
@pytest.mark.parametrize("portion", [1, 1000])
def test_sums_that_no_decimal_of_parquet_holds_go_and_come_back_too(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portion: int
) -> None:
    monkeypatch.setitem(TABLES, "bars", replace(TABLES["bars"], portion=portion))
    huge = "UPDATE core.bars SET volume = 199999999999999999998.5, turnover = 2e40 WHERE start = '2025-01-31 23:59Z'"
    ask_rows(filled, f"{huge} RETURNING 1")
    before = ask_rows(filled, ROWS.format("bars"))
    assert [m.rows for m in archived(filled, tmp_path) if m.table == "bars"] == [2]
    restored(filled, tmp_path)
    assert ask_rows(filled, ROWS.format("bars")) == before


@pytest.mark.e2e
def test_what_was_restored_can_be_archived_again(filled: str, tmp_path: Path) -> None:
    archived(filled, tmp_path)
    restored(filled, tmp_path)
    assert [m.file.name for m in archived(filled, tmp_path)] == ["2025-01-001.parquet"] * 2


@pytest.mark.e2e
def test_a_row_comes_back_as_it_was_last(filled: str, tmp_path: Path) -> None:
    archived(filled, tmp_path)
    restored(filled, tmp_path)
    changed = (
        "UPDATE core.bars SET close = 7 WHERE interval = '1m' AND start < '2025-02-01' AND open_ts = 5 RETURNING 1"
    )
    ask_rows(filled, changed)
    before = ask_rows(filled, ROWS.format("bars"))
    archived(filled, tmp_path)
    restored(filled, tmp_path)
    assert ask_rows(filled, ROWS.format("bars")) == before


@pytest.mark.e2e
def test_a_full_disk_leaves_everything_in_its_table(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ask_rows(filled, ROWS.format("bars"))
    monkeypatch.setattr(retention.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(DiskFull, match="No space"):
        archived(filled, tmp_path)
    assert ask_rows(filled, ROWS.format("bars")) == before


def test_a_month_that_did_not_fit_leaves_its_room_to_others(tmp_path: Path) -> None:
    def half() -> Iterator[list[tuple[object, ...]]]:
        yield [("X",)] * 1000
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        retention._write(tmp_path / "2025-01-000.parquet", [Column("symbol", "text")], half)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.e2e
def test_files_of_others_in_the_archive_are_passed_over(filled: str, tmp_path: Path) -> None:
    archived(filled, tmp_path)
    place = tmp_path / "bars" / "1m"
    for name in ("2025-01-000 (1)", "2025-01-000-old", "2025-01", "2025-13-000", "notes"):
        (place / f"{name}.parquet").write_text("a copy of a day when the close was another")
    before = ask_rows(filled, ROWS.format("bars"))
    assert [m.rows for m in restored(filled, tmp_path)] == [2, 2]
    assert [m.file.name for m in archived(filled, tmp_path)] == ["2025-01-001.parquet"] * 2
    assert ask_rows(filled, ROWS.format("bars")) == before


def test_of_a_month_the_newest_file_is_the_first(tmp_path: Path) -> None:
    names = [f"2025-01-{number}.parquet" for number in ("000", "999", "1000", "1001-old")]
    for folder, name in product(("bars/1m", "news/all"), names):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / name).touch()
    found = [file.relative_to(tmp_path).as_posix() for file in retention.archived(tmp_path)]
    newest_first = [names[2], names[1], names[0]]
    assert found == [f"{folder}/{name}" for folder in ("bars/1m", "news/all") for name in newest_first]


@pytest.mark.e2e
def test_the_folders_of_a_file_are_on_the_disk_before_its_rows_are_deleted(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, sync, delete = [], os.fsync, archive.delete_month

    def synced(number: int) -> None:
        said.append(os.readlink(f"/proc/self/fd/{number}"))
        sync(number)

    def deleted(*given: Any) -> int:
        said.append("deleted")
        return delete(*given)

    monkeypatch.setattr(retention.os, "fsync", synced)
    monkeypatch.setattr(archive, "delete_month", deleted)
    archived(filled, tmp_path)
    place = tmp_path / "bars" / "1m"
    written = f"{place / '2025-01-000.new'}"
    assert said[: said.index("deleted")] == [written, *map(str, (place, place.parent, tmp_path))]


@pytest.mark.e2e
def test_a_file_that_lost_rows_is_noticed_before_they_are_deleted(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ask_rows(filled, ROWS.format("bars"))
    real = retention._write
    monkeypatch.setattr(retention, "_write", lambda *given: real(*given) - 1)
    with pytest.raises(IntegrityError, match="1 rows were archived, 2 deleted"):
        archived(filled, tmp_path)
    assert ask_rows(filled, ROWS.format("bars")) == before


@pytest.mark.e2e
def test_of_two_retentions_at_once_the_second_touches_nothing(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {table: ask_rows(filled, ROWS.format(table)) for table in ("bars", "metrics")}
    real, refused = retention._write, []

    def write_beside_another(*given: Any) -> int:
        # The file is there and its rows are not deleted yet.
        rows = real(*given)
        monkeypatch.setattr(retention, "_write", real)
        with pytest.raises(Fenced, match="archived or put back already") as told:
            archived(filled, tmp_path)
        with pytest.raises(Fenced, match="put back already"):
            restored(filled, tmp_path)
        refused.append(told.value)
        return rows

    monkeypatch.setattr(retention, "_write", write_beside_another)
    assert [m.rows for m in archived(filled, tmp_path)] == [2, 2]
    assert len(refused) == 1
    assert archived(filled, tmp_path) == []
    assert [m.rows for m in restored(filled, tmp_path)] == [2, 2]
    assert {table: ask_rows(filled, ROWS.format(table)) for table in before} == before


@pytest.mark.e2e
def test_nothing_is_archived_between_the_files_of_a_month_that_is_put_back(filled: str, tmp_path: Path) -> None:
    archived(filled, tmp_path)
    restored(filled, tmp_path)
    ask_rows(filled, "UPDATE core.bars SET close = 7 WHERE interval = '1m' AND start < '2025-02-01' RETURNING 1")
    before = ask_rows(filled, ROWS.format("bars"))
    archived(filled, tmp_path)
    with closing(Session(filled, "test", 60)) as session:
        files = restore(session, tmp_path, lambda table, *_: table == "bars")
        assert next(files).file.name == "2025-01-001.parquet"
        with suppress(Fenced):
            archived(filled, tmp_path)
        assert [m.file.name for m in files] == ["2025-01-000.parquet"]
    assert ask_rows(filled, ROWS.format("bars")) == before


@pytest.mark.e2e
def test_a_retention_that_failed_keeps_the_next_from_nothing(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(filled, "test", 60)
    monkeypatch.setattr(retention.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(DiskFull):
        list(retain(session, tmp_path, {"1m": 400}, TODAY, lambda: TODAY))
    monkeypatch.undo()
    assert [m.rows for m in archived(filled, tmp_path)] == [2, 2]
    session.close()


# What grows beside bars: of each table a row of long ago that may go, one that somebody needs, and one of now.
HOSTILE = "'\\.'||chr(10)||'\"a\",;\\N'||chr(10)||'\\.'||chr(10)||'é'"
GROWN = f"""
INSERT INTO core.signals VALUES
    ('s1', 1, '1m', '2025-01-02Z', 'anomaly', 'jump', 'up', 3.5, 'info', '{{"a": 0.1}}', '2025-01-02Z', NULL),
    ('s2', 1, '1d', '2025-01-02Z', 'anomaly', 'jump', 'up', 3.5, 'info', '{{}}', '2025-01-02Z', NULL),
    ('s3', 2, '1m', '2013-11-25Z', 'anomaly', 'jump', 'up', 3.5, 'info', '{{}}', '2013-11-25Z', NULL);
INSERT INTO core.quality_minutes VALUES (1, '2025-01-02Z', 50, '{{"late": 50.0}}'), (1, '2026-11-02Z', 50, '{{}}');
INSERT INTO core.peer_moves VALUES (1, '2025-01-02Z', 'binance', '24/7', 0.1, 0.1, 0, 0.1, 9, now());
INSERT INTO core.market_moves VALUES
    ('binance', '24/7', '2025-01-02Z', 'up', 0.1, 0.1, 9, 8, 1, now(), '2025-01-02Z'),
    ('demo~replay', '24/7', '2013-11-25Z', 'up', 0.1, 0.1, 9, 8, 1, now(), '2013-11-25Z');
INSERT INTO raw.payloads (source, endpoint, fetched_at, request, payload, topic_id, log_partition, log_offset) VALUES
    ('finnhub', 'news', '2025-01-02Z', '{{}}', '{{"price": 1.000000000000000000000000000000000001}}', 't', 0, 1),
    ('finnhub', 'news', '2025-01-02Z', '{{}}', '"nobody has read it"', 't', 0, 2),
    ('finnhub', 'news', '2026-11-02Z', '{{}}', '"new"', 't', 0, 3);
INSERT INTO core.readings (payload, outcome, news, bars, companies, actions, rejects, unknown, missing, updated_at)
    VALUES (1, 'flattened', 1, 0, 0, 0, 1, '{{"x": 2}}', '{{}}', now()),
           (3, 'flattened', 1, 0, 0, 0, 0, '{{}}', '{{}}', now());
INSERT INTO core.payload_rejects VALUES (1, 0, 'bad_time', {HOSTILE});
INSERT INTO core.news (source, id, published_at, headline, headline_key, summary, url, publisher, provider_label,
    score, label, evidence, topics, model, payload, updated_at) VALUES
    ('finnhub', 'n1', '2024-01-02 03:04:05.678901Z', {HOSTILE}, 'k1', '', 'u', 'p', '', 0.1::float8 / 3, 'neutral',
     '[1]', ARRAY['a,"b"', 'c'], 'm', 1, now()),
    ('finnhub', 'n2', '2026-11-02Z', 'h', 'k2', '', 'u', 'p', '', NULL, NULL, NULL, '{{}}', NULL, 3, now());
INSERT INTO core.mentions VALUES
    ('finnhub', 'n1', 'AAPL', 0.25, 0.1::float8 / 3, 'neutral', '{{"w": 1}}'),
    ('finnhub', 'n1', 'MSFT', NULL, NULL, NULL, NULL), ('finnhub', 'n2', 'AAPL', NULL, NULL, NULL, NULL);
INSERT INTO core.story_ids VALUES ('finnhub', '1', 'n1'), ('finnhub', '1b', 'n1'), ('finnhub', '2', 'n2');
INSERT INTO core.known_news VALUES
    ('', 'AAPL', '2024-01-02', 'k1', 'finnhub', 'n1', '2024-01-02Z', '2024-01-02 03:04:05.6789Z', 0.5, now()),
    ('', 'AAPL', '2026-11-02', 'k2', 'finnhub', 'n2', '2026-11-02Z', '2026-11-02Z', NULL, NULL);
INSERT INTO core.alerts (id, rule, series, interval, start, severity, title, channels, signals, "values", status,
    created_at) VALUES
    ('a1', 'r', 1, '1m', '2024-01-02Z', 'info', {HOSTILE}, '{{console,hook}}', '{{s1}}', '{{"v": 1.5}}', 'resolved',
     '2024-01-02Z'),
    ('a2', 'ops.lag', NULL, NULL, '2024-01-02Z', 'info', 't', '{{console}}', '{{}}', '{{}}', 'resolved', '2024-01-02Z'),
    ('a3', 'r', 1, '1m', '2024-01-02Z', 'info', 't', '{{console}}', '{{}}', '{{}}', 'firing', '2024-01-02Z'),
    ('a4', 'r', 1, '1m', '2024-01-02Z', 'info', 't', '{{hook}}', '{{}}', '{{}}', 'resolved', '2024-01-02Z'),
    ('a5', 'r', 2, '1m', '2013-11-25Z', 'info', 't', '{{console}}', '{{}}', '{{}}', 'resolved', '2024-01-02Z');
INSERT INTO core.deliveries (alert, channel, state, sent_at) VALUES
    ('a1', 'console', 'sent', '2024-01-02 00:00:01.000001Z'), ('a1', 'hook', 'dead', NULL), ('a4', 'hook', 'due', NULL);
INSERT INTO core.daily_calls (day, source, call, what, endpoint, interval, symbols, state, updated_at) VALUES
    ('2024-01-31', 'finnhub', 'c', 'news', 'e', '1m', '{{AAPL}}', 'done', now()),
    ('2026-11-01', 'finnhub', 'c', 'news', 'e', '1m', '{{AAPL}}', 'done', now());
INSERT INTO core.late_trades VALUES
    ('raw.trades', 't', 0, 7, 1, 5, 6, 1735776000000000, 1.000000000000000001, 2, 'i', '{{W,"F,"}}', now()),
    ('raw.trades', 't', 0, 9, 1, 5, 6, 1793577600000000, 1, 2, 'j', '{{}}', NULL);
INSERT INTO core.repeats VALUES
    ('raw.trades', 't', 0, 8, 1, '2025-01-02Z'), ('raw.trades', 't', 0, 9, 1, '2026-11-02Z');
INSERT INTO core.quarantine (topic, topic_id, partition, log_offset, reason, appended, size, sha256, payload) VALUES
    ('raw.trades', 't', 0, 3, 'bad', 1735776000000000, 3, '\\x00ff', '\\x00ff0a'),
    ('raw.trades', 't', 0, 4, 'bad', 1793577600000000, 3, '\\x00', '\\x00');
"""  # noqa: S608 - constants of this file
GOES = {
    ("signals", "1m"): 1,
    ("quality_minutes", "1m"): 1,
    ("peer_moves", "1m"): 1,
    ("market_moves", "1m"): 1,
    ("payloads", ""): 1,
    ("news", ""): 1,
    ("alerts", ""): 2,
    ("daily_calls", ""): 1,
    ("late_trades", ""): 1,
    ("repeats", ""): 1,
    ("quarantine", ""): 1,
}
CHILDREN = [child for table in TABLES.values() for child in table.children]


@pytest.fixture
def grown(filled: str) -> str:
    """Rows in every table that grows, beside the bars."""
    with psycopg.connect(filled) as connection:
        connection.execute(GROWN.encode())
    return filled


def everything(dsn: str) -> dict[str, list[tuple[str]]]:
    names = [f"{table.schema}.{table.name}" for table in TABLES.values()] + [f"core.{name}" for name in CHILDREN]
    return {name: ask_rows(dsn, f"SELECT t::text FROM {name} t ORDER BY 1") for name in names}  # noqa: S608


@pytest.mark.e2e
def test_all_that_grows_goes_and_comes_back_as_it_was(grown: str, tmp_path: Path) -> None:
    before = everything(grown)
    assert [name for name, rows in before.items() if not rows] == ["core.provider_bars"]
    done = archived(grown, tmp_path, DEFAULTS)
    gone = {(month.table, month.interval): month.rows for month in done}
    assert gone == GOES | {("bars", "1m"): 2, ("metrics", "1m"): 2}
    left = everything(grown)
    fewer = {child: len(before[f"core.{child}"]) - len(left[f"core.{child}"]) for child in CHILDREN}
    assert fewer == dict.fromkeys(CHILDREN, 1) | dict.fromkeys(("mentions", "story_ids", "deliveries"), 2)
    assert archived(grown, tmp_path, DEFAULTS) == []
    assert everything(grown) == left
    assert sum(month.rows for month in restored(grown, tmp_path)) == sum(gone.values())
    assert everything(grown) == before
    assert sum(month.rows for month in restored(grown, tmp_path)) == 0
    assert everything(grown) == before


@pytest.mark.e2e
def test_what_was_taken_out_is_known_until_all_of_it_is_back(grown: str, tmp_path: Path) -> None:
    out = "SELECT table_name, interval, month FROM core.archived WHERE table_name IN ('news', 'bars') ORDER BY 1"
    archived(grown, tmp_path, DEFAULTS)
    assert ask_rows(grown, out) == [("bars", "1m", date(2025, 1, 1)), ("news", "", date(2024, 1, 1))]
    restored(grown, tmp_path)
    assert ask_rows(grown, out) == []


@pytest.mark.e2e
def test_what_the_audit_compares_with_the_log_stays_while_the_log_has_it(grown: str, tmp_path: Path) -> None:
    # The log begins within the month of the late trade: the records of its end may still be there.
    done = archived(grown, tmp_path, DEFAULTS, lambda: date(2025, 1, 20))
    assert not {month.table for month in done} & {"late_trades", "repeats", "quarantine"}
    done = archived(grown, tmp_path, DEFAULTS, lambda: date(2025, 2, 1))
    assert [month.table for month in done] == ["late_trades", "repeats", "quarantine"]


@pytest.mark.e2e
def test_a_broker_that_is_away_keeps_nothing_else_back(grown: str, tmp_path: Path) -> None:
    def away() -> date:
        raise Unavailable("Kafka does not answer")

    with pytest.raises(Unavailable):
        archived(grown, tmp_path, DEFAULTS, away)
    assert ask_rows(grown, "SELECT count(*) FROM raw.payloads WHERE fetched_at < '2026-01-01'") == [(1,)]
    assert ask_rows(grown, "SELECT count(*) FROM core.quarantine") == [(2,)]


@pytest.mark.e2e
def test_the_log_says_since_when_it_has_records(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka, never = Connection(stack.kafka), date(2100, 1, 1)
    for number, name in enumerate(("RAW_TRADES", "RAW_BARS")):
        (wanted,) = (topic for topic in TABLE if topic.name == getattr(retention, name))
        own = f"retention-{number}"
        Admin(kafka).create(replace(wanted, name=own, partitions=2))
        monkeypatch.setattr(retention, name, own)
    with Reader(kafka) as log:
        assert log_begin(log, never) == never
        producer = Producer(kafka)
        producer.send("retention-1", "k", b"{}")
        producer.close()
        found = log_begin(log, never)
        (record,) = (r for p in log.partitions("retention-1") for r in log.tail("retention-1", p, 1))
    assert found == day_of(record.appended) < never


# Tables that do not grow by the minute, the call or the story, or that somebody else prunes.
STAYS = {
    **dict.fromkeys(("series", "series_state", "shards", "ledger", "log_gaps", "cursors", "channels"), "one of each"),
    **dict.fromkeys(("api_keys", "silences"), "made by a person"),
    **dict.fromkeys(("gaps", "snapshots"), "a row a series and day, without which bars cannot be judged again"),
    **dict.fromkeys(("daily_trends", "days_told", "quality", "truth", "volume_profiles"), "a row a series and day"),
    **dict.fromkeys(("companies", "corporate_actions"), "a row a company and day"),
    "changes": "pruned by those who read it",
    **dict.fromkeys(("archived", "restored"), "a row a month"),
    "limits": "one row",
}


@pytest.mark.e2e
def test_every_table_is_archived_or_known_not_to_grow_much(database: str) -> None:
    """A new table finds its place in one of the two lists."""
    found = ask_rows(
        database,
        "SELECT relname FROM pg_class WHERE relnamespace IN ('core'::regnamespace, 'raw'::regnamespace) "
        "AND relkind IN ('r', 'p') AND NOT relispartition",
    )
    assert {name for (name,) in found} == {*TABLES, *CHILDREN, *STAYS}


def test_limits_come_from_the_settings() -> None:
    assert limits_of({}) == DEFAULTS
    assert limits_of({"1m": 30, "15m": 0})["1m"] == 30
    assert "15m" not in limits_of({"15m": 0})
    assert limits_of({"news": 0}).keys() == DEFAULTS.keys() - {"news"}
    assert limits_of({"quarantine": 7})["quarantine"] == 7


@pytest.mark.parametrize("days", [999_999, 10**12])
def test_more_days_than_the_calendar_has_are_for_ever(days: int) -> None:
    assert limits_of({"1m": days}) == limits_of({"1m": 0})


@pytest.mark.parametrize(
    "table",
    [{"2m": 3}, {"1m": "x"}, {"1m": -1}, {"1m": True}, {"mentions": 9}, {"news": 119}, {"daily_calls": 7}],
)
def test_limits_that_make_no_sense_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(BadSetting, match="retention"):
        limits_of(table)
