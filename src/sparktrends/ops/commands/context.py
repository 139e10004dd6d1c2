"""What every command is handed: the settings, and how it speaks."""

from __future__ import annotations

import json
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
    event = event or threading.Event()

    def ask(_signum: int, _frame: FrameType | None) -> None:
        event.set()

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
    return event
