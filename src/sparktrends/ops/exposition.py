"""`/metrics` of every process on a port of its own, and what the parts that are not ours are asked for there."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sparktrends import telemetry
from sparktrends.alerts.backlog import Backlog, Offsets
from sparktrends.bus.admin import Admin
from sparktrends.bus.topics import RAW_BARS, RAW_TRADES, TABLE
from sparktrends.model import SECOND
from sparktrends.ops.channels import LIVE
from sparktrends.ops.endpoints import Endpoints, record
from sparktrends.ops.ports import METRICS, WANTED
from sparktrends.ops.settings import Settings, port_number
from sparktrends.ops.status import Status
from sparktrends.store import figures
from sparktrends.store.sessions import Sessions
from sparktrends.telemetry import Clock, Figure, system_clock

_log = logging.getLogger(__name__)
Ask = Callable[[], Iterable[Figure]]
PART_RUNNING = telemetry.gauge("part_running", "1 while a part runs, as `up` sees it", ["name"])
PART_RESTARTS = telemetry.gauge("part_restarts", "times a part was started again since `up` began", ["name"])


def expose(settings: Settings, part: str, asked: Mapping[str, Ask] | None = None, port: int = 0) -> int:
    """Serve ``/metrics`` of this process, with what ``asked`` parts know, to this machine; the port it got."""
    name = METRICS + part
    wanted = port or port_number(f"the port of {name}", _wanted(settings, name))
    telemetry.asked_at_scrape(asked or {})
    got = telemetry.serve_metrics(wanted, settings.listen)
    if got != wanted:
        _log.warning("port %d is taken: /metrics of %s is on %d", wanted, part, got)
    return got


@dataclass(slots=True)
class Look:
    """What `up` saw of everything last. Asked at each scrape, and no gauges: every process that imports this module
    would show those too, as 0."""

    home: Path
    _lag_s: int | None = None

    def tell(self, status: Status) -> None:
        """A new look."""
        for process in status.process_list:
            PART_RUNNING.labels(process["name"]).set(process["running"])
            PART_RESTARTS.labels(process["name"]).set(process["restarts"])
        self._lag_s = status.lag_s

    def figures(self) -> Iterable[Figure]:
        """The free space, and after the first look the lag."""
        yield from _disk_free(self.home)
        if self._lag_s is not None:
            yield _lag(self._lag_s)


def _lag(seconds: float) -> Figure:
    return Figure("lag_seconds", "age of the oldest record that is not committed", {(): seconds})


def _disk_free(home: Path) -> Iterable[Figure]:
    with suppress(OSError):  # no answer is none of 0 bytes
        yield Figure("disk_free_bytes", "free space where the home lies", {(): shutil.disk_usage(home).free})


def _wanted(settings: Settings, name: str) -> str:
    """As `up` chose it, else as this home has it, else as the settings or the defaults want it."""
    given = settings.env.get(f"SPARKTRENDS_PORT_{name.upper()}")
    return given or str(record(settings.home).get("ports", {}).get(name) or settings.wanted_ports(WANTED)[name])


def addresses(ports: Mapping[str, int]) -> dict[str, str]:
    """Where each part's ``/metrics`` is, by part, from the recorded ports of a home.

    >>> addresses({"metrics_api": 9473, "api": 8000})
    {'api': 'http://127.0.0.1:9473/metrics'}
    """
    own = {name.removeprefix(METRICS): number for name, number in ports.items() if name.startswith(METRICS)}
    return {part: f"http://127.0.0.1:{number}/metrics" for part, number in own.items()}


def outsiders(where: Endpoints, settings: Settings) -> dict[str, Ask]:
    """The database and the broker, asked by the process that watches over the rest: alerts. Where no `up` started it
    (in containers, on servers) also what `up` would see: the lag of the log and the disk of the home."""
    sessions = Sessions(where.owner_dsn, "metrics", size=2)
    admin = Admin(where.kafka, timeout_s=3)
    asked: dict[str, Ask] = {
        "database": lambda: sessions.read(figures.figures),
        "broker": lambda: broker_figures(admin, sessions.read(figures.next_offsets)),
    }
    if LIVE in settings.env:
        return asked
    log = lag_figures(lambda: sessions.read(figures.next_offsets), lambda: folded_ends(admin), system_clock)
    return asked | {"log": log, "home": lambda: _disk_free(settings.home)}


def lag_figures(stored: Callable[[], Offsets], ends: Callable[[], Offsets], clock: Clock) -> Ask:
    """The lag by offsets alone, from one scrape to the next: who sends alerts may not read the log itself."""
    backlog, one_at_a_time = Backlog(), threading.Lock()

    def ask() -> Iterable[Figure]:
        with one_at_a_time:
            # In this order: what is stored meanwhile then looks like waiting for a moment, and not like a lost log.
            done = stored()
            waits = backlog.look(done, ends(), clock())
        return [_lag(max(waits.values(), default=0) / SECOND)]

    return ask


def folded_ends(admin: Admin) -> Offsets:
    """The next offset to be written of every partition that is folded."""
    folded = sorted({RAW_TRADES, RAW_BARS} & admin.names())
    return {(topic, number): high for topic in folded for number, (_, high) in admin.watermarks(topic).items()}


def broker_figures(admin: Admin, stored: Mapping[tuple[str, int], int]) -> Iterable[Figure]:
    """Ends of our topics, and how many records of the folded ones are not ``stored`` (next offsets) yet."""
    there = admin.names()
    marks = {topic.name: admin.watermarks(topic.name) for topic in TABLE if topic.name in there}
    ends = {(name,): sum(high for _, high in found.values()) for name, found in marks.items()}
    yield Figure("log_records", "records ever written to a topic", ends, ("topic",), total=True)
    held = {(name,): sum(high - low for low, high in found.values()) for name, found in marks.items()}
    yield Figure("log_held", "records that a topic holds", held, ("topic",))
    behind = {
        (name,): sum(max(0, high - stored.get((name, part), 0)) for part, (_, high) in marks.get(name, {}).items())
        for name in (RAW_TRADES, RAW_BARS)
    }
    yield Figure("log_behind", "records that wait to be stored", behind, ("topic",))
