"""Compiling ahead is done once per version of the code and of what it is compiled for, and is a matter of time only."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from sparktrends.ops import compiling
from sparktrends.ops.compiling import Compiling
from sparktrends.ops.home import Home
from sparktrends.ops.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "home", tmp_path / "cache", {}, {}, dict(os.environ))


def said_by(settings: Settings) -> list[str]:
    said: list[str] = []
    with Compiling(settings, Home.open(settings.home), said.append) as work:
        work.wait(lambda: False)
    return said


def test_what_was_compiled_is_not_compiled_again_until_settings_change(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "_SIDE_BY_SIDE", ((),))  # the real command, with nothing to do
    assert len(said_by(settings)) == 1
    assert said_by(settings) == []
    assert len(said_by(replace(settings, tables={"indicators": {"sma": [7]}}))) == 1


def test_what_failed_is_tried_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_SIDE_BY_SIDE", (("nonsense",),))
    assert len(said_by(settings)) == 1
    assert len(said_by(settings)) == 1


def test_a_person_who_stops_does_not_wait(settings: Settings) -> None:
    with Compiling(settings, Home.open(settings.home), lambda _: None) as work:
        work.wait(lambda: True)
    assert all(process.exit_code is not None for process in work.processes)
