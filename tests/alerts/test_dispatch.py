"""The dispatcher against a real database and a receiver with real sockets; only the clock is the test's."""

from __future__ import annotations

import io
import itertools
import json
import logging
import random
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.receivers import receiver
from alerts.world import World
from sparktrends.alerts.channels import Channel, Message
from sparktrends.alerts.dispatch import Dispatcher, Policy, judge
from sparktrends.errors import (
    AccessDenied,
    BadRecord,
    BadSetting,
    NotFound,
    RateLimited,
    Retryable,
    Unavailable,
    UnknownOutcome,
)
from sparktrends.model import EVERY_CHANNEL, MINUTE, SECOND, Alert
from sparktrends.store.conditions import Condition
from sparktrends.store.deliveries import Limits
from sparktrends.telemetry import JsonFormatter, correlated


@pytest.mark.parametrize(
    ("error", "alerts", "state", "wait_s"),
    [
        (RateLimited("", delay=17), 5, "limited", 17),
        (RateLimited(""), 5, "limited", 30),
        (Unavailable(""), 5, "again", 3),
        (Unavailable("", delay=60), 5, "again", 60),
        (UnknownOutcome(""), 5, "unknown", 3),
        (AccessDenied(""), 5, "dead", 0),
        (NotFound(""), 5, "dead", 0),
        (BadSetting(""), 5, "dead", 0),
        (BadRecord("refused"), 5, "alone", 0),
        (BadRecord("refused"), 1, "dead", 0),
        (KeyError("https://secret"), 1, "dead", 0),
    ],
)
def test_every_error_ends_somewhere(error: Exception, alerts: int, state: str, wait_s: float) -> None:
    settlement = judge(error, alerts, 3)
    assert (settlement.state, settlement.wait_s) == (state, wait_s)
    assert "secret" not in settlement.error


@given(st.integers(0, 10_000), st.integers())
def test_rest_is_full_jitter_below_the_cap(failures: int, seed: int) -> None:
    world = World("", random=random.Random(seed))
    rest_s = world.worker(world.channel("console"))._rest(failures)
    assert 0 <= rest_s <= min(300, 2.0 ** min(failures, 32))


def test_a_long_rest_is_waited_for_in_pieces() -> None:
    """Set back meanwhile, the clock says something else of how long it is."""
    world, waits = World(""), list[float]()
    worker = world.worker(world.channel("console"))
    worker.step = lambda: 3600.0  # type: ignore[method-assign]

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            self.set()
            return True

    worker.run(Stop())
    assert 0 < waits[0] <= 10


def storm(world: World, number: int) -> list[Alert]:
    return [world.alert(symbol=f"S{n:03}") for n in range(number)]


@pytest.mark.e2e
class TestDelivery:
    def test_an_alert_is_sent_once_and_marked(self, world: World) -> None:
        alert = world.alert()
        world.insert(alert)
        with receiver() as other:
            world.run(world.worker(world.hook(other.port)), 300)
        assert other.alerts() == {alert.id: 1}
        assert not other.messages()[0][0]["possible_repeat"]
        assert world.deliveries() == [("alert", "sent")]
        assert world.rows("SELECT first_sent_at IS NOT NULL FROM market.alerts") == [(True,)]

    def test_the_log_of_who_made_it_and_of_who_sent_it_have_one_id(self, world: World) -> None:
        alert, said = world.alert(), io.StringIO()
        handler = logging.StreamHandler(said)
        handler.setFormatter(JsonFormatter(lambda text: text))
        room = logging.getLogger("sparktrends")
        before = room.level
        room.addHandler(handler)
        room.setLevel(logging.INFO)
        try:
            with correlated("batch-7"):
                world.insert(alert)
            with receiver() as other:
                world.run(world.worker(world.hook(other.port)), 300)
        finally:
            room.removeHandler(handler)
            room.setLevel(before)
        lines = [json.loads(line) for line in said.getvalue().splitlines()]
        mine = [line for line in lines if alert.id in line["message"]]
        assert [line["room"] for line in mine] == ["sparktrends.store.outbox", "sparktrends.alerts.dispatch"]
        ((kept,),) = world.rows("SELECT correlation FROM market.alerts")
        assert {line["id"] for line in mine} == {kept}
        assert kept.endswith(".batch-7")

    def test_500_at_once_are_one_message_with_each_of_them_once(self, world: World) -> None:
        alerts = storm(world, 500)
        world.insert(*alerts)
        with receiver() as other:
            world.run(world.worker(world.hook(other.port)), 30)
        assert other.alerts() == {alert.id: 1 for alert in alerts}
        assert len(other.bodies) == 1

    def test_more_than_one_message_holds_are_sent_a_second_apart(self, world: World) -> None:
        alerts = storm(world, 1300)
        world.insert(*alerts)
        times: list[int] = []
        with receiver() as other:
            channel = world.hook(other.port)
            send = channel.send
            channel.send = lambda message: (times.append(world.now), send(message))[1]  # type: ignore[method-assign]
            world.run(world.worker(channel), 30)
        assert other.alerts() == {alert.id: 1 for alert in alerts}
        assert len(other.bodies) == 3
        assert min(b - a for a, b in itertools.pairwise(times)) >= SECOND

    def test_away_for_ten_minutes_loses_and_repeats_nothing(self, world: World) -> None:
        early, late = storm(world, 300), [world.alert(rule="late")]
        world.insert(*early)
        down: Callable[..., Channel] = world.hook
        worker = world.worker(down(1))  # nobody listens on port 1
        world.run(worker, 300)
        world.insert(*late)
        world.run(worker, 300)
        with receiver() as other:
            worker.channel = world.hook(other.port)
            world.run(worker, 600)
        assert other.alerts() == {alert.id: 1 for alert in (*early, *late)}
        assert not any(told["possible_repeat"] for message in other.messages() for told in message)
        assert [told["id"] for message in other.messages() for told in message][-1] == late[0].id

    def test_answering_500_and_closing_for_a_while_loses_nothing(self, world: World) -> None:
        alerts = storm(world, 30)
        world.insert(*alerts)
        with receiver(script=[500, 503, "close", (503, {"Retry-After": "40"}), 502]) as other:
            world.run(world.worker(world.hook(other.port)), 3600)
        assert {told["id"] for message in other.messages()[5:] for told in message} == {a.id for a in alerts}
        assert world.deliveries() == [("alert", "sent")] * 30

    def test_retry_after_is_obeyed_and_costs_no_try(self, world: World) -> None:
        world.insert(world.alert())
        with receiver(script=[(429, {"Retry-After": "120"})]) as other:
            worker = world.worker(world.hook(other.port), max_attempts=1)
            assert worker.step() == 120
            world.later(119)
            restarted = world.worker(world.hook(other.port), max_attempts=1)
            assert restarted.step() == pytest.approx(1.0)
            assert len(other.bodies) == 1
            world.run(restarted, 5)
        assert world.deliveries() == [("alert", "sent")]

    def test_a_clock_that_is_set_back_mutes_nobody(self, world: World) -> None:
        first, second = world.alert("one"), world.alert("two")
        world.insert(first)
        with receiver() as other:
            worker = world.worker(world.hook(other.port))
            worker.step()
            world.insert(second)
            world.later(-3600)
            world.run(worker, 10)
        assert other.alerts() == {first.id: 1, second.id: 1}
        assert world.rows("SELECT count(*) FROM core.deliveries WHERE sent_at > core.at(%s)", world.now) == [(0,)]

    def test_what_a_channel_asked_for_holds_from_anew_when_the_clock_is_set_back(self, world: World) -> None:
        world.insert(world.alert())
        with receiver(script=[(429, {"Retry-After": "120"})]) as other:
            worker = world.worker(world.hook(other.port))
            assert worker.step() == 120
            world.later(-3600)
            assert worker.step() == pytest.approx(120)
            world.later(100)
            assert worker.step() == pytest.approx(20)
            world.run(worker, 30)
        assert len(other.bodies) == 2

    def test_clocks_that_differ_by_a_second_are_no_clock_that_was_set_back(self, world: World) -> None:
        world.insert(world.alert())
        with receiver(script=[(429, {"Retry-After": "120"})]) as other:
            worker = world.worker(world.hook(other.port))
            worker.step()
            world.later(-1)
            assert worker.step() == pytest.approx(121)

    def test_a_lease_of_before_the_clock_was_set_back_ends_in_its_time(self, world: World) -> None:
        alert = world.alert()
        world.insert(alert)
        with receiver(script=["close"]) as other:
            worker = world.worker(world.hook(other.port), lease_s=120)
            worker.step()
            world.later(-3600)
            world.run(worker, 110)
            assert len(other.bodies) == 1
            world.run(worker, 30)
        assert other.alerts() == {alert.id: 2}

    def test_timeout_after_accepting_is_sent_again_once_and_marked(self, world: World) -> None:
        alert = world.alert()
        world.insert(alert)
        with receiver(script=["hang"]) as other:
            worker = world.worker(world.channel_with_timeout(other.port, 1.0))
            world.run(worker, 119)
            assert len(other.bodies) == 1
            worker.channel = world.hook(other.port)
            world.run(worker, 600)
        assert other.alerts() == {alert.id: 2}
        assert [message[0]["possible_repeat"] for message in other.messages()] == [False, True]
        assert world.deliveries() == [("alert", "sent")]

    def test_hanging_for_ten_minutes_loses_nothing(self, world: World) -> None:
        """Who hangs may have it, so it is not asked too often; who comes back after ten minutes still gets it."""
        alert = world.alert()
        world.insert(alert)
        with receiver(default="hang") as away:
            worker = world.worker(world.channel_with_timeout(away.port, 1.0))
            world.run(worker, 600)
        with receiver() as back:
            worker.channel = world.hook(back.port)
            world.run(worker, 600)
        assert away.alerts() == {alert.id: 3}
        assert back.alerts() == {alert.id: 1}
        assert [message[0]["possible_repeat"] for message in back.messages()] == [True]
        assert world.deliveries() == [("alert", "sent")]

    def test_unknown_outcomes_end(self, world: World) -> None:
        world.insert(world.alert())
        with receiver(default="close") as other:
            world.run(world.worker(world.hook(other.port), max_unknown=3), 7200)
        assert len(other.bodies) == 3
        assert world.deliveries() == [("alert", "dead")]

    def test_given_up_after_so_many_tries(self, world: World) -> None:
        world.insert(world.alert())
        with receiver(default=500) as other:
            world.run(world.worker(world.hook(other.port), max_attempts=4), 7200)
        assert len(other.bodies) == 4
        assert world.deliveries() == [("alert", "dead")]
        assert "answer 500" in world.rows("SELECT error FROM core.deliveries WHERE channel = 'hook'")[0][0]

    @pytest.mark.parametrize("status", [302, 401, 404])
    def test_a_channel_set_up_wrongly_is_not_hammered(self, world: World, status: int) -> None:
        world.insert(*storm(world, 20))
        with receiver(default=(status, {"Location": "http://169.254.169.254/"})) as other:
            world.run(world.worker(world.hook(other.port)), 600)
        assert len(other.bodies) == 1
        assert world.deliveries() == [("alert", "dead")] * 20

    def test_one_refused_alert_takes_no_other_with_it(self, world: World) -> None:
        alerts = storm(world, 6)
        world.insert(*alerts)
        with receiver(script=[400, 200, 200, 400]) as other:
            world.run(world.worker(world.hook(other.port)), 60)
        states = [state for _, state in world.deliveries()]
        assert sorted(states) == ["dead", *["sent"] * 5]
        assert len(other.bodies) == 7

    def test_two_dispatchers_send_each_once(self, world: World) -> None:
        alerts = storm(world, 250)
        world.insert(*alerts)
        with receiver() as other:
            workers = [world.worker(world.hook(other.port)) for _ in range(2)]
            for _ in range(20):
                for worker in workers:
                    worker.step()
                world.later(1)
        assert other.alerts() == {alert.id: 1 for alert in alerts}

    def test_a_mark_that_failed_is_made_when_the_database_is_back(self, world: World) -> None:
        world.insert(world.alert())
        with receiver() as other:
            worker = world.worker(world.hook(other.port))
            lease = worker._claim()
            worker._unsettled = (lease, worker._send(lease))
            world.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE %s", "%hook")
            with pytest.raises(Retryable):
                worker.step()
            world.run(worker, 300)
        assert len(other.bodies) == 1
        assert world.deliveries() == [("alert", "sent")]


@pytest.mark.e2e
class TestKeptBack:
    def test_flapping_is_told_no_more_often_than_its_cool_down(self, world: World) -> None:
        """A rule that flips with every revision: each alert is retracted and another bar's takes its place."""
        told: list[int] = []
        with receiver() as other:
            worker = world.worker(world.hook(other.port), cooldown_s={"jump": 900})
            start = world.now
            for _ in range(60):
                alert = world.alert()
                world.insert(alert)
                world.run(worker, 30)
                world.retract(alert)
                world.run(worker, 30)
                alerts = [m for m in other.messages() if m[0]["kind"] == "alert"]
                told += [world.now - start] * (len(alerts) - len(told))
        assert 2 <= len(told) <= 4
        assert min(b - a for a, b in itertools.pairwise(told)) >= 900 * SECOND - MINUTE

    def test_alerts_a_cool_down_apart_are_all_told_when_catching_up(self, world: World) -> None:
        alerts = [world.alert(minute=minute) for minute in (45, 30, 15, 0)]
        world.insert(*alerts)
        with receiver() as other:
            world.run(world.worker(world.hook(other.port), cooldown_s={"jump": 900}), 60)
        assert other.alerts() == {alert.id: 1 for alert in alerts}

    def test_neighbours_within_the_cool_down_are_not_told_together(self, world: World) -> None:
        world.insert(*(world.alert(minute=minute) for minute in (3, 2, 1)))
        with receiver() as other:
            worker = world.worker(world.hook(other.port), cooldown_s={"jump": 600})
            world.run(worker, 590)
            assert len(other.bodies) == 1
            world.run(worker, 1300)
        assert len(other.bodies) == 3

    def test_a_cool_down_is_no_longer_because_the_clock_was_set_back(self, world: World) -> None:
        first = world.alert()
        second = world.alert(start=first.start + MINUTE)
        world.insert(first)
        with receiver() as other:
            worker = world.worker(world.hook(other.port), cooldown_s={"jump": 600})
            worker.step()
            world.later(-3600)
            world.insert(second)
            world.run(worker, 590)
            assert len(other.bodies) == 1
            world.run(worker, 20)
        assert other.alerts() == {first.id: 1, second.id: 1}

    @pytest.mark.parametrize("match", [{}, {"rule": "jump"}, {"source": "binance", "symbol": "BTC/USD"}])
    def test_what_is_silenced_is_never_sent(self, world: World, match: dict[str, str]) -> None:
        world.conditions().silence(match, world.now + 3600 * SECOND, world.now, "me")
        world.insert(world.alert())
        with receiver() as other:
            worker = world.worker(world.hook(other.port))
            world.run(worker, 5)
            world.later(3600)
            world.insert(world.alert())
            world.run(worker, 5)
        assert len(other.bodies) == 1
        assert sorted(world.deliveries()) == [("alert", "cancelled"), ("alert", "sent")]

    @pytest.mark.parametrize("rule", ["ops.stale_feed", "ops.feed"])
    def test_a_stale_feed_silences_what_was_raised_after_its_last_word(self, world: World, rule: str) -> None:
        before = world.alert(rule="before")
        world.insert(before)
        of_series = {"source": "binance", "symbol": "BTC/USD"}
        of_source = {"values": {"symbols": ["BTC/USD", "SOL/USD"]}}
        about, more = ("binance", of_source) if rule == "ops.feed" else ("binance BTC/USD", of_series)
        stale = Condition(rule, about, "stale", world.now + 1, **more)  # type: ignore[arg-type]
        world.later(60)
        world.conditions().fire(stale, ["hook"], world.now)
        other_series = world.alert(symbol="ETH/USD")
        world.insert(world.alert(rule="after"), other_series)
        with receiver() as other:
            world.run(world.worker(world.hook(other.port)), 5)
        expected = {before.id, other_series.id, stale.alert(()).id}
        assert set(other.alerts()) == expected

    def test_channels_that_nobody_set_up_collect_nothing(self, world: World) -> None:
        world.insert(world.alert(channels=("console", "gone")))
        assert world.outbox().set_up(["console", "hook"]) == 1
        assert world.deliveries("gone") == [("alert", "cancelled")]

    def test_a_rule_that_names_no_channel_is_told_on_each_that_is_set_up(self, world: World) -> None:
        world.outbox().set_up(["console", "slack", "gone"])
        world.outbox().set_up(["console", "hook", "slack"])
        world.insert(world.alert(channels=(EVERY_CHANNEL,)), world.alert("two", channels=(EVERY_CHANNEL, "hook")))
        world.insert(world.alert("replayed", source="demo~replay", channels=(EVERY_CHANNEL,)))
        found = world.rows("SELECT rule, channel FROM core.deliveries JOIN core.alerts ON id = alert ORDER BY 1, 2")
        everywhere = ["console", "hook", "slack"]
        told = [(rule, channel) for rule in ("jump", "two") for channel in everywhere]
        assert found == sorted([*told, ("replayed", "console")])


class Broken(Channel):
    """Hangs in every send until the test is over."""

    def __init__(self, name: str, over: threading.Event) -> None:
        super().__init__(name)
        self._over = over

    def send(self, message: Message) -> None:
        self._over.wait(30)
        raise UnknownOutcome("no answer")


@pytest.mark.e2e
def test_a_channel_that_hangs_holds_up_no_other(world: World) -> None:
    alerts = [world.alert(symbol=f"S{n}", channels=("hook", "slow")) for n in range(3)]
    world.insert(*alerts)
    over = threading.Event()
    with receiver() as other:
        channels = [Broken("slow", over), world.hook(other.port), world.channel("console")]
        policy = Policy(Limits(), poll_s=0.05)
        dispatcher = Dispatcher(channels, policy, world.around())
        thread = threading.Thread(target=dispatcher.run, args=(over,))
        thread.start()
        deadline = time.monotonic() + 60
        while not (world.console and other.bodies) and time.monotonic() < deadline:
            time.sleep(0.02)
        over.set()
        thread.join(60)
    assert other.alerts() == {alert.id: 1 for alert in alerts}
    assert all(alert.id in world.console[0] for alert in alerts)


def test_two_channels_of_one_name_are_refused() -> None:
    world = World("")
    with pytest.raises(BadSetting):
        Dispatcher([world.channel("console")] * 2, Policy(), world.around())
