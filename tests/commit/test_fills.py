"""Law 8: what nothing but fills brought is stored and shown, and sent to nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from commit.test_batch import open_bars
from commit.world import LIMITS, MINUTE, SECOND, Pen, Road, T, chain, rows
from sparktrends.commit import Analysis, Laws

pytestmark = pytest.mark.e2e

UP_5M = '[[rule]]\nname = "up"\nwhen = "return > 0"\ninterval = "5m"\ntitle = "x"'
LAWS = Laws(LIMITS, (Analysis(chain(), LIMITS), Analysis(chain(UP_5M, "5m"), LIMITS)))
SILENT = """
SELECT rule, (extract(epoch FROM start) * 1000000)::bigint, silent FROM core.alerts
WHERE interval = %s AND status <> 'retracted' AND rule = 'up' ORDER BY 2, 1
"""


@pytest.fixture
def pen() -> Pen:
    made = Pen()
    for n in range(8):
        made.trade("A", T + n * MINUTE, 100 - n)
    return made


@pytest.fixture
def road(database: str, pen: Pen) -> Iterator[Road]:
    made = Road(database, pen.log, laws=LAWS, now=T + 20 * MINUTE)
    made.all()
    yield made
    made.close()


def silent(road: Road, interval: str = "1m") -> dict[tuple[str, int], str | None]:
    """Why alerts are not sent, by rule and minute."""
    return {(rule, (start - T) // MINUTE): why for rule, start, why in rows(road.dsn, SILENT, interval)}


def later(road: Road, pen: Pen, *trades: dict[str, Any], minute: int = 11, price: int = 0) -> None:
    """Trades, then (in the same batch) whatever closes the minutes before ``minute``."""
    for trade in trades:
        pen.trade("A", T + trade.pop("minute") * MINUTE, at=T + 10 * MINUTE, **trade)
    pen.trade("A", T + minute * MINUTE, price or 1, at=T + minute * MINUTE)
    road.all()


def test_a_bar_of_live_trades_is_sent(road: Road, pen: Pen) -> None:
    later(road, pen, {"minute": 9, "price": 120})
    assert silent(road)["up", 9] is None


def test_a_bar_of_fills_alone_is_not(road: Road, pen: Pen) -> None:
    later(road, pen, {"minute": 9, "price": 120, "fill": True})
    assert silent(road)["up", 9] == "fill"


def test_a_bar_with_some_live_trades_is_sent(road: Road, pen: Pen) -> None:
    later(road, pen, {"minute": 9, "price": 99}, {"minute": 9, "price": 120, "fill": True})
    assert silent(road)["up", 9] is None


def test_fills_of_a_forming_bar_are_known_when_it_closes_after_a_restart(road: Road, pen: Pen) -> None:
    pen.trade("A", T + 9 * MINUTE, 120, at=T + 9 * MINUTE, fill=True)
    road.all()
    road.restart()
    later(road, pen)
    assert silent(road)["up", 9] == "fill"


def test_what_a_fill_of_an_old_bar_brings_behind_it_is_not_sent_either(road: Road, pen: Pen) -> None:
    # Without the fill minute 4 fell like all others; with it minute 3 is deep and 4 rises.
    later(road, pen, {"minute": 3, "price": 50, "fill": True})
    assert silent(road) == {("up", 4): "fill"}


def test_what_a_late_live_trade_brings_behind_it_is_sent(road: Road, pen: Pen) -> None:
    later(road, pen, {"minute": 4, "price": 50})
    assert silent(road) == {("up", 5): None}


def test_new_live_bars_are_sent_beside_a_fill(road: Road, pen: Pen) -> None:
    pen.trade("A", T + 3 * MINUTE, 50, at=T + 10 * MINUTE, fill=True)
    pen.trade("A", T + 20 * MINUTE, 120)
    pen.trade("A", T + 22 * MINUTE, 1)
    road.all()
    assert silent(road) == {("up", 4): "fill", ("up", 20): None}


@pytest.mark.parametrize(("fill", "why"), [(True, "fill"), (False, None)])
def test_a_providers_bar_is_sent_unless_it_was_fetched_afterwards(road: Road, pen: Pen, fill: bool, why: str) -> None:
    road.next["raw.bars", 0] = 0
    open_bars(road)
    pen.bar("A", T + 9 * MINUTE, 150, T + 10 * MINUTE, fill=fill)
    later(road, pen)
    assert silent(road)["up", 9] == why


@pytest.mark.parametrize(("fill", "why"), [(True, "fill"), (False, None)])
def test_a_longer_bar_follows_its_minutes(road: Road, pen: Pen, fill: bool, why: str) -> None:
    trades = [{"minute": n, "price": 120, "fill": fill} for n in (10, 11, 12, 13, 14)]
    for trade in trades:
        pen.trade("A", T + trade.pop("minute") * MINUTE + SECOND, at=T + 15 * MINUTE, **trade)
    pen.trade("A", T + 16 * MINUTE, 1)
    road.all()
    assert silent(road, "5m")["up", 10] == why


@pytest.mark.parametrize(("fill", "why"), [(True, "fill"), (False, None)])
def test_a_longer_bar_that_is_made_anew_follows_its_revision(road: Road, pen: Pen, fill: bool, why: str) -> None:
    pen.trade("A", T + 11 * MINUTE, 1)
    road.all()
    assert ("up", 5) not in silent(road, "5m")
    pen.trade("A", T + 9 * MINUTE + SECOND, 500, at=T + 12 * MINUTE, fill=fill)
    road.all()
    assert silent(road, "5m")["up", 5] == why
