"""A question about a day looks into the partitions of its month only, whichever view is asked."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

pytestmark = pytest.mark.e2e

MONTHS = [f"2024-{month:02d}-01" for month in range(1, 8)]
DAY = "source = 'x' AND symbol = 'A' AND interval = '1m' AND start >= '2024-03-05Z' AND start < '2024-03-06Z'"


@pytest.fixture
def stored(database: str) -> str:
    """Seven months of bars, of provider's bars and of metrics; two series."""
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO core.series (source, symbol) VALUES ('x', 'A'), ('x', 'B')")
        for table in ("bars", "provider_bars", "metrics"):
            for month in MONTHS:
                connection.execute("SELECT core.ensure_month(%s, %s)", (table, month))
        connection.execute(
            "INSERT INTO core.bars (series, interval, start, volume, turnover, trades, after_final, statuses, state, "
            "updated_at) SELECT id, '1m', '2024-01-01Z'::timestamptz + n * interval '10 minutes', 0, 0, 0, 0, 0, "
            "'final', now() FROM core.series, generate_series(0, 30000) n"
        )
        connection.execute("ANALYZE")
    return database


@pytest.mark.parametrize("view", ["bars", "bars_all", "metrics"])
def test_a_day_is_looked_for_in_its_month_only(stored: str, view: str) -> None:
    question = f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM market.{view} WHERE {DAY}"  # noqa: S608
    with psycopg.connect(stored) as connection:
        (plan,) = connection.execute(question).fetchone() or ()
    touched = set(relations(plan if isinstance(plan, list) else json.loads(plan)))
    # What a provider says of a minute is looked up by the minute's key: planned for every month, found in one.
    looked_up = {name for name in touched if name.startswith("provider_bars_")} if view == "bars" else set()
    assert touched - looked_up - {"series"}
    assert {name for name in touched - looked_up - {"series"} if not name.endswith("_202403")} == set()


def relations(plan: Any) -> list[str]:
    """Every table that was read."""
    if isinstance(plan, list):
        return [name for part in plan for name in relations(part)]
    if not isinstance(plan, dict) or plan.get("Actual Loops") == 0:
        return []
    own = [plan["Relation Name"]] if "Relation Name" in plan else []
    return own + [name for value in plan.values() for name in relations(value)]
