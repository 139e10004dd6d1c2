"""Which ports the parts listen on: the wanted ones, a free one beside where one is taken, the same at every start."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from sparktrends.errors import Unavailable

METRICS = "metrics_"
"""What the names of ports begin with where a part shows its ``/metrics``."""
WANTED: Mapping[str, int] = {
    "postgres": 5434,
    "kafka": 9094,
    "spark_ui": 8081,
    "api": 8000,
    "dashboard": 8501,
    "sandbox": 8600,
    "metrics_up": 9470,
    "metrics_ingest": 9471,
    "metrics_stream": 9472,
    "metrics_alerts": 9473,
    "metrics_api": 9474,
    "metrics_dashboard": 9475,
    "metrics_sandbox": 9476,
    "metrics_batch": 9477,
}
"""The ports of the public contract, the sandbox's, and those of ``/metrics``."""

LOOPBACK = "127.0.0.1"
_NEIGHBOURS = 200
_QUIET = range(20_000, 30_000)
_DRAW = SystemRandom().choice


@dataclass(frozen=True, slots=True)
class Port:
    """The port that a part gets; ``wanted`` is what it asked for."""

    name: str
    number: int
    wanted: int

    @property
    def replaced(self) -> bool:
        """True when the wanted port was taken: a person must be told."""
        return self.number != self.wanted


def choose(wanted: Mapping[str, int], memory: Path) -> dict[str, Port]:
    """A free port for every name, remembered in the file ``memory``.

    A port that this home used before for the same wish comes first, so that addresses people wrote down stay right;
    then the wanted one, then the next free one above it.
    """
    before = _read(memory)
    taken: set[int] = set()
    chosen = {}
    for name, wish in wanted.items():
        last_wish, last = before.get(name, (0, 0))
        number = _first_free(([last] if last_wish == wish else []) + [wish], taken)
        taken.add(number)
        chosen[name] = Port(name, number, wish)
    # A part that is not started this time keeps what it had.
    remembered = before | {name: (port.wanted, port.number) for name, port in chosen.items()}
    memory.write_text(json.dumps(remembered))
    return chosen


def is_free(number: int) -> bool:
    """Whether a server could listen on this port of the loopback interface now."""
    with socket.socket() as probe:
        # As servers do: a connection that is still fading away (TIME_WAIT) does not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, number))
        except OSError:
            return False
        return True


def any_free(draw: Callable[[Sequence[int]], int] = _DRAW) -> int:
    """A free port that nobody needs to know by heart, drawn from those which no system gives out by itself.

    Who starts a server needs seconds until it listens: a port that the system gave might be given again meanwhile.
    """
    for _ in range(100):
        if is_free(number := draw(_QUIET)):
            return number
    raise Unavailable("no port is free", hint="end what listens on thousands of them")


def _first_free(preferred: list[int], taken: set[int]) -> int:
    neighbours = range(preferred[-1] + 1, min(preferred[-1] + _NEIGHBOURS, 65535))
    number: int
    for number in (*preferred, *neighbours):
        if number not in taken and is_free(number):
            return number
    raise Unavailable(f"no port from {preferred[-1]} on is free", hint="name another one, or stop what listens there")


def _read(memory: Path) -> dict[str, tuple[int, int]]:
    try:
        return {name: (int(wish), int(last)) for name, (wish, last) in json.loads(memory.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # a convenience only: without it the wanted ports are tried again
