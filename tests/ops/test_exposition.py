"""`/metrics`: its ports, and what the broker is asked."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sparktrends.bus.connection import Connection
from sparktrends.model import SECOND
from sparktrends.ops import exposition, ports
from sparktrends.ops.channels import LIVE
from sparktrends.ops.cli import COMMANDS
from sparktrends.ops.endpoints import Endpoints
from sparktrends.ops.settings import Settings, load
from sparktrends.ops.stack import Database
from sparktrends.ops.status import Status


def settings_of(tmp_path: Path, env: Mapping[str, str] = {}, toml: str = "") -> Settings:
    (tmp_path / "sparktrends.toml").write_text(toml)
    return load(env, tmp_path, tmp_path / "home")


def test_the_port_is_that_of_up_else_of_the_settings(tmp_path: Path) -> None:
    wish = "[ports]\nmetrics_api = 7001\n"
    assert exposition._wanted(settings_of(tmp_path), "metrics_api") == "9474"
    assert exposition._wanted(settings_of(tmp_path, toml=wish), "metrics_api") == "7001"
    chosen = {"SPARKTRENDS_PORT_METRICS_API": "7002"}
    assert exposition._wanted(settings_of(tmp_path, chosen, wish), "metrics_api") == "7002"


def test_up_shows_what_it_saw(tmp_path: Path) -> None:
    look = exposition.Look(tmp_path)
    assert [figure.name for figure in look.figures()] == ["disk_free_bytes"]  # nobody knows the lag yet
    look.tell(Status(lag_s=3, process_list=[{"name": "stream", "running": True, "restarts": 2}]))
    port = exposition.expose(settings_of(tmp_path), "up", {"home": look.figures}, port=ports.any_free())
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    assert "sparktrends_lag_seconds 3.0" in text
    assert re.search(r"^sparktrends_disk_free_bytes [1-9]", text, re.MULTILINE)
    assert 'sparktrends_part_restarts{name="stream"} 2.0' in text


def test_nobody_shows_a_lag_or_a_disk_that_it_does_not_watch() -> None:
    """A gauge that every process declares is 0 in all of them but one, and an alert about it never or always fires."""
    modules = sorted({f"sparktrends.ops.commands.{name}" for name in COMMANDS.values()} | {"sparktrends.ops.up"})
    words = f"import {', '.join(modules)}, prometheus_client as p; print(p.generate_latest().decode())"
    said = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, timeout=300).stdout
    assert "sparktrends_feed_up" in said
    assert "lag_seconds" not in said
    assert "disk_free_bytes" not in said


@pytest.mark.parametrize(("live", "more"), [(None, {"log", "home"}), ("0", set()), ("1", set())])
def test_where_no_up_watches_alerts_tells_lag_and_disk(tmp_path: Path, live: str | None, more: set[str]) -> None:
    settings = settings_of(tmp_path, {} if live is None else {LIVE: live})
    nowhere = Endpoints(Connection("127.0.0.1:1"), Database("127.0.0.1", 1))
    asked = exposition.outsiders(nowhere, settings)
    assert set(asked) == {"database", "broker"} | more
    if more:
        settings.home.mkdir()
        (disk,) = asked["home"]()
        assert (disk.name, disk.values[()] > 0) == ("disk_free_bytes", True)


def test_who_may_not_read_the_log_tells_the_lag_by_offsets() -> None:
    place, now, stored = ("raw.trades", 0), 0, 5

    ask = exposition.lag_figures(lambda: {place: stored}, lambda: {place: 9}, lambda: now)

    def lag() -> tuple[str, float]:
        (figure,) = ask()
        return figure.name, figure.values[()]

    assert lag() == ("lag_seconds", 0)
    now = 90 * SECOND
    assert lag() == ("lag_seconds", 90)
    stored = 9
    assert lag() == ("lag_seconds", 0)


class Log:
    """The broker's admin, of two topics."""

    def names(self) -> set[str]:
        return {"raw.trades", "out.bars"}

    def watermarks(self, topic: str) -> Mapping[int, tuple[int, int]]:
        return {0: (5, 20), 1: (0, 7)} if topic == "raw.trades" else {0: (0, 3)}


def test_what_waits_in_the_log_is_counted() -> None:
    admin: Any = Log()
    found = {f.name: f.values for f in exposition.broker_figures(admin, {("raw.trades", 0): 18})}
    assert found["log_behind"] == {("raw.trades",): 2 + 7, ("raw.bars",): 0}
    assert found["log_records"] == {("raw.trades",): 27, ("out.bars",): 3}
    assert found["log_held"][("raw.trades",)] == 22
