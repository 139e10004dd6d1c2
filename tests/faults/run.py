"""`make faults`: do each harm of rows.toml to the real parts, and write what held to artefacts/faults.md and .json.

``python tests/faults/run.py [ROW…] [--seed N]``; the seed reaches the tests as SPARKTRENDS_FAULT_SEED.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("rows.toml")
SEED = 20261121
_SKIPPED = re.compile(r"^SKIPPED \[\d+\] \S+ (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row: ``held``, ``in part`` (tests were skipped, which ``missing`` tells), ``failed`` or
    ``not tried``."""

    row: str
    fault: str
    holds: str
    result: str
    seconds: float
    missing: str = ""


def rows() -> Mapping[str, dict[str, Any]]:
    """Name (a number, or L and a number) → row of the table."""
    return tomllib.loads(TABLE.read_text())


def apart(folder: Path, user: int, group: int) -> list[str]:
    """What a command is begun with so that ``folder`` is a small disk of its own, for somebody who is not root."""
    # Root of a name space may mount there; the product must not take itself for root, so it is given its user back.
    script = 'mount -t tmpfs -o size=2200m,mode=711 none "$1"; shift; exec unshare --user "$@"'
    mapped = [f"--map-user={user}", f"--map-group={group}", "--"]
    return ["unshare", "--map-root-user", "--mount", "sh", "-euc", script, "sh", str(folder), *mapped]


@contextmanager
def small_disk() -> Iterator[tuple[list[str], dict[str, str]]]:
    """How a command is begun, and what it is told, so that `e2e/test_full_disk.py` has a disk to fill."""
    if os.geteuid() == 0:  # whose tests mount one themselves
        yield [], {}
        return
    # Not below pytest's own folders: the database's user must reach it too.
    with tempfile.TemporaryDirectory(prefix="sparktrends-disk-", dir="/var/tmp") as folder:
        begin = apart(Path(folder), os.geteuid(), os.getegid())
        works = shutil.which("unshare") and not subprocess.run([*begin, "true"], capture_output=True).returncode
        yield (begin, {"SPARKTRENDS_SMALL_DISK": folder}) if works else ([], {})


def try_row(name: str, row: Mapping[str, Any], seed: int) -> Outcome:
    """Run the tests of one row; a skipped test counts as not tried."""
    began = time.monotonic()
    result, missing = "not tried", [row["missing"]] if "missing" in row else []
    if row.get("tests"):
        pytest = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:xdist", "--color=no"]
        argv = [*pytest, *(f"tests/{t}" for t in row["tests"])]
        with small_disk() as (begin, told):
            # What it prints is read below, so nobody else has a say in it.
            env = {**os.environ, **told, "SPARKTRENDS_FAULT_SEED": str(seed), "PYTEST_ADDOPTS": ""}
            done = subprocess.run([*begin, *argv], cwd=ROOT, env=env, capture_output=True, text=True)
        sys.stdout.write(done.stdout if done.returncode else "")
        skipped = _SKIPPED.findall(done.stdout)
        missing += skipped
        result = verdict(done.returncode, " passed" in done.stdout, bool(skipped))
    return Outcome(name, row["fault"], row["holds"], result, round(time.monotonic() - began, 1), "; ".join(missing))


def verdict(code: int, passed: bool, skipped: bool) -> str:
    """What pytest's exit code and words say of a row."""
    if code:
        return "failed"
    if not passed:
        return "not tried"
    return "in part" if skipped else "held"


def report(outcomes: Sequence[Outcome], seed: int) -> Iterator[str]:
    """The lines of the Markdown report."""
    yield f"# Faults, seed {seed}\n"
    yield "| # | fault | must hold | result | s |"
    yield "|---|---|---|---|---|"
    for found in outcomes:
        missing = f" ({found.missing})" if found.missing else ""
        yield f"| {found.row} | {found.fault} | {found.holds} | {found.result}{missing} | {found.seconds} |"


def main(argv: Sequence[str]) -> int:
    """The exit code: 1 when a row failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--to", type=Path, default=ROOT / "artefacts")
    asked = parser.parse_args(argv)
    table, outcomes = rows(), []
    for name in asked.rows or table:
        outcomes.append(try_row(name, table[name], asked.seed))
        print(f"{name:>2} {outcomes[-1].result:<9} {outcomes[-1].seconds:>6} s  {outcomes[-1].fault}", flush=True)
    asked.to.mkdir(exist_ok=True)
    (asked.to / "faults.md").write_text("\n".join(report(outcomes, asked.seed)) + "\n")
    (asked.to / "faults.json").write_text(
        json.dumps({"seed": asked.seed, "rows": [asdict(o) for o in outcomes]}, indent=1)
    )
    return int(any(found.result == "failed" for found in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
