"""The product as a person has it: commands typed in a folder, on a home of its own, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg

from embedded import free_ports, temporary_home
from sparktrends.bus.admin import Admin
from sparktrends.bus.connection import Connection
from sparktrends.bus.reader import Reader, Record
from sparktrends.errors import SparkTrendsError
from sparktrends.ops import endpoints
from sparktrends.ops.compiling import PARTS
from sparktrends.ops.home import Home
from sparktrends.ops.jars import Resolver
from sparktrends.ops.ports import WANTED
from sparktrends.ops.settings import NAMES, load
from sparktrends.ops.stack import Stack
from sparktrends.ops.supervise import tied
from sparktrends.store.migrate import migrate, set_reader_password

TRADES = "raw.trades"


def until(done: Callable[[], Any], seconds: float, what: str | Callable[[], object]) -> Any:
    """What ``done`` returns as soon as it is true; fails naming ``what`` when that takes longer."""
    deadline = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what() if callable(what) else what}"
        time.sleep(0.05)
    return found


class Command:
    """A running command. Standard output and error go to files of their own, so that nothing ever blocks.

    It is tied to the test's life: also a test run that is killed leaves nothing behind.
    """

    def __init__(self, argv: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        number = len(list(folder.glob("*.err")))
        self.said, self.complained = folder / f"{number}.out", folder / f"{number}.err"
        with self.said.open("wb") as out, self.complained.open("wb") as err:
            self.process = subprocess.Popen(
                tied(argv),
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def out(self) -> str:
        """What it printed for machines and people."""
        return self.said.read_text(errors="replace")

    @property
    def err(self) -> str:
        """What it said beside that."""
        return self.complained.read_text(errors="replace")

    def json(self) -> dict[str, Any]:
        """Its one document; fails when anything else is on standard output."""
        assert self.out.strip(), self.err
        document: dict[str, Any] = json.loads(self.out)
        return document

    def sentence(self) -> str:
        """The one sentence with which it ended; a traceback is never one."""
        assert "Traceback" not in self.err
        said = [line for line in self.err.splitlines() if line.startswith("sparktrends: ")]
        assert len(said) == 1, self.err
        return said[0]

    def wait(self, seconds: float = 120.0) -> int:
        """Its exit code; fails when it takes longer."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {seconds:.0f} s: {self.err[-2000:]}") from None

    def stop(self, ask: int = signal.SIGINT, seconds: float = 170.0) -> int:
        """Ask it to end as Ctrl-C does, and wait."""
        self.process.send_signal(ask)
        return self.wait(seconds)


class Product:
    """One home and the folder in which commands are typed; `fresh` makes it and takes all of it away."""

    def __init__(self, home: Path, env: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.folder = home / "typed-here"
        self.folder.mkdir(exist_ok=True)
        # A person's own stack and settings must neither disturb the test nor be disturbed by it.
        self.wanted = free_ports()
        wanted = "\n".join(f"{name} = {number}" for name, number in self.wanted.items())
        (self.folder / "sparktrends.toml").write_text(f"[ports]\n{wanted}\n")
        (self.folder / "sparktrends.toml").chmod(0o600)  # some tests add channels
        self.commands: list[Command] = []
        self.env = {k: v for k, v in os.environ.items() if k not in NAMES} | dict(env or {})

    @classmethod
    @contextmanager
    def fresh(cls, env: Mapping[str, str] | None = None) -> Iterator[Product]:
        """A new home; whatever still works in it at the end is killed."""
        with temporary_home() as home:
            product = cls(home.path, env)
            try:
                yield product
            finally:
                for process in product.processes():
                    with contextlib.suppress(psutil.Error):
                        process.kill()
                for command in product.commands:
                    command.process.kill()
                    command.process.wait()
                psutil.wait_procs(product.processes(), timeout=60)

    def start(self, *words: str, env: Mapping[str, str] | None = None, pages: bool = False) -> Command:
        """Type a command and leave it running; `up` without its ``pages``, which have tests of their own."""
        if words[:1] == ("up",) and not pages:
            words = ("up", "--no-pages", *words[1:])
        argv = [sys.executable, "-m", "sparktrends.ops.cli", "--home", str(self.home), *words]
        self.commands.append(Command(argv, self.folder, {**self.env, **(env or {})}))
        return self.commands[-1]

    def run(self, *words: str, code: int | None = 0, seconds: float = 120.0, env: Any = None) -> Command:
        """Type a command and wait for its end, which must be ``code`` (None: any)."""
        command = self.start(*words, env=env)
        found = command.wait(seconds)
        assert code is None or found == code, (
            f"{words} ended with {found}:\n{command.out[-3000:]}\n{command.err[-3000:]}"
        )
        return command

    def up(self, *words: str, pages: bool = False) -> Command:
        """`up`, left running; returns when broker and database answer and its processes have been started."""
        command = self.start("up", *words, pages=pages)
        until(
            lambda: self.pid("stream") or command.process.poll() is not None,
            120,
            lambda: f"up is not there: {command.err}",
        )
        assert command.process.poll() is None, command.err
        return command

    def log(self, name: str) -> str:
        """What a part has said."""
        file = self.home / "logs" / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def record(self) -> Mapping[str, Any]:
        """What the running `up` wrote down."""
        return endpoints.record(self.home)

    def pid(self, name: str) -> int | None:
        """The process id of a part, when it lives."""
        pid = self.record.get("processes", {}).get(name)
        if not pid or not psutil.pid_exists(pid):
            return None
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            # A number may be given out again: only what works in this home is meant.
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd().startswith(str(self.home)):
                return int(pid)
        return None

    def kill(self, name: str, sign: int = signal.SIGKILL) -> int:
        """Kill a part at once; returns its process id. It must be running, or come back within a minute."""
        pid: int = until(lambda: self.pid(name), 60, f"{name} does not run")
        os.kill(pid, sign)
        return pid

    def processes(self) -> list[psutil.Process]:
        """Every process that works in the home, zombies left out."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cwd().startswith(str(self.home)) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def where(self) -> endpoints.Endpoints:
        """The running broker and database."""
        return endpoints.endpoints(load(self.env, self.folder, self.home))

    def sql(self, statement: str, *values: object, reader: bool = False) -> list[tuple[Any, ...]]:
        """Run one statement (as the writer) and return its rows; it is committed."""
        where = self.where()
        with psycopg.connect(where.reader_dsn if reader else where.owner_dsn, connect_timeout=5) as connection:
            cursor = connection.execute(statement, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def ask(self, statement: str, *values: object) -> Any:
        """One value; None while the database does not answer."""
        try:
            return self.sql(statement, *values)[0][0]
        except (psycopg.OperationalError, SparkTrendsError, IndexError, psycopg.errors.UndefinedTable):
            return None

    def folded(self) -> int:
        """How many records the ledger has; 0 while nobody answers."""
        return int(self.ask("SELECT coalesce(sum(records), 0) FROM core.ledger") or 0)

    def published(self) -> int:
        """How many records lie in the log."""
        return sum(high for _, high in Admin(self.where().kafka).watermarks(TRADES).values())

    def wait_folded(self, seconds: float = 120.0) -> int:
        """Wait until the ledger has all that `raw.trades` holds now; returns how many records that is."""
        admin = Admin(self.where().kafka)
        marks = admin.watermarks(TRADES)
        # Of this very topic: an older one of the same name may have been longer.
        reached = (
            "SELECT count(*) FROM core.ledger l JOIN (SELECT * FROM jsonb_each_text(%s)) w ON l.partition = w.key::int"
            " WHERE l.topic = 'raw.trades' AND l.topic_id = %s AND l.next_offset >= w.value::bigint"
        )
        wanted = json.dumps({str(partition): high for partition, (_, high) in marks.items()})
        until(
            lambda: self.ask(reached, wanted, str(admin.topic_id(TRADES))) == len(marks),
            seconds,
            lambda: f"{self.folded()} records are folded of the log {marks}",
        )
        return sum(high for _, high in marks.values())

    def audit(self, code: int = 0) -> dict[str, Any]:
        """The audit's document; its exit code must be ``code``."""
        return self.run("audit", "--json", code=code, seconds=240).json()


@contextmanager
def services(product: Product, resolver: Resolver) -> Iterator[Stack]:
    """Broker and database of this home with topics and tables, and none of our processes: those a test starts."""
    # As `up` does: compiling takes half a minute on a free machine, and is no part of what a test waits for.
    product.run("prepare", *PARTS, seconds=300)
    home = Home.open(product.home)
    wanted = load(product.env, product.folder, product.home).wanted_ports(WANTED)
    with home.owned(), Stack(home, resolver, wanted=wanted) as stack:
        Admin(Connection(stack.kafka)).ensure()
        migrate(stack.database.dsn())
        set_reader_password(stack.database.dsn(), stack.database.reader_password)
        endpoints.write_record(home, endpoints.stack_record(stack))
        yield stack


def log_of(product: Product, topic: str = TRADES) -> Iterator[tuple[int, Record]]:
    """(partition, record) of everything in a topic."""
    with Reader(product.where().kafka) as reader:
        for partition in reader.partitions(topic):
            for record in reader.range(topic, partition, *reader.watermarks(topic, partition)):
                yield partition, record
