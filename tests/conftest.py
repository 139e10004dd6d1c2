"""What every test may ask for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from sparktrends.ops.settings import ALIASES, NAMES

ROOT = Path(__file__).resolve().parent.parent

# Fixtures of the real embedded stack (`stack`, `home`, `resolver`) and of databases on it (`database`).
sys.path.insert(0, str(ROOT / "tests"))
pytest_plugins = ["embedded", "databases"]

# What the shell says of servers is for other programs: a proxy stays for what is downloaded, not for this machine.
for name in list(os.environ):
    if (
        name in {*NAMES, *ALIASES, "SPARK_HOME", "PYSPARK_PYTHON"}
        or name.startswith("PG")
        or name.lower() == "all_proxy"
    ):
        del os.environ[name]
for name in ("NO_PROXY", "no_proxy"):
    os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost")))

# A busy machine is no fault of the code. `make test` tries the same examples everywhere, `make test-all` new ones.
settings.register_profile("quick", deadline=None, derandomize=True)
settings.register_profile("all", deadline=None)
settings.load_profile(os.environ.get("SPARKTRENDS_TESTS", "quick"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data and reference values; tests that need it say that they skip when it is not there."""
    folder = Path(os.environ.get("SPARKTRENDS_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}: set SPARKTRENDS_TEST_DATA")
    return folder
