"""Counting everything again and again, in a table of any size."""

from __future__ import annotations

import pytest

from sparktrends.store import queries
from sparktrends.store.connect import connect
from sparktrends.store.queries import Tally

pytestmark = pytest.mark.e2e
BARS = """
INSERT INTO core.bars (series, interval, start, open, high, low, close, volume, turnover, vwap, trades, after_final,
    statuses, state, reason, open_ts, updated_at)
SELECT s.id, '1m', timestamptz '2024-01-01 00:00Z' + n * interval '1 minute', 1, 1, 1, 1, 1, 1, 1, n %% 2, 0, 1,
    'final', NULL, 5, now() FROM core.series s, generate_series(0, %s - 1) n
"""


@pytest.mark.parametrize("patience", ["1s", "1ms"])
def test_what_takes_long_to_count_is_estimated_and_counted_less_often(
    database: str, monkeypatch: pytest.MonkeyPatch, patience: str
) -> None:
    now = 0.0

    def timer() -> float:
        nonlocal now
        now += 1.0  # so long each question seems to take
        return now

    monkeypatch.setattr(queries, "PATIENCE", patience)
    with connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO core.series (source, symbol) VALUES ('a', 'A')")
        connection.execute("SELECT core.ensure_month('bars', '2024-01-01')")
        connection.execute(BARS, (40_000,))
        connection.execute("ANALYZE core.bars")
        tally = Tally(connection, timer)
        assert tally.totals().bars == pytest.approx(20_000, rel=0.0 if patience == "1s" else 0.2)
        connection.execute("DELETE FROM core.bars WHERE start < '2024-01-02'")
        assert tally.totals().bars == pytest.approx(20_000, rel=0.2)
        now += 60.0
        assert tally.totals().bars == pytest.approx(20_000 - 720, rel=0.0 if patience == "1s" else 0.2)
        assert tally.totals(anew=True).alerts == 0
