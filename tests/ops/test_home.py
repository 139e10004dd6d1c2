"""The home: who owns it, what is secret in it, what it refuses."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from sparktrends.errors import BadSetting, DiskFull, Fenced, Unavailable
from sparktrends.ops.cli import main
from sparktrends.ops.home import Home, default_cache, default_home

OWN = """
import sys, time
from pathlib import Path
from sparktrends.ops.home import Home
with Home.open(Path(sys.argv[1])).owned():
    print("mine", flush=True)
    time.sleep(60)
"""


def own(folder: Path) -> subprocess.Popen[str]:
    """Another program that owns the home."""
    process = subprocess.Popen([sys.executable, "-c", OWN, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "mine\n"
    return process


def test_a_second_owner_is_told_who_and_what_to_do(tmp_path: Path) -> None:
    with own(tmp_path) as other:
        try:
            with (
                pytest.raises(Fenced, match=f"in use by process {other.pid}: stop it with"),
                Home.open(tmp_path).owned(),
            ):
                pytest.fail("two owners")
            assert Home.open(tmp_path).owner() == other.pid
        finally:
            other.kill()


def test_a_killed_owner_leaves_nothing_behind(tmp_path: Path) -> None:
    with own(tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
    home = Home.open(tmp_path)
    assert home.owner() is None
    with home.owned():
        assert home.owner() == os.getpid()


def test_an_owner_may_come_back(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    for _ in range(2):
        with home.owned():
            pass
    assert home.owner() is None


def test_who_looks_at_that_instant_keeps_nobody_from_owning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.open(tmp_path)
    with open(home.run / "owner", "a") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        # The look is over when the one who waits looks again.
        monkeypatch.setattr(time, "sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN))
        with home.owned():
            assert home.owner() == os.getpid()


def test_passwords_stay_and_are_nobodys_business(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    made = home.secrets()
    assert home.secrets() == made
    assert len({made.superuser, made.owner, made.reader}) == 3
    assert stat.S_IMODE((home.run / "secrets.json").stat().st_mode) == 0o600
    assert made.owner not in repr(made)


@pytest.mark.parametrize("junk", ["", "{", "[]", '{"owner": "x"}'])
def test_a_broken_password_file_is_made_anew(junk: str, tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    (home.run / "secrets.json").write_text(junk)
    assert home.secrets() == home.secrets()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EACCES])
def test_passwords_that_cannot_be_read_now_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    home = Home.open(tmp_path)
    made = home.secrets()
    with monkeypatch.context() as patched:

        def fail(_: Path) -> str:
            raise OSError(number, os.strerror(number))

        patched.setattr(Path, "read_text", fail)
        with pytest.raises(Unavailable, match=r"secrets\.json cannot be read .*run as the user who owns the home"):
            home.secrets()
    assert home.secrets() == made


def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.open(tmp_path / "home")

    def read_only(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("builtins.open", read_only)  # as root may write anywhere
    with pytest.raises(BadSetting, match="cannot be written"), home.owned():
        pass


def test_a_home_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="no text in UTF-8"):
        Home.open(tmp_path / "a\udcffb")
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadSetting, match=r"cannot be used .*name another folder with --home"):
        Home.open(tmp_path / "file" / "home")


def test_too_little_space_is_said_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match=r"GB are free on the disk of .*free .* GB"):
        Home.open(tmp_path).require_space(2**60)
    Home.open(tmp_path).require_space(1)


def test_folders_are_closed_to_others(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "new")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.path.iterdir()}
    assert modes == {"kafka": 0o700, "logs": 0o700, "run": 0o700, "scratch": 0o700, "postgres": 0o711}


def test_a_folder_that_was_there_loses_no_permission(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    Home.open(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
    # A closed one is opened as far as the database's user must walk, and only where that is another one.
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    Home.open(closed)
    assert stat.S_IMODE(closed.stat().st_mode) == (0o711 if os.geteuid() == 0 else 0o700)
    assert stat.S_IMODE(Home.open(tmp_path / "new").path.stat().st_mode) == 0o711


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the database to another user")
@pytest.mark.parametrize("mask", [0o027, 0o077])
def test_the_databases_user_comes_through_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        home = Home.open(tmp_path / "over" / "new")
    finally:
        os.umask(before)
    for folder in (home.path.parent, home.path, home.postgres):
        assert folder.stat().st_mode & 0o011 == 0o011, folder
    assert stat.S_IMODE(home.run.stat().st_mode) == 0o700
    # One that an earlier release made too narrow is opened.
    home.postgres.chmod(0o700)
    assert stat.S_IMODE(Home.open(home.path).postgres.stat().st_mode) == 0o711


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("status", 3),
        ("env", 3),
        ("topics", 3),
        ("psql", 3),
        ("check database", 3),
        ("check stream", 3),
        ("restart stream", 3),
        ("audit", 3),
        ("batch repair", 3),
        ("down", 0),
    ],
)
def test_who_only_looks_makes_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, code: int) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.delenv("POSTGRES_HOST", raising=False)
    found = CliRunner().invoke(main, ["--home", str(tmp_path / "new"), *command.split()])
    assert (found.exit_code, "nothing runs in" in found.output) == (code, True)
    assert not (tmp_path / "new").exists()


def test_defaults_by_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_home({"HOME": "/h"}) == Path("/h/.local/state/sparktrends")
    assert default_home({"HOME": "/h", "XDG_STATE_HOME": "/s"}) == Path("/s/sparktrends")
    assert default_cache({"HOME": "/h"}) == Path("/h/.cache/sparktrends")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_home({"HOME": "/root"}) == Path("/var/lib/sparktrends")
    assert default_cache({"HOME": "/root"}) == Path("/var/cache/sparktrends")
