"""What Numba compiles takes most of a minute, once per version of the code: done while jars are fetched, and kept."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import sparktrends
from sparktrends.ops.home import Home
from sparktrends.ops.settings import Settings
from sparktrends.ops.supervise import Process
from sparktrends.ops.workers import Worker

_POLL_S = 0.1
_CODE = ("indicators", "detectors", "rules", "streaming")


def _kernel(settings: Settings) -> None:
    from sparktrends.ops.analysing import chain_of

    chain_of(settings).kernel.prepare()


def _detectors(settings: Settings) -> None:
    from sparktrends.ops.analysing import chains_of

    chains = chains_of(settings)
    chains[0].detectors.prepare()  # all of them share the detectors, and some look at candlesticks
    for chain in chains:
        if chain.candlesticks is not None:
            chain.candlesticks.prepare()


def _scanner(_: Settings) -> None:
    from sparktrends.streaming.scan import warm_scanner

    warm_scanner()


PARTS: Mapping[str, Callable[[Settings], None]] = {"kernel": _kernel, "detectors": _detectors, "scanner": _scanner}
_SIDE_BY_SIDE: Sequence[Sequence[str]] = (("kernel",), ("detectors", "scanner"))
"""Two processes that take about as long: Numba compiles on one thread of a process at a time."""


@dataclass(slots=True)
class Compiling:
    """The compiling that this version of code and settings still needs: enter early, `wait` before the stream.

    It is a matter of time only: what fails here the stream does again, and says why.
    """

    settings: Settings
    home: Home
    say: Callable[[str], None]
    processes: list[Process] = field(default_factory=list)

    @property
    def _done(self) -> Path:
        """A file that is there when it was done before, named by all that what is kept depends on."""
        here = Path(sparktrends.__file__).parent  # much of it is kept beside the sources
        made_for = (platform.machine(), platform.python_version(), version("numba"), str(here))
        found = hashlib.sha256(repr(made_for).encode())
        for name in ("indicators", "detectors"):
            found.update(repr(sorted(self.settings.table(name).items())).encode())
        for room in _CODE:
            for path in sorted((here / room).rglob("*.py")):
                found.update(path.read_bytes())
        return self.settings.cache / "compiled" / found.hexdigest()[:16]

    def __enter__(self) -> Compiling:
        """Begin in the background, unless it was done before."""
        if not self._done.exists():
            self.say("compiling the analysis beside it (half a minute, once per version)")
            for parts in _SIDE_BY_SIDE:
                command = ["prepare", *parts]
                worker = Worker("-".join(("prepare", *parts)), command, self.home, self.settings.env, self.home.path)
                self.processes.append(Process(worker.spec()))
        return self

    def wait(self, stopping: Callable[[], bool]) -> None:
        """Return when it is done, or nobody wants it any more."""
        if not self.processes:
            return
        while not stopping() and any(process.exit_code is None for process in self.processes):
            time.sleep(_POLL_S)
        if all(process.exit_code == 0 for process in self.processes):
            # As in an image: then the next start looks once more whether everything is compiled.
            with suppress(OSError):
                self._done.parent.mkdir(parents=True, exist_ok=True)
                self._done.touch()

    def __exit__(self, *_: object) -> None:
        """End what still runs."""
        for process in self.processes:
            process.kill()
