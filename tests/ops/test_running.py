"""`up` and what looks at it: what a run is that ends by itself, what it says at its end, and `--json`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sparktrends.errors import BadSetting
from sparktrends.ops.cli import main
from sparktrends.ops.commands.running import _aside
from sparktrends.ops.commands.sources import DEMO, Choice, ending
from sparktrends.ops.settings import load
from sparktrends.ops.status import Status
from sparktrends.ops.up import rates_of


def test_a_run_that_is_to_end_plays_the_recording_alone() -> None:
    assert ending(Choice()).wanted == (DEMO,)
    assert ending(Choice(("week.csv",))).wanted == ("week.csv",)


@pytest.mark.parametrize("choice", [Choice(("simulator",)), Choice((DEMO, "binance")), Choice(sandbox=True)])
def test_a_source_that_never_ends_is_refused_where_the_end_is_waited_for(choice: Choice) -> None:
    with pytest.raises(BadSetting, match=r"never ends: leave --exit-when-done out, or say how long with --for"):
        ending(choice)


def test_the_summary_has_counts_and_rates_of_this_run() -> None:
    before, last = Status(trades=1_000, bars=10), Status(trades=4_000, bars=20)
    assert rates_of(before, last, 10.0) == {
        "new_trades": 3_000,
        "new_bars": 10,
        "storing_s": 10.0,
        "trades_per_s": 300.0,
    }
    assert rates_of(last, last, 0.0)["trades_per_s"] == 0.0


def test_the_summary_says_what_is_in_no_bar() -> None:
    assert _aside(Status(trades=5)) == ""
    assert _aside(Status(late=1_200)) == "1,200 trades came too late for their bars (market.late_trades)."
    assert _aside(Status(late=1, quarantined=2)).endswith(", 2 records could not be used (market.quarantine).")


def test_env_is_one_document_or_lines_that_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    password = "it's a #1 secret"
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("KAFKA_BOOTSTRAP", "k.example:9092"),
        ("POSTGRES_HOST", "db"),
        ("POSTGRES_SSLMODE", "require"),
        ("POSTGRES_PASSWORD", password),
    ):
        monkeypatch.setenv(name, value)
    words = ["--home", str(tmp_path / "home"), "env", "--owner"]
    document = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert (document["POSTGRES_PASSWORD"], document["KAFKA_BOOTSTRAP"]) == (password, "k.example:9092")
    (tmp_path / ".env").write_text(CliRunner().invoke(main, words).stdout)
    (tmp_path / ".env").chmod(0o600)
    assert load({}, tmp_path).get("POSTGRES_PASSWORD") == password


def test_down_of_what_does_not_run_is_a_document_too(tmp_path: Path) -> None:
    found = CliRunner().invoke(main, ["--home", str(tmp_path / "new"), "down", "--json"])
    assert (found.exit_code, json.loads(found.stdout)) == (0, {"stopped": False})


@pytest.mark.parametrize(
    ("told", "advice"),
    [
        ({}, "start it with `sparktrends up`"),
        ({"SPARKTRENDS_CONTAINER": "1"}, "where Compose runs: `docker compose restart runner`"),
        ({"POSTGRES_HOST": "127.0.0.1", "KAFKA_BOOTSTRAP": "k:9092"}, "start it again by what started it"),
    ],
)
def test_who_starts_a_part_again_that_is_not_here_is_said(tmp_path: Path, told: dict[str, str], advice: str) -> None:
    found = CliRunner().invoke(main, ["--home", str(tmp_path / "new"), "restart", "stream"], env=told)
    assert (found.exit_code, advice in found.stderr) == (3, True), found.stderr
