"""A backup holds what must outlive, for its owner alone, and nothing strange comes out of one."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from sparktrends.errors import BadFile, BadSetting, Fenced
from sparktrends.ops.backups import backup, restore
from sparktrends.ops.cli import main
from sparktrends.ops.home import Home

MONTH, REPORT = "archive/bars/1m/2024-01-000.parquet", "reports/2024-01-02.html"
KEPT = ("kafka/data/ownership-0/0.log", "kafka/formatted", "run/gaps-a.json", MONTH, REPORT)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.open(tmp_path / "home")
    made.secrets()
    for name in (*KEPT, "kafka/server.properties"):
        (made.path / name).parent.mkdir(parents=True, exist_ok=True)
        (made.path / name).write_bytes(name.encode() * 1000)
    unfinished = MONTH.replace("parquet", "new")
    for name in ("scratch/x", "logs/x.log", "postgres/binaries-1/bin", "run/stack.json", unfinished):
        (made.path / name).parent.mkdir(parents=True, exist_ok=True)
        (made.path / name).write_text("made anew at every start")
    return made


def test_what_is_restored_is_what_was_saved(home: Home, tmp_path: Path) -> None:
    file, again = tmp_path / "saved.tar.gz", Home.open(tmp_path / "again")
    saved = backup(home, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert restore(file, again).files == saved.files + 1  # the manifest
    for name in (*KEPT, "run/secrets.json"):
        assert (again.path / name).read_bytes() == (home.path / name).read_bytes()
    assert again.secrets() == home.secrets()
    assert (again.run / "secrets.json").stat().st_mode & 0o777 == 0o600
    for name in ("scratch/x", "logs/x.log", "postgres/binaries-1", "run/stack.json", "kafka/server.properties"):
        assert not (again.path / name).exists()
    assert not list(again.path.rglob("*.new"))
    assert not (again.path / "restoring").exists()


def test_a_home_that_archived_nothing_has_no_archive_afterwards(tmp_path: Path) -> None:
    empty, again = Home.open(tmp_path / "empty"), Home.open(tmp_path / "again")
    empty.secrets()
    backup(empty, tmp_path / "saved")
    restore(tmp_path / "saved", again)
    assert not again.archive.exists()
    assert not again.reports.exists()


def test_months_that_are_archived_already_are_not_mixed_with_others(home: Home, tmp_path: Path) -> None:
    backup(home, tmp_path / "saved")
    other = Home.open(tmp_path / "other")
    (other.archive / "bars").mkdir(parents=True)
    with pytest.raises(BadSetting, match="holds data already"):
        restore(tmp_path / "saved", other)


def test_what_was_moved_to_another_disk_is_saved_and_restored(home: Home, tmp_path: Path) -> None:
    other, again = tmp_path / "other disk", Home.open(tmp_path / "again")
    other.mkdir()
    for moved in ("kafka/data", "archive"):
        (home.path / moved).rename(other / Path(moved).name)
        (home.path / moved).symlink_to(other / Path(moved).name)
    (home.kafka / "twice").hardlink_to(home.kafka / "formatted")
    backup(home, tmp_path / "saved")
    restore(tmp_path / "saved", again)
    for name in (*KEPT, "kafka/twice"):
        assert (again.path / name).read_bytes() == (home.path / name).read_bytes()
    assert not any(path.is_symlink() for path in again.path.rglob("*"))


@pytest.mark.parametrize("moved", ["kafka/data", "archive"])
def test_a_disk_that_is_not_mounted_is_no_empty_backup(home: Home, tmp_path: Path, moved: str) -> None:
    (home.path / moved).rename(tmp_path / "elsewhere")
    (home.path / moved).symlink_to(tmp_path / "not mounted")
    with pytest.raises(BadSetting, match="leads to nothing"):
        backup(home, tmp_path / "saved")
    assert list(tmp_path.glob("saved*")) == []


def test_what_a_killed_run_left_open_to_others_is_not_written_into(home: Home, tmp_path: Path) -> None:
    left = tmp_path / "saved.part"
    left.touch()
    left.chmod(0o666)
    with left.open() as seen_by_others:
        backup(home, tmp_path / "saved")
        assert seen_by_others.read() == ""
    assert (tmp_path / "saved").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"POSTGRES_HOST": "127.0.0.1"}, "the database at 127.0.0.1"),
        ({"KAFKA_BOOTSTRAP": "127.0.0.1:9092"}, "the log at 127.0.0.1:9092"),
    ],
)
def test_a_database_or_a_log_of_somebody_else_is_not_said_to_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    home = Home.open(tmp_path / "home")
    arguments = ["--home", str(home.path), "backup", "saved"]
    said = CliRunner().invoke(main, arguments, env=values)
    assert said.exit_code == BadSetting.exit_code
    assert named in said.stderr
    assert "pg_dump" in said.stderr
    assert list(tmp_path.glob("saved*")) == []


def test_a_running_home_is_not_saved(home: Home, tmp_path: Path) -> None:
    with home.owned(), pytest.raises(Fenced, match="sparktrends down"):
        backup(home, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_nothing_is_overwritten(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "saved"
    backup(home, file)
    with pytest.raises(BadSetting, match="exists"):
        backup(home, file)
    with pytest.raises(BadSetting, match="holds data already"):
        restore(file, home)


@pytest.mark.parametrize("harm", ["cut", "flipped", "other"])
def test_a_damaged_file_restores_nothing(home: Home, tmp_path: Path, harm: str) -> None:
    file, again = tmp_path / "saved", Home.open(tmp_path / "again")
    backup(home, file)
    content = bytearray(file.read_bytes())
    if harm == "flipped":
        content[len(content) // 2] ^= 0x55
    file.write_bytes({"cut": content[: len(content) // 2], "other": b"PK\3\4 something"}.get(harm, content))
    with pytest.raises(BadFile):
        restore(file, again)
    assert not (again.run / "secrets.json").exists()
    assert list((again.path / "kafka").iterdir()) == []


HOSTILE = {
    "outside": ("../outside", tarfile.REGTYPE),
    "elsewhere": ("logs/x", tarfile.REGTYPE),
    "absolute": ("/etc/x", tarfile.REGTYPE),
    "link": ("run/link", tarfile.SYMTYPE),
    "device": ("run/device", tarfile.CHRTYPE),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    path, kind = HOSTILE[name]
    file, again = tmp_path / "saved", Home.open(tmp_path / "again")
    with tarfile.open(file, "w:gz") as archive:
        manifest = tarfile.TarInfo("sparktrends-backup.json")
        manifest.size = len(b'{"format": 1}')
        archive.addfile(manifest, io.BytesIO(b'{"format": 1}'))
        member = tarfile.TarInfo(path)
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(BadFile, match="which no backup of ours does"):
        restore(file, again)
    assert not (tmp_path / "outside").exists()
    assert not (again.path / "restoring").exists()
