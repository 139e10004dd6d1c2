"""The home: one folder with everything that must outlive a start, owned by one running stack at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from sparktrends.errors import BadSetting, DiskFull, Fenced, Unavailable

NEEDED_BYTES = 2 * 1024**3
"""Free space that a start asks for: a day of trades of the demo and what the log keeps of it."""
ARCHIVE, REPORTS = "archive", "reports"
"""Folders that are made when there is something in them."""
CACHE_ADVICE = "make it yours, or name another folder with XDG_CACHE_HOME"
"""What to do about a cache that cannot be written."""
_FOLDERS = ("kafka", "logs", "run", "scratch")
_LOOKS, _LOOK_S = 20, 0.01


def default_home(env: Mapping[str, str]) -> Path:
    """Root: /var/lib/sparktrends (another user must reach the database); others: below their state folder."""
    if os.geteuid() == 0:
        return Path("/var/lib/sparktrends")
    return Path(env.get("XDG_STATE_HOME") or Path(env.get("HOME", "/")) / ".local" / "state") / "sparktrends"


def default_cache(env: Mapping[str, str]) -> Path:
    """Where jars and the Java launcher are kept: XDG_CACHE_HOME, else /var/cache for root, else ~/.cache."""
    if base := env.get("XDG_CACHE_HOME"):
        return Path(base) / "sparktrends"
    base_folder = Path("/var/cache") if os.geteuid() == 0 else Path(env.get("HOME", "/")) / ".cache"
    return base_folder / "sparktrends"


@contextmanager
def written(cache: Path) -> Iterator[None]:
    """A block that writes to the cache. Raises DiskFull, or BadSetting when the folder cannot be used."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"the disk of {cache} is full", hint="free 300 MB there and start again") from error
        raise BadSetting(f"the cache {cache} cannot be written ({error.strerror})", hint=CACHE_ADVICE) from error


@dataclass(frozen=True, slots=True)
class Secrets:
    """The generated passwords of one home; none of them shows in a repr."""

    superuser: str = field(repr=False)
    owner: str = field(repr=False)
    reader: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Home:
    """A home that exists and can be written; make one with `Home.open`.

    Who only looks may name one that is not there.
    """

    path: Path

    @classmethod
    def open(cls, path: Path) -> Home:
        """Make the folder and its parts where missing; raises BadSetting when they cannot be used."""
        home = cls(path.absolute())
        try:
            str(home.path).encode()
        except UnicodeEncodeError:
            hint = "name another with --home: broker and database write it in files of theirs"
            raise BadSetting(f"the home {str(path)!a} is no text in UTF-8", hint=hint) from None
        try:
            for folder in (home.path, home.postgres):
                _make_or_open(folder)
            for name in _FOLDERS:
                (home.path / name).mkdir(exist_ok=True, mode=0o700)
            os.listdir(home.run)
        except OSError as error:
            raise BadSetting(
                f"the home {path} cannot be used ({error.strerror})", hint="name another folder with --home"
            ) from error
        return home

    @classmethod
    def found(cls, path: Path) -> Home | None:
        """The home in a folder, None where there is none: who only looks makes no folders."""
        return cls.open(path) if os.path.isdir(path / "run") else None

    @classmethod
    def running(cls, path: Path) -> Home | None:
        """The home in a folder while a program runs it, else None."""
        home = cls.found(path)
        return home if home and home.owner() is not None else None

    @property
    def kafka(self) -> Path:
        """The broker's log and configuration."""
        return self.path / "kafka"

    @property
    def postgres(self) -> Path:
        """The database's files, and its binaries where another user runs it."""
        return self.path / "postgres"

    @property
    def logs(self) -> Path:
        """What every part says."""
        return self.path / "logs"

    @property
    def run(self) -> Path:
        """The lock, the ports, the passwords."""
        return self.path / "run"

    @property
    def scratch(self) -> Path:
        """Spark's checkpoints and spills: may vanish whenever nothing runs."""
        return self.path / "scratch"

    @property
    def archive(self) -> Path:
        """Months that retention took out of the database, as Parquet."""
        return self.path / ARCHIVE

    @property
    def reports(self) -> Path:
        """The daily reports."""
        return self.path / REPORTS

    @property
    def restoring(self) -> Path:
        """What a restore reads, until it has all of it: only scratch."""
        return self.path / "restoring"

    @property
    def restored(self) -> Path:
        """What a restore has read to its end and not put in place yet: as good as in the home (`finish_restore`)."""
        return self.path / "restored"

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Own the home, whole; raises Fenced as `locked`, and BadSetting where a restore has not come to its end."""
        with self.locked():
            self.finish_restore()
            if self.restoring.exists():
                # What was to be here is not, and a start would make something new in its place.
                raise BadSetting(
                    f"a restore into {self.path} did not come to its end",
                    hint=f"`sparktrends restore` again, or remove {self.restoring} and begin without it",
                )
            yield

    def finish_restore(self) -> bool:
        """Put what a killed restore had read to its end in its place; whether there was any. The home must be locked.

        Raises BadSetting for what cannot be moved: nobody may take half of it for the home.
        """
        if not self.restored.exists():
            return False
        for found in list(self.restored.glob("*/*")):
            place = self.path / found.relative_to(self.restored)
            try:
                place.parent.mkdir(exist_ok=True)
                found.replace(place)
            except OSError as error:
                raise BadSetting(
                    f"{found} cannot be moved to {place} ({error.strerror})",
                    hint="move it there yourself, and see who owns both and whether they lie on one disk",
                ) from error
        shutil.rmtree(self.restored, ignore_errors=True)
        return True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others out; raises Fenced when a program runs here. The kernel ends it with the process: never stale."""
        # Not "w": that would empty the file before the lock says whether somebody is named in it.
        with self._owner_file() as handle:
            if not _locked(handle):
                raise Fenced(
                    f"{self.path} is in use by process {self.owner() or 'unknown'}",
                    hint="stop it with `sparktrends down`, or name another folder with --home",
                )
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
            try:
                yield
            finally:
                handle.truncate(0)

    def _owner_file(self) -> IO[str]:
        try:
            return open(self.run / "owner", "a+")
        except OSError as error:
            hint = "name another folder with --home, or run as the user who owns it"
            raise BadSetting(f"the home {self.path} cannot be written ({error.strerror})", hint=hint) from error

    def owner(self) -> int | None:
        """The process id that runs this home now; None when nobody does."""
        try:
            with open(self.run / "owner", errors="replace") as handle:
                said = handle.read()
                try:
                    fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(said) if said.isdecimal() else None
        except (FileNotFoundError, IsADirectoryError):
            pass
        return None

    def secrets(self) -> Secrets:
        """The passwords, made at the first call and kept in a file that only its owner can read.

        A file that holds none is made anew. Raises Unavailable for one that cannot be read: the database may know them.
        """
        file = self.run / "secrets.json"
        try:
            return Secrets(**json.loads(file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return self._new_secrets(file)
        except OSError as error:
            raise Unavailable(
                f"the passwords in {file} cannot be read ({error.strerror})",
                hint="run as the user who owns the home; see whether its disk is well",
            ) from error

    def _new_secrets(self, file: Path) -> Secrets:
        made = Secrets(*(secrets.token_urlsafe(24) for _ in range(3)))
        fresh = file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            json.dump({"superuser": made.superuser, "owner": made.owner, "reader": made.reader}, out)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
        return made

    @property
    def free_bytes(self) -> int:
        """What is free on the disk where the home is, or would be."""
        return shutil.disk_usage(nearest(self.path)).free

    def require_space(self, needed: int | None = None) -> None:
        """Raises DiskFull when fewer than ``needed`` bytes are free: better before a start than in the middle."""
        needed = needed or NEEDED_BYTES
        free = self.free_bytes
        if free < needed:
            raise DiskFull(
                f"only {free / 1e9:.1f} GB are free on the disk of {self.path}",
                hint=f"free {needed / 1e9:.1f} GB, or name a folder on another disk with --home",
            )


def nearest(path: Path) -> Path:
    """The path itself where it exists, else the closest above it that does."""
    return next(found for found in (path, *path.parents) if found.exists())


def _make_or_open(folder: Path) -> None:
    """Others may pass through a home (the database's user must) but not look around; a folder that was there before
    loses no permission: a person may have named /tmp."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    # Afterwards: what is asked for at making, a strict umask takes away.
    if made:
        folder.chmod(0o711)
    for path in made or [folder]:
        mode = stat.S_IMODE(path.stat().st_mode)
        if os.geteuid() == 0 and mode & 0o011 != 0o011:
            path.chmod(mode | 0o011)


def _locked(handle: IO[str]) -> bool:
    """Whether the lock is ours now. Who looks (`Home.owner`) holds it for an instant: one that stays is an owner's."""
    for _ in range(_LOOKS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_S)
        else:
            return True
    return False
