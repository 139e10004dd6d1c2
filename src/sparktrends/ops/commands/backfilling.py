"""``sparktrends batch backfill``: past days again, from providers, from the archive, or from the log."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import click

from sparktrends.batch.plan import day_start
from sparktrends.batch.retention import Part
from sparktrends.errors import BadSetting
from sparktrends.model import INTERVALS
from sparktrends.ops.commands.context import Context, json_option, pass_context
from sparktrends.ops.commands.daywork import Day, again_option, as_day, finish, job_of, jobs_of, ready
from sparktrends.ops.commands.progress import progress_bar
from sparktrends.ops.commands.symbols import as_written
from sparktrends.ops.jobs import Backfill, Done, Jobs, Progress
from sparktrends.sources import PROVIDERS

_DAY = Day()


@click.command()
@click.option("--symbols", default="", metavar="A,B", help="Only these; all that are known by default.")
@click.option("--from", "first", type=_DAY, required=True, help="The first day, UTC.")
@click.option("--to", "last", type=_DAY, help="The last day, UTC; yesterday by default.")
@click.option(
    "--via",
    type=click.Choice(["provider", "archive", "log"]),
    default="provider",
    show_default=True,
    help="Ask providers, read archived months, or fold the log again with Spark.",
)
@click.option("--interval", type=click.Choice(list(INTERVALS)), help="1d by default; of the archive all.")
@click.option("--source", "sources", multiple=True, type=click.Choice(sorted(PROVIDERS)), help="Ask only these.")
@again_option
@click.option("--sandbox", is_flag=True, help="Ask the offline twin of the running stack.")
@json_option
@pass_context
def backfill(
    context: Context,
    symbols: str,
    first: datetime,
    last: datetime | None,
    via: str,
    interval: str | None,
    sources: tuple[str, ...],
    again: bool,
    sandbox: bool,
    as_json: bool,
) -> None:
    """Bars of past days, with all that follows from them; started again it goes on where it was stopped."""
    settings, until = ready(context), as_day(last)
    if first.date() > until:
        raise BadSetting("--from is after --to")
    if via != "provider" and (sources or sandbox or again):
        raise BadSetting(f"--via {via} asks nobody", hint="leave out --source, --sandbox and --again")
    if via == "log" and interval not in (None, "1m"):
        raise BadSetting(
            "the log holds trades: minutes are made of them, longer bars follow", hint="leave out --interval"
        )
    with jobs_of(settings, as_json=as_json) as jobs:
        match via:
            case "archive":
                part = Part(first.date(), until, as_written(symbols), interval or "")
                done = _from_archive(jobs, part, quiet=as_json)
            case "log":
                done = _from_log(jobs, as_written(symbols), first.date(), until, quiet=as_json)
            case _:
                job, port = job_of(settings, last, symbols, sources, sandbox=sandbox)
                days = (first.date(), job.day, job.today)
                wanted = Backfill(job.providers, interval or "1d", *days, job.symbols, again)
                done = jobs.backfill(wanted, port, _bar(quiet=as_json))
    finish(done, as_json=as_json)


def _from_archive(jobs: Jobs, part: Part, *, quiet: bool) -> Done:
    from sparktrends.ops import refilling

    return refilling.from_archive(jobs, part, _bar(quiet=quiet))


def _from_log(jobs: Jobs, symbols: list[str], first: date, last: date, *, quiet: bool) -> Done:
    # The analysis is compiled code: whoever asks a provider need not wait for it.
    from sparktrends.batch.repair import Wanted
    from sparktrends.ops import refilling

    until = day_start(last + timedelta(days=1))
    return refilling.from_log(jobs, Wanted(symbols, day_start(first), until), _bar(quiet=quiet))


def _bar(*, quiet: bool) -> Progress:
    return (lambda *_: None) if quiet else progress_bar()
