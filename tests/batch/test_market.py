"""The step over committed minutes of many symbols: what it finds depends on the bars alone, and revisions redo it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime

import numpy as np
import pytest

from commit.world import LAWS, MINUTE, SECOND, Pen, Road, T, rows
from sparktrends.batch import market
from sparktrends.batch.market import MarketStep
from sparktrends.store.session import Session

pytestmark = pytest.mark.e2e

MINUTES, FALL, JUMP = 216, 206, 210
SYMBOLS = [f"S{n:02}/USD" for n in range(12)]
FOUND = "SELECT start, direction, members, up, down, median FROM market.market_moves ORDER BY start"
ALONE = "SELECT start, symbol, direction, members, apart FROM market.peer_moves ORDER BY start, symbol"
CLOSES = "SELECT symbol, close FROM market.bars WHERE interval = '1m' AND start = core.at(%s)"
ALERTS = "SELECT rule, start, status, silent, resolved_at FROM market.alerts WHERE rule = 'market_move' ORDER BY start"


def minute_of(at: datetime) -> int:
    """Which minute of the log it is."""
    return (int(at.timestamp()) * SECOND - T) // MINUTE


def written() -> Pen:
    """Twelve symbols that wander; all fall by two per cent in one minute, later one of them jumps by twelve."""
    pen, random = Pen(), np.random.default_rng(5)
    paths = np.exp(np.cumsum(random.normal(0, 5e-4, (MINUTES, len(SYMBOLS))), axis=0))
    paths[FALL:] *= 0.98
    paths[JUMP:, 3] *= 1.12
    for minute in range(MINUTES):
        for n, symbol in enumerate(SYMBOLS):
            pen.trade(symbol, T + minute * MINUTE, f"{100 * paths[minute, n]:.4f}", 1)
    for symbol in SYMBOLS:
        pen.beat(symbol, T + MINUTES * MINUTE + 6 * SECOND)
    return pen


@pytest.fixture
def step(database: str) -> Iterator[Callable[[], int]]:
    with closing(Session(database, "test")) as session:
        yield MarketStep(session, lambda: T + MINUTES * MINUTE).run


def test_a_fall_of_all_is_one_event_and_a_jump_of_one_is_its_own(database: str, step: Callable[[], int]) -> None:
    road = Road(database, written().log, LAWS)
    road.all()
    assert step() >= 10
    assert step() == 0
    (fall,) = rows(database, FOUND)
    assert (minute_of(fall[0]), *fall[1:5]) == (FALL, "down", 12, 0, 12)
    (jump,) = rows(database, ALONE)
    assert (minute_of(jump[0]), *jump[1:4]) == (JUMP, SYMBOLS[3], "up", 12)
    ((rule, start, status, silent, over),) = rows(database, ALERTS)
    assert (rule, start, status, silent) == ("market_move", fall[0], "resolved", None)
    # The next minute is calm: the event is over at its end.
    assert minute_of(over) == FALL + 2
    road.close()


def test_after_every_commit_or_once_at_the_end_it_finds_the_same(
    database: str, migrated_database: Callable[[], str], step: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the stretches are that it judges at once."""
    other_database = migrated_database()
    log = written().log
    road = Road(database, log, LAWS)
    while road.left:
        road.commit(road.ranges(dict.fromkeys(log, 151)))
        step()
    road.close()
    other = Road(other_database, log, LAWS)
    other.all()
    other.close()
    monkeypatch.setattr(market, "STRETCH", 7 * MINUTE)
    with closing(Session(other_database, "test")) as session:
        MarketStep(session, lambda: T).run()
    assert rows(database, FOUND) == rows(other_database, FOUND) != []
    assert rows(database, ALONE) == rows(other_database, ALONE) != []
    assert rows(database, ALERTS) == rows(other_database, ALERTS) != []


def test_an_event_lasts_while_nobody_has_seen_a_calm_minute(database: str, step: Callable[[], int]) -> None:
    log = written().log
    until = T + (FALL + 2) * MINUTE  # a trade of then makes the minute of the fall final, and not yet the next one
    first = {place: sum(at.appended <= until for _, at in records) for place, records in log.items()}
    road = Road(database, log, LAWS)
    road.commit(road.ranges(first))
    step()
    assert [(row[2], row[4]) for row in rows(database, ALERTS)] == [("firing", None)]
    road.all()
    step()
    assert [(row[2], minute_of(row[4])) for row in rows(database, ALERTS)] == [("resolved", FALL + 2)]
    road.close()


def test_a_revision_that_undoes_the_fall_takes_the_event_and_its_alert_back(
    database: str, step: Callable[[], int]
) -> None:
    pen = written()
    road = Road(database, pen.log, LAWS)
    road.all()
    step()
    before = dict(rows(database, CLOSES, T + (FALL - 1) * MINUTE))
    for symbol in SYMBOLS[:8]:
        pen.trade(symbol, T + FALL * MINUTE + 59 * SECOND, str(before[symbol]), 1, at=T + MINUTES * MINUTE + 7 * SECOND)
    road.all()
    step()
    road.close()
    assert [minute_of(row[0]) for row in rows(database, FOUND)] == [FALL + 1]
    assert [(minute_of(row[1]), row[2]) for row in rows(database, ALERTS)] == [
        (FALL, "retracted"),
        (FALL + 1, "resolved"),
    ]
