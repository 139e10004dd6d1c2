"""Rules that name news: live in any cut, judged again, and over history they see what was known before each bar."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from commit.stored import everything
from commit.test_any_cut import travel
from commit.world import DAY, LIMITS, MINUTE, SECOND, Pen, Road, T, chain, random_log, rows
from sparktrends.alerts.backtest import backtest, with_ids
from sparktrends.commit import Analysis, Laws
from sparktrends.errors import Retryable
from sparktrends.ops.histories import from_store, news_from_store
from sparktrends.store.connect import connect, translated
from sparktrends.store.known_news import hold, publish

pytestmark = pytest.mark.e2e

RULES = """
[[rule]]
name = "told"
when = "close > prev(close) and news_1h > 0"
cooldown = "0s"
title = "{symbol} rose after {news_1h:.0f} stories"
[[rule]]
name = "gloomy"
when = "sentiment_24h < 0"
cooldown = "0s"
[[rule]]
name = "unexplained"
when = "close > prev(close)"
then = [{ when = 'close < prev(close)', within = 2 }]
unless = [{ when = 'news_1h > 0', before = "10m" }]
cooldown = "0s"
"""
CHAINS = [chain(RULES, interval) for interval in ("1m", "5m")]
LAWS = Laws(LIMITS, tuple(Analysis(of, LIMITS) for of in CHAINS))
ALERTS = "SELECT id FROM core.alerts WHERE status <> 'retracted'"
KNOW = """
INSERT INTO core.known_news (kind, symbol, day, headline_key, source, story, published_at, known_at, score, scored_at)
VALUES (%s, %s, '2024-01-01', %s, 'wire', %s, core.at(%s), core.at(%s), %s, core.at(%s))
"""


def know(dsn: str, seed: int, until: int) -> None:
    """Stories about A and B, scored a little after they were known."""
    rng = random.Random(seed)
    for n in range(200):
        known = T + rng.randrange(0, until - T, SECOND)
        score, scored = (
            (rng.uniform(-1, 1), known + rng.randrange(1, 50) * MINUTE) if rng.random() < 0.7 else (None,) * 2
        )
        rows(dsn, KNOW, "", rng.choice("AB"), str(n), str(n), known - MINUTE, known, score, scored)


def ends_at(log: Road) -> int:
    return max(at.appended for records in log.log.values() for _, at in records)


@pytest.mark.parametrize("seed", [2, 5])
def test_any_cut_and_history_give_the_same_alerts(migrated_database: Callable[[], str], seed: int) -> None:
    whole, cut = (Road(migrated_database(), random_log(seed, 200), laws=LAWS) for _ in range(2))
    for road in (whole, cut):
        know(road.dsn, seed, ends_at(road))
    whole.all()
    whole.close()
    travel(cut, random.Random(seed))
    expected = everything(whole.dsn)
    assert len({row[0] for row in rows(whole.dsn, "SELECT rule FROM core.alerts")}) == 3
    assert everything(cut.dsn) == expected
    with connect(whole.dsn) as connection:
        tried = backtest(CHAINS, from_store(connection), 0, T + 900 * DAY, news=news_from_store(connection))
    assert {row["id"] for row in with_ids(tried.fired)} == {row[0] for row in expected["alerts"]}


def simple() -> Pen:
    """A rises minute by minute; after the last one its clock goes on."""
    pen = Pen()
    for minute in range(10):
        pen.trade("A", T + minute * MINUTE, 100 + minute)
    pen.beat("A", T + 11 * MINUTE)
    return pen


TOLD = (
    "SELECT (extract(epoch FROM start) * 1000000)::bigint FROM core.alerts WHERE rule = 'told' AND interval = '1m' "
    "AND status <> 'retracted' ORDER BY 1"
)


def test_what_is_learnt_later_changes_no_bar_that_is_over(database: str) -> None:
    pen = simple()
    road = Road(database, pen.log, LAWS)
    rows(database, KNOW, "", "A", "h", "1", T, T + 5 * MINUTE, None, None)
    road.all()
    assert rows(database, TOLD) == [(T + 6 * MINUTE,)]
    rows(database, KNOW, "", "A", "k", "2", T, T + 40 * DAY, None, None)
    rows(database, KNOW, "~sim", "A", "h", "1", T, T + MINUTE, None, None)
    pen.trade("A", T + MINUTE, 99, at=T + 12 * MINUTE)  # a late trade: everything from there on is judged again
    road.all()
    assert rows(database, "SELECT count(*) FROM core.bars WHERE interval = '1m' AND state = 'revised'") == [(1,)]
    assert rows(database, TOLD) == [(T + 6 * MINUTE,)]
    road.close()


def test_rules_that_were_changed_know_the_news_of_before(database: str) -> None:
    """What they remember is learned from all bars, each with its news."""
    road = Road(database, simple().log, Laws(LIMITS, (Analysis(chain(), LIMITS),)))
    rows(database, KNOW, "", "A", "h", "1", T, T + 3 * MINUTE, None, None)
    road.commit(road.ranges({("raw.trades", 1): 8}))
    road.laws = LAWS
    road.restart()
    road.all()
    # It has fired at minute 4, in a past that nobody is told of, and what it said still holds.
    assert rows(database, TOLD) == []
    road.close()


STORY = """
INSERT INTO core.news (source, id, published_at, headline, headline_key, summary, url, publisher, provider_label,
    payload, updated_at) VALUES (%s, %s, core.at(%s), 'h', %s, '', '', '', '', 1, now())
"""
MENTION = "INSERT INTO core.mentions (source, story, symbol, score) VALUES (%s, %s, %s, %s)"
KNOWN = "SELECT source, id, symbol, score, known_at, scored_at FROM market.known_news ORDER BY symbol, source, id"


def let_know(dsn: str) -> None:
    with connect(dsn) as connection, connection.cursor() as cursor:
        publish(cursor)


def test_what_was_known_is_never_changed(database: str) -> None:
    rows(database, STORY, "wire", "1", T, "one")
    rows(database, MENTION, "wire", "1", "BTC/USDT", None)
    let_know(database)
    ((*what, known, scored),) = rows(database, KNOWN)
    assert (what, scored) == (["wire", "1", "BTC/USD", None], None)
    rows(database, "UPDATE core.mentions SET score = 0.25")
    let_know(database)
    ((*what, again, scored),) = rows(database, KNOWN)
    assert (what[3], again) == (0.25, known)
    assert scored > known
    # Scored again by another model, told by another provider, its headline corrected: it stays what it was.
    rows(database, "UPDATE core.mentions SET score = -1")
    rows(database, "UPDATE core.news SET headline_key = 'corrected'")
    rows(database, STORY, "other", "7", T, "one")
    rows(database, MENTION, "other", "7", "BTC/USD", 0.9)
    let_know(database)
    assert rows(database, KNOWN) == [(*what, known, scored)]


def test_a_story_of_the_simulator_and_one_that_was_old_when_it_came_are_no_news(database: str) -> None:
    road = Road(database, simple().log, LAWS)
    rows(database, KNOW, "~sim", "A", "h", "1", T, T + 5 * MINUTE, None, None)
    rows(database, KNOW, "", "A", "k", "2", T - 2 * DAY, T + 5 * MINUTE, None, None)
    road.all()
    road.close()
    assert rows(database, TOLD) == []


def test_who_reads_and_who_publishes_wait_for_each_other(database: str) -> None:
    """Else a story could be known from before a bar that has been judged without it."""
    for first, second in ((publish, hold), (hold, publish)):
        with connect(database) as one, connect(database, timeout_s=3.0) as other:
            first(one.cursor())
            with pytest.raises(Retryable), translated():
                second(other.cursor())
            other.rollback()
            one.commit()
            second(other.cursor())
