"""A backup holds what must outlive, for its owner alone, and nothing strange comes out of one."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner

from sparktrends.errors import BadFile, BadSetting, Fenced
from sparktrends.ops.backups import backup, restore
from sparktrends.ops.cli import main
from sparktrends.ops.doctor import CHECKS
from sparktrends.ops.endpoints import write_record
from sparktrends.ops.home import Home
from sparktrends.ops.settings import load
from sparktrends.telemetry import system_clock

MONTH, REPORT = "archive/bars/1m/2024-01-000.parquet", "reports/2024-01-02.html"
BARE = ("kafka/data/ownership-0/0.log", "kafka/formatted", "postgres/data/PG_VERSION", "run/gaps-a.json")
KEPT = (*BARE, MONTH, REPORT)


def filled(folder: Path, names: Iterable[str]) -> Home:
    """A home that holds its passwords and these files."""
    made = Home.open(folder)
    made.secrets()
    for name in names:
        (made.path / name).parent.mkdir(parents=True, exist_ok=True)
        (made.path / name).write_bytes(name.encode() * 1000)
    return made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = filled(tmp_path / "home", (*KEPT, "kafka/server.properties"))
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


def test_a_python_whose_tarfile_knows_no_filter_restores_too(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian 12 has 3.11.2; `filter` came with 3.11.4."""
    theirs = tarfile.TarFile.extract

    def extract(self: tarfile.TarFile, member: tarfile.TarInfo, path: str = "", set_attrs: bool = True) -> None:
        theirs(self, member, path, set_attrs)

    monkeypatch.setattr(tarfile.TarFile, "extract", extract)
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    again = Home.open(tmp_path / "again")
    backup(home, tmp_path / "saved")
    restore(tmp_path / "saved", again)
    for name in (*KEPT, "run/secrets.json"):
        assert (again.path / name).read_bytes() == (home.path / name).read_bytes()


def test_times_come_back_and_of_the_modes_what_is_safe(home: Home, tmp_path: Path) -> None:
    again, report = Home.open(tmp_path / "again"), home.path / REPORT
    os.utime(report, (1_700_000_000.5, 1_700_000_000.5))
    modes = {REPORT: (0o644, 0o644), MONTH: (0o4777, 0o644), "kafka/formatted": (0o400, 0o600)}
    for name, (before, _) in modes.items():
        (home.path / name).chmod(before)
    backup(home, tmp_path / "saved")
    restore(tmp_path / "saved", again)
    assert (again.path / REPORT).stat().st_mtime == 1_700_000_000.5
    assert {name: (again.path / name).stat().st_mode & 0o7777 for name in modes} == {
        n: m for n, (_, m) in modes.items()
    }
    assert {(path.stat().st_uid, path.stat().st_gid) for path in again.archive.rglob("*")} == {
        (os.geteuid(), os.getegid())
    }


def test_a_home_that_archived_nothing_has_no_archive_afterwards(tmp_path: Path) -> None:
    again = Home.open(tmp_path / "again")
    backup(filled(tmp_path / "young", BARE), tmp_path / "saved")
    restore(tmp_path / "saved", again)
    assert not again.archive.exists()
    assert not again.reports.exists()


@pytest.mark.parametrize("there", ["archive/bars", "reports/2024-01-02.html"])
def test_what_is_kept_already_is_not_mixed_with_others(home: Home, tmp_path: Path, there: str) -> None:
    backup(home, tmp_path / "saved")
    other = Home.open(tmp_path / "other")
    (other.path / there).mkdir(parents=True)
    with pytest.raises(BadSetting, match="holds data already"):
        restore(tmp_path / "saved", other)
    assert list(other.kafka.iterdir()) == []


@pytest.mark.parametrize("there", ["run/gaps-a.json/x", "kafka/topics/x"])
def test_no_folder_is_written_over(home: Home, tmp_path: Path, there: str) -> None:
    (home.kafka / "topics").mkdir()
    backup(home, tmp_path / "saved")
    other = Home.open(tmp_path / "other")
    (other.path / there).mkdir(parents=True)
    with pytest.raises(BadSetting, match=rf"holds data already \({there.removesuffix('/x')}\)"):
        restore(tmp_path / "saved", other)
    assert (other.path / there).is_dir()
    assert not (other.kafka / "data").exists()
    assert not other.restoring.exists()


@pytest.mark.parametrize("lost", ["kafka/data", "postgres/data", ""])
def test_a_home_without_data_is_no_backup(tmp_path: Path, lost: str) -> None:
    names = [name for name in BARE if lost and not name.startswith(lost)]
    folder = filled(tmp_path / "home", names).path if lost else tmp_path / "no home"
    arguments = ["--home", str(folder), "backup", str(tmp_path / "saved")]
    said = CliRunner().invoke(main, arguments)
    assert said.exit_code == BadSetting.exit_code
    assert f"nothing is stored in {folder}" in said.stderr
    assert list(tmp_path.glob("saved*")) == []
    assert folder.exists() == bool(lost), "who only looks makes no folders"


def test_a_backup_without_data_is_not_restored(tmp_path: Path) -> None:
    file, again = tmp_path / "saved", Home.open(tmp_path / "again")
    with tarfile.open(file, "w:gz") as archive:
        put(archive, "sparktrends-backup.json", b'{"format": 1}')
        put(archive, "run/secrets.json", b"{}")
    with pytest.raises(BadFile, match="holds no postgres/data"):
        restore(file, again)
    assert not (again.run / "secrets.json").exists()
    assert not again.restoring.exists()


# What a kill leaves: the process ends itself at the N-th rename, as if somebody had.
KILLED = """
import os, signal, sys
from pathlib import Path
from sparktrends.ops.backups import restore
from sparktrends.ops.home import Home
left, rename = int(sys.argv[3]), Path.replace
def replace(self, target):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
Path.replace = replace
restore(Path(sys.argv[1]), Home.open(Path(sys.argv[2])))
"""


def killed(file: Path, folder: Path, rename: int) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(file), str(folder), str(rename)], env=os.environ)
    assert ended.returncode == -signal.SIGKILL


def told(folder: Path) -> list[tuple[bool, str]]:
    """Whether each finding of the doctor about a home is a problem, and what it is."""
    settings = load({"HOME": str(folder), "XDG_CACHE_HOME": str(folder.parent / "cache")}, folder.parent, folder)
    checks = (CHECKS[name](settings, system_clock) for name in ("home", "data"))
    return [(found.problem, found.what) for check in checks for found in check]


@pytest.mark.parametrize("rename", range(2, 9))
def test_a_restore_that_was_killed_while_files_moved_in_is_ended_by_whoever_owns_the_home_next(
    home: Home, tmp_path: Path, rename: int
) -> None:
    file, again = tmp_path / "saved", tmp_path / "again"
    backup(home, file)
    killed(file, again, rename)
    assert told(again) == [(False, f"a restore into {again} was ended while its files moved in")]
    with Home(again).owned():
        pass
    for name in (*KEPT, "run/secrets.json"):
        assert (again / name).read_bytes() == (home.path / name).read_bytes()
    assert not Home(again).restored.exists()
    assert told(again) == [(True, f"{again / 'kafka/data'} is damaged: meta.properties is not there")]  # as the first


def test_a_second_restore_says_that_the_first_is_whole(home: Home, tmp_path: Path) -> None:
    file, again = tmp_path / "saved", tmp_path / "again"
    backup(home, file)
    killed(file, again, 3)
    with pytest.raises(BadSetting, match="holds what an earlier restore had read"):
        restore(file, Home(again))
    assert Home(again).secrets() == home.secrets()
    with pytest.raises(BadSetting, match="holds data already"):
        restore(file, Home(again))


def test_a_restore_that_was_killed_while_it_read_is_begun_again_and_nothing_else_runs_there(
    home: Home, tmp_path: Path
) -> None:
    file, again = tmp_path / "saved", tmp_path / "again"
    backup(home, file)
    killed(file, again, 1)
    assert told(again) == [(True, f"a restore into {again} did not come to its end")]
    with pytest.raises(BadSetting, match="`sparktrends restore`"), Home(again).owned():
        pass
    restore(file, Home(again))
    assert Home(again).secrets() == home.secrets()
    assert not Home(again).restoring.exists()


def test_a_file_that_cannot_move_in_is_one_sentence_until_it_can(home: Home, tmp_path: Path) -> None:
    file, again = tmp_path / "saved", tmp_path / "again"
    backup(home, file)
    killed(file, again, 2)
    for there in ("kafka/data", "kafka/formatted"):  # whichever is still to move
        (again / there / "in the way").mkdir(parents=True)
    with pytest.raises(BadSetting, match=r"restored/kafka/\w+ cannot be moved to"), Home(again).owned():
        pass
    for there in ("kafka/data", "kafka/formatted"):
        (again / there / "in the way").rmdir()
    (again / "kafka/formatted").rmdir()
    with Home(again).owned():
        assert (again / KEPT[0]).read_bytes() == (home.path / KEPT[0]).read_bytes()


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


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"POSTGRES_HOST": "127.0.0.1"}, "the database at 127.0.0.1"),
        ({"KAFKA_BOOTSTRAP": "127.0.0.1:9092"}, "the log at 127.0.0.1:9092"),
    ],
)
def test_nothing_is_restored_beside_a_database_or_a_log_of_somebody_else(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    backup(home, tmp_path / "saved")
    said = CliRunner().invoke(main, ["--home", "again", "restore", "saved"], env=values)
    assert said.exit_code == BadSetting.exit_code
    assert named in said.stderr
    assert not Home(tmp_path / "again").restored.exists()
    assert not (tmp_path / "again" / "kafka" / "data").exists()


def test_a_dotenv_with_addresses_of_the_saved_home_keeps_nothing_from_being_restored(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_record(home, {"kafka": "127.0.0.1:9094", "postgres_port": 5434})
    backup(home, tmp_path / "saved")
    env = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "5434", "KAFKA_BOOTSTRAP": "127.0.0.1:9094"}
    said = CliRunner().invoke(main, ["--home", "again", "restore", "saved"], env=env)
    assert (said.exit_code, said.stderr) == (0, "")
    assert Home(tmp_path / "again").secrets() == home.secrets()


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


def put(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """A file into an archive."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


HOSTILE = {
    "outside": ("../outside", tarfile.REGTYPE),
    "elsewhere": ("logs/x", tarfile.REGTYPE),
    "absolute": ("/etc/x", tarfile.REGTYPE),
    "nowhere": (".", tarfile.DIRTYPE),
    "lock": ("run/owner", tarfile.REGTYPE),
    "link": ("run/link", tarfile.SYMTYPE),
    "device": ("run/device", tarfile.CHRTYPE),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    path, kind = HOSTILE[name]
    file, again = tmp_path / "saved", Home.open(tmp_path / "again")
    with tarfile.open(file, "w:gz") as archive:
        put(archive, "sparktrends-backup.json", b'{"format": 1}')
        member = tarfile.TarInfo(path)
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(BadFile, match="which no backup of ours does"):
        restore(file, again)
    assert not (tmp_path / "outside").exists()
    assert not (again.path / "restoring").exists()


@pytest.mark.parametrize("mtime", ["1e300", "nan"])
def test_a_time_that_is_none_is_a_damaged_file(tmp_path: Path, mtime: str) -> None:
    file, again = tmp_path / "saved", Home.open(tmp_path / "again")
    with tarfile.open(file, "w:gz") as archive:
        put(archive, "sparktrends-backup.json", b'{"format": 1}')
        member = tarfile.TarInfo("kafka/formatted")
        member.pax_headers = {"mtime": mtime}
        archive.addfile(member)
    with pytest.raises(BadFile):
        restore(file, again)
    assert not (again.path / "restoring").exists()
