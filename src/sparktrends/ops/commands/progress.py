"""How long work shows where it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import click

_WIDTH = 24


def progress_line() -> Callable[[str, int, int], None]:
    """Progress on standard error: one line that renews itself on a terminal, now and then a line elsewhere."""
    terminal, told = sys.stderr.isatty(), [0.0]
    begin = "\r" if terminal else ""

    def tell(what: str, done: int, total: int) -> None:
        if time.monotonic() - told[0] < (0.2 if terminal else 5.0):
            return
        told[0] = time.monotonic()
        click.echo(f"{begin}{what}: {done:,} of {total:,}", err=True, nl=not terminal)

    return tell


def progress_bar() -> Callable[[str, int, int], None]:
    """A bar on standard error that fills; where that is no terminal, a line for each thing that is done."""
    terminal = sys.stderr.isatty()

    def tell(what: str, done: int, total: int) -> None:
        if not terminal:
            click.echo(f"  {done:,}/{total:,} {what}", err=True)
            return
        click.echo(f"\r\033[K{bar(done, total)} {done:,}/{total:,} {what}", err=True, nl=done == total)

    return tell


def bar(done: int, total: int) -> str:
    """A bar as full as the work is done.

    >>> bar(3, 12)
    '[######..................]'
    """
    full = _WIDTH * done // max(total, 1)
    return f"[{'#' * full}{'.' * (_WIDTH - full)}]"
