"""Our own processes, as the supervisor runs them: one `sparktrends COMMAND` each."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sparktrends.ops.home import Home, default_cache
from sparktrends.ops.supervise import Spec


@dataclass(frozen=True, slots=True)
class Worker:
    """``sparktrends --home HOME COMMAND…`` as a child. It counts as ready as soon as it runs.

    The grace lets the stream end its batch, which may be a big one.
    """

    name: str
    command: Sequence[str]
    home: Home
    env: Mapping[str, str] = field(repr=False)
    folder: Path
    grace: float = 30.0

    def prepare(self) -> None:
        """Nothing has to be there before."""

    def spec(self) -> Spec:
        """What to run."""
        return Spec(
            name=self.name,
            argv=[sys.executable, "-m", "sparktrends.ops.cli", "--home", str(self.home.path), *self.command],
            output=self.home.logs / f"{self.name}.log",
            # Unbuffered: what a process said before it died is in its log.
            env={**keeping_bytecode(self.env), "PYTHONUNBUFFERED": "1"},
            # Where `up` was called: `.env` and `sparktrends.toml` lie there, and paths are meant from there.
            cwd=self.folder,
            grace=self.grace,
        )

    def ready(self) -> bool:
        """It is started by name; whether it does its work is what `check` and `status` say."""
        return True


def keeping_bytecode(env: Mapping[str, str]) -> dict[str, str]:
    """``env``, in which Python keeps its bytecode, in our cache where it must not lie beside the sources.

    Compiling pandas, Numba and pyspark anew at each start, and again in each of Spark's workers, takes seconds.
    """
    kept = dict(env)
    if kept.pop("PYTHONDONTWRITEBYTECODE", ""):
        kept.setdefault("PYTHONPYCACHEPREFIX", str(default_cache(env) / "bytecode"))
    return kept
