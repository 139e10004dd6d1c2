"""What the machine and the broker say of themselves: processes, disk, topics, records."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from sparktrends.bus.admin import Admin
from sparktrends.bus.connection import Connection
from sparktrends.bus.reader import Reader
from sparktrends.bus.topics import TABLE
from sparktrends.errors import SparkTrendsError
from sparktrends.net import AddressGuard, Http, Limits
from sparktrends.telemetry import system_clock

_PATIENCE_S = 3.0
_SHOWN = 2000
_LOOPBACK = "127.0.0.1"
RUNS, STILL, GONE = "runs", "stands still", "does not run"
Samples = dict[str, list[tuple[Mapping[str, str], float]]]
"""Name of a metric (without ``sparktrends_``) → (labels, value) of each of its series."""


def processes(pids: Mapping[str, int], now_s: float) -> list[dict[str, Any]]:
    """Each part of ours: its `state`, since when it runs, its memory and CPU seconds."""
    return [{"name": name, "pid": pid, **_process(pid, now_s)} for name, pid in pids.items()]


def _process(pid: int, now_s: float) -> dict[str, Any]:
    try:
        process = psutil.Process(pid)
        # Spark's Java is a child of the stream, PostgreSQL's sessions of the postmaster: they are what takes the
        # memory.
        family = [process, *process.children(recursive=True)]
        used = [found for one in family if (found := _used(one))]
        memory, cpu = sum(m for m, _ in used), sum(c for _, c in used)
        return {"state": state(pid), "uptime_s": now_s - process.create_time(), "memory": memory, "cpu_s": cpu}
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return {"state": GONE, "uptime_s": None, "memory": None, "cpu_s": None}


def state(pid: int) -> str:
    """What a process does: it runs, somebody stopped it in its tracks (SIGSTOP), or there is none any more."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        status = psutil.Process(pid).status()
        # One that has ended stays listed until whoever started it has taken notice.
        if status != psutil.STATUS_ZOMBIE:
            return STILL if status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP) else RUNS
    return GONE


def _used(process: psutil.Process) -> tuple[int, float] | None:
    """Bytes and CPU seconds; None of one that has ended since it was listed, as PostgreSQL's do all the time."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied), process.oneshot():
        return process.memory_info().rss, sum(process.cpu_times()[:2])
    return None


def samples(addresses: Mapping[str, str]) -> Samples:
    """What our processes say of themselves; who does not answer is left out."""
    found: Samples = {}
    with Http(system_clock, AddressGuard([_LOOPBACK]), Limits(1.0, 2.0, 3.0)) as http:
        for address in addresses.values():
            with contextlib.suppress(SparkTrendsError):
                text = http.get(address).body.decode()
                for sample in (s for family in text_string_to_metric_families(text) for s in family.samples):
                    found.setdefault(sample.name.removeprefix("sparktrends_"), []).append((sample.labels, sample.value))
    return found


def disk(folder: str) -> tuple[int, int] | None:
    """(free, all) bytes of the disk that holds a folder; None where it gives no answer, as on a server without it."""
    try:
        usage = shutil.disk_usage(folder or "/")
    except OSError:
        return None
    return usage.free, usage.total


def topics(connection: Connection) -> list[dict[str, Any]]:
    """Every partition of our topics: first offset held, next to be written; raises Unavailable."""
    admin = Admin(connection, timeout_s=_PATIENCE_S)
    there = admin.names()
    return [
        {"topic": topic.name, "what": topic.what, "partition": partition, "first": low, "next": high}
        for topic in TABLE
        if topic.name in there
        for partition, (low, high) in admin.watermarks(topic.name).items()
    ]


def behind(progress: Sequence[Mapping[str, Any]], places: Sequence[Mapping[str, Any]]) -> int:
    """Records that lie in the log and are not stored yet, from `board_health.progress` and `topics`."""
    ends = {(row["topic"], row["partition"]): row["next"] for row in places}
    return sum(max(0, ends.get((row["topic"], row["partition"]), 0) - row["next_offset"]) for row in progress)


def records(connection: Connection, topic: str, partition: int, count: int) -> list[dict[str, Any]]:
    """The last records of a partition, newest first, as text; raises Unavailable."""
    with Reader(connection, patience_s=_PATIENCE_S) as reader:
        found = list(reader.tail(topic, partition, count))
    return [
        {"offset": r.offset, "appended": r.appended, "key": _text(r.key), "value": _text(r.value)} for r in found[::-1]
    ]


def _text(value: bytes | None) -> str:
    """A record's bytes as one line: JSON without its blanks, anything else as it is."""
    if value is None:
        return "(null)"
    text = value[:_SHOWN].decode("utf-8", "replace")
    with contextlib.suppress(ValueError):  # cut off, or no JSON: shown as it came
        text = json.dumps(json.loads(text), ensure_ascii=False)
    return " ".join(text.split())
