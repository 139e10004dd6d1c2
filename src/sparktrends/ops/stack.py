"""The embedded stack: broker and database of one home, started side by side, kept running, stopped in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from types import TracebackType

from sparktrends.ops import jars, kafka_server, ports, postgres_server
from sparktrends.ops.classes import KeptClasses
from sparktrends.ops.home import Home, Secrets
from sparktrends.ops.java import Java
from sparktrends.ops.kafka_server import KafkaServer
from sparktrends.ops.postgres_server import DATABASE, OWNER, READER, PostgresServer
from sparktrends.ops.secured import SCRAM
from sparktrends.ops.supervise import Keeper, Server

# A killed broker answers again after some four seconds: a quarter of one is not noticed in that.
_TICK = 0.25


@dataclass(frozen=True, slots=True)
class Database:
    """Where a database is and how to enter it, as writer or reader; passwords never show in a repr."""

    host: str
    port: int
    name: str = DATABASE
    owner: str = OWNER
    owner_password: str = field(default="", repr=False)
    reader: str = READER
    reader_password: str = field(default="", repr=False)
    tls: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    """libpq's options that nobody chooses."""

    @classmethod
    def embedded(cls, port: int, secrets: Secrets) -> Database:
        """Of a home: what the shell says of other servers (``PGSSLMODE``, ``PGHOSTADDR`` …) is not meant for it."""
        fixed = {
            "hostaddr": ports.LOOPBACK,
            "sslmode": "disable",
            "gssencmode": "disable",
            "channel_binding": "disable",
            "target_session_attrs": "any",
        }
        # By number and not by name: `localhost` may mean ::1 first, where nothing listens.
        return cls(ports.LOOPBACK, port, owner_password=secrets.owner, reader_password=secrets.reader, fixed=fixed)

    def dsn(self, *, reader: bool = False) -> str:
        """The connection string, password included: hand it over, never print it."""
        user, password = (self.reader, self.reader_password) if reader else (self.owner, self.owner_password)
        named = {"host": self.host, "port": str(self.port), "dbname": self.name, "user": user, "password": password}
        # Whoever listens there in a server's place would be given the password for the asking.
        proved = {"require_auth": SCRAM} if password else {}
        said = {**named, **proved, **self.tls, **self.fixed}
        return " ".join(f"{key}={_quoted(value)}" for key, value in said.items())


def _quoted(value: str) -> str:
    """As libpq reads it, whatever a password holds."""
    # Passwords of other people's databases may hold anything.
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return escaped if value and escaped == value and not any(map(str.isspace, value)) else f"'{escaped}'"


@dataclass(frozen=True, slots=True)
class External:
    """The parts that somebody else runs; what is None is embedded."""

    kafka: str | None = None
    database: Database | None = None


class Stack:
    """Broker and database while inside the ``with`` block; the home must be owned (`Home.owned`).

    ``kafka`` is the bootstrap address, ``database`` the `Database`, ``ports`` what every part got. A part that dies
    is started again by a thread of the stack; ``on_event`` hears of it in one sentence, from that thread. Once
    ``stopping`` says that the end was asked for, nothing is started any more: a start then ends with Unavailable, and
    leaves nothing behind.
    """

    def __init__(
        self,
        home: Home,
        resolver: jars.Resolver,
        *,
        external: External | None = None,
        wanted: Mapping[str, int] = ports.WANTED,
        on_event: Callable[[str], None] = lambda _: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._home = home
        self._resolver = resolver
        self._external = external or External()
        self._wanted = wanted
        self._on_event = on_event
        self._stopping = stopping
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.keepers: dict[str, Keeper] = {}
        self.ports: Mapping[str, ports.Port] = {}

    @property
    def java(self) -> Java:
        """The Java that the broker runs on and that Spark shall run on."""
        return self._resolver.java

    @property
    def kafka(self) -> str:
        """The bootstrap address of the broker."""
        return self._external.kafka or f"{ports.LOOPBACK}:{self.ports['kafka'].number}"

    @property
    def database(self) -> Database:
        """Where the database is, with both accounts."""
        if self._external.database:
            return self._external.database
        return Database.embedded(self.ports["postgres"].number, self._home.secrets())

    def __enter__(self) -> Stack:
        self._home.require_space()
        # Before the ports: what a killed run left behind holds them until it is gone.
        kafka_server.evict_leftovers(self._home.kafka)
        postgres_server.evict_leftovers(self._home.postgres)
        self.ports = ports.choose(self._wanted, self._home.run / "ports.json")
        try:
            self._start()
        # Ctrl-C too: what was started must not be left behind.
        except BaseException:
            self._stop()
            raise
        # Only now: while parts start, their own waiting judges whether they live.
        threading.Thread(target=self._watch, name="stack", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def restart(self, name: str) -> None:
        """Stop a part (``kafka`` or ``postgres``) and start it again; returns when it answers."""
        # The watching thread would see the stopped part as dead, and start a second one beside ours.
        with self._lock:
            self.keepers[name].restart()

    def _start(self) -> None:
        """Both at once: the database is ready long before the broker, and while jars are fetched."""
        starts = [
            start
            for start, there in (
                (self._start_postgres, self._external.database),
                (self._start_kafka, self._external.kafka),
            )
            if there is None
        ]
        with ThreadPoolExecutor(max_workers=2) as pool:
            try:
                # Whichever fails first: nobody waits for a part whose sibling is refused already.
                for future in as_completed([pool.submit(start) for start in starts]):
                    future.result()
            except BaseException:
                self._stop()  # inside, so that the pool need not wait for the part that would have come up
                raise

    def _start_kafka(self) -> None:
        found = self._resolver.ensure([jars.BROKER])[jars.BROKER]
        server = KafkaServer(
            java=self.java,
            jars=found,
            folder=self._home.kafka,
            logs=self._home.logs,
            port=self.ports["kafka"].number,
            env=self._resolver.env,
            classes=KeptClasses.of("kafka", self.java, found, self._resolver.cache),
        )
        self._keep(server)

    def _start_postgres(self) -> None:
        server = PostgresServer(
            folder=self._home.postgres,
            logs=self._home.logs,
            port=self.ports["postgres"].number,
            secrets=self._home.secrets(),
            env=self._resolver.env,
        )
        self._keep(server)

    def _keep(self, server: Server) -> None:
        # Known before it is started, so that `_stop` ends it when the start fails half way.
        keeper = self.keepers[server.name] = Keeper(server, self._on_event, self._ending)
        keeper.start()

    def _ending(self) -> bool:
        return self._over.is_set() or self._stopping()

    def _watch(self) -> None:
        while not self._over.wait(_TICK):
            with self._lock:
                for keeper in self.keepers.values():
                    keeper.tick()

    def _stop(self) -> None:
        """The broker first: nobody writes to the database after it that has not read from the broker before."""
        self._over.set()
        for name in ("kafka", "postgres"):
            if keeper := self.keepers.get(name):
                keeper.stop()
