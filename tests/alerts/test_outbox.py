"""What the sink puts into the outbox, on a real database."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.receivers import receiver
from alerts.world import World
from sparktrends.model import HOUR, MINUTE, Alert
from sparktrends.store.deliveries import Limits, Settlement
from sparktrends.store.outbox import row_of, silence_reason

ALERT = Alert("jump", "binance", "BTC/USD", "1m", 0, "info", "t")


@pytest.mark.parametrize(
    ("alert", "now", "filled", "reason"),
    [
        (ALERT, MINUTE, (), None),
        (ALERT, MINUTE + HOUR, (), None),
        (ALERT, MINUTE + HOUR + 1, (), "old"),
        (ALERT, MINUTE, (ALERT.id,), "fill"),
        (replace(ALERT, source="random~sim"), MINUTE, (), "simulated"),
        (replace(ALERT, source="bitstamp~replay"), MINUTE, (), "replayed"),
        (replace(ALERT, source="bitstamp~replay", history=True), MINUTE + 9 * HOUR, (), None),
    ],
)
def test_law_8_decides_what_is_sent(alert: Alert, now: int, filled: tuple[str, ...], reason: str | None) -> None:
    assert silence_reason(alert, now, filled) == reason


@given(st.recursive(st.none() | st.floats() | st.text() | st.decimals(), lambda inner: st.lists(inner, max_size=3)))
def test_any_value_can_be_stored_as_json(value: object) -> None:
    row = row_of(replace(ALERT, values={"v": value}), 1, None)
    assert "\\u0000" not in json.dumps(row, allow_nan=False)


def test_a_title_that_no_database_takes_is_stored_without_what_it_refuses() -> None:
    assert row_of(replace(ALERT, title="gone: \x00"), 1, None)["title"] == "gone: \ufffd"


@pytest.mark.e2e
class TestInDatabase:
    def test_inserting_again_doubles_nothing(self, world: World) -> None:
        alert = world.alert()
        world.insert(alert)
        world.insert(alert, world.alert(rule="other"))
        assert world.deliveries() == [("alert", "due")] * 2
        assert world.deliveries("console") == [("alert", "due")] * 2

    def test_silent_alerts_are_shown_on_the_console_only(self, world: World) -> None:
        world.insert(world.alert(source="x~sim"), world.alert(minute=70), world.alert(source="y~replay", history=True))
        found = world.rows("SELECT silent FROM market.alerts ORDER BY silent NULLS FIRST")
        assert found == [(None,), ("old",), ("simulated",)]
        assert len(world.deliveries("console")) == 3
        assert len(world.deliveries()) == 1

    def test_values_that_json_lacks_are_stored(self, world: World) -> None:
        world.insert(replace(world.alert(), values={"a": float("nan"), "b": float("inf"), "c": "x\x00y"}))
        assert world.rows('SELECT "values" FROM core.alerts') == [({"a": "nan", "b": "inf", "c": "x\ufffdy"},)]

    def test_retracting_what_is_unsent_cancels_it(self, world: World) -> None:
        alert = world.alert()
        world.insert(alert)
        world.retract(alert)
        assert world.deliveries() == [("alert", "cancelled")]
        assert world.rows("SELECT status FROM core.alerts") == [("retracted",)]

    def test_who_heard_an_alert_hears_its_retraction_and_reinstatement_once(self, world: World) -> None:
        alert = world.alert()
        with receiver() as other:
            worker = world.worker(world.hook(other.port))
            for change in (world.insert, world.retract, world.insert, world.retract, world.insert):
                change(alert)
                world.run(worker, 5)
        assert [m[0]["kind"] for m in other.messages()] == ["alert", "retraction", "reinstatement"]
        assert world.rows("SELECT status FROM core.alerts") == [("firing",)]

    def test_the_end_of_an_alert_is_written_and_told_to_nobody(self, world: World) -> None:
        alert = world.alert()
        with receiver() as other:
            worker = world.worker(world.hook(other.port))
            for change in (world.insert, world.resolve):
                change(alert)
                world.run(worker, 5)
        assert [m[0]["kind"] for m in other.messages()] == ["alert"]
        found = world.rows("SELECT status, resolved_at = start + interval '2 minutes' FROM market.alerts")
        assert found == [("resolved", True)]

    def test_who_heard_an_alert_hears_of_its_end_if_the_rule_says_so(self, world: World) -> None:
        alert = world.alert()
        with receiver() as other:
            worker = world.worker(world.hook(other.port))
            world.insert(alert)
            world.run(worker, 5)
            for _ in range(2):  # said again by a revision, it is no news
                world.resolve(alert, tell=True)
                world.run(worker, 5)
        assert [m[0]["kind"] for m in other.messages()] == ["alert", "resolution"]

    @pytest.mark.parametrize(("tell", "kinds"), [(False, ["alert"]), (True, ["alert", "resolution"])])
    def test_what_was_short_is_told_all_the_same(self, world: World, tell: bool, kinds: list[str]) -> None:
        alert = world.alert()
        world.insert(alert)
        world.resolve(alert, tell=tell)
        with receiver() as other:
            world.run(world.worker(world.hook(other.port)), 5)
        assert [item["kind"] for m in other.messages() for item in m] == kinds

    def test_an_alert_that_was_over_may_be_open_again(self, world: World) -> None:
        alert = world.alert()
        with receiver() as other:
            worker = world.worker(world.hook(other.port))
            world.insert(alert)
            world.run(worker, 5)
            world.resolve(alert, tell=True)
            world.run(worker, 5)
            world.judge_again(alert)
            world.run(worker, 5)
        assert [m[0]["kind"] for m in other.messages()] == ["alert", "resolution", "reinstatement"]
        assert world.rows("SELECT status, resolved_at FROM core.alerts") == [("firing", None)]

    def test_what_an_older_text_of_a_rule_left_open_is_over_with_what_came_after_it(self, world: World) -> None:
        old, new, other = world.alert(minute=9), world.alert(), world.alert(rule="other", minute=9)
        world.insert(old, new, other)
        world.resolve(new)
        assert world.rows("SELECT id, status FROM core.alerts WHERE status <> 'resolved'") == [(other.id, "firing")]

    def test_open_again_before_anybody_heard_that_it_was_over_is_told_to_nobody(self, world: World) -> None:
        alert = world.alert()
        with receiver() as other:
            worker = world.worker(world.hook(other.port))
            world.insert(alert)
            world.run(worker, 5)
            world.resolve(alert, tell=True)
            world.judge_again(alert)
            world.run(worker, 5)
        assert [m[0]["kind"] for m in other.messages()] == ["alert"]
        assert world.deliveries() == [("alert", "sent"), ("resolution", "cancelled")]

    def test_what_was_over_can_be_taken_back_and_stand_again(self, world: World) -> None:
        alert = world.alert()
        world.insert(alert)
        world.resolve(alert, tell=True)
        world.retract(alert)
        assert world.rows("SELECT status, resolved_at FROM core.alerts") == [("retracted", None)]
        assert world.deliveries() == [("alert", "cancelled"), ("resolution", "cancelled")]
        world.resolve(alert)  # a resolution of what was taken back is nothing
        assert world.rows("SELECT status FROM core.alerts") == [("retracted",)]
        world.insert(alert)
        world.resolve(alert, tell=True)
        assert world.rows("SELECT status FROM core.alerts") == [("resolved",)]
        with receiver() as other:
            world.run(world.worker(world.hook(other.port)), 5)
        assert [item["kind"] for m in other.messages() for item in m] == ["alert", "resolution"]

    def test_retracted_then_true_again_before_sending_is_one_alert(self, world: World) -> None:
        alert = world.alert()
        with receiver() as other:
            for change in (world.insert, world.retract, world.insert):
                change(alert)
            world.run(world.worker(world.hook(other.port)), 5)
        assert [m[0]["kind"] for m in other.messages()] == ["alert"]

    def test_retraction_of_what_is_in_flight_waits_for_the_outcome(self, world: World) -> None:
        alert, limits = world.alert(), Limits()
        world.insert(alert)
        outbox = world.outbox()
        lease = outbox.claim("hook", "mine", 9, world.now, limits)
        world.retract(alert)
        world.later(2)
        assert outbox.claim("hook", "other", 9, world.now, limits) == 0.0
        outbox.settle(lease, Settlement("again"), world.now, limits)
        assert outbox.claim("hook", "other", 9, world.now, limits) == 0.0
        world.later(2)
        assert outbox.claim("hook", "other", 9, world.now, limits) == 0.0
        assert world.deliveries() == [("alert", "cancelled"), ("retraction", "cancelled")]
