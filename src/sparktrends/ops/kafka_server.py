"""The embedded broker: Kafka in KRaft mode, one node, loopback only, everything below its folder of the home."""

from __future__ import annotations

import base64
import shutil
import signal
import socket
import struct
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sparktrends.errors import BadSetting
from sparktrends.ops.classes import KeptClasses
from sparktrends.ops.java import Java, reading_paths
from sparktrends.ops.ports import LOOPBACK, any_free
from sparktrends.ops.supervise import Spec, bare_env, evict, run

HEAP = "256m"
_MIB = 1024**2

SETTINGS: Mapping[str, object] = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # One node: with the defaults of 3 and 2 the internal topics are never made, and consumers wait without a word.
    "default.replication.factor": 1,
    "min.insync.replicas": 1,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    # Each partition costs files and memory; one machine has few groups.
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.num.partitions": 4,
    # After kill -9 the new broker must wait until the old one's session ends: 2 s, not 9.
    "broker.session.timeout.ms": 2000,
    "broker.heartbeat.interval.ms": 500,
    # The default waits 3 s for other members of a group, which never come on one machine.
    "group.initial.rebalance.delay.ms": 0,
    # The table of topics decides what exists; a misspelt name must fail and not make a topic.
    "auto.create.topics.enable": "false",
    # Only whole segments are dropped: with Kafka's gigabyte a small topic would keep far more than its retention.
    "log.segment.bytes": 256 * _MIB,
    # The default of 128 MiB is half of this heap; only internal topics are compacted here.
    "log.cleaner.dedupe.buffer.size": 8 * _MIB,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "background.threads": 4,
}

_LOGGING = """\
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{ISO8601}} %p %c{{1}}: %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = file
"""


@dataclass(frozen=True)
class KafkaServer:
    """How the broker of one home is run; ``folder`` and ``logs`` are the home's, ``env`` this process's."""

    java: Java
    jars: Sequence[Path]
    folder: Path
    logs: Path
    port: int
    env: Mapping[str, str] = field(repr=False)
    classes: KeptClasses | None = None
    name: str = "kafka"

    @property
    def address(self) -> str:
        """The bootstrap address."""
        return f"{LOOPBACK}:{self.port}"

    def prepare(self) -> None:
        """Write the configuration, and format the log the first time."""
        # A broker that outlived its parent still holds the log's lock and the port.
        evict_leftovers(self.folder)
        # What a killed broker unpacked goes at the next start; in /tmp it would stay.
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True)
        # The controller's port is nobody's business: a new one at every start cannot be taken for long.
        controller = f"{LOOPBACK}:{any_free()}"
        own: Mapping[str, object] = {
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": self.folder / "data",
        }
        if "," in str(self.folder):
            raise BadSetting(f"Kafka takes {self.folder} for two folders", hint="name a --home without a comma")
        lines = (f"{key}={java_property(str(value))}\n" for key, value in {**SETTINGS, **own}.items())
        self._config.write_text("".join(lines))
        self._logging.write_text(_LOGGING.format(log=java_property(str(self._log))))
        if not self._formatted.exists():
            self._format()

    def spec(self) -> Spec:
        """The broker's process."""
        return Spec(
            name=self.name,
            argv=self._java(self.classes.options if self.classes else [], "kafka.Kafka", str(self._config)),
            output=self.logs / "kafka.out",
            log=self._log,
            env=self._env(),
            cwd=self.folder,
            # Crash-safe by design, and a clean stop may take longer than anybody waits for an orphan.
            death_signal=signal.SIGKILL,
            grace=20.0,
        )

    def ready(self) -> bool:
        """Whether the broker answers a request for metadata, and knows itself as a member of the cluster."""
        try:
            # By hand: a client of librdkafka takes threads and reconnects of its own, to ask one question.
            with socket.create_connection((LOOPBACK, self.port), timeout=1.0) as connection:
                return _brokers(connection) > 0
        except (OSError, struct.error):
            return False

    def _java(self, options: Sequence[str], *main: str) -> list[str]:
        path = ":".join(str(jar) for jar in self.jars)
        return [
            self.java.executable,
            f"-Xmx{HEAP}",
            "-XX:+UseSerialGC",
            # A broker that lives on without memory answers nobody; one that is gone is started again.
            "-XX:+ExitOnOutOfMemoryError",
            f"-Djava.io.tmpdir={self._scratch}",
            *options,
            f"-Dlog4j2.configurationFile={self._logging}",
            "-cp",
            path,
            *main,
        ]

    def cluster_id(self) -> str:
        """What the cluster is called when its log is formatted."""
        # Kafka's tools take an id that begins with a dash for an option.
        return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")

    def _format(self) -> None:
        arguments = ("format", "--ignore-formatted", "-t", self.cluster_id(), "-c", str(self._config))
        # Reading only: this program ends first and would write an archive of its own few classes for all that follow.
        options = self.classes.reading if self.classes else []
        run(
            Spec(
                "formatting the broker's log",
                self._java(options, "kafka.tools.StorageTool", *arguments),
                self.logs / "kafka.out",
                self._env(),
                self.folder,
            )
        )
        # After it ended well: a log that was half formatted is formatted again (`--ignore-formatted`).
        self._formatted.touch()

    def _env(self) -> dict[str, str]:
        return bare_env(self.env) | reading_paths(self.env)

    @property
    def _config(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _scratch(self) -> Path:
        return self.folder / "tmp"

    @property
    def _logging(self) -> Path:
        return self.folder / "log4j2.properties"

    @property
    def _log(self) -> Path:
        return self.logs / "kafka.log"

    @property
    def _formatted(self) -> Path:
        return self.folder / "formatted"


def java_property(text: str) -> str:
    """A value as Java reads it back from a properties file, which is Latin-1 to it: a home may be in /home/josé.

    >>> java_property("/home/josé")
    '/home/jos\\\\u00e9'
    """
    units = struct.unpack(f">{len(text.encode('utf-16-be')) // 2}H", text.encode("utf-16-be"))
    return "".join(chr(unit) if 32 <= unit < 127 and unit != 92 else f"\\u{unit:04x}" for unit in units)


def evict_leftovers(folder: Path) -> None:
    """End a broker that a killed run left in the folder ``kafka`` of this home."""
    # No grace: the log is made for being cut off, and nobody should wait for an orphan.
    evict(folder, "kafka.", grace=0.0)


def _brokers(connection: socket.socket) -> int:
    """How many brokers the answer to a Metadata request (version 1, no topics) lists."""
    client = b"sparktrends"
    request = struct.pack(f">hhih{len(client)}si", 3, 1, 7, len(client), client, 0)
    connection.sendall(struct.pack(">i", len(request)) + request)
    (size,) = struct.unpack(">i", _exactly(connection, 4))
    correlation, count = struct.unpack_from(">ii", _exactly(connection, size))
    return int(count) if correlation == 7 else 0


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        if not (part := connection.recv(size - len(received))):
            raise ConnectionError("closed in the middle of an answer")
        received += part
    return received
