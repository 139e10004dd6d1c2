"""What every command is handed: the settings, and how it speaks."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

import click

from sparktrends.ops import exchanges
from sparktrends.ops.settings import Settings, load
from sparktrends.sessions import keep_in
from sparktrends.telemetry import system_clock


class Context:
    """The settings, read when a command first asks for them."""

    def __init__(self, home: Path | None) -> None:
        self._home = home

    @cached_property
    def settings(self) -> Settings:
        """The settings of the folder in which the command was typed."""
        found = load(home=self._home)
        keep_in(found.cache / "calendars", system_clock)
        exchanges.apply(found)
        return found


pass_context = click.make_pass_decorator(Context)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--json``: one JSON document and nothing else on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")(command)


def print_json(document: object) -> None:
    """Print the document of ``--json``."""
    click.echo(json.dumps(document, default=str))


def stop_event(event: threading.Event | None = None) -> threading.Event:
    """An event that Ctrl-C and SIGTERM set: the command then ends in order, with exit code 0.

    Give the event again after something (Spark does) has taken Ctrl-C for itself.
    """
    if event is None:
        event = threading.Event()
        threading.Thread(target=_hear, args=(event, _signal_numbers()), name="signals", daemon=True).start()

    def ask(_signum: int, _frame: FrameType | None) -> None:
        event.set()

    for number in _ENDING:
        signal.signal(number, ask)
    return event


_ENDING = (signal.SIGINT, signal.SIGTERM)


def _signal_numbers() -> int:
    """A pipe's end that tells the numbers of signals, a byte each, whatever the main thread does.

    Python calls a handler in the main thread only, between two of its instructions: a signal that comes while that
    thread is about to wait without an end is heard when the wait is over.
    """
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    return told


def _hear(event: threading.Event, told: int) -> None:
    while not event.is_set():
        if any(number in _ENDING for number in os.read(told, 64)):
            event.set()
