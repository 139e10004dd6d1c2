"""`/metrics` of every process on a port of its own, and what the parts that are not ours are asked for there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from sparktrends import telemetry
from sparktrends.bus.admin import Admin
from sparktrends.bus.topics import RAW_BARS, RAW_TRADES, TABLE
from sparktrends.ops.endpoints import Endpoints, record
from sparktrends.ops.ports import METRICS, WANTED
from sparktrends.ops.settings import Settings, port_number
from sparktrends.ops.status import Status
from sparktrends.store import figures
from sparktrends.store.sessions import Sessions
from sparktrends.telemetry import Figure

_log = logging.getLogger(__name__)
Ask = Callable[[], Iterable[Figure]]
PART_RUNNING = telemetry.gauge("part_running", "1 while a part runs, as `up` sees it", ["name"])
PART_RESTARTS = telemetry.gauge("part_restarts", "times a part was started again since `up` began", ["name"])
LAG = telemetry.gauge("lag_seconds", "age of the oldest record that is not committed")
DISK_FREE = telemetry.gauge("disk_free_bytes", "free space where the home lies")


def expose(settings: Settings, part: str, asked: Mapping[str, Ask] | None = None, port: int = 0) -> int:
    """Serve ``/metrics`` of this process, with what ``asked`` parts know, to this machine; the port it got."""
    name = METRICS + part
    wanted = port or port_number(f"the port of {name}", _wanted(settings, name))
    telemetry.asked_at_scrape(asked or {})
    got = telemetry.serve_metrics(wanted, settings.listen)
    if got != wanted:
        _log.warning("port %d is taken: /metrics of %s is on %d", wanted, part, got)
    return got


def tell(status: Status) -> None:
    """What `up` sees of everything, as metrics of its own."""
    for process in status.process_list:
        PART_RUNNING.labels(process["name"]).set(process["running"])
        PART_RESTARTS.labels(process["name"]).set(process["restarts"])
    LAG.set(status.lag_s)
    DISK_FREE.set(status.disk_free_bytes)


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


def outsiders(where: Endpoints) -> dict[str, Ask]:
    """The database and the broker, asked by the process that watches over the rest: alerts."""
    sessions = Sessions(where.owner_dsn, "metrics", size=2)
    admin = Admin(where.kafka, timeout_s=3)
    return {
        "database": lambda: sessions.read(figures.figures),
        "broker": lambda: broker_figures(admin, sessions.read(figures.next_offsets)),
    }


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
