"""The one JSON line of a benchmark: its figures, the versions of what was measured, and the machine."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from sparktrends.ops import jars
from sparktrends.ops.postgres_server import INSTALL, wheel_folder

_PACKAGES = {"spark": "pyspark", "numba": "numba", "polars": "polars", "confluent_kafka": "confluent-kafka"}


def line(name: str, figures: Mapping[str, Any]) -> str:
    """The line to print; ``load_1m`` is what else the machine did (processes that wanted a core)."""
    return json.dumps({"bench": name, **figures, "versions": versions(), "machine": machine()})


def versions() -> dict[str, str]:
    """Python and the parts whose speed is measured; a package that is not installed is left out."""
    found = {"python": platform.python_version(), "kafka": _kafka(), "postgres": _postgres()}
    for name, package in _PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Processor, cores, memory, and how busy the machine was when the line was made."""
    memory = psutil.virtual_memory().total
    load = round(os.getloadavg()[0], 2)
    return {"cpu": _cpu(), "cores": os.cpu_count(), "memory_gb": round(memory / 2**30, 1), "load_1m": load}


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least ``part`` of the sorted ``values`` do not exceed (nearest rank).

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5), percentile([1.0, 2.0, 3.0, 4.0], 0.99)
    (2.0, 4.0)
    """
    ordered = sorted(values)
    rank = -(-len(ordered) * part // 1)
    return ordered[max(0, int(rank) - 1)]


def _kafka() -> str:
    return next(revision for _, module, revision in jars.RECIPES[jars.BROKER].wanted if module.startswith("kafka_"))


def _postgres() -> str:
    header = wheel_folder() / INSTALL / "include" / "pg_config.h"
    found = re.search(r'#define PG_VERSION "([^"]+)"', header.read_text())
    return found[1] if found else "unknown"


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
