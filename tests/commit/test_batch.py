"""One transaction, one ledger: what is refused, what goes back and steps again, and what a successor finds."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest

from commit.stored import everything, expect_as_recomputed, recomputed
from commit.world import DAY, LAWS, LIMITS, MINUTE, SECOND, Pen, Road, T, chain, rows
from sparktrends.commit import Analysis, Laws
from sparktrends.errors import Fenced, LogGap
from sparktrends.model import OffsetRange
from sparktrends.store.writer import Writer

pytestmark = pytest.mark.e2e

PLACE = ("raw.trades", 1)
REVISION = "SELECT revision FROM market.metrics WHERE interval = '1m' AND start = core.at(%s)"
ALERTS = """
SELECT rule, (extract(epoch FROM start) * 1000000)::bigint, status FROM core.alerts WHERE interval = '1m' ORDER BY 2, 1
"""
SHOWN = "SELECT origin, close FROM market.bars WHERE interval = '1m' AND start = core.at(%s)"
MOVED = """
SELECT retracted_at IS NULL FROM market.signals WHERE interval = '1m' AND name = 'price_move' AND start = core.at(%s)
"""
DAILY = "SELECT start FROM core.snapshots WHERE interval = '1m' AND daily ORDER BY start"


def minutes(pen: Pen, count: int, price: float = 100.0) -> None:
    """A trade a minute, mostly falling a little."""
    for n in range(count):
        pen.trade("A", T + n * MINUTE, price - n / 10, 1 + n % 3)


@pytest.fixture
def pen() -> Pen:
    made = Pen()
    minutes(made, 12)
    return made


@pytest.fixture
def road(database: str, pen: Pen) -> Iterator[Road]:
    made = Road(database, pen.log)
    yield made
    made.close()


def close_at(road: Road, minute: int) -> tuple[object, ...]:
    """(origin, close) of the bar that people see."""
    return rows(
        road.dsn,
        "SELECT origin, close FROM market.bars WHERE interval = '1m' AND start = core.at(%s)",
        T + minute * MINUTE,
    )[0]


def test_a_repeated_batch_is_told_and_changes_nothing(road: Road) -> None:
    ranges = road.ranges({PLACE: 5})
    assert road.commit(ranges) is not None
    before = everything(road.dsn)
    assert road.commit(ranges) is None
    assert everything(road.dsn) == before
    assert rows(road.dsn, "SELECT commit FROM core.shards") == [(1,)]


def test_the_ledger_says_when_the_newest_record_was_appended(road: Road) -> None:
    """What waits longer than it should is told by it; the time of the commit would say nothing."""
    road.all()
    appended = "SELECT appended_at = core.at(%s) FROM core.ledger WHERE (topic, partition) = (%s, %s)"
    assert rows(road.dsn, appended, T + 11 * MINUTE, *PLACE) == [(True,)]


@pytest.mark.parametrize("start", [3, 6])
def test_a_batch_that_begins_elsewhere_is_refused(road: Road, start: int) -> None:
    road.commit(road.ranges({PLACE: 5}))
    before = everything(road.dsn)
    with pytest.raises(LogGap, match="the ledger stands at 5"):
        road.commit([OffsetRange(*PLACE, "one", start, 9)])
    assert everything(road.dsn) == before


def test_another_topic_of_the_name_is_refused(road: Road) -> None:
    with pytest.raises(LogGap, match="of other"):
        road.commit([OffsetRange(*PLACE, "other", 0, 5)])


def test_two_writers_of_a_shard_are_one_too_many(road: Road) -> None:
    road.commit(road.ranges({PLACE: 1}))
    with pytest.raises(Fenced, match="shard 1/1"), Writer(road.dsn).transaction():
        pass
    other = Writer(road.dsn, "2/2")
    with other.transaction():
        pass
    other.close()


def test_a_shard_that_is_cut_otherwise_is_fenced_and_the_ledger_names_who_reads(road: Road) -> None:
    road.close()
    whole, half = (Writer(road.dsn, shard, places=[("raw.bars", 1), PLACE]) for shard in ("1/1", "2/2"))
    other = Writer(road.dsn, "1/2", places=[("raw.bars", 0), ("raw.trades", 0)])
    with whole.transaction(), other.transaction():
        pass
    with pytest.raises(Fenced, match=r"raw.bars\[1\].*shares of one N"), half.transaction():
        pass
    rows(road.dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%%writer 1/1' "
         "AND datname = current_database()")  # fmt: skip
    with half.transaction():
        pass
    # Who lost its connection has to win all of its locks again.
    whole.close()
    with pytest.raises(Fenced), whole.transaction():
        pass
    half.close()
    with whole.transaction():
        pass
    late = Writer(road.dsn, "2/2", places=[PLACE])
    with pytest.raises(Fenced, match=r"raw.trades\[1\] is read by shard 1/1"), late.transaction():
        pass
    whole.close()
    other.close()


def test_who_has_only_begun_is_not_in_the_ledger_and_fences_all_the_same(road: Road) -> None:
    first, late = (Writer(road.dsn, shard, places=[("raw.trades", 7)]) for shard in ("1/3", "2/2"))
    with (
        first.transaction(),
        pytest.raises(Fenced, match=r"raw.trades\[7\] is read by another process"),
        late.transaction(),
    ):
        pass
    first.close()


def test_the_lock_goes_with_the_connection(road: Road) -> None:
    road.commit(road.ranges({PLACE: 1}))
    rows(road.dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%%writer%%' "
         "AND datname = current_database()")  # fmt: skip
    successor = Writer(road.dsn)
    with successor.transaction():
        pass
    successor.close()


def test_a_revised_bar_is_stepped_again_with_what_follows(road: Road, pen: Pen) -> None:
    road.all()
    before = rows(road.dsn, ALERTS)
    pen.trade("A", T + 5 * MINUTE + 30 * SECOND, 400, at=T + 13 * MINUTE)
    road.all()
    after = rows(road.dsn, ALERTS)
    assert ("up", T + 5 * MINUTE, "resolved") in after
    assert ("up", T + 5 * MINUTE, "resolved") not in before
    assert rows(road.dsn, REVISION, T + 5 * MINUTE) == [(1,)]
    expect_as_recomputed(road.dsn, LAWS.analyses[0]._chain)


def test_signals_and_alerts_that_a_revision_undoes_are_retracted(road: Road, pen: Pen) -> None:
    pen.trade("A", T + 12 * MINUTE, 300)
    pen.trade("A", T + 13 * MINUTE, 99)
    pen.trade("A", T + 14 * MINUTE, 99)
    road.all()
    assert ("jump", T + 12 * MINUTE, "firing") in rows(road.dsn, ALERTS)
    pen.trade("A", T + 12 * MINUTE + 50 * SECOND, "98.8", at=T + 15 * MINUTE)
    road.all()
    assert ("jump", T + 12 * MINUTE, "retracted") in rows(road.dsn, ALERTS)
    assert rows(road.dsn, MOVED, T + 12 * MINUTE) == [(False,)]
    expect_as_recomputed(road.dsn, LAWS.analyses[0]._chain)


@pytest.mark.parametrize("first", ["trades", "bar"])
@pytest.mark.parametrize("status", ["start", "stale", "throttled"])
def test_a_providers_bar_stands_for_an_incomplete_one(road: Road, pen: Pen, status: str, first: str) -> None:
    pen.beat("A", T + 6 * MINUTE + SECOND, status, at=T + 12 * MINUTE)
    pen.bar("A", T + 6 * MINUTE, 150, T + 7 * MINUTE)
    pen.trade("A", T + 13 * MINUTE, 99)
    place = PLACE if first == "trades" else ("raw.bars", 0)
    road.next.setdefault(("raw.bars", 0), 0)
    open_bars(road)
    road.commit(road.ranges({place: 99}))
    road.all()
    assert close_at(road, 6) == ("provider", 150)
    expect_as_recomputed(road.dsn, LAWS.analyses[0]._chain)


def open_bars(road: Road) -> None:
    rows(road.dsn, "INSERT INTO core.ledger (topic, partition, topic_id, first_offset, next_offset, shard) "
         "VALUES ('raw.bars', 0, 'two', 0, 0, '1/1')")  # fmt: skip


def test_a_providers_bar_gives_way_when_the_minute_was_only_quiet(road: Road, pen: Pen) -> None:
    pen.trade("A", T + 14 * MINUTE, 99)
    pen.bar("A", T + 12 * MINUTE, 150, T + 13 * MINUTE)
    road.next["raw.bars", 0] = 0
    open_bars(road)
    road.all()
    assert close_at(road, 12) == ("provider", 150)
    expect_as_recomputed(road.dsn, LAWS.analyses[0]._chain)
    pen.beat("A", T + 12 * MINUTE + SECOND, at=T + 14 * MINUTE)
    road.all()
    assert close_at(road, 12) == ("trades", None)
    expect_as_recomputed(road.dsn, LAWS.analyses[0]._chain)
    assert rows(road.dsn, "SELECT * FROM core.snapshots WHERE interval = '1m' AND start = %s", T + 12 * MINUTE) == []
    road.restart()
    pen.trade("A", T + 16 * MINUTE, 120)
    road.all()
    expect_as_recomputed(road.dsn, LAWS.analyses[0]._chain)


def test_a_providers_bar_gives_way_to_a_minute_that_still_forms(road: Road, pen: Pen) -> None:
    pen.bar("A", T + 12 * MINUTE, 150, T + 12 * MINUTE)
    road.next["raw.bars", 0] = 0
    open_bars(road)
    road.all()
    assert close_at(road, 12) == ("provider", 150)
    assert ("up", T + 12 * MINUTE, "firing") in rows(road.dsn, ALERTS)
    pen.trade("A", T + 12 * MINUTE + SECOND, "98.8")
    road.all()
    assert close_at(road, 12) == ("trades", Decimal("98.8"))
    assert ("up", T + 12 * MINUTE, "retracted") in rows(road.dsn, ALERTS)
    expect_as_recomputed(road.dsn, LAWS.analyses[0]._chain)


def test_a_session_that_was_closed_takes_its_feed_signals_back(road: Road, pen: Pen) -> None:
    pen.trade("A", T + 15 * MINUTE + 6 * SECOND, 99)
    road.all()
    standing = "SELECT name FROM market.signals WHERE interval = '1m' AND kind = 'feed' AND retracted_at IS NULL"
    assert rows(road.dsn, standing) == [("feed_stale",)] * 3
    for minute in (12, 13, 14):
        pen.beat("A", T + minute * MINUTE, "closed", at=T + 15 * MINUTE)
    road.all()
    assert rows(road.dsn, standing) == []
    ((starts,),) = rows(road.dsn, "SELECT starts FROM core.changes ORDER BY commit DESC LIMIT 1")
    assert {T + minute * MINUTE for minute in (12, 13, 14)} <= set(starts), "who keeps these rows must hear of it"


def test_other_rules_step_the_history_again_and_leave_old_alerts(road: Road, pen: Pen) -> None:
    pen.trade("A", T + 12 * MINUTE, 300)
    pen.trade("A", T + 14 * MINUTE, 301)
    road.all()
    old = rows(road.dsn, ALERTS)
    assert ("up", T + 12 * MINUTE, "firing") in old
    other = chain('[[rule]]\nname = "over"\nwhen = "close > 1000"\ntitle = "x"')
    road.laws = Laws(LIMITS, (Analysis(other, LIMITS),))
    road.restart()
    pen.trade("A", T + 16 * MINUTE, 302)
    road.all()
    made, signals, _ = recomputed(road.dsn, other)
    stored = everything(road.dsn)
    assert [row for row in stored["metrics"] if row[2] == "1m"] == made
    assert {row[0] for row in stored["signals"] if row[1] == "1m" and row[3] != "feed"} == signals
    assert rows(road.dsn, ALERTS) == old


def test_a_fill_of_another_day_goes_back_to_the_days_snapshot(road: Road, pen: Pen) -> None:
    for n in range(3):
        pen.trade("A", T + DAY + n * MINUTE, 90 + n)
    road.all()
    kept = [row[0] for row in rows(road.dsn, DAILY)]
    assert kept == [T, T + DAY]
    pen.trade("A", T + 8 * MINUTE, 500, at=T + DAY + 3 * MINUTE, fill=True)
    road.restart()
    road.all()
    expect_as_recomputed(road.dsn, LAWS.analyses[0]._chain)


def test_extra_metrics_can_be_asked_for_by_name(road: Road, pen: Pen) -> None:
    minutes(pen, 40)
    road.all()
    found = rows(road.dsn, "SELECT (extra->>'willr_14')::float8 FROM market.metrics WHERE extra ? 'willr_14'")
    assert found
    assert all(-100 <= value <= 0 for (value,) in found)


def test_a_failed_transaction_leaves_nothing(road: Road) -> None:
    road.commit(road.ranges({PLACE: 3}))
    before = everything(road.dsn)
    with pytest.raises(ConnectionError):
        road.commit(road.ranges({PLACE: 5}), fail=True)
    assert everything(road.dsn) == before


def test_two_writers_of_one_series_take_turns(road: Road, pen: Pen) -> None:
    road.commit(road.ranges({PLACE: 3}))
    other = Writer(road.dsn, "repair")
    with other.transaction() as tx, psycopg.connect(road.dsn, autocommit=True) as third:
        assert tx.lock_series([("demo", "A")])["demo", "A"].version == 1
        with pytest.raises(psycopg.errors.LockNotAvailable):
            third.execute("SELECT * FROM core.series_state FOR UPDATE NOWAIT")
    other.close()
    road.all()
    expect_as_recomputed(road.dsn, LAWS.analyses[0]._chain)


def test_bars_alone_can_be_written_and_analysed_later(road: Road, pen: Pen) -> None:
    road.laws = Laws(LIMITS)
    road.all()
    assert rows(road.dsn, "SELECT count(*) FROM market.metrics") == [(0,)]
    road.laws = LAWS
    road.restart()
    pen.trade("A", T + 13 * MINUTE, 99)
    road.all()
    made, _, _ = recomputed(road.dsn, chain())
    assert [row for row in everything(road.dsn)["metrics"] if row[2] == "1m"] == made


def test_rules_that_were_changed_count_as_always_there(road: Road, pen: Pen) -> None:
    """What other rules left is taken over: nothing of the past is written again, and what fires from now on is what
    would have fired had they been there from the first bar."""
    for n, price in enumerate((300, 299, 310, 305, 320, 319, 318)):
        pen.trade("A", T + (12 + n) * MINUTE, price)
    road.commit(road.ranges({PLACE: 16}))
    before = rows(road.dsn, "SELECT start, updated_at FROM core.metrics ORDER BY start")
    old = {row[0] for row in rows(road.dsn, "SELECT id FROM core.alerts")}
    rise = 'name = "rise"\nwhen = "close > 200"\nuntil = "close < prev(close)"\ncooldown = "4m"\ntitle = "x"'
    other = chain(f"[[rule]]\n{rise}")
    road.laws = Laws(LIMITS, (Analysis(other, LIMITS),))
    road.cache.entries.clear()
    road.all()
    after = rows(road.dsn, "SELECT start, updated_at FROM core.metrics ORDER BY start")
    assert after[: len(before) - 2] == before[:-2]
    _, _, history = recomputed(road.dsn, other)
    made = {row[0] for row in rows(road.dsn, "SELECT id FROM core.alerts")} - old
    assert made
    assert made < history.keys()
    (last,) = rows(road.dsn, "SELECT max(start) FROM core.alerts WHERE rule <> 'rise'")[0]
    assert made == {row[0] for row in rows(road.dsn, "SELECT id FROM core.alerts WHERE rule = 'rise'")}
    assert last is not None


def test_a_revision_behind_a_change_of_rules_goes_back_as_ever(road: Road, pen: Pen) -> None:
    pen.trade("A", T + 13 * MINUTE, 300)
    road.all()
    other = chain('[[rule]]\nname = "over"\nwhen = "return > 0"\ncooldown = "0s"\ntitle = "x"')
    road.laws = Laws(LIMITS, (Analysis(other, LIMITS),))
    road.restart()
    pen.trade("A", T + 8 * MINUTE + SECOND, 400, at=T + 15 * MINUTE)
    road.all()
    made, signals, alerts = recomputed(road.dsn, other)
    stored = everything(road.dsn)
    assert [row for row in stored["metrics"] if row[2] == "1m"] == made
    assert {row[0] for row in stored["signals"] if row[1] == "1m" and row[3] != "feed"} == signals
    assert {row[0] for row in rows(road.dsn, "SELECT id FROM core.alerts WHERE rule = 'over'")} == alerts.keys()


def test_of_many_forming_bars_each_batch_peeks_a_share_in_turn(database: str) -> None:
    symbols, pen = [f"S{n:03}" for n in range(200)], Pen()
    for symbol in symbols:
        pen.trade(symbol, T)
    road = Road(database, pen.log)
    for batch, peeked in enumerate((100, 200)):
        road.all()
        assert rows(database, "SELECT count(*) FROM core.metrics WHERE interval = '1m'") == [(peeked,)]
        for symbol in symbols:
            pen.trade(symbol, T + (batch + 1) * SECOND)
    for symbol in symbols:
        pen.beat(symbol, T + MINUTE + 6 * SECOND)
    road.all()
    road.close()
    assert rows(database, "SELECT count(*) FROM core.metrics WHERE interval = '1m' AND final") == [(200,)]


def test_a_series_is_at_hand_from_its_first_batch_also_when_its_turn_has_not_come(database: str) -> None:
    """Else it would be taken for one that other rules left, and be made anew from what is stored."""
    pen, analysis = Pen(), Analysis(chain(), LIMITS)
    for number in range(200):
        pen.trade(f"A{number}", T + SECOND, 100 + number)
    road = Road(database, pen.log, Laws(LIMITS, (analysis,)))
    try:
        road.all()
        known = [road.cache.get(("demo", f"A{number}"), 1) for number in range(200)]
    finally:
        road.close()
    assert all(one is not None and "1m" in one.positions for one in known)


def test_more_series_than_are_kept_at_hand_lose_no_longer_bar(database: str) -> None:
    """What one series leaves must not push another of the same batch out before that one's turn."""
    pen, hour = Pen(), "SELECT symbol, trades FROM market.bars WHERE interval = '1h' AND trades > 0 ORDER BY 1"
    for symbol in "ACEG":
        pen.trade(symbol, T)
    road = Road(database, pen.log)
    for second in range(30, 480, 30):
        for symbol in "ACEG":
            pen.trade(symbol, T + second * SECOND)
        road.cache.limit = 3
        road.all()
    for symbol in "ACEG":
        pen.beat(symbol, T + DAY)
    road.all()
    road.close()
    assert rows(database, hour) == [(symbol, 16) for symbol in "ACEG"]
