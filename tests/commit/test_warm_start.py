"""A symbol that begins with its past: warm at its first live bar, and nobody is alerted of what was."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from commit.stored import expect_as_recomputed
from commit.world import DAY, LIMITS, MINUTE, SECOND, Pen, Road, T, chain, rows
from sparktrends.commit import Analysis, Laws

pytestmark = pytest.mark.e2e

NOW = T + 300 * MINUTE
LAWS = Laws(LIMITS, tuple(Analysis(chain(interval=interval), LIMITS) for interval in ("1m", "1d")))
METRICS = "SELECT interval, start, warm, sma_200 IS NOT NULL FROM market.metrics WHERE final ORDER BY interval, start"
ALERTS = "SELECT DISTINCT silent, (SELECT count(*) FROM core.deliveries d WHERE d.alert = a.id) FROM core.alerts a"


def history(pen: Pen, interval: str, length: int, count: int) -> None:
    """Bars up to now, as ingest writes them at the start of a symbol."""
    for n in range(count):
        close = f"{100 + n % 7}.5"
        prices = {"open": 100, "high": 200, "low": 80, "close": close, "volume": 1 + n % 5, "fill": True}
        head = {"source": "demo", "symbol": "A", "interval": interval, "start": NOW - (count - n) * length}
        pen.write("raw.bars", 0, NOW, {**head, **prices, "received": NOW})


@pytest.fixture
def road(database: str) -> Iterator[Road]:
    pen = Pen()
    history(pen, "1m", MINUTE, 300)
    history(pen, "1d", DAY, 250)
    for second in range(0, 90, 10):
        pen.trade("A", NOW + second * SECOND, 101 + second)
    made = Road(database, pen.log, LAWS, now=NOW + 2 * MINUTE)
    yield made
    made.close()


@pytest.mark.parametrize("cut", [0, 137])
def test_the_first_live_bar_is_warm_whatever_the_batches(road: Road, cut: int) -> None:
    road.commit(road.ranges({("raw.bars", 0): cut}))
    road.all()
    found = rows(road.dsn, METRICS)
    assert [interval for interval, *_ in found].count("1m") == 301
    assert [interval for interval, *_ in found].count("1d") == 250
    assert found[-1][2:] == (True, True)
    assert found[249][2:] == (True, True)
    for interval in ("1m", "1d"):
        expect_as_recomputed(road.dsn, chain(interval=interval))


def test_alerts_of_the_past_are_kept_and_sent_to_nobody(road: Road) -> None:
    past = [record for record in road.log["raw.bars", 0] if json.loads(record[0])["interval"] == "1m"]
    road.log = {**road.log, ("raw.bars", 0): past, ("raw.trades", 1): []}
    road.all()
    found = dict(rows(road.dsn, ALERTS))
    assert set(found) <= {"fill", "old"}
    assert found["fill"] == 1  # the console shows it
