"""What a person does by hand."""

from __future__ import annotations

import pytest

from alerts.receivers import receiver
from alerts.world import World
from sparktrends.alerts.manual import acknowledge, end_condition, raise_condition, send_test, silence
from sparktrends.errors import BadSetting, NotFound


def test_each_channel_says_for_itself_whether_the_test_arrived() -> None:
    world = World("")
    with receiver(default=403) as other:
        said = send_test([world.hook(other.port), world.channel("console")], world.clock)
    assert said["console"] == ""
    assert "403" in said["hook"]
    assert "This is a test" in world.console[0]


def test_a_channel_that_is_not_set_up_cannot_be_tested() -> None:
    world = World("")
    with pytest.raises(NotFound, match="there are: console"):
        send_test([world.channel("console")], world.clock, only="slack")


@pytest.mark.e2e
def test_acknowledging_is_written_down(world: World) -> None:
    alert = world.alert()
    world.insert(alert)
    acknowledge(world.dsn, alert.id, "me", world.clock)
    assert world.rows("SELECT acknowledged_by FROM market.alerts") == [("me",)]
    with pytest.raises(NotFound, match="no alert has the id"):
        acknowledge(world.dsn, "nothing", "me", world.clock)


@pytest.mark.e2e
def test_silencing_is_written_down(world: World) -> None:
    assert silence(world.dsn, {"rule": "jump"}, 1.5, "me", world.clock) == 1
    found = world.rows("SELECT rule, source, until_at - from_at = interval '90 minutes' FROM core.silences")
    assert found == [("jump", None, True)]


@pytest.mark.e2e
def test_a_job_raises_an_alert_once_and_ends_it(world: World) -> None:
    key = ("ops.job", "daily")
    first = raise_condition(world.dsn, key, "daily failed", "critical", ["console"], world.clock)
    assert first
    assert raise_condition(world.dsn, key, "daily failed again", "critical", ["console"], world.clock) is None
    assert world.rows("SELECT id, title, severity FROM market.alerts") == [(first, "daily failed", "critical")]
    assert end_condition(world.dsn, key, world.clock)
    assert not end_condition(world.dsn, key, world.clock)


@pytest.mark.parametrize("key", [("jump", "x"), ("ops.job", " ")])
def test_only_operational_alerts_are_raised_by_hand(key: tuple[str, str]) -> None:
    with pytest.raises(BadSetting, match="cannot raise"):
        raise_condition("", key, "t", "info", [], lambda: 0)


@pytest.mark.parametrize(("match", "hours"), [({"colour": "red"}, 1), ({}, 0), ({}, -1), ({}, float("nan")), ({}, 1e9)])
def test_a_silence_that_makes_no_sense_is_refused(match: dict[str, str], hours: float) -> None:
    with pytest.raises(BadSetting, match="cannot silence"):
        silence("", match, hours, "me", lambda: 0)
