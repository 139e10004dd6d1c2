"""The step over committed minutes of many symbols: what it finds depends on the bars alone, and revisions redo it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pytest

from commit.world import LAWS, LIMITS, MINUTE, SECOND, Pen, Road, T, chain, rows
from sparktrends.batch import market
from sparktrends.batch.market import MarketStep
from sparktrends.commit import Analysis, Laws
from sparktrends.store import followers
from sparktrends.store.deliveries import Limits, Outbox, Settlement
from sparktrends.store.session import Session

pytestmark = pytest.mark.e2e

MINUTES, FALL, JUMP = 216, 206, 210
FELL = {FALL: 0.98}
FALLING = {FALL: 0.98, FALL + 1: 0.95, FALL + 3: 1.2}
"""One event: down for two minutes, and after one that is calm up again."""
SYMBOLS = [f"S{n:02}/USD" for n in range(12)]
FOUND = "SELECT start, direction, members, up, down, median, event_start FROM market.market_moves ORDER BY start"
ALONE = "SELECT start, symbol, direction, members, apart FROM market.peer_moves ORDER BY start, symbol"
CLOSES = "SELECT symbol, close FROM market.bars WHERE interval = '1m' AND start = core.at(%s)"
ALERTS = "SELECT rule, start, status, silent, resolved_at FROM market.alerts WHERE rule = 'market_move' ORDER BY start"


def minute_of(at: datetime) -> int:
    """Which minute of the log it is."""
    return (int(at.timestamp()) * SECOND - T) // MINUTE


def written(falls: Mapping[int, float] = FELL, shut: int = 0) -> Pen:
    """Twelve symbols that wander; all fall by two per cent in one minute, later one of them jumps by twelve.

    Nobody trades for ``shut`` minutes before the fall.
    """
    pen, random = Pen(), np.random.default_rng(5)
    paths = np.exp(np.cumsum(random.normal(0, 5e-4, (MINUTES, len(SYMBOLS))), axis=0))
    for minute, share in falls.items():
        paths[minute:] *= share
    paths[JUMP:, 3] *= 1.12
    for minute in range(MINUTES):
        for n, symbol in enumerate(SYMBOLS):
            pen.trade(symbol, T + (minute + shut * (minute >= FALL)) * MINUTE, f"{100 * paths[minute, n]:.4f}", 1)
    for symbol in SYMBOLS:
        pen.beat(symbol, T + (MINUTES + shut) * MINUTE + 6 * SECOND)
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
    # Five minutes are calm: the event is over at the end of the last of them.
    assert minute_of(over) == FALL + 6
    road.close()


def test_what_moved_while_nobody_followed_for_days_is_found_in_the_tables(
    database: str, step: Callable[[], int]
) -> None:
    road = Road(database, written().log, LAWS)
    place = next(iter(road.log))
    road.commit(road.ranges({place: 1}))
    step()
    road.all()
    rows(database, "UPDATE core.changes SET at = at - interval '2 days'")
    with closing(Session(database, "test")) as session, session.transaction() as cursor:
        assert followers.prune(cursor, ["1/1"], road.now) == 2
    assert step() >= 10
    assert step() == 0
    assert [minute_of(start) for start, *_ in rows(database, FOUND)] == [FALL]
    assert [minute_of(start) for start, *_ in rows(database, ALONE)] == [JUMP]
    road.close()


@pytest.mark.parametrize(("shut", "moves"), [(59, 1), (60, 0)])
def test_what_happened_while_nobody_traded_is_no_move_of_a_minute(
    database: str, step: Callable[[], int], shut: int, moves: int
) -> None:
    """Else stocks would move as one at almost every open. A bar begins an hour after one that is an hour old."""
    road = Road(database, written(shut=shut).log, LAWS)
    road.all()
    step()
    road.close()
    assert len(rows(database, FOUND)) == moves
    (jump,) = rows(database, ALONE)
    assert minute_of(jump[0]) == JUMP + shut


def test_a_fall_of_several_minutes_is_one_alert_until_the_market_is_calm(
    database: str, step: Callable[[], int]
) -> None:
    road = Road(database, written(FALLING).log, LAWS)
    road.all()
    step()
    road.close()
    moves = rows(database, "SELECT start, direction, event_start FROM market.market_moves ORDER BY start")
    assert [(minute_of(start), way, minute_of(event)) for start, way, event in moves] == [
        (FALL, "down", FALL),
        (FALL + 1, "down", FALL),
        (FALL + 3, "up", FALL),
    ]
    ((_, start, status, silent, over),) = rows(database, ALERTS)
    assert (minute_of(start), status, silent, minute_of(over)) == (FALL, "resolved", None, FALL + 9)


@pytest.mark.parametrize("falls", [FELL, FALLING, {FALL - 1: 0.98, FALL + 5: 0.94}], ids=["one", "several", "apart"])
def test_after_every_commit_or_once_at_the_end_it_finds_the_same(
    database: str,
    migrated_database: Callable[[], str],
    step: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    falls: Mapping[int, float],
) -> None:
    """However long the stretches are that it judges at once."""
    other_database = migrated_database()
    log = written(falls).log
    road = Road(database, log, LAWS)
    while road.left:
        road.commit(road.ranges(dict.fromkeys(log, 151)))
        step()
    road.close()
    other = Road(other_database, log, LAWS)
    other.all()
    other.close()
    monkeypatch.setattr(market, "STRETCH", 2 * MINUTE)
    with closing(Session(other_database, "test")) as session:
        MarketStep(session, lambda: T).run()
    assert rows(database, FOUND) == rows(other_database, FOUND) != []
    assert rows(database, ALONE) == rows(other_database, ALONE)
    assert rows(database, ALONE) or falls != FELL
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
    assert [(row[2], minute_of(row[4])) for row in rows(database, ALERTS)] == [("resolved", FALL + 6)]
    road.close()


def test_a_revision_that_undoes_the_fall_takes_the_event_and_its_alert_back(
    database: str, step: Callable[[], int]
) -> None:
    pen = written()
    road = Road(database, pen.log, LAWS)
    road.all()
    step()
    before = dict(rows(database, CLOSES, T + (FALL - 1) * MINUTE))
    taken_back(pen, before, FALL)
    road.all()
    step()
    road.close()
    assert [minute_of(row[0]) for row in rows(database, FOUND)] == [FALL + 1]
    assert [(minute_of(row[1]), row[2]) for row in rows(database, ALERTS)] == [
        (FALL, "retracted"),
        (FALL + 1, "resolved"),
    ]


def taken_back(pen: Pen, before: Mapping[str, object], minute: int, seconds: int = 7) -> None:
    """Late trades of eight symbols at the end of a minute, at the prices of ``before``."""
    for symbol in SYMBOLS[:8]:
        arrival = T + MINUTES * MINUTE + seconds * SECOND
        pen.trade(symbol, T + minute * MINUTE + 59 * SECOND, str(before[symbol]), 1, at=arrival)


def test_a_revision_joins_two_events_and_another_parts_them(database: str, step: Callable[[], int]) -> None:
    first, second = FALL - 4, FALL + 3
    pen = written({first: 0.98, second: 0.8})
    road = Road(database, pen.log, LAWS)
    road.all()
    step()
    apart = [(first, "resolved", first + 6), (second, "resolved", second + 6)]
    assert events(database) == apart
    calm = dict(rows(database, CLOSES, T + FALL * MINUTE))
    low = {symbol: f"{float(close) * 0.93:.4f}" for symbol, close in calm.items()}
    taken_back(pen, low, FALL)
    road.all()
    step()
    assert events(database) == [(first, "resolved", second + 6), (second, "retracted", None)]
    taken_back(pen, calm, FALL, 8)
    road.all()
    step()
    road.close()
    assert events(database) == apart


def events(database: str) -> list[tuple[int, str, int | None]]:
    """Each event of the market that was ever told: its minute, its state, and the minute after its last."""
    found = rows(database, ALERTS)
    return [(minute_of(row[1]), row[2], None if row[4] is None else minute_of(row[4])) for row in found]


SHOCK = """
[[rule]]
name = "shock"
when = "abs(return) > 0.015"
cooldown = "0s"
unless_market = true
channels = ["console", "hook"]
history = true
title = "{symbol} moved"
"""
SHOCKED = Laws(LIMITS, (Analysis(chain(SHOCK), LIMITS),))
TOLD = """
SELECT s.symbol, d.channel, d.state, a.inhibited_by IS NOT NULL
FROM core.deliveries d JOIN core.alerts a ON a.id = d.alert JOIN core.series s ON s.id = a.series
WHERE a.start = core.at(%s) AND d.kind = 'alert' ORDER BY 1, 2
"""


@dataclass
class Desk:
    """A road whose rules keep back what the market explains, and what is judged and sent so many seconds later."""

    road: Road
    session: Session
    outbox: Outbox
    channels: tuple[str, ...] = ("console", "hook")

    def judge(self, seconds: float) -> None:
        MarketStep(self.session, lambda: self.road.now + int(seconds * SECOND), self.channels).run()

    def sent(self, seconds: float) -> list[str]:
        """What the channel ``hook`` sends then."""
        now = self.road.now + int(seconds * SECOND)
        lease = self.outbox.claim("hook", f"at {seconds}", 600, now, Limits(spacing_s=0.0))
        if isinstance(lease, float):
            return []
        self.outbox.settle(lease, Settlement("sent"), now, Limits())
        return sorted(delivery.symbol for delivery in lease.deliveries)

    def told(self, minute: int) -> list[tuple[str, str, str, bool]]:
        """Symbol, channel, state and whether it is inhibited, of the alerts of a minute."""
        return rows(self.road.dsn, TOLD, T + minute * MINUTE)


@pytest.fixture
def pen(request: pytest.FixtureRequest) -> Pen:
    return written(getattr(request, "param", FELL))


@pytest.fixture
def desk(database: str, pen: Pen) -> Iterator[Desk]:
    with closing(Session(database, "test")) as session, closing(Outbox(database, "test")) as outbox:
        road = Road(database, pen.log, SHOCKED, now=T + MINUTES * MINUTE + 10 * SECOND)  # nothing is old
        yield Desk(road, session, outbox)
        road.close()


def test_what_the_market_explains_is_told_once_and_what_it_does_not_after_a_moment(desk: Desk) -> None:
    desk.road.all()
    assert desk.sent(1) == []
    desk.judge(5)
    assert desk.told(FALL) == [(s, c, "cancelled", True) for s in SYMBOLS for c in ("console", "hook")]
    assert desk.sent(5) == [SYMBOLS[3], "demo 24/7"]  # the market, and the one that jumped on its own
    ((inhibits, deliveries),) = rows(
        desk.road.dsn, "SELECT cardinality(inhibits), deliveries FROM market.alerts WHERE rule = 'market_move'"
    )
    assert (inhibits, deliveries) == (12, "console: due, hook: sent")


@pytest.mark.parametrize("pen", [FALLING], indirect=True)
def test_what_a_later_minute_of_the_event_explains_is_told_by_the_alert_of_its_first(desk: Desk) -> None:
    desk.road.all()
    desk.judge(5)
    assert desk.told(FALL + 3) == [(s, c, "cancelled", True) for s in SYMBOLS for c in ("console", "hook")]
    assert desk.sent(5).count("demo 24/7") == 1
    ((start, inhibits),) = rows(
        desk.road.dsn, "SELECT start, cardinality(inhibits) FROM market.alerts WHERE rule = 'market_move'"
    )
    assert (minute_of(start), inhibits) == (FALL, 24)


def test_it_waits_until_the_other_symbols_of_its_minute_may_be_there(desk: Desk) -> None:
    desk.road.all()
    desk.judge(1)
    assert desk.sent(1) == ["demo 24/7"]
    desk.judge(3)
    assert desk.sent(3) == []
    desk.judge(5)
    assert desk.sent(5) == [SYMBOLS[3]]


def test_where_nobody_judges_markets_it_is_sent_late(desk: Desk) -> None:
    desk.road.all()
    assert desk.sent(29) == []
    assert desk.sent(31) == sorted([*SYMBOLS, SYMBOLS[3]])
    # What is sent stays sent.
    desk.judge(32)
    assert desk.told(FALL)[1] == (SYMBOLS[0], "hook", "sent", False)


def test_a_channel_that_does_not_hear_of_the_market_hears_of_each_symbol(desk: Desk) -> None:
    desk.channels = ("console",)
    desk.road.all()
    desk.judge(5)
    assert {row[1:] for row in desk.told(FALL)} == {("console", "cancelled", True), ("hook", "due", True)}
    assert desk.sent(5) == sorted([*SYMBOLS, SYMBOLS[3]])


def test_one_that_moves_against_its_market_is_news(desk: Desk, pen: Pen) -> None:
    (price,) = [json.loads(v)["price"] for v, at in pen.log["raw.trades", 1] if json.loads(v)["symbol"] == SYMBOLS[5]][
        FALL - 1 : FALL
    ]
    pen.trade(SYMBOLS[5], T + FALL * MINUTE + SECOND, f"{float(price) * 1.2:.4f}", 1, at=T + FALL * MINUTE + SECOND)
    desk.road.all()
    desk.judge(5)
    assert [symbol for symbol, channel, _, kept in desk.told(FALL) if channel == "hook" and not kept] == [SYMBOLS[5]]


def test_a_market_move_that_is_taken_back_lets_go_what_it_kept(desk: Desk, pen: Pen) -> None:
    desk.road.all()
    desk.judge(5)
    before = dict(rows(desk.road.dsn, CLOSES, T + (FALL - 1) * MINUTE))
    taken_back(pen, before, FALL)
    desk.road.all()
    desk.judge(10)
    # Eight fell a minute later, with the market; of the others nothing is left that explains their fall.
    hook = {row[0]: row[2:] for row in desk.told(FALL) if row[1] == "hook"}
    assert {symbol: hook[symbol] for symbol in SYMBOLS[8:]} == dict.fromkeys(SYMBOLS[8:], ("due", False))
    assert {row[2:] for row in desk.told(FALL + 1)} == {("cancelled", True)}
    assert set(SYMBOLS[8:]) <= set(desk.sent(10))
