"""`sparktrends rules check FILE`: what is wrong with rules, and which of them nobody here would hear."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from sparktrends.ops.cli import main

RULE = '[[rule]]\nname = "up"\nwhen = "close > {}"\nchannels = ["console", "pager"]\n'


def checked(folder: Path, text: str, settings: str = "") -> tuple[int, dict[str, Any]]:
    """Exit code and answer of the check."""
    (folder / "sparktrends.toml").write_text(settings)
    (folder / "sparktrends.toml").chmod(0o600)
    (folder / "rules.toml").write_text(text)
    line = ["--home", str(folder), "rules", "check", str(folder / "rules.toml"), "--json"]
    with contextlib.chdir(folder):  # settings are looked for where one stands
        result = CliRunner().invoke(main, line)
    return result.exit_code, json.loads(result.output)


def test_a_channel_that_is_not_set_up_is_noted(tmp_path: Path) -> None:
    code, said = checked(tmp_path, RULE.format(1))
    assert (code, said["findings"]) == (0, [])
    assert said["notes"] == ["up: the channel pager is not set up here, nobody would hear"]


def test_one_that_is_set_up_is_not(tmp_path: Path) -> None:
    hook = '[channels.pager]\nkind = "webhook"\nurl = "https://pager.example/x"\nsecret = "a-shared-secret-0123"\n'
    assert checked(tmp_path, RULE.format(1), hook) == (
        0,
        {"file": str(tmp_path / "rules.toml"), "findings": [], "notes": []},
    )


def test_a_fault_is_found_before_that(tmp_path: Path) -> None:
    code, said = checked(tmp_path, RULE.format("high_above"))
    assert (code, len(said["findings"]), said["notes"]) == (1, 1, [])
