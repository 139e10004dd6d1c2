"""The bench of the store on a small database: every bar comes back, and every day is found."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from sparktrends.ops.bench.store import Size, measure

pytestmark = pytest.mark.e2e


def test_bars_go_and_come_back_and_days_are_found(database: str, tmp_path: Path) -> None:
    found = measure(database, database, tmp_path, Size(moved=12_000, bars=100_000, days=3, symbols=2))
    assert (found["moved"], found["bars"], found["days"]) == (12_000, 100_000, 3)
    assert min(found["p50_ms"], found["cold_p50_ms"], found["restored_per_s"]) > 0
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT start) FROM core.bars").fetchone() == (
            100_000,
            50_000,
        )
        (cut,) = connection.execute("SELECT count(*) FROM market.bars WHERE origin = 'provider'").fetchone() or (0,)
    assert cut == 1_000
