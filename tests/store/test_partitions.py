"""A question about a day looks into the partitions of its month only, whichever view is asked."""

# ruff: noqa: S608 - statements of this file, put together from its own constants
from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

pytestmark = pytest.mark.e2e

MONTHS = [f"2024-{month:02d}-01" for month in range(1, 8)]
DAY = "source = 'x' AND symbol = '{}' AND interval = '1m' AND start >= '2024-03-05Z' AND start < '2024-03-06Z'"
# Three days of each month: for so few rows a whole month may seem cheaper to read than a thousand keys.
MINUTES = "generate_series('2024-01-04Z'::timestamptz, '2024-07-04Z', interval '1 month') m, generate_series(0, 4319) n"


@pytest.fixture
def stored(database: str) -> str:
    """Seven months of bars, of provider's bars and of metrics; two series of trades, one of provider's bars alone."""
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO core.series (source, symbol) VALUES ('x', 'A'), ('x', 'B'), ('x', 'P')")
        for table in ("bars", "provider_bars", "metrics"):
            for month in MONTHS:
                connection.execute("SELECT core.ensure_month(%s, %s)", (table, month))
        connection.execute(
            "INSERT INTO core.bars (series, interval, start, volume, turnover, trades, after_final, statuses, state, "
            "reason, updated_at) SELECT id, '1m', m + n * interval '1 minute', 0, 0, 0, 0, 0, 'final', "
            "CASE WHEN n % 100 = 0 THEN 'feed_stale' END, now() "
            f"FROM core.series, {MINUTES} WHERE symbol <> 'P'"
        )
        connection.execute(
            "INSERT INTO core.provider_bars (series, interval, start, adjustment, open, high, low, close, volume, "
            "closed, arrival, log_partition, log_offset, updated_at) SELECT id, '1m', m + n * interval '1 minute', "
            f"'raw', 1, 1, 1, 1, 0, true, 0, 0, 0, now() FROM core.series, {MINUTES} WHERE n % 100 = 0"
        )
        connection.execute("ANALYZE")
    return database


@pytest.mark.parametrize("symbol", ["A", "P"])
@pytest.mark.parametrize("view", ["bars", "bars_all", "bars_adjusted", "metrics"])
def test_a_day_is_looked_for_in_its_month_only(stored: str, view: str, symbol: str) -> None:
    question = f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM market.{view} WHERE {DAY.format(symbol)}"
    with psycopg.connect(stored) as connection:
        (plan,) = connection.execute(question).fetchone() or ()
    touched = set(relations(plan if isinstance(plan, list) else json.loads(plan))) - {"series", "corporate_actions"}
    assert touched
    assert {name for name in touched if not name.endswith("_202403")} == set()


def test_the_providers_bar_is_looked_for_where_a_minute_is_incomplete_and_nowhere_else(stored: str) -> None:
    question = f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM market.bars WHERE {DAY.format('A')}"
    with psycopg.connect(stored) as connection:
        (plan,) = connection.execute(question).fetchone() or ()
    assert max(lookups(plan)) == 14


def lookups(plan: Any) -> list[int]:
    """How often each part of a plan began that reads providers' bars alone."""
    if isinstance(plan, list):
        return [count for part in plan for count in lookups(part)]
    if not isinstance(plan, dict):
        return []
    alone = plan.get("Node Type") == "Append" and {name[:9] for name in relations(plan)} == {"provider_"}
    return [int(plan["Actual Loops"])] if alone else [count for value in plan.values() for count in lookups(value)]


def test_where_trades_are_cut_the_providers_bar_shows(stored: str) -> None:
    found = f"SELECT origin, count(*) FROM market.bars WHERE {DAY} GROUP BY 1 ORDER BY 1"
    with psycopg.connect(stored) as connection:
        assert connection.execute(found.format("A").encode()).fetchall() == [("provider", 14), ("trades", 1426)]
        assert connection.execute(found.format("P").encode()).fetchall() == [("provider", 14)]


def relations(plan: Any) -> list[str]:
    """Every table that was read."""
    if isinstance(plan, list):
        return [name for part in plan for name in relations(part)]
    if not isinstance(plan, dict) or plan.get("Actual Loops") == 0:
        return []
    own = [plan["Relation Name"]] if "Relation Name" in plan else []
    return own + [name for value in plan.values() for name in relations(value)]


def test_a_month_is_made_beside_who_reads(database: str) -> None:
    """Who had read one table and came to the next waited for the writer, who waited for him: whoever looked at bars
    every second kept a new month from being stored."""
    with psycopg.connect(database) as reader, psycopg.connect(database, options="-c lock_timeout=5s") as writer:
        reader.execute("SELECT count(*) FROM core.bars")
        for table in ("provider_bars", "bars", "metrics"):
            writer.execute("SELECT core.ensure_month(%s, '2031-05-01')", (table,))
        reader.execute("SELECT count(*) FROM core.provider_bars")
        writer.commit()
        found = reader.execute(
            "SELECT c.relname, c.reloptions, (SELECT count(*) FROM pg_index WHERE indrelid = c.oid AND indisprimary) "
            "FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE c.relname LIKE '%203105' ORDER BY 1"
        ).fetchall()
    assert found == [(f"{table}_203105", ["fillfactor=50"], 1) for table in ("bars", "metrics", "provider_bars")]
