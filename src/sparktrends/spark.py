"""The Spark session: what is true of every one of ours, on this machine or on a cluster.

What is fixed by the environment of the process comes from ``ops`` (`sparktrends.ops.cluster.enter_spark`):
``JAVA_HOME``, ``SPARK_HOME``, and ``SPARK_LOCAL_IP``, without which Spark listens on the machine's outer address.

On a cluster the executors need our packages: pack them once (``venv-pack``, ``conda-pack`` or a wheel per file) and
name the archive in ``Settings.archives`` (``env.tar.gz#env``, with ``PYSPARK_PYTHON=./env/bin/python``), or the wheel
or zip in ``Settings.py_files``. On this machine workers import what the driver imports, and neither is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import TimeoutExpired

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from sparktrends.errors import Unavailable

LOOPBACK = "127.0.0.1"
STOP_S = 20.0
PATIENCE_S = 60.0
"""How long a standalone cluster may leave a session without an executor."""
_LOOK_S = 0.2
SECRET_KEYS = "(?i)secret|password|passwd|token|credential|api.?key|access.?key|webhook|jaas"
"""Settings and options whose names match are shown as ``*********`` wherever Spark shows any."""

_ALWAYS: Mapping[str, str] = {
    # Else what a timestamp means depends on the machine that a worker runs on.
    "spark.sql.session.timeZone": "UTC",
    # Live batches are small and alike: planning them anew costs more than it saves.
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # A silent fall back to rows would be slow, and nobody would know why.
    "spark.sql.execution.arrow.pyspark.fallback.enabled": "false",
    "spark.python.worker.reuse": "true",
    # Waiting for a better place would only add to each short batch.
    "spark.locality.wait": "0",
    "spark.redaction.regex": SECRET_KEYS,
    "spark.sql.redaction.options.regex": f"{SECRET_KEYS}|url",
    "spark.log.level": "WARN",
    # What the user interface and listeners remember grows with every batch otherwise.
    "spark.ui.showConsoleProgress": "false",
    "spark.ui.retainedJobs": "50",
    "spark.ui.retainedStages": "50",
    "spark.ui.retainedTasks": "500",
    "spark.sql.ui.retainedExecutions": "20",
    "spark.sql.streaming.numRecentProgressUpdates": "20",
    "spark.cleaner.periodicGC.interval": "5min",
    # The checkpoint is scratch, the ledger the only truth: no checksums, no fsync, few old batches.
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.FileSystemBasedCheckpointFileManager"
    ),
    "spark.sql.streaming.minBatchesToRetain": "5",
    # Earlier releases wrote to the escaped name of such a folder; where one is left Spark would refuse to start.
    "spark.sql.streaming.checkpoint.escapedPathCheck.enabled": "false",
    # With this and the manager above Spark's own logs cost 6 to 12 ms a batch instead of 50 (measured).
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
}


@dataclass(frozen=True)
class Settings:
    """How one process uses Spark.

    ``master`` is Spark's (``local[2]``, ``spark://host:7077``, ``k8s://…``); ``jars`` the connector's; ``scratch`` a
    folder that may vanish; ``memory`` the driver's heap. ``ui_port`` None means no user interface. ``more`` are
    Spark settings that win over everything said here.
    """

    master: str
    jars: Sequence[Path]
    scratch: Path
    ui_port: int | None = None
    memory: str = "1g"
    shuffle_partitions: int = 2
    py_files: Sequence[str] = ()
    archives: Sequence[str] = ()
    java_options: Sequence[str] = ()
    more: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def local(self) -> bool:
        """True when everything runs in this process's own Java."""
        return self.master.startswith("local")


def config(settings: Settings) -> dict[str, str]:
    """Every Spark setting of a session, the last word being ``settings.more``."""
    return {
        **_ALWAYS,
        "spark.driver.memory": settings.memory,
        "spark.driver.extraJavaOptions": " ".join(
            f'"{option}"'
            # Threads of a parallel collector would compete with the tasks for two cores.
            for option in ("-XX:+UseSerialGC", f"-Djava.io.tmpdir={settings.scratch}", *settings.java_options)
        ),
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        "spark.local.dir": str(settings.scratch),
        "spark.sql.warehouse.dir": str(settings.scratch / "warehouse"),
        **_ui(settings.ui_port),
        **(_own(settings) if settings.local else _shipped(settings)),
        **settings.more,
    }


def session(app: str, settings: Settings) -> SparkSession:
    """The session of this process, made at the first call (6 to 7 s); raises Unavailable when Spark does not start."""
    settings.scratch.mkdir(parents=True, exist_ok=True)
    builder = SparkSession.builder.master(settings.master).appName(app)
    for key, value in config(settings).items():
        builder = builder.config(key, value)
    try:
        return builder.getOrCreate()
    except (PySparkException, OSError) as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise Unavailable(
            f"Spark did not start with master {settings.master}: {said}", hint="more words are in this process's log"
        ) from error


class Executors:
    """Who works for a session. On a standalone cluster (``spark://``) that may be nobody, for ever.

    The first application takes all free cores for as long as it lives unless ``spark.cores.max`` says how many, and a
    master that has forgotten an application gives it none any more. Spark waits, and tells of it in its log alone.
    """

    def __init__(
        self, session: SparkSession, patience_s: float = PATIENCE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._context, self._patience_s, self._clock = session.sparkContext, patience_s, clock
        # Elsewhere it may take long to get the first one; with dynamic allocation there is none while nothing is done.
        dynamic = self._context.getConf().get("spark.dynamicAllocation.enabled", "false") == "true"
        self._expected = str(self._context.master).startswith("spark://") and not dynamic
        self._seen = clock()

    def there(self) -> bool:
        """Whether somebody works for the session, or nobody need to."""
        # Of those who keep its blocks the driver is one.
        return not self._expected or self._context._jsc.sc().getExecutorMemoryStatus().size() > 1

    def deserted(self) -> bool:
        """Whether nobody has been there for `PATIENCE_S`, as far as this was asked in between."""
        if self.there():
            self._seen = self._clock()
        return self._clock() - self._seen > self._patience_s

    def require(self) -> None:
        """Raise Unavailable when the session is `deserted`."""
        if self.deserted():
            master = self._context.master
            raise Unavailable(
                f"{master} has given no executor for {self._patience_s:.0f} s",
                hint="its workers are away, or others have their cores and memory: give each a share, "
                '"spark.cores.max" in [spark.conf]',
            )

    def wait(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Return as soon as somebody is there; raises as `require`."""
        while not self.there():
            self.require()
            pause(_LOOK_S)


@contextmanager
def working() -> Iterator[None]:
    """Spark's own troubles (no room on its disk, a lost executor) as Unavailable; a fault of ours stays what it is."""
    try:
        yield
    except (Py4JError, PySparkException, OSError) as error:
        # Raised in a worker by our own code: calling it Unavailable would have it tried again for ever.
        if "PythonException" in str(error):
            raise
        # The last cause is the first: Java wraps what happened in what it was doing.
        said = next((line for line in reversed(str(error).splitlines()) if "Exception: " in line), str(error))
        raise Unavailable(
            f"Spark could not do it: {said.strip()[:300]}", hint="look for room on the disk of its scratch folder"
        ) from error


def close(session: SparkSession) -> None:
    """Stop the session, let its Java end in its own time (`STOP_S`), and return: only so it keeps what it made of its
    classes, for nobody waits for a Java whose Python is gone."""
    java = getattr(session.sparkContext._gateway, "proc", None)
    session.stop()
    if java is not None:
        java.stdin.close()  # what it takes for its parent's end
        with suppress(TimeoutExpired):
            java.wait(STOP_S)


def _ui(port: int | None) -> dict[str, str]:
    if port is None:
        return {"spark.ui.enabled": "false"}
    return {"spark.ui.enabled": "true", "spark.ui.port": str(port)}


def _own(settings: Settings) -> dict[str, str]:
    """All in this process: jars lie on its class path, where Java can keep what it made of them."""
    path = ":".join(str(jar) for jar in settings.jars)
    # Without these Spark listens on the machine's outer address (measured).
    return {"spark.driver.bindAddress": LOOPBACK, "spark.driver.host": LOOPBACK, "spark.driver.extraClassPath": path}


def _shipped(settings: Settings) -> dict[str, str]:
    """How jars and our packages reach the executors of a cluster."""
    jars = [str(jar) for jar in settings.jars]
    shipped = {"spark.jars": jars, "spark.submit.pyFiles": settings.py_files, "spark.archives": settings.archives}
    return {key: ",".join(values) for key, values in shipped.items() if values}
