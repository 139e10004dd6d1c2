"""`/metrics`: its ports, and what the broker is asked."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparktrends.ops import exposition, ports
from sparktrends.ops.settings import Settings, load
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


def test_a_process_shows_its_metrics(tmp_path: Path) -> None:
    exposition.tell(Status(lag_s=3, process_list=[{"name": "stream", "running": True, "restarts": 2}]))
    port = exposition.expose(settings_of(tmp_path), "api", port=ports.any_free())
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    assert "sparktrends_lag_seconds 3.0" in text
    assert 'sparktrends_part_restarts{name="stream"} 2.0' in text


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
