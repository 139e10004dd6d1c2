"""Calls for which nobody waits."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sparktrends.ingest.unawaited import Unawaited

_HANGS = """
import threading
from sparktrends.ingest.unawaited import Unawaited
begun = threading.Event()
def hang():
    begun.set()
    threading.Event().wait()
Unawaited().submit(hang)
begun.wait()
"""


def test_what_a_call_returns_or_raises_is_told() -> None:
    executor = Unawaited()
    assert executor.submit(divmod, 7, 2).result(10) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 7, 0).result(10)


def test_a_process_ends_though_a_call_hangs() -> None:
    assert subprocess.run([sys.executable, "-c", _HANGS], timeout=60).returncode == 0
