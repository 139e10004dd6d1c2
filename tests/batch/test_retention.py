"""Old months into Parquet and back, row for row and digit for digit."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest

from batch.world import ask_rows
from sparktrends.batch import retention
from sparktrends.batch.retention import DEFAULTS, Month, limits_of, restore, retain
from sparktrends.errors import BadSetting, DiskFull, IntegrityError
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


def archived(dsn: str, folder: Path) -> list[Month]:
    session = Session(dsn, "test", 60)
    try:
        return list(retain(session, folder, {"1m": 400}, TODAY))
    finally:
        session.close()


def restored(dsn: str, folder: Path) -> list[Month]:
    session = Session(dsn, "test", 60)
    try:
        return list(restore(session, folder))
    finally:
        session.close()


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


def test_limits_come_from_the_settings() -> None:
    assert limits_of({}) == DEFAULTS
    assert limits_of({"1m": 30, "15m": 0})["1m"] == 30
    assert "15m" not in limits_of({"15m": 0})


@pytest.mark.parametrize("table", [{"2m": 3}, {"1m": "x"}, {"1m": -1}, {"1m": True}])
def test_limits_that_make_no_sense_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(BadSetting, match="retention"):
        limits_of(table)
