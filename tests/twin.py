"""The offline twin for tests: as a world that stands still, and as a running process with its ledger."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from sparktrends.model import SECOND
from sparktrends.sandbox.exchange import World
from sparktrends.sandbox.instruments import chosen
from sparktrends.sandbox.ledger import Ledger, read
from sparktrends.sandbox.meters import Meters
from sparktrends.sandbox.tape import Tape

START = 1_795_248_000_000_000  # 2026-11-21 08:00 UTC


def still_world(symbols: str = "", rate: float = 200.0, *, seconds: float = 125, hostile: bool = False) -> World:
    """A world whose market has traded for that long; it stands still until `move`."""
    world = World(Tape(chosen(symbols), START, 7, rate), START, Meters(), Random(7), 7, hostile)
    move(world, seconds)
    return world


def move(world: World, seconds: float) -> None:
    """Let time pass, and the market with it."""
    world.now += int(seconds * SECOND)
    world.tape.advance(world.now)


@dataclass(frozen=True, slots=True)
class Running:
    """A twin in a process of its own."""

    process: subprocess.Popen[bytes]
    port: int
    ledger_path: Path

    def rest(self, provider: str) -> str:
        """The REST base of a provider."""
        return f"http://127.0.0.1:{self.port}/{provider}"

    def stream(self, provider: str) -> str:
        """The socket base of a provider."""
        return f"ws://127.0.0.1:{self.port}/{provider}"

    def stop(self) -> Ledger:
        """End it in order and read what it wrote."""
        self.process.terminate()
        assert self.process.wait(20) == 0
        return read(self.ledger_path)


@contextmanager
def running_twin(folder: Path, *options: str) -> Iterator[Running]:
    """``sparktrends sandbox`` with these options on a free port; it is killed at the end if it still runs."""
    port_file, ledger = folder / "port", folder / "ledger.jsonl"
    command = [sys.executable, "-m", "sparktrends.ops.cli", "sandbox", "--port-file", str(port_file)]
    with (folder / "twin.log").open("wb") as log:
        process = subprocess.Popen([*command, "--ledger", str(ledger), *options], cwd=folder, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not port_file.exists():
            assert process.poll() is None, (folder / "twin.log").read_text()
            assert time.monotonic() < deadline, "the twin did not open its port"
            time.sleep(0.02)
        yield Running(process, int(port_file.read_text()), ledger)
    finally:
        process.kill()
        process.wait()
