"""Where the dashboard listens, and where it tells browsers to look for the API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparktrends.errors import BadSetting, Unavailable
from sparktrends.ops.commands.dashboarding import dashboard_config, port_of
from sparktrends.ops.settings import Settings, load


def settings(home: Path, **env: str) -> Settings:
    return load(env=env, folder=home, home=home)


def test_the_port_that_up_chose_wins(tmp_path: Path) -> None:
    assert port_of(settings(tmp_path, SPARKTRENDS_PORT_API="8123"), "api") == 8123


def test_then_what_the_home_recorded(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "stack.json").write_text(json.dumps({"ports": {"dashboard": 8502}}))
    assert port_of(settings(tmp_path), "dashboard") == 8502


@pytest.mark.parametrize(("part", "port"), [("api", 8000), ("dashboard", 8501)])
def test_else_the_port_of_the_contract(tmp_path: Path, part: str, port: int) -> None:
    assert port_of(settings(tmp_path), part) == port


def test_a_port_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="SPARKTRENDS_PORT_API"):
        port_of(settings(tmp_path, SPARKTRENDS_PORT_API="http"), "api")


def test_a_stopped_home_says_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="sparktrends up"):
        dashboard_config(settings(tmp_path / "home"))
