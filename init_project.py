"""`python init_project.py`: the same as `sparktrends init`, for a fresh checkout."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_INSTALLED = Path(__file__).resolve().parent / ".venv" / "bin" / "sparktrends"

if __name__ == "__main__":
    if not _INSTALLED.exists():
        sys.exit("SparkTrends is not installed yet: run `make setup` first")
    os.execv(_INSTALLED, [str(_INSTALLED), "init", *sys.argv[1:]])
