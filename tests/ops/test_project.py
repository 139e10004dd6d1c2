"""A new project: what is written, and that nothing is overwritten unasked."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sparktrends.errors import BadSetting
from sparktrends.ops import compose, project, settings
from sparktrends.ops.cli import main
from sparktrends.sources import make_source
from sparktrends.sources.calls import daily_calls

KEY = "s3cret # key=1"


def init(folder: Path, *options: str, typed: str = "") -> Result:
    done = CliRunner().invoke(main, ["init", str(folder), *options], input=typed, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_yes_asks_nothing_and_writes_all(tmp_path: Path) -> None:
    said = init(tmp_path / "new", "--yes").output
    found = contents(tmp_path / "new")
    assert {".env", ".env.example", "sparktrends.toml", "config/yahoo.json"} <= set(found)
    assert {"docker-compose.yml", "docker-compose.prod.yml", "requirements.txt"} <= set(found)
    assert all(f"# {name}=" in found[".env.example"] for name in compose.needed())
    assert "next: sparktrends up" in said
    assert all(f"# {name}=\n" in found[".env.example"] for name in settings.NAMES)


def test_the_script_of_a_fresh_checkout_does_the_same(tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "init_project.py"
    done = subprocess.run([sys.executable, script, "--yes"], cwd=tmp_path, capture_output=True, text=True)
    if not (script.parent / ".venv" / "bin" / "sparktrends").exists():
        assert "run `make setup` first" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".env").is_file()
    assert (tmp_path / "docker-compose.yml").is_file()


def test_what_is_written_can_be_read_as_settings(tmp_path: Path) -> None:
    init(tmp_path, typed=f"\n\n{KEY}\n\n\n\n\n")
    read = settings.load({"HOME": str(tmp_path)}, tmp_path)
    assert KEY in read.secrets()
    assert len(read.secrets()) == 1
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert KEY not in (tmp_path / ".env.example").read_text()
    assert daily_calls(make_source("yahoo"), tmp_path / str(read.table("daily")["calls"]))


def test_a_key_is_not_shown(tmp_path: Path) -> None:
    assert KEY not in init(tmp_path, typed=f"{KEY}\n" * 5).output


@pytest.mark.parametrize("options", [("--yes",), ("--json",)])
def test_nothing_is_overwritten_unasked(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / ".env").write_text("MINE=1\n")
    init(tmp_path, *options)
    before = contents(tmp_path)
    assert before[".env"] == "MINE=1\n"
    init(tmp_path, *options)
    assert contents(tmp_path) == before


def test_a_person_is_asked_for_each_file_that_is_there(tmp_path: Path) -> None:
    init(tmp_path, "--yes")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.write_text("mine")
    init(tmp_path, typed="n\ny\n" + "n\n" * 30)
    found = contents(tmp_path)
    assert found.pop(".env.example") != "mine"
    assert set(found.values()) == {"mine"}


def test_force_replaces(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text("mine")
    became = json.loads(init(tmp_path, "--force", "--json").stdout)
    assert became[".env.example"] == "replaced"
    assert became[".env"] == "written"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match=r"\.env cannot be written"):
        project.write(tmp_path / "file" / "sub", project.File(".env", ""), replace=False)


def test_users_of_containers_can_read_what_is_no_secret_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        for file in project.files({}):
            project.write(tmp_path / "new", file, replace=False)
    finally:
        os.umask(before)
    modes = {file.path: (tmp_path / "new" / file.path).stat().st_mode & 0o777 for file in project.files({})}
    assert modes == {file.path: 0o600 if file.private else 0o644 for file in project.files({})}
    folders = [path for path in (tmp_path / "new").rglob("*") if path.is_dir()]
    assert folders
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o755}


def test_a_value_that_would_end_its_line_is_refused() -> None:
    with pytest.raises(BadSetting, match="SLACK_WEBHOOK"):
        project.files({"SLACK_WEBHOOK": "a\nPOSTGRES_HOST=evil"})


def test_where_nobody_answers_it_says_how_to_ask_nothing(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["init", str(tmp_path)], input="")
    assert done.exit_code == 2, done.output
    assert "sparktrends init --yes" in done.output
    assert contents(tmp_path) == {}
