"""What `make test` and `make test-all` run, in order; stops at the first failure and says how long each took.

What Numba compiles is made beside the linters, and the jars are fetched: a new clone has none of them, each worker
would make them again at the same time as the others, and a slow line would take all of a test's time limit.

The unit tests run side by side, and so do those that need no more of the real stack than its broker and database:
each of the two has its own. Those that start the whole platform, a browser, or measure time, run one after the other.
More than two at once gains nothing on two cores: three and four took as long, and a browser waited 30 s for a page.
Nor do unit tests beside the end-to-end ones: tried, they took 18 minutes instead of 20, and a kill's test 122 s.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = [sys.executable, "-m", "pytest", "-q"]
LINT = {
    "ruff": [BIN / "ruff", "check", "--no-cache", "."],
    "format": [BIN / "ruff", "format", "--no-cache", "--check", "--quiet", "."],
    "mypy": [BIN / "mypy"],
    "imports": [BIN / "lint-imports", "--no-cache"],
}
IN_A_BROWSER = [f"serve/dashboard/test_{name}.py" for name in ("browser", "hands", "missing")]
WHOLE = ("e2e", "faults", "ingest", "ops/test_bench.py", *IN_A_BROWSER)
"""What starts the whole platform or a browser, or measures how soon something is noticed."""
SIDE_BY_SIDE = ["-n", "2", "--dist", "loadfile", *(f"--ignore=tests/{room}" for room in WHOLE)]
ONE_BY_ONE = [f"tests/{room}" for room in WHOLE]
FETCHING = """
import os
from sparktrends.ops import jars, java
from sparktrends.ops.home import default_cache
cache = default_cache(os.environ)
jars.Resolver(java.find(os.environ, cache), cache, os.environ).ensure()
"""
PREPARING = [
    *([BIN / "sparktrends", "prepare", *parts] for parts in (["kernel"], ["detectors", "scanner"])),
    [sys.executable, "-c", FETCHING],
]
"""What tests need and would make or download within their own time limit."""
QUICK = {
    **LINT,
    "unit": [*PYTEST, "-n", "2", "-m", "not e2e and not slow", "--durations=5"],
    "on the stack": [*PYTEST, *SIDE_BY_SIDE, "-m", "e2e and not slow", "--durations=10"],
    "end to end": [*PYTEST, *ONE_BY_ONE, "-m", "e2e and not slow", "--durations=20"],
}
ALL = {
    **LINT,
    "unit": [*PYTEST, "-n", "2", "-m", "not e2e"],
    "on the stack": [*PYTEST, *SIDE_BY_SIDE, "-m", "e2e", "--durations=10"],
    "end to end": [*PYTEST, *ONE_BY_ONE, "-m", "e2e", "--durations=20"],
}


def main(which: str) -> int:
    """Run the steps of ``which`` (lint, quick, all); the exit code of the first that fails."""
    preparing = [] if which == "lint" else [subprocess.Popen([str(word) for word in line]) for line in PREPARING]
    try:
        for name, command in {"lint": LINT, "quick": QUICK, "all": ALL}[which].items():
            if name not in LINT:
                for process in preparing:
                    process.wait()  # what fails here fails the tests, which say why
            if code := step(name, [str(word) for word in command], "all" if which == "all" else "quick"):
                return code
    finally:
        for process in preparing:
            process.kill()
    return 0


def step(name: str, command: list[str], profile: str) -> int:
    """Run one step and say how long it took; its exit code."""
    began, spent = time.monotonic(), _cpu_seconds()
    env = {**os.environ, "LC_ALL": "C.UTF-8", "SPARKTRENDS_TESTS": profile}
    code = subprocess.run(command, cwd=ROOT, env=env).returncode
    took = f"{time.monotonic() - began:.0f} s ({_cpu_seconds() - spent:.0f} s of CPU)"
    print(f"-- {name}: {'ok' if code == 0 else f'failed ({code})'} in {took}", flush=True)
    return code


def _cpu_seconds() -> float:
    """What processes that have ended used; a lower bound, since some end after their parents."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
