"""``sparktrends batch …``: the jobs of the daily run, one by one or all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import click

from sparktrends.batch.fetch_run import Job, costs, costs_of_all
from sparktrends.batch.plan import Cost, day_of
from sparktrends.batch.quality import run as judge_day
from sparktrends.model import DAY, INTERVALS, SECOND
from sparktrends.net.quota import in_words
from sparktrends.ops import daily as composing
from sparktrends.ops.channels import all_channels
from sparktrends.ops.commands.backfilling import backfill
from sparktrends.ops.commands.context import Context, json_option, pass_context, print_json, stop_event
from sparktrends.ops.commands.daywork import again_option, as_day, date_option, finish, job_of, jobs_of, ready
from sparktrends.ops.commands.repairing import repair
from sparktrends.ops.commands.sources import Choice, daily_arguments, source_options
from sparktrends.ops.commands.symbols import stored
from sparktrends.ops.endpoints import endpoints
from sparktrends.ops.exposition import expose
from sparktrends.ops.following import Follower
from sparktrends.ops.home import Home
from sparktrends.ops.jobs import STORED_S, TAPELESS, Done
from sparktrends.ops.settings import Settings
from sparktrends.sources import PROVIDERS
from sparktrends.store.archive import TABLES
from sparktrends.store.session import Session
from sparktrends.telemetry import system_clock


@click.group()
def batch() -> None:
    """The daily run: fetch, load, flatten, sentiment, trends, report; each part can be run again."""


def asking(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of the jobs that ask providers."""
    for option in (
        again_option,
        click.option("--sandbox", is_flag=True, help="Ask the offline twin of the running stack."),
        click.option("--source", "sources", multiple=True, type=click.Choice(sorted(PROVIDERS)), help="Only these."),
        click.option("--symbols", default="", metavar="A,B", help="Only these; all that are configured by default."),
        date_option,
    ):
        command = option(command)
    return command


@batch.command()
@asking
@click.option("--plan", is_flag=True, help="Say what it would cost, and ask nobody.")
@click.option("--if-key", is_flag=True, help="A --source whose key is not set is not asked, and nothing is missing.")
@json_option
@pass_context
def fetch(
    context: Context,
    day: datetime | None,
    symbols: str,
    sources: tuple[str, ...],
    sandbox: bool,
    again: bool,
    plan: bool,
    if_key: bool,
    as_json: bool,
) -> None:
    """Ask providers for a day's news, prices and companies; what does not fit into a quota waits for the next run."""
    settings = ready(context)
    if if_key and sources:
        asked = tuple(name for name in sources if name in composing.usable(settings, sandbox=sandbox))
        if not asked:
            words = f"nobody is asked: no key is set for {', '.join(sources)}"
            finish(Done(words, {"day": as_day(day)}), as_json=as_json)
            return
        sources = asked
    job, port = job_of(settings, day, symbols, sources, sandbox=sandbox)
    job = replace(job, again=again)
    if plan:
        with closing(Session(endpoints(settings).owner_dsn, "batch plan")) as session:
            _tell_plan(settings, session, job, port, as_json=as_json)
        return
    with jobs_of(settings, as_json=as_json) as jobs:
        finish(jobs.fetch(job, port), as_json=as_json)


def _tell_plan(settings: Settings, session: Session, job: Job, port: int, *, as_json: bool) -> None:
    found = costs(job, session)
    if as_json:
        print_json({"day": job.day, "sources": [asdict(cost) for cost in found]})
        return
    for cost in found:
        if not cost.requests:
            click.echo(f"{cost.source}: nothing is left to ask for")
            continue
        needs = f"{len(cost.symbols)} symbols need {cost.requests} calls ({cost.units} units)"
        words = f"{cost.source}: {needs}, {in_words(cost.seconds)} on this plan"
        click.echo(words + _faster(settings, session, job, port, cost))


def _faster(settings: Settings, session: Session, job: Job, port: int, slow: Cost) -> str:
    """Who would tell the prices of the same symbols sooner, when one source would take more than a day."""
    if slow.seconds < DAY / SECOND:
        return ""
    others = [n for n in composing.usable(settings, sandbox=bool(port)) if not slow.source.startswith(n)]
    other = composing.job(settings, system_clock, job.day, others, slow.symbols, port)
    prices = [(asked, [ask for ask in asks if ask.what == "bars"]) for asked, asks in other.providers]
    told = costs_of_all(replace(other, providers=prices), session)
    able = [c for c in told if set(c.symbols) == set(slow.symbols) and c.seconds < slow.seconds]
    best = min(able, key=lambda cost: cost.seconds, default=None)
    return f"; for their prices {best.source} would take {in_words(best.seconds)}" if best else ""


@batch.command()
@click.option("--accept-gap", is_flag=True, help="Record a gap in the log as lost, and go on behind it.")
@json_option
@pass_context
def load(context: Context, accept_gap: bool, as_json: bool) -> None:
    """Store the answers that lie in the topic raw.payloads as JSONB, each once."""
    with jobs_of(ready(context), as_json=as_json) as jobs:
        finish(jobs.load(accept_gap=accept_gap), as_json=as_json)


@batch.command()
@click.option("--wait", default=STORED_S, show_default=True, metavar="SECONDS", help="For the stream to store bars.")
@json_option
@pass_context
def flatten(context: Context, wait: float, as_json: bool) -> None:
    """Make typed rows of stored answers with Spark: news, daily prices, companies."""
    with jobs_of(ready(context), as_json=as_json) as jobs:
        finish(jobs.flatten(wait), as_json=as_json)


@batch.command()
@json_option
@pass_context
def sentiment(context: Context, as_json: bool) -> None:
    """Score with Spark every story that the present model has not scored."""
    with jobs_of(ready(context), as_json=as_json) as jobs:
        finish(jobs.sentiment(), as_json=as_json)


@batch.command()
@date_option
@json_option
@pass_context
def trends(context: Context, day: datetime | None, as_json: bool) -> None:
    """Say what happened to each symbol on a day, against its own history."""
    with jobs_of(ready(context), as_json=as_json) as jobs:
        finish(jobs.trends(as_day(day)), as_json=as_json)


@batch.command()
@date_option
@json_option
@pass_context
def profiles(context: Context, day: datetime | None, as_json: bool) -> None:
    """Make the volume profile of every session that ended on a day."""
    with jobs_of(ready(context), as_json=as_json) as jobs:
        finish(jobs.profiles(as_day(day)), as_json=as_json)


@batch.command()
@date_option
@json_option
@pass_context
def report(context: Context, day: datetime | None, as_json: bool) -> None:
    """Write the report of a day, and send its summary once."""
    with jobs_of(ready(context), as_json=as_json) as jobs:
        finish(jobs.report(as_day(day)), as_json=as_json)


@batch.command()
@asking
@json_option
@pass_context
def daily(
    context: Context,
    day: datetime | None,
    symbols: str,
    sources: tuple[str, ...],
    sandbox: bool,
    again: bool,
    as_json: bool,
) -> None:
    """The whole run of a day; says what is missing, finishes the rest, and the next run completes it."""
    settings = ready(context)
    job, port = job_of(settings, day, symbols, sources, sandbox=sandbox)
    with jobs_of(settings, as_json=as_json) as jobs:
        finish(jobs.daily(replace(job, again=again), port), as_json=as_json)


@batch.command()
@date_option
@click.option("--symbols", default="", metavar="A,B", help="Only these; all by default.")
@json_option
@pass_context
def quality(context: Context, day: datetime | None, symbols: str, as_json: bool) -> None:
    """Judge a day of every series: scores from 0 to 100, with the reasons. Worst first."""
    where, now = endpoints(ready(context)), system_clock()
    chosen = as_day(day)
    judged = judge_day(where.owner_dsn, where.kafka, chosen, now, stored(symbols), TAPELESS)
    if as_json:
        print_json({"day": chosen, "series": [asdict(series) for series in judged]})
        return
    for series in judged:
        lost = ", ".join(f"{name.replace('_', ' ')} {points:.2f}" for name, points in series.points.items())
        click.echo(f"{series.score:6.2f}  {series.source} {series.symbol}  {lost}".rstrip())
    click.echo(f"{len(judged)} series judged for {chosen}")


@batch.command()
@date_option
@click.option("--symbols", default="", metavar="A,B", help="Only these; all by default.")
@json_option
@pass_context
def truth(context: Context, day: datetime | None, symbols: str, as_json: bool) -> None:
    """Hold a day of streamed bars against the bars of providers; exit 1 when their own provider contradicts some."""
    with jobs_of(ready(context), as_json=as_json) as jobs:
        done = jobs.truth(as_day(day), stored(symbols))
    if not as_json:
        for series in done.fields["series"]:
            click.echo(_truth_line(series))
    finish(done, as_json=as_json)
    if done.fields["wrong"]:
        click.get_current_context().exit(1)


def _truth_line(series: Mapping[str, Any]) -> str:
    found, against = series["truth"], series["against"]
    words = [f"{series['source']} {series['symbol']}: {found['compared']} of {found['minutes']} minutes compared"]
    words[0] += f" with {against}" if against else ", nobody has bars of them"
    if found["compared"]:
        words.append(f"{found['equal']} equal, error {found['error_bp']:.2f} bp, at worst {found['worst_bp']:.2f}")
    if found["coverage"] is not None:
        words.append(f"{100 * found['coverage']:.1f} % of the volume")
    for what in ("missing", "partial"):
        counts = ", ".join(f"{number} {cause.replace('_', ' ')}" for cause, number in found[what].items())
        words += [f"{what}: {counts}"] if counts else []
    return "; ".join(words)


@batch.command()
@json_option
@pass_context
def retention(context: Context, as_json: bool) -> None:
    """Move months of bars, news, answers and all else that grows into Parquet files, by the limits of [retention]."""
    with jobs_of(ready(context), as_json=as_json) as jobs:
        finish(jobs.retention(day_of(system_clock())), as_json=as_json)


@batch.command()
@click.option("--table", type=click.Choice(list(TABLES)), help="Only this one; all by default.")
@click.option("--interval", type=click.Choice(list(INTERVALS)), help="Only bars, metrics and signals of this interval.")
@click.option("--month", type=click.DateTime(["%Y-%m"]), metavar="YYYY-MM", help="Only this month.")
@json_option
@pass_context
def restore(context: Context, table: str | None, interval: str | None, month: datetime | None, as_json: bool) -> None:
    """Put archived months back; rows that are there stay as they are."""
    wanted = f"{month:%Y-%m}" if month else ""
    with jobs_of(ready(context), as_json=as_json) as jobs:
        finish(jobs.restore(table or "", interval or "", wanted), as_json=as_json)


@batch.command()
@click.option("--daily", is_flag=True, help="Run the daily work too, once a day.")
@source_options
@pass_context
def follow(context: Context, daily: bool, choice: Choice) -> None:
    """Store answers as they come, until stopped: what `up` runs."""
    settings, stopping = ready(context), stop_event()
    expose(settings, "batch")
    arguments = daily_arguments(choice) if daily else None
    home, channels = Home.open(settings.home), all_channels(settings)
    Follower(endpoints(settings), home, system_clock, stopping, arguments, channels=channels).run()


batch.add_command(repair)
batch.add_command(backfill)
