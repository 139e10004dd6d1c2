"""`make faults`: do each harm of rows.toml to the real parts, and write what held to artefacts/faults.md and .json.

``python tests/faults/run.py [ROW…] [--seed N]``; the seed reaches the tests as SPARKTRENDS_FAULT_SEED.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("rows.toml")
SEED = 20261121


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row: ``held``, ``failed`` or ``not tried``."""

    row: str
    fault: str
    holds: str
    result: str
    seconds: float
    missing: str = ""


def rows() -> Mapping[str, dict[str, Any]]:
    """Name (a number, or L and a number) → row of the table."""
    return tomllib.loads(TABLE.read_text())


def try_row(name: str, row: Mapping[str, Any], seed: int) -> Outcome:
    """Run the tests of one row; a skipped test counts as not tried."""
    began = time.monotonic()
    result = "not tried"
    if row.get("tests"):
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", *(f"tests/{test}" for test in row["tests"])]
        env = {**os.environ, "SPARKTRENDS_FAULT_SEED": str(seed)}
        done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True)
        sys.stdout.write(done.stdout if done.returncode else "")
        passed = done.returncode == 0 and " passed" in done.stdout
        result = "held" if passed else "failed" if done.returncode else "not tried"
    return Outcome(name, row["fault"], row["holds"], result, round(time.monotonic() - began, 1), row.get("missing", ""))


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
