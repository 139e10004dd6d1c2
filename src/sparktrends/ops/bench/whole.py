"""`sparktrends up` as a person types it, watched from outside: how soon the first bar is there, how much it takes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import psutil

from sparktrends.errors import Unavailable
from sparktrends.ops import ports
from sparktrends.ops.bench.lab import own_environment, temporary_home
from sparktrends.ops.endpoints import endpoints
from sparktrends.ops.settings import Settings
from sparktrends.ops.up import PARTS
from sparktrends.store.connect import connect

_STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """An `up` under way: its process, and the settings with which its home is found."""

    process: subprocess.Popen[bytes]
    settings: Settings

    def bars(self) -> int:
        """Committed bars that show; 0 while there is no database yet."""
        with suppress(Unavailable), connect(endpoints(self.settings).reader_dsn, application="bench") as connection:
            row = connection.execute("SELECT count(*) FROM market.bars").fetchone()
            return int(row[0]) if row else 0
        return 0

    def pss_mb(self) -> dict[str, float]:
        """Proportional set size of every process, by program: shared pages are shared out, not counted twice."""
        found: dict[str, float] = {}
        root = psutil.Process(self.process.pid)
        for each in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                name = _role(each.cmdline())
                found[name] = found.get(name, 0.0) + each.memory_full_info().pss / 2**20
        return found


@contextmanager
def up(settings: Settings, arguments: Sequence[str]) -> Iterator[Running]:
    """Run it in a temporary home on free ports, and stop it in order."""
    with temporary_home() as home:
        (home.path / "sparktrends.toml").write_text(_ports())
        command = [sys.executable, "-m", "sparktrends.ops.cli", "--home", str(home.path), "up", "--json", *arguments]
        env = own_environment(settings)
        with (home.logs / "up.log").open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, cwd=home.path, env=env)
        try:
            yield Running(process, replace(settings, home=home.path, values={}))
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
            process.kill()
            process.wait()


def startup(settings: Settings, runs: int) -> dict[str, Any]:
    """``first_bar_s``: from typing `sparktrends up` to the first bar in `market.bars`, the best and the median."""
    spans = sorted(_first_bar(settings) for _ in range(runs))
    return {"first_bar_s": spans[len(spans) // 2], "best_s": spans[0], "worst_s": spans[-1], "runs": runs}


def memory(settings: Settings, minutes: float, every_s: float, rate: float, symbols: int) -> dict[str, Any]:
    """``pss_mb`` (the largest sum seen) of everything that `up` runs, under load.

    Slopes are those of the second half, MB a minute, of the whole and of each program: what grows has a name.
    """
    load = ["--source", "simulator", "--symbols", str(symbols), "--rate", str(rate)]
    samples: list[tuple[float, dict[str, float]]] = []
    with up(settings, load) as running:
        _wait_bars(running)
        begin = time.monotonic()
        while time.monotonic() - begin < minutes * 60:
            time.sleep(every_s)
            samples.append((time.monotonic() - begin, running.pss_mb()))
        bars = running.bars()
    totals = [sum(parts.values()) for _, parts in samples]
    moments = [moment / 60 for moment, _ in samples]
    programs = sorted(samples[-1][1])
    return {
        "pss_mb": round(max(totals)),
        "end_mb": round(totals[-1]),
        "slope_mb_per_min": slope(moments, totals),
        "by_process": {name: round(samples[-1][1][name]) for name in programs},
        "slope_by_process": {name: slope(moments, [parts.get(name, 0.0) for _, parts in samples]) for name in programs},
        "minutes": minutes,
        "samples": [round(total) for total in totals],
        "rate": rate,
        "symbols": symbols,
        "bars": bars,
    }


def slope(moments: Sequence[float], values: Sequence[float]) -> float:
    """Growth of the second half of the values, by least squares; 0 for fewer than two of them.

    >>> slope([0.0, 1.0, 2.0, 3.0], [9.0, 5.0, 6.0, 8.0])
    2.0
    """
    half = len(values) // 2
    if len(values) - half < 2:
        return 0.0
    return round(float(np.polyfit(moments[half:], values[half:], 1)[0]), 1)


def _first_bar(settings: Settings) -> float:
    begin = time.monotonic()
    with up(settings, []) as running:
        _wait_bars(running)
        return round(time.monotonic() - begin, 1)


def _wait_bars(running: Running, deadline_s: float = 300.0) -> None:
    end = time.monotonic() + deadline_s
    while not running.bars():
        if running.process.poll() is not None:
            log = running.settings.home / "logs" / "up.log"
            raise Unavailable("`up` ended before the first bar", hint=log.read_text()[-300:])
        if time.monotonic() > end:
            raise Unavailable(f"no bar within {deadline_s:.0f} s")
        time.sleep(0.05)


def _ports() -> str:
    lines = [f"{name} = {ports.any_free()}" for name in ports.WANTED]
    return "\n".join(["[ports]", *lines, ""])


def _role(command: Sequence[str]) -> str:
    words = " ".join(command)
    for name, sign in (("kafka", "kafka.Kafka"), ("spark", "org.apache.spark"), ("workers", "pyspark.daemon")):
        if sign in words:
            return name
    if "sparktrends.ops.cli" in words:
        return next((word for word in command[1:] if word in ("up", *PARTS)), "cli")
    return "postgres" if "postgres" in words else "other"
