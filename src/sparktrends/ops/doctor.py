"""`sparktrends doctor`: what is wrong with this machine, this home and these settings, and what to do about each."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sparktrends.bus.connection import Connection, wait_ready
from sparktrends.errors import DiskFull, SparkTrendsError
from sparktrends.model import SECOND
from sparktrends.ops import jars, java, ports
from sparktrends.ops.cluster import spark_table
from sparktrends.ops.endpoints import endpoints, external, processes, record
from sparktrends.ops.home import CACHE_ADVICE, Home, nearest
from sparktrends.ops.secured import hosts_of, is_local
from sparktrends.ops.settings import Settings
from sparktrends.ops.status import collect
from sparktrends.ops.supervise import works_in
from sparktrends.store.connect import connect
from sparktrends.store.followers import READ_FOR, away
from sparktrends.store.queries import database_clock
from sparktrends.telemetry import Clock

PYTHONS = ((3, 11), (3, 13))
_LAG_LIMIT_S = 60
_CLOCK_LIMIT_S = 5
_PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be. A ``problem`` stops or harms the product, a notice does not."""

    check: str
    what: str
    do: str
    problem: bool = True

    def __str__(self) -> str:
        return f"{'problem' if self.problem else 'notice '}  {self.check}: {self.what}\n         → {self.do}"

    def to_json(self) -> dict[str, object]:
        """As `doctor --json` prints it."""
        return asdict(self)


Check = Callable[[Settings, Clock], Iterable[Finding]]


def examine(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Every finding; a check that fails is one itself."""
    told: set[str] = set()
    for name, check in CHECKS.items():
        try:
            yield from check(settings, clock)
        except SparkTrendsError as error:
            # Several checks may need the same wrong setting.
            if str(error) not in told:
                told.add(str(error))
                yield Finding(name, str(error), error.hint or "see the logs in the home")
        except OSError as error:
            yield Finding(name, str(error), "see who owns it, and whether the disk is well")


def _python(_settings: Settings, _clock: Clock) -> Iterator[Finding]:
    low, high = PYTHONS
    if not low <= sys.version_info[:2] <= high:
        found = ".".join(map(str, sys.version_info[:2]))
        yield Finding("python", f"Python {found} is not one of 3.11 to 3.13", "make the environment with another one")


def _java(settings: Settings, _clock: Clock) -> Iterator[Finding]:
    found = java.find(settings.env, settings.cache)
    wished = settings.env.get("JAVA_HOME")
    if wished and found.bundled:
        yield Finding("java", f"JAVA_HOME={wished} is no Java 17 or 21", "unset it, or name another one", problem=False)


def _jars(settings: Settings, _clock: Clock) -> Iterator[Finding]:
    for file in jars.damaged(settings.cache):
        yield Finding(
            "jars", f"{file} is not what jars.lock names", "delete its folder: the next start fetches it again"
        )


def _cache(settings: Settings, _clock: Clock) -> Iterator[Finding]:
    # That of an image cannot be written, and need not.
    if not _can_be_made(settings.cache) and not jars.fetched(settings.cache):
        yield Finding("cache", f"{settings.cache} cannot be written, and the jars are not in it", CACHE_ADVICE)


def _can_be_made(folder: Path) -> bool:
    """Whether a folder is there, or can be made, and files in it."""
    there = nearest(folder)
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _ports(settings: Settings, _clock: Clock) -> Iterator[Finding]:
    if Home.running(settings.home):
        return
    there = external(settings)
    others = {"postgres": there.database, "kafka": there.kafka}
    for name, number in settings.wanted_ports(ports.WANTED).items():
        if not others.get(name) and not ports.is_free(number):
            advice = f"stop what listens there, or set another under [ports] {name}: `up` takes the next free one"
            yield Finding("ports", f"{number} of {name} is taken", advice, problem=False)


def _disk(settings: Settings, _clock: Clock) -> Iterator[Finding]:
    try:
        Home(settings.home).require_space()
    except DiskFull as error:
        yield Finding("disk", str(error), error.hint)


def _home(settings: Settings, _clock: Clock) -> Iterator[Finding]:
    # Not opened before it is there: who only looks makes none.
    home = Home.found(settings.home)
    if home is None:
        if not _can_be_made(settings.home):
            yield Finding("home", f"{settings.home} cannot be made", "name another folder with --home")
        return
    owner = home.path.stat().st_uid
    if owner != os.geteuid():
        yield Finding(
            "home", f"{home.path} belongs to user {owner}, not to you", "run as that user, or name another --home"
        )
    secrets = home.run / "secrets.json"
    if secrets.exists() and secrets.stat().st_mode & 0o077:
        yield Finding("home", f"others can read {secrets}", f"chmod 600 {secrets}")
    if home.owner() is None:
        yield from _half_restored(home)
    if record(home.path) and home.owner() is None:
        pids = processes(home.path)
        left = [f"{name} ({pid})" for name, pid in pids.items() if works_in(pid, home.path)]
        if left:
            yield Finding(
                "home", f"left over from a killed run: {', '.join(left)}", "the next `up` ends them", problem=False
            )


def _half_restored(home: Home) -> Iterator[Finding]:
    if home.restored.exists():
        what = f"a restore into {home.path} was ended while its files moved in"
        yield Finding("home", what, "the next `up` moves the rest", problem=False)
    if home.restoring.exists():
        advice = f"`sparktrends restore` again, or remove {home.restoring}: until then `up` refuses this home"
        yield Finding("home", f"a restore into {home.path} did not come to its end", advice)


def _data(settings: Settings, _clock: Clock) -> Iterator[Finding]:
    home = Home.found(settings.home)
    if home is None or home.restored.exists():
        return
    lost = "`sparktrends restore` of a backup into another --home brings back what was saved"
    postgres, kafka = home.postgres / "data", home.kafka / "data"
    # Each says that it was made whole before anybody writes to it; what was not is made again.
    for made, mark in ((postgres, postgres / "PG_VERSION"), (home.kafka / "formatted", kafka / "meta.properties")):
        if made.exists() and not mark.is_file():
            yield Finding("data", f"{mark.parent} is damaged: {mark.name} is not there", lost)


def _settings(settings: Settings, clock: Clock) -> Iterator[Finding]:
    there = external(settings)
    if settings.get("POSTGRES_PASSWORD") and not settings.get("POSTGRES_HOST"):
        advice = "set POSTGRES_HOST too if somebody else runs it; the embedded database has a password of its own"
        yield Finding("settings", "POSTGRES_PASSWORD without POSTGRES_HOST says nothing", advice, problem=False)
    # A container is given what its own part needs.
    if there.database and not there.database.reader_password and not settings.contained:
        advice = "set it, then `sparktrends migrate`"
        yield Finding("settings", "API and dashboard need POSTGRES_READER_PASSWORD at an external database", advice)
    if there.database and not is_local(there.database.host) and "verify" not in there.database.tls.get("sslmode", ""):
        what = f"nobody checks whose certificate {there.database.host} shows, if it shows one"
        yield Finding("settings", what, "POSTGRES_SSLMODE=verify-full with POSTGRES_SSLROOTCERT", problem=False)
    protocol = settings.kafka_security().get("security.protocol", "PLAINTEXT")
    if there.kafka and not all(map(is_local, hosts_of(there.kafka))) and "SSL" not in protocol:
        advice = "KAFKA_SECURITY_PROTOCOL=SASL_SSL with KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SSL_CA"
        yield Finding("settings", f"the way to {there.kafka} is not encrypted", advice, problem=False)
    if settings.spark_master.startswith("spark://") and not there.kafka:
        advice = "set KAFKA_BOOTSTRAP to a broker that the workers reach too"
        yield Finding("settings", "SPARK_MASTER is a cluster, but the broker listens on loopback only", advice)
    yield from _callable_by_executors(settings)
    yield from _shared_by_applications(settings)
    # Here: they load the analysis and every provider, and `backup` beside this command needs neither.
    from sparktrends.ops.analysing import Analysing
    from sparktrends.ops.checking import require_good_settings

    require_good_settings(settings, clock)
    # `up` leaves these to the stream, which refuses them soon after its start.
    Analysing(settings)


def _callable_by_executors(settings: Settings) -> Iterator[Finding]:
    master = settings.spark_master
    if not master.startswith("spark://") or all(map(is_local, hosts_of(master))):
        return
    here = spark_table(settings)["more"].get("spark.driver.host") or settings.spark_local_ip
    if is_local(here):
        what = f"the executors of {master} cannot call the stream: it listens on {here}"
        yield Finding("settings", what, "set SPARK_LOCAL_IP to an address of this machine that they can call")


def _shared_by_applications(settings: Settings) -> Iterator[Finding]:
    conf = spark_table(settings)["more"]
    if settings.spark_master.startswith("spark://") and "spark.cores.max" not in conf:
        what = (
            f"whoever comes first takes all cores of {settings.spark_master}: another shard, or a batch job, has none"
        )
        advice = '"spark.cores.max" in [spark.conf], a share for each, unless one stream is all that runs there'
        yield Finding("settings", what, advice, problem=False)


def _services(settings: Settings, clock: Clock) -> Iterator[Finding]:
    there = external(settings)
    if not Home.running(settings.home) and not (there.kafka and there.database):
        # Nothing of this home is meant to run; what others run is needed at the next start.
        if there.kafka:
            wait_ready(Connection(there.kafka, settings.kafka_security()), _PATIENCE_S)
        if there.database:
            connect(there.database.dsn(), timeout_s=_PATIENCE_S, application="doctor").close()
        return
    where, home = endpoints(settings), Home(settings.home)
    wait_ready(where.kafka, _PATIENCE_S)
    with connect(where.owner_dsn, timeout_s=_PATIENCE_S, application="doctor") as connection:
        ahead = (database_clock(connection) - clock()) / SECOND
        with connection.cursor() as cursor:
            readers = away(cursor, clock() - READ_FOR)
    if abs(ahead) > _CLOCK_LIMIT_S:
        what = f"this machine's clock and the database's are {abs(ahead):.0f} s apart"
        yield Finding("clock", what, "let both follow a time server")
    for one in readers:
        advice = "start it again (out: `stream`, market: `batch follow`), or see docs/howto/monitoring.md"
        yield Finding("readers", one.words(clock()), advice, problem=False)
    found = collect(where, home, [], clock)
    if found.lag_s > _LAG_LIMIT_S:
        what = f"{found.behind:,} records wait, the oldest for {found.lag_s} s"
        yield Finding("stream", what, f"see {home.logs / 'stream.log'}, or `sparktrends restart stream`")
    from sparktrends.ops.laws import agreed_limits  # here: as above

    agreed_limits(settings, where.owner_dsn)


CHECKS: dict[str, Check] = {
    "python": _python,
    "java": _java,
    "cache": _cache,
    "jars": _jars,
    "disk": _disk,
    "home": _home,
    "data": _data,
    "settings": _settings,
    "ports": _ports,
    "services": _services,
}
