"""Three brokers, a Spark master with two workers and a PostgreSQL of somebody else, each a process on this machine."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyspark

from embedded import PLAIN, free_ports, temporary_home
from sparktrends.ops import java, ports
from sparktrends.ops.jars import BROKER, Resolver
from sparktrends.ops.kafka_server import SETTINGS, KafkaServer
from sparktrends.ops.ports import LOOPBACK
from sparktrends.ops.stack import External, Stack
from sparktrends.ops.supervise import Process, Spec

_SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"
_COPIES = {
    "default.replication.factor": 3,
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": 3,
    "transaction.state.log.replication.factor": 3,
    "transaction.state.log.min.isr": 2,
    "share.coordinator.state.topic.replication.factor": 3,
    "share.coordinator.state.topic.min.isr": 2,
}


@dataclass(frozen=True)
class Broker(KafkaServer):
    """One of three: ``controllers`` are the addresses of all of them, ``cluster`` the id that they share."""

    node: int = 1
    controllers: Sequence[str] = ()
    cluster: str = ""

    def prepare(self) -> None:
        """Write the configuration, and format the log the first time."""
        own = {
            "node.id": self.node,
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{self.controllers[self.node - 1]}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.quorum.voters": ",".join(f"{n}@{place}" for n, place in enumerate(self.controllers, 1)),
            "log.dirs": self.folder / "data",
        }
        settings: Mapping[str, object] = {**SETTINGS, **_COPIES, **own}
        self._config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        self._logging.write_text("rootLogger.level = OFF\n")
        if not self._formatted.exists():
            self._format()

    def cluster_id(self) -> str:
        """The same for all three."""
        return self.cluster


@dataclass
class Cluster:
    """What runs; ``env`` are the settings that lead the product to it. A part is killed and started by its name."""

    folder: Path
    resolver: Resolver
    parts: dict[str, Process] = field(default_factory=dict)
    _brokers: dict[str, Broker] = field(default_factory=dict)
    _master: int = field(default_factory=ports.any_free)

    def start_brokers(self) -> str:
        """Start all three; their bootstrap addresses."""
        jars = self.resolver.ensure([BROKER])[BROKER]
        controllers = [f"{LOOPBACK}:{ports.any_free()}" for _ in range(3)]
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        for node in (1, 2, 3):
            folder = self.folder / f"broker-{node}"
            folder.mkdir()
            name, where = f"broker-{node}", (self.resolver.java, jars, folder, folder, ports.any_free())
            of_cluster = {"node": node, "controllers": controllers, "cluster": cluster}
            self._brokers[name] = Broker(*where, dict(os.environ), name=name, **of_cluster)
        for name in self._brokers:
            self.start(name)
        for name, broker in self._brokers.items():
            self.parts[name].wait_ready(broker.ready, 90)
        return ",".join(broker.address for broker in self._brokers.values())

    def start(self, name: str) -> None:
        """Start a part that is not running: ``broker-1`` to ``-3``, ``master``, ``worker-1``, ``worker-2``."""
        if name in self._brokers:
            self._brokers[name].prepare()
            self.parts[name] = Process(self._brokers[name].spec())
        else:
            self.parts[name] = Process(self._spark(name))

    def kill(self, name: str) -> None:
        """End it at once, with everything it started."""
        self.parts.pop(name).kill()

    def stop(self) -> None:
        """End all of it."""
        for name in list(self.parts):
            self.kill(name)

    @property
    def master(self) -> str:
        """Where drivers and workers find the master."""
        return f"spark://{LOOPBACK}:{self._master}"

    def _spark(self, name: str) -> Spec:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        place = ("--host", LOOPBACK, "--webui-port", str(ports.any_free()))
        if name == "master":
            main = ("org.apache.spark.deploy.master.Master", *place, "--port", str(self._master))
        else:
            size = ("--cores", "1", "--memory", "1500m", "--work-dir", str(folder))
            main = ("org.apache.spark.deploy.worker.Worker", *place, *size, self.master)
        env = {**os.environ, **java.spark_env(self.resolver.java, os.environ), "SPARK_DAEMON_MEMORY": "256m"}
        # A master that comes back must know its workers and what runs on them.
        keeps = f"-Dspark.deploy.recoveryMode=FILESYSTEM -Dspark.deploy.recoveryDirectory={folder}"
        env |= {"SPARK_DAEMON_JAVA_OPTS": keeps} if name == "master" else {}
        return Spec(name, [str(_SPARK_CLASS), *main], folder / "out.log", env, folder)


@contextmanager
def cluster(resolver: Resolver) -> Iterator[tuple[Cluster, Mapping[str, str]]]:
    """A running cluster, and the settings that lead to it."""
    with ExitStack() as open_:
        home = open_.enter_context(temporary_home(PLAIN))
        made = Cluster(home.path / "cluster", resolver)
        made.folder.mkdir()
        open_.callback(made.stop)
        brokers = made.start_brokers()
        for name in ("master", "worker-1", "worker-2"):
            made.start(name)
        open_.enter_context(home.owned())
        stack = open_.enter_context(Stack(home, resolver, external=External(kafka=brokers), wanted=free_ports()))
        database = stack.database
        yield (
            made,
            {
                "KAFKA_BOOTSTRAP": brokers,
                "SPARK_MASTER": made.master,
                "POSTGRES_HOST": database.host,
                "POSTGRES_PORT": str(database.port),
                "POSTGRES_DB": database.name,
                "POSTGRES_USER": database.owner,
                "POSTGRES_PASSWORD": database.owner_password,
            },
        )
