"""Starting and stopping everything on this machine."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import click

from sparktrends.errors import NotFound, Unavailable
from sparktrends.ops import endpoints
from sparktrends.ops.channels import LIVE
from sparktrends.ops.checking import require_good_settings
from sparktrends.ops.commands.context import Context, json_option, pass_context, print_json, stop_event
from sparktrends.ops.commands.sources import Choice, daily_arguments, ending, require_usable, source_options
from sparktrends.ops.home import Home
from sparktrends.ops.settings import Settings
from sparktrends.ops.status import Status
from sparktrends.ops.up import PAGES, PARTS, RESTARTS, Plan, Up
from sparktrends.ops.view import View
from sparktrends.telemetry import system_clock

_PATIENCE_S = 60.0


@click.command()
@source_options
@click.option("--exit-when-done", is_flag=True, help="End when every recorded trade is stored, with a summary.")
@click.option("--for", "for_s", default=0.0, metavar="SECONDS", help="End after so many seconds.")
@click.option("--accept-gap", is_flag=True, help="Record a gap in the log as lost, and go on behind it.")
@click.option("--no-pages", is_flag=True, help="Without the API and the dashboard.")
@json_option
@pass_context
def up(
    context: Context,
    choice: Choice,
    exit_when_done: bool,
    for_s: float,
    accept_gap: bool,
    no_pages: bool,
    as_json: bool,
) -> None:
    """Start broker, database, Spark and a source, and watch bars appear; Ctrl-C ends all of it in order."""
    stopping = stop_event()
    require_good_settings(context.settings, system_clock)
    if exit_when_done and not for_s:
        choice = ending(choice)
    remarks = require_usable(context.settings, system_clock, choice)
    # Nobody looks at pages of something that ends by itself, nor waits for its daily work.
    left_out = (*PAGES, "batch") if exit_when_done else PAGES if no_pages else ()
    parts = ("sandbox",) * choice.sandbox + tuple(part for part in PARTS if part not in left_out)
    daily = daily_arguments(choice) if choice.live else None
    live = "1" if choice.live and not choice.sandbox else "0"
    settings = replace(context.settings, env={**context.settings.env, LIVE: live})
    plan = Plan(choice.arguments(), exit_when_done, for_s, parts, accept_gap, choice.seed, daily)
    began = time.monotonic()
    with View(settings, live=sys.stdout.isatty() and not as_json) as view:
        for words in remarks:
            view.say(words)
        run = Up(settings, plan, view.say, view.show, view.progress, stopping.is_set)
        last = run.run()
    seconds = round(time.monotonic() - began, 1)
    if last is None:
        words = "stopped before everything was started; nothing is left running, and the next `up` goes on from there"
        _tell({"seconds": seconds, "started": False}, words, as_json)
        return
    if as_json:
        print_json({"seconds": seconds, **run.rates, **last.to_json()})
        return
    click.echo(f"{last.trades:,} trades in {last.bars:,} bars are stored; everything is stopped ({seconds} s).")
    click.echo(f"This run stored {run.rates['new_trades']:,} of them, {run.rates['trades_per_s']:,.0f} a second.")
    if words := _aside(last):
        click.echo(words)


def _aside(status: Status) -> str:
    """What came and is in no bar; empty when there is nothing."""
    late = f"{status.late:,} trades came too late for their bars (market.late_trades)"
    refused = f"{status.quarantined:,} records could not be used (market.quarantine)"
    parts = [late] * bool(status.late) + [refused] * bool(status.quarantined)
    return f"{', '.join(parts)}." if parts else ""


@click.command()
@json_option
@pass_context
def down(context: Context, as_json: bool) -> None:
    """Stop what runs in this home, and wait until it has."""
    home = Home.found(context.settings.home)
    pid = home.owner() if home else None
    if home is None or pid is None:
        _tell({"stopped": False}, f"nothing runs in {context.settings.home}", as_json)
        return
    # It may have ended since.
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    _wait(lambda: home.owner() != pid, f"process {pid} does not end")
    _tell({"stopped": True, "pid": pid}, "stopped", as_json)


@click.command()
@click.argument("name")
@json_option
@pass_context
def restart(context: Context, name: str, as_json: bool) -> None:
    """Stop and start one part: kafka, postgres, stream, ingest …"""
    home, own = Home.running(context.settings.home), endpoints.record(context.settings.home)
    if home is None:
        raise Unavailable(f"nothing runs in {context.settings.home}", hint=_who_restarts(context.settings, name))
    if name not in own.get("processes", {}):
        raise NotFound(f"no part is called {name}", hint=f"there are {', '.join(own.get('processes', {}))}")
    request = home.run / f"{RESTARTS}{name}"
    request.touch()
    try:
        _wait(lambda: not request.exists(), f"{name} was not restarted")
    finally:
        # Nobody waits any more: it must not be done an hour later.
        request.unlink(missing_ok=True)
    _tell({"restarted": name}, f"{name} was restarted", as_json)


def _who_restarts(settings: Settings, name: str) -> str:
    """What to do about a part that `up` does not run here."""
    if settings.contained:
        from sparktrends.ops.compose import service_of  # here: few ask, and it loads all of the container files

        return f"where Compose runs: `docker compose restart {service_of(name)}`"
    there = settings.external()
    return "start it again by what started it" if there.kafka and there.database else "start it with `sparktrends up`"


def _tell(document: dict[str, Any], sentence: str, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo(sentence)


def _wait(done: Any, otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise Unavailable(f"{otherwise} within {_PATIENCE_S:.0f} s", hint="see the logs in the home")
        time.sleep(0.1)
