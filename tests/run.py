"""What `make test` and `make test-all` run; stops at the first failure and says how long each step took.

What Numba compiles is made beside the linters: a new clone has none of it, and each worker of the unit tests would make
it again at the same time as the others.

`make test` then goes along two lanes at once. In one are the end-to-end tests, which start the whole platform, a
browser, or processes that are killed: one after the other, and waiting for half of their time. In the other are the
unit tests, then those that need no more of the real stack than its broker and database. Four processes of tests on two
cores took as long as these two, and a browser waited 30 s for a page.

`make test-all` measures and kills more, so its end-to-end tests have the machine to themselves.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

Steps = Mapping[str, Sequence[object]]

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = [sys.executable, "-m", "pytest", "-q"]
LINT = {
    "ruff": [BIN / "ruff", "check", "--no-cache", "."],
    "format": [BIN / "ruff", "format", "--no-cache", "--check", "--quiet", "."],
    "mypy": [BIN / "mypy"],
    "imports": [BIN / "lint-imports", "--no-cache"],
}
WHOLE = [f"tests/{room}" for room in ("e2e", "faults", "ingest", "ops", "serve/dashboard", "streaming")]
"""Rooms whose end-to-end tests start Spark or processes of ours."""
BESIDE = [f"--ignore={room}" for room in WHOLE]
TWO = ["-n", "2", "--dist", "loadfile"]
COMPILING = [[BIN / "sparktrends", "prepare", *parts] for parts in (["kernel"], ["detectors", "scanner"])]
QUICK = (
    {
        "unit": [*PYTEST, "-m", "not e2e and not slow", "--durations=5"],
        "on the stack": [*PYTEST, *BESIDE, "-m", "e2e and not slow", "--durations=10"],
    },
    {"end to end": [*PYTEST, *WHOLE, "-m", "e2e and not slow", "--durations=20"]},
)
ALL = (
    {
        "unit": [*PYTEST, *TWO, "-m", "not e2e"],
        "on the stack": [*PYTEST, *TWO, *BESIDE, "-m", "e2e", "--durations=10"],
        "end to end": [*PYTEST, *WHOLE, "-m", "e2e", "--durations=20"],
    },
)
LANES: Mapping[str, Sequence[Steps]] = {"lint": (), "quick": QUICK, "all": ALL}


def main(which: str) -> int:
    """Run the linters, then the lanes of ``which`` (lint, quick, all) at once; the exit code of the first failure."""
    compiling = [subprocess.Popen([str(word) for word in line]) for line in COMPILING if LANES[which]]
    try:
        code = lane(LINT, "quick")
        for process in compiling:
            process.wait()  # what fails here fails the tests, which say why
        if code or not LANES[which]:
            return code
        with ThreadPoolExecutor() as pool:
            codes = list(pool.map(lambda steps: lane(steps, "all" if which == "all" else "quick"), LANES[which]))
        return next((code for code in codes if code), 0)
    finally:
        for process in compiling:
            process.kill()


def lane(steps: Steps, profile: str) -> int:
    """Run steps one after the other; the exit code of the first that fails."""
    return next((code for name, command in steps.items() if (code := step(name, command, profile))), 0)


def step(name: str, command: Sequence[object], profile: str) -> int:
    """Run one step, then show what it said and how long it took; its exit code."""
    began = time.monotonic()
    if name not in LINT:
        print(f"-- {name}: begun, shown when it ends", flush=True)
    env = {**os.environ, "LC_ALL": "C.UTF-8", "SPARKTRENDS_TESTS": profile}
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    ended = "ok" if done.returncode == 0 else f"failed ({done.returncode})"
    # In one piece: lanes speak at the same time.
    sys.stdout.buffer.write(done.stdout + f"-- {name}: {ended} in {time.monotonic() - began:.0f} s\n".encode())
    sys.stdout.flush()
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
