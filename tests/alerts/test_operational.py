"""Operational alerts: real database, the test's clock, disks and services."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from alerts.receivers import receiver
from alerts.world import World
from sparktrends.alerts.channels import Message
from sparktrends.alerts.operational import Monitor, Outage, Thresholds, Watched
from sparktrends.errors import AccessDenied, BadSetting, SparkTrendsError, Unavailable
from sparktrends.model import DAY, HOUR, SECOND
from sparktrends.store.conditions import Condition, Conditions

STALE = Thresholds(stale_after_s={"binance": 60})
AWAY = Unavailable("PostgreSQL does not answer")


class Room:
    """A monitor and what it was made of: a disk, a broker that may be away, and messages past the outbox."""

    def __init__(self, world: World, thresholds: Thresholds | None = None, conditions: Any = None) -> None:
        self.world = world
        self.free = 50
        self.broker_away = False
        self.ends: dict[tuple[str, int], int] = {}
        self.direct: list[tuple[str, str]] = []
        watched = Watched(["/data"], self.log_ends, lambda _: (100, 100 - self.free, self.free))
        conditions = conditions or world.conditions()
        self.monitor = Monitor(conditions, world.clock, ["hook"], self.broadcast, thresholds, watched)

    def log_ends(self) -> dict[tuple[str, int], int]:
        if self.broker_away:
            raise Unavailable("no broker")
        return self.ends

    def broadcast(self, message: Message, names: Sequence[str]) -> list[str]:
        self.direct += [(name, message.items[0].kind) for name in names]
        return []

    def step(self, seconds: float = 0) -> list[tuple[str, str]]:
        """Move the clock, look, and say (rule, status) of every alert."""
        self.world.later(seconds)
        self.monitor.step()
        return self.world.rows("SELECT rule, status FROM core.alerts ORDER BY created_at, rule")


def series(world: World, source: str, symbol: str, age_s: float) -> None:
    made = world.rows(
        "INSERT INTO core.series (source, symbol) VALUES (%s, %s) "
        "ON CONFLICT (source, symbol) DO UPDATE SET symbol = excluded.symbol RETURNING id",
        source,
        symbol,
    )
    clock = world.now - int(age_s * SECOND)
    world.rows(
        "INSERT INTO core.series_state (series, version, clock) VALUES (%s, 1, %s) "
        "ON CONFLICT (series) DO UPDATE SET clock = excluded.clock",
        made[0][0],
        clock,
    )


def ledger(world: World, partition: int, stored: int, age_s: float = 0) -> None:
    """The ledger stands at ``stored``; its newest record is so old, although it was looked at just now."""
    world.rows(
        "INSERT INTO core.ledger "
        "(topic, partition, topic_id, first_offset, next_offset, shard, appended_at, updated_at) "
        "VALUES ('raw.trades', %s, 't', 0, %s, '1/1', core.at(%s), core.at(%s)) "
        "ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
        *(partition, stored, world.now - int(age_s * SECOND), world.now),
    )


def commit(world: World, number: int, age_s: float) -> None:
    """A commit of shard 1/1, made so long ago."""
    at = world.now - int(age_s * SECOND)
    world.rows("INSERT INTO core.changes VALUES ('1/1', %s, core.at(%s), '{}', '{}', '{}')", number, at)
    shards = "INSERT INTO core.shards (shard, commit) VALUES ('1/1', %s)"
    world.rows(f"{shards} ON CONFLICT (shard) DO UPDATE SET commit = excluded.commit", number)


def judged(world: World, source: str, score: float, days_ago: int = 1) -> None:
    """A day, so many before now, judged just now."""
    series(world, source, "BTC/USD", 0)
    world.rows(
        "INSERT INTO core.quality (series, day, score, minutes, points, faulty, updated_at) "
        "SELECT id, (core.at(%s) AT TIME ZONE 'UTC')::date - %s::integer, %s, 1440, "
        "jsonb_build_object('late', 1, 'missing_hole', 20), '{}', core.at(%s) FROM core.series WHERE source = %s "
        "ON CONFLICT (series, day) DO UPDATE SET score = excluded.score, updated_at = excluded.updated_at",
        *(world.now, days_ago, score, world.now, source),
    )


@pytest.mark.e2e
class TestConditions:
    def test_poor_data_until_the_day_is_judged_better(self, world: World) -> None:
        judged(world, "binance", 79.5)
        room = Room(world)
        assert room.step() == [("ops.quality", "firing")]
        assert world.rows("SELECT title FROM core.alerts") == [
            ("BTC/USD: the data of binance score 79.5 of 100, mostly for missing hole",)
        ]
        judged(world, "binance", 80.0)
        assert room.step(5) == [("ops.quality", "resolved")]

    def test_poor_data_is_told_until_another_day_is_judged_though_none_is_for_a_long_weekend(
        self, world: World
    ) -> None:
        judged(world, "binance", 79.5)
        room = Room(world)
        assert room.step() == [("ops.quality", "firing")]
        assert room.step(4 * DAY / SECOND) == [("ops.quality", "firing")]
        judged(world, "binance", 60)
        assert room.step() == [("ops.quality", "firing")]
        judged(world, "binance", 99)
        assert room.step(5) == [("ops.quality", "resolved")]

    def test_poor_data_of_a_series_that_nobody_judges_any_more_is_over_after_two_weeks(self, world: World) -> None:
        judged(world, "binance", 79.5)
        room = Room(world)
        seen = [room.step(), room.step(14 * DAY / SECOND - 1), room.step(1)]
        assert [status for ((_, status),) in seen] == ["firing", "firing", "resolved"]

    def test_poor_data_of_days_ago_is_not_told_now(self, world: World) -> None:
        judged(world, "binance", 79.5)
        assert Room(world).step(2 * DAY / SECOND) == []

    def test_a_day_that_is_judged_poor_again_is_told_again(self, world: World) -> None:
        room, seen = Room(world), []
        for score in (60, 85, 70):
            judged(world, "binance", score, days_ago=0)
            seen.append([status for _, status in room.step(3600)])
        assert seen == [["firing"], ["resolved"], ["resolved", "firing"]]

    def test_quiet_when_all_is_well(self, world: World) -> None:
        series(world, "binance", "BTC/USD", 59)
        series(world, "daily", "SPY", 90_000)
        # Nothing came for a day into this partition, while others are stored every second.
        ledger(world, 0, 10, age_s=86_400)
        ledger(world, 1, 500)
        judged(world, "yahoo", 80.0)
        room = Room(world, STALE)
        room.ends = {("raw.trades", 0): 10, ("raw.trades", 1): 500}
        assert room.step() == []

    def test_a_stale_feed_fires_once_and_is_resolved(self, world: World) -> None:
        room = Room(world, STALE)
        series(world, "binance", "BTC/USD", 61)
        with receiver() as other:
            worker = world.worker(world.hook(other.port))
            for _ in range(5):
                assert room.step(5) == [("ops.stale_feed", "firing")]
                world.run(worker, 1)
            series(world, "binance", "BTC/USD", 1)
            assert room.step(5) == [("ops.stale_feed", "resolved")]
            world.run(worker, 5)
        assert [(m[0]["kind"], m[0]["symbol"]) for m in other.messages()] == [
            ("alert", "BTC/USD"),
            ("resolution", "BTC/USD"),
        ]

    def test_two_alerts_processes_raise_it_once(self, world: World) -> None:
        series(world, "binance", "BTC/USD", 61)
        rooms = [Room(world, STALE), Room(world, STALE)]
        for room in rooms:
            room.step(1)
        assert len(world.rows("SELECT id FROM core.alerts")) == 1

    def test_over_before_it_was_told_is_never_told(self, world: World) -> None:
        room = Room(world, STALE)
        series(world, "binance", "BTC/USD", 61)
        room.step()
        series(world, "binance", "BTC/USD", 1)
        room.step(5)
        with receiver() as other:
            world.run(world.worker(world.hook(other.port)), 5)
        assert other.bodies == []

    def test_a_stream_that_stands_still_is_told_until_it_has_caught_up(self, world: World) -> None:
        room = Room(world)
        ledger(world, 0, 10)
        seen = []
        for end in (11, 60, 70, 80):
            room.ends = {("raw.trades", 0): end, ("raw.trades", 1): 0}
            seen.append(room.step(0 if end == 11 else 25))
        assert seen == [[], [], [], [("ops.lag", "firing")]]
        assert world.rows("SELECT title FROM core.alerts") == [
            ("raw.trades: records have waited for 75 s and are not stored",)
        ]
        # What came 50 s ago still waits: less than the threshold, and more than half of it.
        ledger(world, 0, 11)
        assert room.step() == [("ops.lag", "firing")]
        room.broker_away = True
        assert room.step(5) == [("ops.lag", "firing")]
        room.broker_away = False
        ledger(world, 0, 70)
        assert room.step() == [("ops.lag", "resolved")]

    def test_a_log_that_ends_before_the_ledger_is_told(self, world: World) -> None:
        room = Room(world)
        ledger(world, 0, 100)
        room.ends = {("raw.trades", 0): 3}
        assert [room.step(), room.step(61)] == [[], [("ops.lag", "firing")]]
        ledger(world, 0, 3)  # the loss was accepted
        assert room.step(5) == [("ops.lag", "resolved")]

    def test_a_reader_that_does_not_follow_is_told_until_it_does(self, world: World) -> None:
        commit(world, 1, age_s=7_200)
        commit(world, 2, age_s=3_500)
        cursors = "INSERT INTO core.cursors (reader, shard, commit) VALUES ('market', '1/1', 0), ('out', '1/1', 1)"
        world.rows(cursors)
        room = Room(world)
        # After a start it has ten minutes to catch up.
        assert [room.step(), room.step(599)] == [[], []]
        assert room.step(1) == [("ops.readers", "firing")]
        ((title,),) = world.rows("SELECT title FROM core.alerts")
        assert title.startswith("reader market has not followed shard 1/1 for 2 h (2 commits wait): start it again")
        world.rows("DELETE FROM core.changes WHERE commit = 1")
        assert room.step(5) == [("ops.readers", "firing")]
        world.rows("UPDATE core.cursors SET commit = 2")
        assert room.step(5) == [("ops.readers", "resolved")]

    def test_a_full_disk_fires_until_there_is_room_again(self, world: World) -> None:
        room = Room(world)
        seen = []
        for room.free in (5, 4, 6, 8):
            seen.append([status for _, status in room.step(5)])
        assert seen == [[], ["firing"], ["firing"], ["resolved"]]

    def test_a_broker_away_for_a_moment_is_nothing_and_for_long_is_one_alert(self, world: World) -> None:
        room = Room(world)
        seen = []
        for room.broker_away in (True, False, True, True, True, False):
            seen.append(room.step(20))
        assert seen[:4] == [[]] * 4
        assert seen[4:] == [[("ops.away", "firing")], [("ops.away", "resolved")]]

    def test_a_restarted_monitor_does_not_end_what_still_holds(self, world: World) -> None:
        room = Room(world)
        room.broker_away = True
        room.step()
        room.step(31)
        restarted = Room(world)
        restarted.broker_away = True
        assert restarted.step(5) == [("ops.away", "firing")]

    def test_dead_letters_raise_an_alert(self, world: World) -> None:
        world.insert(world.alert())
        with receiver(default=404) as other:
            world.run(world.worker(world.hook(other.port)), 5)
        assert ("ops.dead_letters", "firing") in Room(world).step()

    def test_conditions_of_others_are_theirs_to_end(self, world: World) -> None:
        failed = Condition("ops.failed_batch", "daily", "the daily job failed", world.now)
        assert world.conditions().fire(failed, ["hook"], world.now)
        assert Room(world).step(5) == [("ops.failed_batch", "firing")]
        assert world.conditions().resolve("ops.failed_batch", "daily", world.now)

    def test_the_database_away_is_told_past_the_outbox_once(self, world: World) -> None:
        conditions = Flaky(world.conditions())
        room = Room(world, conditions=conditions)
        conditions.away = AWAY
        for _ in range(10):
            room.monitor.step()
            world.later(5)
        assert room.direct == [("hook", "alert")]
        conditions.away = None
        assert room.step(5) == [("ops.away", "resolved")]
        assert room.direct == [("hook", "alert"), ("hook", "resolution")]


class Flaky:
    """Conditions whose database can be taken away."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.away: SparkTrendsError | None = None

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise self.away
        return getattr(self._inner, name)


class Quiet:
    """Conditions of which none holds but those of disks; ``firing`` are those that were told."""

    def __init__(self) -> None:
        self.told: set[tuple[str, str]] = set()
        self.titles: list[str] = []

    def firing(self) -> set[tuple[str, str]]:
        return set(self.told)

    def fire(self, condition: Condition, *_: object) -> None:
        self.told.add((condition.rule, condition.subject))
        self.titles.append(condition.title)

    def resolve(self, rule: str, subject: str, _now: int) -> None:
        self.told.remove((rule, subject))

    def next_offsets(self) -> dict[tuple[str, int], int]:
        return {}

    def daily_work(self, _now: int) -> Any:
        return SimpleNamespace(problems=[])

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: []


def test_a_folder_that_is_not_there_has_no_disk_that_is_full(tmp_path: Path) -> None:
    quiet = Quiet()
    watched = Watched([str(tmp_path / "no home yet")])
    Monitor(cast(Conditions, quiet), lambda: 0, [], lambda *_: [], None, watched).step()
    assert quiet.told == set()


def test_a_disk_that_gives_no_answer_is_as_it_was(tmp_path: Path) -> None:
    quiet, answers = Quiet(), iter([(100, 99, 1), OSError("stale file handle"), (100, 50, 50)])

    def usage(_folder: str) -> tuple[int, int, int]:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monitor = Monitor(cast(Conditions, quiet), lambda: 0, [], lambda *_: [], None, Watched(["/data"], usage=usage))
    seen = []
    for _ in range(3):
        monitor.step()
        seen.append(set(quiet.told))
    assert seen == [{("ops.disk", "/data")}, {("ops.disk", "/data")}, set()]


@pytest.mark.parametrize("refusal", [AccessDenied("not this account"), BadSetting("not this certificate")])
def test_a_broker_that_refuses_us_is_told_and_ends_nothing(refusal: SparkTrendsError) -> None:
    quiet, broker = Quiet(), Flaky(SimpleNamespace(ends=dict))
    now = iter(range(0, 1_000 * SECOND, 20 * SECOND))
    watched = Watched(ends=lambda: broker.ends())
    monitor = Monitor(cast(Conditions, quiet), lambda: next(now), ["hook"], lambda *_: [], None, watched)
    seen = []
    for broker.away in (refusal, refusal, refusal, refusal, None):
        monitor.step()
        seen.append(set(quiet.told))
    away = {("ops.away", "broker")}
    assert seen == [set(), set(), away, away, set()]
    assert quiet.titles == [f"broker cannot be used: {refusal}"]


def test_a_database_that_refuses_us_is_told_past_the_outbox_with_the_reason() -> None:
    told: list[Message] = []
    now = iter(range(0, 1_000 * SECOND, 20 * SECOND))
    conditions = Flaky(Quiet())
    monitor = Monitor(
        cast(Conditions, conditions), lambda: next(now), ["hook"], lambda message, _: told.append(message) or []
    )
    for conditions.away in (AccessDenied("PostgreSQL refused: password"),) * 4 + (None,):
        monitor.step()
    assert [message.items[0].kind for message in told] == ["alert", "resolution"]
    assert "cannot be used" in told[0].items[0].title
    assert "PostgreSQL refused: password" in told[0].items[0].title


def test_a_short_outage_is_not_told() -> None:
    told: list[Message] = []
    outage = Outage(lambda message, names: told.append(message) or [], ["hook"], 30)
    outage.silent(0, AWAY)
    outage.silent(29 * SECOND, AWAY)
    assert outage.answered(30 * SECOND) is None
    assert told == []


def test_a_channel_that_could_not_be_told_is_tried_again() -> None:
    tried: list[Sequence[str]] = []
    outage = Outage(lambda message, names: tried.append(list(names)) or ["slack"], ["slack", "mail"], 0)
    outage.silent(0, AWAY)
    outage.silent(1, AWAY)
    assert tried == [["slack", "mail"], ["slack"]]


def called(world: World, days_ago: int, state: str = "done", reason: str | None = None) -> None:
    """A call of the daily run for a day before now."""
    world.rows(
        "INSERT INTO core.daily_calls "
        "(day, source, call, what, endpoint, interval, symbols, state, reason, updated_at) "
        "SELECT (core.at(%s) AT TIME ZONE 'UTC')::date - %s, 'yahoo', 'one', 'bars', 'x', '1d', '{A}', %s, %s, now() "
        "ON CONFLICT (day, source, call) DO UPDATE SET state = excluded.state, reason = excluded.reason",
        world.now,
        days_ago,
        state,
        reason,
    )


def test_daily_work_that_nobody_did_is_told_and_over_when_it_is_done(world: World) -> None:
    room = Room(world)
    world.later((8 * HOUR - world.now % DAY) % DAY / SECOND)  # eight in the morning
    assert room.step() == []  # who never had daily work misses none
    called(world, 2)
    assert room.step() == []  # looked at some seconds ago: not asked again so soon
    assert room.step(301) == [("ops.daily", "firing")]
    assert "has not run" in world.rows("SELECT title FROM core.alerts")[0][0]
    called(world, 1)
    assert room.step(301) == [("ops.daily", "resolved")]


def test_calls_of_a_day_that_has_not_come_hide_no_work_that_is_overdue(world: World) -> None:
    room = Room(world)
    world.later((8 * HOUR - world.now % DAY) % DAY / SECOND)
    called(world, 2)
    called(world, -365)  # the clock was ahead
    assert room.step() == [("ops.daily", "firing")]
    called(world, 1)
    assert room.step(301) == [("ops.daily", "resolved")]


def test_before_seven_in_the_morning_yesterday_is_not_overdue(world: World) -> None:
    room = Room(world)
    world.later((6 * HOUR - world.now % DAY) % DAY / SECOND)
    called(world, 2)
    assert room.step() == []


def test_a_failed_call_is_overdue_and_one_that_a_quota_keeps_is_not(world: World) -> None:
    room = Room(world)
    world.later((8 * HOUR - world.now % DAY) % DAY / SECOND)
    called(world, 1, "waiting", "the quota is spent for 3 h")
    assert room.step() == []
    called(world, 1, "failed", "the provider is down")
    assert room.step(301) == [("ops.daily", "firing")]
