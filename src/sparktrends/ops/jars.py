"""The jars of the broker, of Spark's Kafka connector and of the demo: resolved once, checked at every start.

Apache Ivy, which lies inside pyspark, resolves them into the user's cache. What they must be is written in
``jars.lock`` beside this file, one line per jar: set, file, size in bytes, SHA-512. A jar with a wrong byte is
fetched anew once and then refused. ``python -m sparktrends.ops.jars --lock`` writes the lock anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sparktrends.errors import BadSetting, DiskFull, IntegrityError, NotFound, Unavailable
from sparktrends.ops.home import written
from sparktrends.ops.java import Java, find
from sparktrends.ops.supervise import tied

_log = logging.getLogger(__name__)

BROKER, CONNECTOR, DEMO, JDBC = "broker", "connector", "demo", "jdbc"
LOCK = Path(__file__).with_name("jars.lock")
_SILENCE = 60.0  # seconds without a word from Ivy after which the network counts as away
_LOOK_S = 0.1
_ATTEMPTS = 2
_INTERRUPTED = (130, -2)  # Ctrl-C reaches Ivy too: then it must not be tried again


@dataclass(frozen=True, slots=True)
class Recipe:
    """What Ivy is asked for: (organisation, module, revision) of each dependency, and modules to leave out."""

    wanted: tuple[tuple[str, str, str], ...]
    without: tuple[str, ...] = ()
    transitive: bool = True


RECIPES: Mapping[str, Recipe] = {
    BROKER: Recipe(
        (
            ("org.apache.kafka", "kafka_2.13", "4.3.0"),
            # Kafka logs through SLF4J 1.7 and brings Log4j 2.25 without the bridge between the two.
            ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4"),
        )
    ),
    CONNECTOR: Recipe(
        (("org.apache.spark", "spark-sql-kafka-0-10_2.13", "4.0.0"),),
        # pyspark has these already; a second version on the class path would be a lottery.
        without=(
            "hadoop-client-api",
            "hadoop-client-runtime",
            "jsr305",
            "lz4-java",
            "scala-library",
            "scala-parallel-collections_2.13",
            "slf4j-api",
            "snappy-java",
            "spark-tags_2.13",
            "zstd-jni",
        ),
    ),
    DEMO: Recipe((("org.ta4j", "ta4j-examples", "0.15"),), transitive=False),
    # For people's own Spark jobs on a cluster: ours write by COPY.
    JDBC: Recipe((("org.postgresql", "postgresql", "42.7.8"),), transitive=False),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the lock."""

    size: int
    sha512: str


Lock = Mapping[str, Mapping[str, Entry]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the download of one set has come: files and bytes, done and in all."""

    name: str
    files: int
    all_files: int
    size: int
    all_size: int


@dataclass(frozen=True)
class Resolver:
    """Everything that fetching needs: Java, the cache folder, the environment (for a proxy), and who is told.

    ``ivy_settings`` is a settings file of Ivy for people whose company has its own mirror. ``stopping`` is asked all
    the time: a person need not wait for the end of a download.
    """

    java: Java
    cache: Path
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    progress: Callable[[Progress], None] = lambda _: None
    ivy_settings: Path | None = None
    lock: Path = LOCK
    stopping: Callable[[], bool] = lambda: False

    def ensure(self, names: Iterable[str] = (BROKER, CONNECTOR, DEMO)) -> dict[str, tuple[Path, ...]]:
        """The checked jars of each set, fetched side by side where they are missing.

        Raises Unavailable when they cannot be fetched (or nobody wants them any more), DiskFull, BadSetting for a cache
        that cannot be written, or IntegrityError when what came is not what the lock says.
        """
        lock = read_lock(self.lock)
        wanted = list(names)
        with written(self.cache), ThreadPoolExecutor(max_workers=len(RECIPES)) as pool:
            found = list(pool.map(lambda name: self._one(name, lock[name]), wanted))
        return dict(zip(wanted, found, strict=True))

    def _one(self, name: str, entries: Mapping[str, Entry]) -> tuple[Path, ...]:
        folder = _place(self.cache, name, entries)
        # First without the lock: what is whole needs none, and the cache inside an image cannot be written.
        if folder.is_dir() and not faults(folder, entries):
            return _paths(folder, entries)
        with _only_one(folder.with_suffix(".lock"), self.stopping):
            if folder.is_dir():
                wrong = faults(folder, entries)
                if not wrong:
                    return _paths(folder, entries)
                _log.warning("%s is not the file that jars.lock names: fetching the %s again", wrong[0], name)
            self._fetch(name, entries, folder)
            if wrong := faults(folder, entries):
                raise IntegrityError(
                    f"{wrong[0]} is not the file that jars.lock names, also after a new download",
                    hint="something on the way, or the disk, changes files: try another network",
                )
        return _paths(folder, entries)

    def _fetch(self, name: str, entries: Mapping[str, Entry], folder: Path) -> None:
        """Download beside, then rename: a half-filled folder never has the final name."""
        # Inside the lock, so none of them is another start's that is still at work.
        for abandoned in folder.parent.glob(f".fetch-{name}-*"):  # of a run that was killed
            shutil.rmtree(abandoned, ignore_errors=True)
        with _scratch(folder.parent, name) as scratch:
            resolve(self, name, scratch, _meter(name, entries, self.progress))
            shutil.rmtree(folder, ignore_errors=True)
            (scratch / "jars").rename(folder)


def read_lock(path: Path = LOCK) -> Lock:
    """The lock: set → file name → size and SHA-512."""
    found: dict[str, dict[str, Entry]] = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            name, file, size, digest = line.split()
            found.setdefault(name, {})[file] = Entry(int(size), digest)
    return found


def damaged(cache: Path, path: Path = LOCK) -> list[Path]:
    """Jars in the cache that are not what the lock names; a set that was never fetched has none."""
    places = {_place(cache, name, entries): entries for name, entries in read_lock(path).items()}
    return [file for folder, entries in places.items() if folder.is_dir() for file in faults(folder, entries)]


def fetched(cache: Path, names: Iterable[str] = (BROKER, CONNECTOR, DEMO), path: Path = LOCK) -> bool:
    """Whether these sets lie in the cache, so that a start writes nothing there."""
    lock = read_lock(path)
    return all(_place(cache, name, lock[name]).is_dir() for name in names)


def faults(folder: Path, entries: Mapping[str, Entry]) -> list[Path]:
    """The files of the lock that are missing from ``folder`` or differ by a single bit."""
    return [folder / file for file, entry in entries.items() if _measure(folder / file) != entry]


def resolve(resolver: Resolver, name: str, scratch: Path, on_line: Callable[[str], None]) -> None:
    """Let Ivy put the jars of one set into ``scratch/jars``; its words go to ``on_line`` and a log in the cache."""
    recipe = scratch / "ivy.xml"
    recipe.write_text(_ivy_file(name))
    command = [resolver.java.executable, "-Xmx256m", *_proxy(resolver.env)]
    # Ivy's cache is thrown away with the scratch folder: another program's downloads cannot leak in.
    command += [f"-Divy.default.ivy.user.dir={scratch / 'ivy'}", "-jar", str(_ivy())]
    command += ["-cache", str(scratch / "ivy" / "cache"), "-ivy", str(recipe), "-confs", "default"]
    command += ["-settings", str(resolver.ivy_settings)] if resolver.ivy_settings else []
    command += ["-retrieve", str(scratch / "jars" / "[artifact]-[revision](-[classifier]).[ext]")]
    log = resolver.cache / "jars" / f"{name}.log"
    for attempt in range(1, _ATTEMPTS + 1):
        code, said = _run(command, log, on_line, resolver.stopping)
        if code == 0:
            return
        if code in _INTERRUPTED or resolver.stopping():
            raise _interrupted()
        # Before the network is blamed: Ivy fails either way, and only its words tell.
        if "No space left on device" in said:
            raise DiskFull(f"the disk of {resolver.cache} is full", hint="free 300 MB there and start again")
        if attempt == _ATTEMPTS:
            raise Unavailable(
                f"the jars of the {name} cannot be downloaded, which the first start on a machine needs",
                hint=f"connect it to the internet (HTTPS_PROXY is respected) and start again; details in {log}",
            )


def of_spark(pattern: str = "*.jar") -> list[Path]:
    """The jars inside pyspark whose names match."""
    return sorted((spark_home() / "jars").glob(pattern))


def spark_home() -> Path:
    """The folder of pyspark, which is a whole Spark; raises NotFound."""
    spec = importlib.util.find_spec("pyspark")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        return Path(folder)
    raise _without_spark()


def _ivy() -> Path:
    for jar in of_spark("ivy-*.jar"):
        return jar
    raise _without_spark()


def _without_spark() -> NotFound:
    return NotFound("pyspark with its jars is not installed", hint="install the requirements again")


def _ivy_file(name: str) -> str:
    recipe = RECIPES[name]
    transitive = str(recipe.transitive).lower()
    lines = [
        f'<dependency org="{org}" name="{module}" rev="{revision}" conf="default" transitive="{transitive}"/>'
        for org, module, revision in recipe.wanted
    ]
    lines += [f'<exclude module="{module}"/>' for module in recipe.without]
    info = f'<info organisation="sparktrends" module="{name}"/>'
    return f'<ivy-module version="2.0">{info}<dependencies>{"".join(lines)}</dependencies></ivy-module>'


def _proxy(env: Mapping[str, str]) -> list[str]:
    """Java does not read HTTPS_PROXY as other programs do, so it is told in its own words. Raises BadSetting."""
    told = env.get("HTTPS_PROXY") or env.get("https_proxy") or ""
    try:
        where = urlsplit(told if "://" in told else f"http://{told}")
        port = where.port or 8080
    except ValueError:
        raise BadSetting("HTTPS_PROXY is no address", hint="write it as http://proxy.example:3128") from None
    return [f"-Dhttps.proxyHost={where.hostname}", f"-Dhttps.proxyPort={port}"] if where.hostname else []


def _interrupted() -> Unavailable:
    return Unavailable("the download was interrupted", hint="the next start fetches what is missing")


def _run(
    command: Sequence[str], log: Path, on_line: Callable[[str], None], stopping: Callable[[], bool]
) -> tuple[int, str]:
    """Run Ivy to its end, or until it has been silent too long or nobody waits for it; its exit code and the end of
    what it said."""
    said: list[str] = []
    with (
        log.open("w") as out,
        # Tied: a download must not go on for a person who has pressed Ctrl-C or closed the terminal.
        subprocess.Popen(tied(command), stdout=-1, stderr=-2, text=True, errors="replace") as process,
    ):
        assert process.stdout
        watchdog = _Watchdog(process, stopping)
        for line in process.stdout:
            watchdog.heard()
            out.write(line)
            said.append(line)
            on_line(line)
        watchdog.stop()
    return process.returncode, "".join(said[-200:])


class _Watchdog:
    """Kills a process that nobody waits for, or that has said nothing for a minute: a dropped connection never ends by
    itself."""

    def __init__(self, process: subprocess.Popen[str], stopping: Callable[[], bool]) -> None:
        self._process = process
        self._stopping = stopping
        self._heard = time.monotonic()
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def heard(self) -> None:
        self._heard = time.monotonic()

    def stop(self) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_S):
            if self._stopping() or time.monotonic() - self._heard > _SILENCE:
                self._process.kill()
                return


def _meter(name: str, entries: Mapping[str, Entry], tell: Callable[[Progress], None]) -> Callable[[str], None]:
    """A listener that turns Ivy's lines into progress: a line names a jar's address, a later one its success."""
    everything = sum(entry.size for entry in entries.values())
    done: dict[str, int] = {}
    current = ""

    def on_line(line: str) -> None:
        nonlocal current
        # Ivy says nothing of bytes: a file counts when it is whole.
        if found := re.search(r"downloading \S+/(\S+)", line):
            current = found[1]
        elif "[SUCCESSFUL ]" in line and current:
            # A mirror may bring files that the lock does not name: they are never used.
            done[current] = entries[current].size if current in entries else 0
            tell(Progress(name, len(done), len(entries), sum(done.values()), everything))

    tell(Progress(name, 0, len(entries), 0, everything))
    return on_line


def _measure(file: Path) -> Entry | None:
    try:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha512").hexdigest()
        return Entry(file.stat().st_size, digest)
    except OSError:
        return None


def _place(cache: Path, name: str, entries: Mapping[str, Entry]) -> Path:
    return cache / "jars" / f"{name}-{_fingerprint(entries)}"


def _paths(folder: Path, entries: Mapping[str, Entry]) -> tuple[Path, ...]:
    return tuple(folder / file for file in sorted(entries))


def _fingerprint(entries: Mapping[str, Entry]) -> str:
    """Names the folder by what must be in it, so that two versions of the product never share one."""
    return hashlib.sha256(repr(sorted(entries.items())).encode()).hexdigest()[:12]


@contextmanager
def _only_one(path: Path, stopping: Callable[[], bool]) -> Iterator[None]:
    """One start at a time fetches a set; the others wait and then find it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        # Asked again and again: whoever waits in the kernel hears no Ctrl-C.
        while not _locked(handle.fileno()):
            if stopping():
                raise _interrupted()
            time.sleep(_LOOK_S)
        yield


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _scratch(parent: Path, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=parent, prefix=f".fetch-{name}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def write_lock(resolver: Resolver, path: Path = LOCK) -> None:
    """Resolve every set anew and write down what came: the one place where a new byte is believed."""
    lines = ["# set file bytes sha512; written by: python -m sparktrends.ops.jars --lock"]
    (resolver.cache / "jars").mkdir(parents=True, exist_ok=True)
    for name in RECIPES:
        with _scratch(resolver.cache / "jars", name) as scratch:
            resolve(resolver, name, scratch, lambda _: None)
            for file in sorted((scratch / "jars").iterdir()):
                entry = _measure(file)
                assert entry, file
                lines.append(f"{name} {file.name} {entry.size} {entry.sha512}")
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] != ["--lock"]:
        sys.exit("usage: python -m sparktrends.ops.jars --lock")
    with tempfile.TemporaryDirectory() as fresh:
        write_lock(Resolver(find(os.environ, Path(fresh)), Path(fresh), os.environ))
