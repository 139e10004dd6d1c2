"""Ctrl-C is heard by whoever looks at the event, whatever the main thread is doing."""

from __future__ import annotations

import subprocess
import sys

import pytest

ABOUT_TO_WAIT = """
import os, signal, sys, threading
from sparktrends.ops.commands.context import stop_event

stopping = stop_event()
threading.Thread(target=lambda: (stopping.wait(20), os._exit(0 if stopping.is_set() else 1))).start()
waiting = threading.Event()
threading.Thread(target=lambda: (waiting.wait(), os.kill(os.getpid(), getattr(signal, sys.argv[1])))).start()
# As a signal that comes just before the wait: it interrupts nothing.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
waiting.set()
threading.Event().wait()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_that_comes_just_before_an_endless_wait_is_heard(name: str) -> None:
    assert subprocess.run([sys.executable, "-c", ABOUT_TO_WAIT, name], timeout=60).returncode == 0
