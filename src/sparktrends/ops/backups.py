"""A whole home as one file: log, database, passwords, archived months and reports, of one moment.

Only a stopped home is saved: then log and ledger agree to the byte, and nothing needs to be asked. What is made anew at
every start (scratch, logs, copies of binaries, addresses, locks) stays out. What a link leads to is saved as if it lay
in the home. The file holds the passwords: mode 600.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from sparktrends import __version__
from sparktrends.errors import BadFile, BadSetting, DiskFull
from sparktrends.ops import kafka_server, postgres_server
from sparktrends.ops.home import ARCHIVE, REPORTS, Home
from sparktrends.ops.stack import External

FORMAT = 1
_BLOCK = 1 << 20
_MANIFEST = "sparktrends-backup.json"
# What retention has archived is nowhere else any more.
_ROOTS = ("kafka", "postgres", "run", ARCHIVE, REPORTS)
_DATA = ("postgres/data", "kafka/data")
_LOCK = "run/owner"
_LEFT_OUT = (
    f"{ARCHIVE}/*.new",
    "kafka/server.properties",
    "kafka/log4j2.properties",
    "postgres/binaries-*",
    "postgres/data/postmaster.pid",
    _LOCK,
    "run/restart-*",
    "run/stack.json",
)


@dataclass(frozen=True, slots=True)
class Saved:
    """How much is in a backup: files, and their bytes before compression."""

    files: int
    size: int


def require_embedded(there: External) -> None:
    """Raises BadSetting when database or log lie elsewhere: a file without them would pass for a backup of them."""
    if elsewhere := _elsewhere(there):
        raise BadSetting(
            f"a backup of this home would not hold {elsewhere}",
            hint="`pg_dump` saves such a database, replicas such a log: see Backups in docs/cluster.md",
        )


def require_used(there: External) -> None:
    """Raises BadSetting when database or log lie elsewhere: `up` would go on with those, not with what is restored."""
    if elsewhere := _elsewhere(there):
        raise BadSetting(
            f"the settings name {elsewhere}: what is restored would not be used",
            hint="take POSTGRES_HOST and KAFKA_BOOTSTRAP out of them and out of the environment",
        )


def _elsewhere(there: External) -> str:
    database = f"the database at {there.database.host}" if there.database else ""
    return " and ".join(filter(None, (database, f"the log at {there.kafka}" if there.kafka else "")))


def stored_in(folder: Path) -> Home:
    """The home in a folder; raises BadSetting without a database and a log in it: nothing would be saved."""
    home = Home.found(folder)
    # What a killed restore had read is put in place before anything is saved.
    if home is None or not (home.restored.exists() or all(_there(home.path / part) for part in _DATA)):
        raise BadSetting(f"nothing is stored in {folder}", hint="name the folder of a home with --home")
    return home


def backup(home: Home, file: Path) -> Saved:
    """Save the stopped home; raises Fenced while it runs. The file appears whole or not at all."""
    if file.exists():
        raise BadSetting(f"{file} exists", hint="name another file")
    fresh = file.with_name(f"{file.name}.part")
    with home.owned():
        # After a kill -9 both may still be there, and write.
        kafka_server.evict_leftovers(home.kafka)
        postgres_server.evict_leftovers(home.postgres)
        try:
            saved = _write(home, fresh)
            fresh.replace(file)
        except OSError as error:
            raise DiskFull(
                f"{file} cannot be written ({error.strerror})", hint="name a file on another disk"
            ) from error
        finally:
            fresh.unlink(missing_ok=True)
    return saved


def restore(file: Path, home: Home, agree: Callable[[Path], None] = lambda _: None) -> Saved:
    """Put what a backup holds into a home that holds nothing yet; raises BadSetting, BadFile or DiskFull.

    ``agree`` sees what was read, as a home's folder, before it is put in place, and may raise.
    A kill leaves the home empty, or what was read to its end, which whoever owns the home next puts in place.
    """
    with home.locked():
        if home.finish_restore():
            raise BadSetting(
                f"{home.path} holds what an earlier restore had read: it is whole now",
                hint="`sparktrends up` goes on with it; restore other backups into another --home",
            )
        for part in (*_DATA, "run/secrets.json", ARCHIVE, REPORTS):
            _require_free(home, part)
        # In the home, so on its disk: what was read to its last byte moves in, and nothing is copied again.
        fresh = home.restoring
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            saved = _unpack(file, fresh)
            for part in _DATA:
                if not (fresh / part).exists():
                    raise BadFile(f"{file} holds no {part}")
            agree(fresh)
            _admit(fresh / "postgres" / "data")
            for found in fresh.glob("*/*"):
                # One file may take another's place.
                if found.is_dir() or (home.path / found.relative_to(fresh)).is_dir():
                    _require_free(home, found.relative_to(fresh).as_posix())
            # From here on it is restored, however this process ends.
            fresh.replace(home.restored)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        home.finish_restore()
    return saved


def _require_free(home: Home, part: str) -> None:
    # A link that leads nowhere is there too: its disk is not mounted.
    if os.path.lexists(home.path / part):
        raise BadSetting(f"{home.path} holds data already ({part})", hint="name another folder with --home")


def _write(home: Home, file: Path) -> Saved:
    files, size = 0, 0
    # What a killed run left may be open to others, and would stay so.
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        # No link, soft or hard, would be taken back by `_check`.
        with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1, dereference=True) as archive:
            said = json.dumps({"format": FORMAT, "version": __version__}).encode()
            first = tarfile.TarInfo(_MANIFEST)
            first.size = len(said)
            archive.addfile(first, io.BytesIO(said))
            for path in _kept(home):
                archive.add(path, path.relative_to(home.path).as_posix(), recursive=False)
                files, size = files + path.is_file(), size + (path.stat().st_size if path.is_file() else 0)
        out.flush()
        os.fsync(out.fileno())
    return Saved(files, size)


def _kept(home: Home) -> Iterator[Path]:
    """Every file and folder, a folder before what is in it; raises BadSetting for a link that leads nowhere."""
    roots = [home.path / root for root in reversed(_ROOTS)]
    waiting = [root for root in roots if _there(root)]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            if any(fnmatch(path.relative_to(home.path).as_posix(), left) for left in _LEFT_OUT) or not _there(path):
                continue
            yield path
            if path.is_dir():
                waiting.append(path)


def _there(path: Path) -> bool:
    if path.is_symlink() and not path.exists():
        # Not simply absent: its disk is not mounted, and the backup would lack what is on it.
        raise BadSetting(f"{path} leads to nothing", hint="mount the disk that it leads to, or remove the link")
    return path.exists()


def _unpack(file: Path, folder: Path) -> Saved:
    files, size = 0, 0
    try:
        for root in _ROOTS:
            (folder / root).mkdir(parents=True)
        with gzip.open(file) as content, tarfile.open(fileobj=content, mode="r:") as archive:
            _check_manifest(archive, file)
            for member in archive:
                _check(member, file)
                _put(archive, member, folder / member.name)
                files, size = files + member.isfile(), size + member.size
            while content.read(_BLOCK):  # to the very end, where the checksum is
                pass
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, ValueError, OverflowError) as error:
        raise BadFile(f"{file} is damaged or no backup of ours ({error})") from error
    except OSError as error:
        hint = "is there room, and may you read it?"
        raise DiskFull(f"{file} cannot be restored ({error.strerror})", hint=hint) from error
    return Saved(files, size)


def _put(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """Write a file or folder that was checked, as ours: with its time, open to nobody for more than reading.

    Not by `TarFile.extract`: the Python of Debian 12 (3.11.2) does not know its filters, and without one root would
    give the files to the users and modes that the archive names.
    """
    content = archive.extractfile(member)
    if content is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        shutil.copyfileobj(content, out, _BLOCK)
        os.fchmod(out.fileno(), 0o600 | member.mode & 0o644)
    # Of segments without a time of their own the broker goes by that of the file.
    os.utime(path, (member.mtime, member.mtime))


def _check_manifest(archive: tarfile.TarFile, file: Path) -> None:
    first = archive.next()
    content = archive.extractfile(first) if first and first.name == _MANIFEST else None
    said = json.loads(content.read(4096)) if content else {}
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise BadFile(f"{file} is no backup that this release can read")


def _check(member: tarfile.TarInfo, file: Path) -> None:
    """Only plain files and folders below those that are ours: a backup may come from anywhere."""
    if member.name == _MANIFEST:
        return
    path = PurePosixPath(member.name)
    ours = path.parts[:1] in {(root,) for root in _ROOTS} and ".." not in path.parts and member.name != _LOCK
    if not ours or not (member.isfile() or member.isdir()):
        raise BadFile(f"{file} holds {member.name}, which no backup of ours does")


def _admit(data: Path) -> None:
    """Give the database's files to the user who runs it, and to nobody else."""
    if not data.exists():
        return
    user = postgres_server.runner()
    for path in (data, *data.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        if user:
            os.chown(path, *user)
