"""What the commands of the daily run share: the day that is meant, its jobs, and how they end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import click

from sparktrends import telemetry
from sparktrends.batch.fetch_run import Job
from sparktrends.batch.plan import day_of
from sparktrends.net import Redactor, Secret
from sparktrends.ops import daily as composing
from sparktrends.ops import feeding
from sparktrends.ops.commands.context import Context, print_json
from sparktrends.ops.commands.symbols import to_ask
from sparktrends.ops.endpoints import endpoints
from sparktrends.ops.jobs import Done, Jobs
from sparktrends.ops.settings import Settings
from sparktrends.telemetry import system_clock


class Day(click.DateTime):
    """A UTC day, from 1970 on: before it there is no time here (law 2)."""

    def __init__(self) -> None:
        super().__init__(["%Y-%m-%d"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A day of the right form; a usage error else."""
        found = super().convert(value, param, ctx)
        if found.year < 1970:
            self.fail(f"{value} is before 1970", param, ctx)
        return found


def date_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--date``: a UTC day, yesterday by default."""
    return click.option("--date", "day", type=Day(), help="The day, UTC; yesterday by default.")(command)


def again_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--again``: also what a provider refused before, for whoever has extended a plan."""
    words = "Make calls again that were refused (not in the plan, not found)."
    return click.option("--again", is_flag=True, help=words)(command)


def as_day(given: datetime | None) -> date:
    """The day of the option: yesterday when it is not given."""
    return given.date() if given else date.fromordinal(day_of(system_clock()).toordinal() - 1)


def finish(done: Done, *, as_json: bool) -> None:
    """End a command: its document or its sentences, and exit code 1 when something is missing."""
    if as_json:
        print_json({**done.fields, "missing": done.missing})
    else:
        click.echo(done.words)
        for item in done.missing:
            click.echo(f"missing: {item}")
    if done.missing:
        click.get_current_context().exit(1)


def jobs_of(settings: Settings, *, as_json: bool) -> Jobs:
    """The jobs of the running stack; people hear of progress on standard error."""
    say = (lambda _: None) if as_json else (lambda words: click.echo(f"  {words}", err=True))
    return Jobs(settings, endpoints(settings), system_clock, say)


def job_of(
    settings: Settings, day: datetime | None, symbols: str, sources: Sequence[str], *, sandbox: bool
) -> tuple[Job, int]:
    """What to ask for a day, and the port of the twin when that is asked."""
    port = feeding.sandbox_port(settings) if sandbox else 0
    return composing.job(settings, system_clock, as_day(day), sources, to_ask(symbols), port), port


def ready(context: Context) -> Settings:
    """The settings, with logs that show no secret."""
    settings = context.settings
    telemetry.configure_logging(Redactor(map(Secret, settings.secrets())), "WARNING")
    return settings
