"""The services of the Compose files as processes of this machine, started in the order and in the way of the files.

A network of their own makes each name and port mean what it means between containers; each process has a /tmp of its
own, and finds what its container is given, and nothing else of it, where the files say, but below a folder of ours.
Needs root, and PostgreSQL and Prometheus of the system; what entry points of others' images do is done here by hand.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.product import Command, until
from embedded import PLAIN, temporary_home
from ops.encrypted import Authority, tls_postgres
from sparktrends.ops import postgres_server
from sparktrends.ops.containers.install import spark_folder
from sparktrends.ops.jars import BROKER, Resolver
from sparktrends.ops.supervise import bare_env, tied

ROOT = Path(__file__).resolve().parents[2]
BASE, PRODUCTION = "docker-compose.yml", "docker-compose.prod.yml"
CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"
Service = dict[str, Any]
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}|\$\$")
_APART = """
mount --bind "$1" /etc/hosts
mount -t tmpfs -o "noexec,nosuid,nodev,$2" tmpfs /tmp
shift 2
exec "$@"
"""
_PROGRAMS = ("unshare", "nsenter", "ip", "setpriv", "wget", "pg_isready", "prometheus")
_INITDB = {
    "postgres:18-bookworm": "/docker-entrypoint-initdb.d",
    "sparktrends-postgres:latest": "/var/lib/postgres/initdb",
}
"""Image → the one folder whose scripts its entry point runs in a new database.

The second is Chainguard's, which puts that name into PostgreSQL's own entry point (wolfi-dev/os, postgresql-18.yaml).
"""
_BUILTIN = re.compile(r"LOCALE_PROVIDER builtin BUILTIN_LOCALE '\S+' ")
"""What PostgreSQL knows since 17, and Debian 12 has 15."""


def services(told: Mapping[str, str], *files: str) -> dict[str, Service]:
    """Every service of these files as Compose merges them, with what ``told`` sets in place of ``.env``."""
    found: dict[str, Service] = {}
    for file in files:
        document = yaml.safe_load((ROOT / file).read_text())
        for name, service in document["services"].items():
            found[name] = _merged(found.get(name, {}), service)
    return {name: _told(service, told) for name, service in found.items()}


def asked(*files: str) -> set[str]:
    """The variables that these files want set."""
    return {name for file in files for name in re.findall(r"\$\{(\w+):\?", (ROOT / file).read_text())}


def _merged(base: Service, over: Service) -> Service:
    both = {**base, **over}
    for key in ("environment", "depends_on"):
        both[key] = {**base.get(key, {}), **over.get(key, {})}
    for key in ("volumes", "configs", "tmpfs"):
        both[key] = [*base.get(key, ()), *over.get(key, ())]
    return both


def _told(value: Any, told: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _told(inner, told) for key, inner in value.items()}
    if isinstance(value, list):
        return [_told(inner, told) for inner in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _value(found, told) if found[1] else "$", value)
    return value


def _value(found: re.Match[str], told: Mapping[str, str]) -> str:
    # As Compose stops when one is not set that has no default.
    return told[found[1]] if found[2] == "?" else told.get(found[1], found[3] or "")


def initdb_scripts(postgres: Service) -> list[str]:
    """Where the scripts lie that the entry point of the image runs, in its order; fails where it would miss one."""
    folder = f"{_INITDB[postgres['image']]}/"
    targets = [config["target"] for config in postgres["configs"] if config["target"].startswith(folder)]
    named = {config["source"] for config in postgres["configs"] if config["source"].endswith(".sql")}
    found = {config["source"] for config in postgres["configs"] if config["target"] in targets}
    assert named == found, f"{folder} lacks {named - found}"
    return sorted(targets)


class Machine:
    """The network, its services and what they share; ``folder`` holds all of it."""

    def __init__(self, folder: Path, of: Mapping[str, Service], resolver: Resolver) -> None:
        self.of, self.folder = of, folder
        self.running: dict[str, Command] = {}
        builds = {service["image"]: service.get("build", {}).get("dockerfile") for service in of.values()}
        self._dockerfiles = {image: ROOT / file for image, file in builds.items() if file}
        self._programs, self._user = tls_postgres(), postgres_server.runner()
        self._hosts = folder / "hosts"
        self._hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", socket.gethostname(), *of)))
        self._opt = {
            "/opt/venv": sys.prefix,
            "/opt/spark": str(spark_folder()),
            "/opt/java": str(resolver.java.home),
            "/usr/lib/kafka/bin": str(self._scripts(resolver)),
        }
        holder = [_program("unshare"), "--net", "sh", "-c", "ip link set lo up && touch network && exec sleep infinity"]
        self._holder = subprocess.Popen(tied(holder), cwd=folder)
        until((folder / "network").exists, 20, "no network")

    def start(self, name: str) -> None:
        """Start it when all is so that it depends on; one that runs already is left alone."""
        if name in self.running:
            return
        for other, wanted in self.of[name]["depends_on"].items():
            self.start(other)
            self._wait(other, wanted["condition"])
        if name == "postgres":
            self._make_database()
        self.running[name] = self._process(name, self.argv(name))
        if name == "postgres":
            self._run_scripts()

    def restart(self, name: str) -> None:
        """Kill it, and start it again as `restart: unless-stopped` does: volumes stay, /tmp is empty."""
        command = self.running[name]
        os.killpg(command.process.pid, signal.SIGKILL)
        command.process.wait(60)
        self.running[name] = self._process(name, self.argv(name))

    def argv(self, name: str) -> list[str]:
        """What its container runs."""
        service = self.of[name]
        words = [*service.get("entrypoint", ()), *service.get("command", ())]
        if name == "postgres":
            # Either image's script starts the server that it is told.
            words = words[1:] if words[0] == "docker-entrypoint.sh" else words
            own = ["-D", str(self._data), "-c", "listen_addresses=*", "-k", str(self.folder / "socket")]
            words = [*self._as_postgres(), str(self._programs / words[0]), *words[1:], *own]
        elif name == "prometheus":
            words = ["prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/tmp/data"]
        elif name == "kafka" and not words:
            # As its image does: the log is formatted, and then the broker takes the file that is mounted.
            script = (
                'cd /usr/lib/kafka/bin; ./kafka-storage.sh format -t "$1" -c "$2"; exec ./kafka-server-start.sh "$2"'
            )
            words = ["sh", "-euc", script, "sh", CLUSTER, "/mnt/shared/config/server.properties"]
        elif "entrypoint" not in service:
            words = ["/opt/venv/bin/sparktrends", *words]
        return words

    def healthy(self, name: str) -> bool:
        """What its health check says."""
        kind, *words = self.of[name]["healthcheck"]["test"]
        assert kind == "CMD"
        argv = [*self._apart(name), *self._placed(name, words)]
        return subprocess.run(argv, capture_output=True, timeout=30).returncode == 0

    def wait_healthy(self, name: str) -> None:
        """Wait until its check says so; fails with its last words."""
        command = self.running[name]
        until(
            lambda: command.process.poll() is not None or self.healthy(name),
            240,
            lambda: f"{name}: {command.out[-2000:]}{command.err[-4000:]}",
        )
        assert command.process.poll() is None, f"{name}: {command.out[-2000:]}{command.err[-4000:]}"

    def run(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A command in another container of this service."""
        argv = [*self._apart(name), *self._placed(name, ["/opt/venv/bin/sparktrends", *words])]
        return subprocess.run(argv, env=self._env(name), cwd=self.folder, capture_output=True, text=True, timeout=240)

    def python(self, program: str, *words: str) -> None:
        """A program of ours in the network; it must end well."""
        argv = [*self._apart(), sys.executable, "-c", program, *words]
        done = subprocess.run(argv, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    def enter(self, name: str, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
        """A command in the running container, as `docker compose exec` has it, which is told ``said``."""
        inside = [_program("nsenter"), f"--mount=/proc/{self.running[name].process.pid}/ns/mnt"]
        argv = [*self._network(), *inside, *self._placed(name, words)]
        env = self._env(name)
        return subprocess.run(argv, env=env, cwd="/", input=said, capture_output=True, text=True, timeout=120)

    def inside(self, name: str, pattern: str) -> list[Path]:
        """Files of its own /tmp."""
        return sorted(Path(f"/proc/{self.running[name].process.pid}/root/tmp").glob(pattern))

    def fetch(self, url: str) -> str:
        """What a page says, asked from inside."""
        argv = [*self._apart(), "wget", "-q", "-O", "-", url]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60).stdout

    def ask(self, statement: str, **connection: str) -> subprocess.CompletedProcess[str]:
        """What the database answers to its superuser, or to who else ``connection`` says."""
        superuser = self.of["postgres"]["environment"]["POSTGRES_USER"]
        values = {"host": "postgres", "user": superuser, "dbname": "sparktrends", **connection}
        dsn = " ".join(f"{key}={value}" for key, value in values.items())
        env = {**bare_env(os.environ), "PGPASSWORD": self.of["postgres"]["environment"]["POSTGRES_PASSWORD"]}
        argv = [*self._apart(), str(self._programs / "psql"), dsn, "-Atc", statement]
        return subprocess.run(argv, env=env, cwd=self.folder, capture_output=True, text=True, timeout=60)

    def close(self) -> None:
        """End what still runs, who was started last first."""
        for command in reversed(self.running.values()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(command.process.pid, signal.SIGKILL)
            command.process.wait(60)
        self._holder.kill()
        self._holder.wait(60)

    def _wait(self, name: str, condition: str) -> None:
        if condition == "service_healthy":
            self.wait_healthy(name)
        else:
            assert condition == "service_completed_successfully"
            command = self.running[name]
            assert command.wait(240) == 0, f"{name}: {command.out[-2000:]}{command.err[-4000:]}"

    def _process(self, name: str, words: Sequence[str]) -> Command:
        folder = self.folder / "said" / name
        folder.mkdir(parents=True, exist_ok=True)
        return Command([*self._apart(name), *self._placed(name, words)], folder, self._env(name))

    def _apart(self, name: str | None = None) -> list[str]:
        folders = dict(folder.split(":") for folder in self.of[name]["tmpfs"]) if name else {}
        options = folders.get("/tmp", "mode=1777")
        return [*self._network(), "unshare", "--mount", "sh", "-euc", _APART, "sh", str(self._hosts), options]

    def _network(self) -> list[str]:
        return [_program("nsenter"), f"--net=/proc/{self._holder.pid}/ns/net"]

    def _env(self, name: str) -> dict[str, str]:
        env = {**bare_env(os.environ), **{key: os.environ[key] for key in ("PYTHONPATH",) if key in os.environ}}
        env["PATH"] = f"{Path(sys.prefix) / 'bin'}:{env['PATH']}"
        own = self.of[name]
        if file := self._dockerfiles.get(own["image"]):
            env |= _of_image(file)
        # A list: where each value ends is not to be guessed.
        keys, values = zip(*(env | own["environment"]).items(), strict=True)
        return dict(zip(keys, self._placed(name, values), strict=True))

    def _placed(self, name: str, words: Sequence[str]) -> list[str]:
        """Words with the places of its container replaced by those where the same lies here."""
        places = {**self._opt, **self._given(name)}
        known = re.compile("|".join(re.escape(place) for place in sorted(places, key=len, reverse=True)))
        return [known.sub(lambda found: places[found[0]], word) for word in words]

    def _given(self, name: str) -> dict[str, str]:
        """Place in the container → here, of its volumes and of copies of the files that are mounted."""
        places = {}
        mounted = [*_volumes(self.of[name])]
        mounted += [(f"./deploy/containers/{one['source']}", one["target"]) for one in self.of[name]["configs"]]
        for source, target in mounted:
            if source.startswith("./"):
                place = self.folder / "given" / name / target.lstrip("/")
                if not place.exists():
                    self._give(name, source, place)
            else:
                place = self.folder / "volumes" / source
                place.mkdir(parents=True, exist_ok=True)
            places[target] = str(place)
        return places

    def _give(self, name: str, source: str, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        own = self.folder / source if source.startswith("./certificates") else ROOT / source
        if own.is_dir():
            shutil.copytree(own, place)
            return
        # Places that a file names are those of its container too.
        kept = [(volume, target) for volume, target in _volumes(self.of[name]) if not volume.startswith("./")]
        named = {target: str(self.folder / "volumes" / volume) for volume, target in kept}
        text = own.read_text()
        for target, here in named.items():
            text = text.replace(target, here)
        place.write_text(text)
        if name == "postgres":
            self._hand_over(place, 0o600)

    def _hand_over(self, place: Path, mode: int) -> None:
        """To the database's user, who is not root."""
        place.chmod(mode)
        if self._user:
            os.chown(place, *self._user)

    def _scripts(self, resolver: Resolver) -> Path:
        """Kafka's own scripts, as far as they matter here: the images have them."""
        folder = self.folder / "kafka-bin"
        folder.mkdir()
        path = ":".join(map(str, resolver.ensure([BROKER])[BROKER]))
        # A file of the collector, beside the scripts, is the broker's alone; all of them take what is told.
        collector = ': "${KAFKA_GC_LOG_OPTS:=-Xlog:gc*:file=${LOG_DIR:-/usr/lib/kafka/logs}/kafkaServer-gc.log}"'
        options = "$KAFKA_HEAP_OPTS $KAFKA_GC_LOG_OPTS $KAFKA_LOG4J_OPTS -XX:+UseSerialGC"
        for script, (main, first) in {
            "kafka-storage.sh": ("kafka.tools.StorageTool", ""),
            "kafka-configs.sh": ("kafka.admin.ConfigCommand", ""),
            "kafka-server-start.sh": ("kafka.Kafka", collector),
        }.items():
            run = f'exec "{resolver.java.executable}" {options} -cp "{path}" {main} "$@"'
            (folder / script).write_text(f"#!/bin/sh\n{first}\n{run}\n")
            (folder / script).chmod(0o755)
        return folder

    @property
    def _data(self) -> Path:
        return self.folder / "volumes" / "postgres" / "data"

    def _as_postgres(self) -> list[str]:
        if not self._user:
            return []
        user, group = self._user
        return ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--pdeathsig=KILL"]

    def _make_database(self) -> None:
        told = self.of["postgres"]["environment"]
        for folder in (self._data, self.folder / "socket"):
            folder.mkdir(parents=True)
            self._hand_over(folder, 0o700)
        password = self.folder / "password"
        password.write_text(told["POSTGRES_PASSWORD"])
        self._hand_over(password, 0o600)
        words = [str(self._programs / "initdb"), "-D", str(self._data), "-U", told["POSTGRES_USER"], "-E", "UTF8"]
        words += [f"--pwfile={password}", *told["POSTGRES_INITDB_ARGS"].split()]
        argv = [*self._as_postgres(), *words]
        made = subprocess.run(argv, capture_output=True, text=True, cwd="/", timeout=120)
        assert made.returncode == 0, made.stdout + made.stderr

    def _run_scripts(self) -> None:
        self.wait_healthy("postgres")
        given = self._given("postgres")
        for target in initdb_scripts(self.of["postgres"]):
            script = _BUILTIN.sub("", Path(given[target]).read_text())
            argv = [str(self._programs / "psql"), "-v", "ON_ERROR_STOP=1", "-f", "-"]
            told = self.of["postgres"]["environment"]
            own = {"PGHOST": str(self.folder / "socket"), "PGUSER": told["POSTGRES_USER"]}
            own |= {"PGDATABASE": told["POSTGRES_DB"], "PGPASSWORD": told["POSTGRES_PASSWORD"]}
            env = {**self._env("postgres"), **own}
            done = subprocess.run(argv, input=script, env=env, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stdout + done.stderr


def _program(name: str) -> str:
    # What ties a process to its parent looks nothing up.
    return str(shutil.which(name))


def _volumes(service: Service) -> Iterator[tuple[str, str]]:
    """Source and target of each, in whichever of the two forms it is written."""
    for volume in service["volumes"]:
        if isinstance(volume, str):
            source, target, *_ = volume.split(":")
            yield source, target
        else:
            yield volume["source"], volume["target"]


def _of_image(file: Path) -> dict[str, str]:
    """What an image sets; what this machine has fetched and compiled already is used."""
    last = file.read_text().rpartition("\nFROM ")[2].replace("\\\n", " ")
    lines = re.findall(r"^ENV (.*)$", last, re.MULTILINE)
    found = dict(word.split("=", 1) for line in lines for word in line.split())
    return {name: value for name, value in found.items() if name not in ("PATH", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}


@contextmanager
def machine(resolver: Resolver, told: Mapping[str, str], *files: str) -> Iterator[Machine]:
    """One with nothing running, and certificates as docs/cluster.md has them made."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a network of its own")
    if absent := [name for name in _PROGRAMS if not shutil.which(name)]:
        pytest.skip(f"not installed: {', '.join(absent)}")
    with temporary_home(PLAIN) as home:
        certificates = home.path / "certificates"
        certificates.mkdir()
        authority = Authority(certificates)
        for name in ("kafka", "postgres"):
            signed = authority.sign(name)
            (certificates / f"{name}.pem").write_text("".join(file.read_text() for file in signed))
        made = Machine(home.path, services(told, *files), resolver)
        try:
            yield made
        finally:
            made.close()
