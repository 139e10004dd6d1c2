"""While the rules file has faults people are told, once; its cool-downs are those of now."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.world import World
from sparktrends.alerts.rules_watch import RulesWatch
from sparktrends.rules import Names, RulesFile

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
