"""While the rules file has faults people are told, once; its cool-downs are those of now."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from alerts.world import World
from sparktrends.alerts.rules_watch import RulesWatch
from sparktrends.model import MINUTE
from sparktrends.rules import Names, RulesFile
from sparktrends.store.conditions import Condition

RULE = '[[rule]]\nname = "up"\nwhen = "close > 1"\ncooldown = "{}"\ntitle = "x"\n'
TOLD = "SELECT title, status FROM core.alerts WHERE rule = 'ops.rules' ORDER BY start"


@pytest.mark.e2e
def test_faults_are_told_once_and_resolved(world: World, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULE.format("1m"))
    watch = RulesWatch(RulesFile(file, Names(())), world.conditions(), ["console"], world.clock)
    watch.step()
    assert watch.cooldown_s == {"up": 60.0}
    assert world.rows(TOLD) == []
    file.write_text("[[rule]]\nname = 7\n")
    for _ in range(3):
        world.later(5)
        watch.step()
    ((title, status),) = world.rows(TOLD)
    assert status == "firing"
    assert "rules.toml:" in title
    assert watch.cooldown_s == {"up": 60.0}
    file.write_text(RULE.format("2m"))
    world.later(5)
    watch.step()
    assert [status for _, status in world.rows(TOLD)] == ["resolved"]
    assert watch.cooldown_s == {"up": 120.0}


RULES = """
[[rule]]
name = "{name}"
when = "close > 1"
interval = "{interval}"
symbols = ["{symbols}"]
"""
STATES = "SELECT symbol, status, ended, resolved_at - start FROM market.alerts ORDER BY symbol"


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("name", "interval", "symbols", "reason"),
    [
        ("up", "1m", "*", None),
        ("upwards", "1m", "*", "no longer in the rules file"),
        ("up", "5m", "*", "bars of 5m now"),
        ("up", "1m", "ETH/*", "no longer watches this symbol"),
    ],
)
def test_an_alert_that_no_rule_would_ever_end_is_over(
    world: World, tmp_path: Path, name: str, interval: str, symbols: str, reason: str | None
) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULES.format(name="up", interval="1m", symbols="*"))
    world.insert(world.alert("up"))
    watch = RulesWatch(RulesFile(file, Names(())), world.conditions(), ["console"], world.clock)
    watch.step()
    assert [row[1] for row in world.rows(STATES)] == ["firing"]
    file.write_text(RULES.format(name=name, interval=interval, symbols=symbols))
    world.later(5)
    watch.step()
    ((_, status, ended, lasted),) = world.rows(STATES)
    assert status == ("firing" if reason is None else "resolved")
    assert (reason or "") in (ended or "")
    assert lasted == (None if reason is None else timedelta(minutes=1))
    assert ("resolution", "due") not in world.deliveries()


@pytest.mark.e2e
def test_it_ends_at_the_clock_of_its_series_and_a_revision_does_not_open_it_again(world: World, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULES.format(name="other", interval="1m", symbols="*"))
    alert = world.alert("up")
    world.insert(alert)
    clock = alert.start + 10 * MINUTE
    world.rows("INSERT INTO core.series_state (series, version, clock) SELECT id, 1, %s FROM core.series", clock)
    watch = RulesWatch(RulesFile(file, Names(())), world.conditions(), ["console"], world.clock)
    watch.step()
    ((_, status, _, lasted),) = world.rows(STATES)
    assert (status, lasted) == ("resolved", timedelta(minutes=10))
    world.judge_again(alert)
    assert [row[1] for row in world.rows(STATES)] == ["resolved"]


@pytest.mark.e2e
def test_conditions_of_the_operation_and_markets_are_none_of_its_business(world: World, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULES.format(name="other", interval="1m", symbols="*"))
    conditions = world.conditions()
    conditions.fire(Condition("ops.disk", "/data", "full", world.now), ["console"], world.now)
    world.rows(
        "INSERT INTO core.alerts (id, rule, interval, start, severity, title, channels, subject) "
        "VALUES ('m', 'market_move', '1m', now(), 'critical', 'fell', '{}', 'binance 24/7')"
    )
    RulesWatch(RulesFile(file, Names(())), conditions, ["console"], world.clock).step()
    assert {row[1] for row in world.rows(STATES)} == {"firing"}


@pytest.mark.e2e
def test_a_rule_that_nobody_would_hear_is_told(world: World, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULE.format("1m") + 'channels = ["console", "pager"]\n')
    watch = RulesWatch(RulesFile(file, Names(())), world.conditions(), ["console"], world.clock, set_up=["console"])
    watch.step()
    watch.step()
    ((title, status),) = world.rows(TOLD)
    assert (title, status) == (
        "nobody hears of some rules: up names the channel pager, which is not set up",
        "firing",
    )
    file.write_text(RULE.format("1m"))
    world.later(5)
    watch.step()
    assert [status for _, status in world.rows(TOLD)] == ["resolved"]
