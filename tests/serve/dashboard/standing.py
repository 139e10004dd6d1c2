"""A dashboard that runs on a market of a test's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serve.api.world import World
from serve.dashboard.browsing import Watched, answers, until


@dataclass(kw_only=True)
class Site(Watched):
    """A running dashboard on a market of its own."""

    world: World
    pid: int = 0
    minute: int = 29

    def commit(self, close: float) -> None:
        """A trade moved the newest bar of the first series."""
        self.world.run(
            "UPDATE core.bars SET close = %s, high = greatest(high, %s), low = least(low, %s), state = 'forming'"
            " WHERE series = 1 AND start = (SELECT max(start) FROM core.bars WHERE series = 1)",
            close,
            close,
            close,
        )
        self.world.commit([(1, self.minute)])


@contextmanager
def dashboard_of(world: World, api: str, port: int) -> Iterator[int]:
    script = Path(__file__).with_name("served.py")
    process = subprocess.Popen([sys.executable, str(script), api, str(port)], stdin=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(f"{world.reader}\n")
    process.stdin.close()
    try:
        until(lambda: answers(port), 60)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()
