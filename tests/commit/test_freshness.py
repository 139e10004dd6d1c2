"""market.freshness: a quiet market, a dead feed and a closed exchange are three things, though all send words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from commit.world import HOUR, LAWS, MINUTE, SECOND, Pen, Road, T, rows

pytestmark = pytest.mark.e2e
FRESHNESS = """
SELECT reason, exchange_closed, (extract(epoch FROM last_price_at) * 1000000)::bigint,
    extract(epoch FROM price_age - (now() - last_price_at))::float8, age < price_age
FROM market.freshness WHERE symbol = %s
"""


def told(dsn: str, symbol: str) -> tuple[Any, ...]:
    (row,) = rows(dsn, FRESHNESS, symbol)
    return row


def silence(pen: Pen, symbol: str, status: str, begin: int, end: int) -> None:
    for ts in range(begin, end, 20 * SECOND):
        pen.beat(symbol, ts, status)


def test_quiet_dead_and_closed_are_told_apart(database: str) -> None:
    pen, end = Pen(), T + 2 * HOUR
    for symbol, status in (("QUIET", "ok"), ("DEAD", "stale"), ("SHUT", "closed")):
        pen.trade(symbol, T + 30 * SECOND)
        silence(pen, symbol, status, T + MINUTE, end)
    pen.trade("ALIVE", end - 1)
    pen.beat("NEVER", end - 1, "ok")
    road = Road(database, pen.log, LAWS)
    road.all()
    road.close()
    before = T + 30 * SECOND
    assert told(database, "QUIET") == ("no_trade", False, before, 0.0, True)
    assert told(database, "DEAD") == ("feed_stale", False, before, 0.0, True)
    assert told(database, "SHUT") == (None, True, before, 0.0, True)
    assert told(database, "ALIVE") == (None, False, end - 1, 0.0, False)
    assert told(database, "NEVER") == ("no_trade", False, None, None, None)
    ages = rows(database, "SELECT DISTINCT clock_at FROM market.freshness WHERE symbol IN ('QUIET', 'DEAD', 'SHUT')")
    assert ages == [(datetime.fromtimestamp((end - 20 * SECOND) / SECOND, UTC),)]


def test_an_exchange_that_opens_again_is_open_and_bars_of_a_provider_are_prices(database: str) -> None:
    pen = Pen()
    pen.trade("SHUT", T)
    silence(pen, "SHUT", "closed", T + MINUTE, T + HOUR)
    pen.beat("SHUT", T + HOUR, "ok")
    pen.bar("BARS", T, 100, T + 2 * MINUTE)
    pen.bar("BARS", T + 2 * MINUTE, 101, T + 2 * MINUTE + 5 * SECOND, closed=False)
    road = Road(database, pen.log, LAWS)
    road.all()
    road.close()
    assert told(database, "SHUT")[:3] == ("no_trade", False, T)
    assert told(database, "BARS")[1:3] == (False, T + 2 * MINUTE + 5 * SECOND)
