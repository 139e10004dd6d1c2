"""A broker and a database as other people run them: TLS, accounts, rights, and certificates of an authority of ours."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from embedded import PLAIN, temporary_home
from sparktrends.bus.connection import Connection, wait_ready
from sparktrends.errors import SparkTrendsError
from sparktrends.ops import ports, postgres_server
from sparktrends.ops.accounts import NAMES
from sparktrends.ops.containers.secured_broker import ADMIN, SecuredBroker, format_arguments
from sparktrends.ops.jars import BROKER, Resolver
from sparktrends.ops.kafka_server import SETTINGS, KafkaServer
from sparktrends.ops.supervise import Process, Spec, bare_env, run

NAME = "localhost"
"""The one name in every certificate here: 127.0.0.1 is the wrong name for the same place."""
OWNER = "owner"
PASSWORDS = {name: f"canary-of-{name}-73c1" for name in (ADMIN, OWNER, *NAMES)}


@dataclass(frozen=True)
class Authority:
    """Signs certificates; ``folder`` gets ``ca.pem``, and for each name ``NAME.pem`` (key and certificate)."""

    folder: Path

    def __post_init__(self) -> None:
        self._made("ca", "-x509", "-subj", "/CN=test authority", "-addext", "basicConstraints=critical,CA:TRUE")

    @property
    def file(self) -> Path:
        """The certificate that clients must know."""
        return self.folder / "ca.crt"

    def sign(self, name: str) -> tuple[Path, Path]:
        """(key, certificate) of a server that is called so."""
        request, certificate = self.folder / f"{name}.csr", self.folder / f"{name}.crt"
        self._made(name, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", out=request)
        given = ["-CA", str(self.file), "-CAkey", str(self.folder / "ca.key"), "-CAcreateserial", "-days", "2"]
        _openssl("x509", "-req", "-in", str(request), *given, "-copy_extensions", "copy", "-out", str(certificate))
        return self.folder / f"{name}.key", certificate

    def _made(self, name: str, *more: str, out: Path | None = None) -> None:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        place = ["-keyout", str(self.folder / f"{name}.key"), "-out", str(out or self.folder / f"{name}.crt")]
        _openssl("req", *key, *place, *more)


def _openssl(*arguments: str) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl to make certificates with")
    subprocess.run([program, *arguments], check=True, capture_output=True)


@dataclass(frozen=True)
class SecureBroker(KafkaServer):
    """One node with the very settings of `docker-compose.prod.yml`: SASL_SSL, SCRAM, and rights by ACLs alone."""

    authority: Path = Path()

    @property
    def address(self) -> str:
        """The bootstrap address, by the name of the certificate."""
        return f"{NAME}:{self.port}"

    @property
    def connection(self) -> Connection:
        """How the administrator reaches it."""
        return client(self.address, ADMIN, PASSWORDS[ADMIN], self.authority)

    def prepare(self) -> None:
        """Write the configuration, and format the log with every account the first time."""
        controller, inside = (f"{NAME}:{ports.any_free()}" for _ in range(2))
        own = SecuredBroker(
            {"INSIDE": (inside, inside), "OUTSIDE": (self.address, self.address)},
            (controller, controller),
            str(self.folder / "broker.pem"),
            str(self.authority),
            f"CN={NAME}",
            PASSWORDS[ADMIN],
        )
        values: Mapping[str, object] = {**SETTINGS, **own.settings(), "log.dirs": self.folder / "data"}
        self._config.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        self._config.chmod(0o600)
        self._logging.write_text("rootLogger.level = OFF\n")
        self._scratch.mkdir(exist_ok=True)
        if not self._formatted.exists():
            self._format()

    def ready(self) -> bool:
        """Whether the administrator is let in."""
        try:
            wait_ready(self.connection, 1)
        except SparkTrendsError:
            return False
        return True

    def _format(self) -> None:
        file = self.folder / "format"
        file.write_text(
            format_arguments(self.cluster_id(), str(self._config), {name: PASSWORDS[name] for name in (ADMIN, *NAMES)})
        )
        file.chmod(0o600)
        argv = self._java([], "kafka.tools.StorageTool", f"@{file}")
        run(Spec("formatting", argv, self.logs / "format.out", bare_env(self.env), self.folder))
        file.unlink()
        self._formatted.touch()


@contextmanager
def secure_broker(resolver: Resolver) -> Iterator[SecureBroker]:
    """A running one."""
    with ExitStack() as open_:
        folder = open_.enter_context(temporary_home(PLAIN)).path / "broker"
        folder.mkdir()
        authority = Authority(folder)
        (folder / "broker.pem").write_text("".join(file.read_text() for file in authority.sign(NAME)))
        jars = resolver.ensure([BROKER])[BROKER]
        place = (resolver.java, jars, folder, folder, ports.any_free(), dict(os.environ))
        broker = SecureBroker(*place, authority=authority.file)
        broker.prepare()
        process = Process(broker.spec())
        open_.callback(process.kill)
        process.wait_ready(broker.ready, 90)
        yield broker


def client(bootstrap: str, user: str, password: str, authority: Path) -> Connection:
    """As the settings of a person lead to it."""
    from sparktrends.ops import secured

    said = {"KAFKA_BOOTSTRAP": bootstrap, "KAFKA_SASL_USERNAME": user, "KAFKA_SASL_PASSWORD": password}
    return Connection(bootstrap, secured.kafka({**said, "KAFKA_SSL_CA": str(authority)}))


@dataclass(frozen=True)
class SecureDatabase:
    """A PostgreSQL that takes nobody without TLS and a password; ``authority`` is the file that clients must know."""

    port: int
    authority: Path
    passwords: Mapping[str, str] = field(default_factory=lambda: PASSWORDS, repr=False)

    @property
    def env(self) -> dict[str, str]:
        """The settings of a person."""
        return {
            "POSTGRES_HOST": NAME,
            "POSTGRES_PORT": str(self.port),
            "POSTGRES_DB": OWNER,
            "POSTGRES_USER": OWNER,
            "POSTGRES_PASSWORD": self.passwords[OWNER],
            "POSTGRES_SSLROOTCERT": str(self.authority),
        }

    def superuser(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Whoever makes accounts."""
        named = {"host": NAME, "port": self.port, "user": "postgres", "password": self.passwords[ADMIN]}
        tls = {"sslmode": "verify-full", "sslrootcert": str(self.authority)}
        return psycopg.connect(**named, **tls, dbname=database, autocommit=True)


def tls_postgres() -> Path:
    """The programs of a PostgreSQL of the system that knows TLS: the embedded one was built without."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "postgres").exists():
            return folder
    pytest.skip("no PostgreSQL of the system: the embedded one was built without TLS")


@contextmanager
def secure_database() -> Iterator[SecureDatabase]:
    """A running one, with an owner that is no superuser."""
    programs, user = tls_postgres(), postgres_server.runner()
    with temporary_home(PLAIN) as home:
        authority, number, data = Authority(home.path), ports.any_free(), home.path / "data"
        _initialise(programs, home.path, user)
        for file, name in zip(authority.sign(NAME), ("server.key", "server.crt"), strict=True):
            _hand_over(data / name, file.read_text(), user)
        _hand_over(data / "pg_hba.conf", "hostssl all all all scram-sha-256\n", user)
        options = {"port": number, "listen_addresses": NAME, "unix_socket_directories": "", "ssl": "on"}
        options["max_locks_per_transaction"] = 256
        argv = [str(programs / "postgres"), "-D", str(data)]
        argv += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        stop = {"stop_signal": signal.SIGINT, "death_signal": signal.SIGINT}
        process = Process(Spec("postgres", argv, home.logs / "out", bare_env(os.environ), data, user, **stop))
        try:
            process.wait_ready(lambda: "ready" in _status(data), 30)
            found = SecureDatabase(number, authority.file)
            with found.superuser() as connection:
                connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{PASSWORDS[OWNER]}'")
                connection.execute(f"CREATE DATABASE {OWNER} OWNER {OWNER}")
            yield found
        finally:
            process.stop()


def _initialise(programs: Path, folder: Path, user: postgres_server.User | None) -> None:
    (folder / "data").mkdir(mode=0o700)
    if user:
        os.chown(folder / "data", *user)
    password = folder / "password"
    _hand_over(password, PASSWORDS[ADMIN], user)
    words = ["-U", "postgres", "-E", "UTF8", "--locale=C", "--auth=scram-sha-256", f"--pwfile={password}"]
    argv = [str(programs / "initdb"), "-D", str(folder / "data"), *words]
    run(Spec("initdb", argv, folder / "logs" / "initdb", bare_env(os.environ), folder, user))


def _hand_over(file: Path, text: str, user: postgres_server.User | None) -> None:
    file.write_text(text)
    file.chmod(0o600)
    if user:
        os.chown(file, *user)


def _status(data: Path) -> str:
    file = data / "postmaster.pid"
    return "".join(file.read_text().splitlines()[7:8]) if file.exists() else ""


def environment(broker: SecureBroker, database: SecureDatabase) -> dict[str, str]:
    """What the administrator of both writes into an environment."""
    return {
        **database.env,
        "POSTGRES_READER_PASSWORD": "canary-of-the-reader-41aa",
        "KAFKA_BOOTSTRAP": broker.address,
        "KAFKA_SASL_USERNAME": ADMIN,
        "KAFKA_SASL_PASSWORD": PASSWORDS[ADMIN],
        "KAFKA_SSL_CA": str(broker.authority),
    }
