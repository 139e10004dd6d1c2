"""``sparktrends batch …``: the jobs of the daily run, one by one or all of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from sparktrends import telemetry
from sparktrends.batch.fetch import Outcome
from sparktrends.batch.fetch_run import Job, costs, fetch, tally
from sparktrends.batch.flatten import Flattened, by_spark, flatten
from sparktrends.batch.load import Loaded, Loader
from sparktrends.batch.reading import FLATTENED
from sparktrends.bus.producer import Producer
from sparktrends.net import Redactor, Secret
from sparktrends.net.quota import in_words
from sparktrends.ops import daily as composing
from sparktrends.ops import feeding, java
from sparktrends.ops.commands.context import Context, json_option, pass_context, print_json
from sparktrends.ops.endpoints import Endpoints, endpoints
from sparktrends.ops.home import Home
from sparktrends.ops.settings import Settings
from sparktrends.sources import PROVIDERS
from sparktrends.store import payloads
from sparktrends.store.queries import next_offsets
from sparktrends.store.session import Session
from sparktrends.telemetry import system_clock

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_STATEMENT_S = 600.0
_PROBLEM = 1
_LOOK_S = 0.25


@click.group()
def batch() -> None:
    """The daily run: fetch, load, flatten, sentiment, trends, report; each part can be run again."""


def day_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What the jobs that ask providers have in common."""
    for option in (
        click.option("--sandbox", is_flag=True, help="Ask the offline twin of the running stack."),
        click.option("--source", "sources", multiple=True, type=click.Choice(sorted(PROVIDERS)), help="Only these."),
        click.option("--symbols", default="", metavar="A,B", help="Only these; all that are configured by default."),
        date_option,
    ):
        command = option(command)
    return command


def date_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--date``: a UTC day, yesterday by default."""
    return click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="The day, UTC; yesterday by default.")(
        command
    )


def as_day(given: datetime | None) -> date | None:
    """The day of the option."""
    return given.date() if given else None


def names(text: str) -> list[str] | None:
    """The symbols of the option; None for all."""
    return [name.strip() for name in text.split(",") if name.strip()] or None


@batch.command("fetch")
@day_options
@click.option("--plan", "plan_only", is_flag=True, help="Say what it would cost, and ask nobody.")
@json_option
@pass_context
def fetch_(
    context: Context,
    day: datetime | None,
    symbols: str,
    sources: tuple[str, ...],
    sandbox: bool,
    plan_only: bool,
    as_json: bool,
) -> None:
    """Ask providers for a day's news, prices and companies; what does not fit into a quota waits for the next run."""
    settings = _ready(context)
    where, port = endpoints(settings), feeding.sandbox_port(settings) if sandbox else 0
    job = composing.job(settings, system_clock, as_day(day), sources, names(symbols), port)
    with_session = Session(where.owner_dsn, "batch fetch", _STATEMENT_S)
    if plan_only:
        _tell_plan(job, with_session, as_json=as_json)
        return
    outcomes = run_fetch(job, where, with_session, port, quiet=as_json)
    counts = tally(outcomes)
    left = [_missing(o) for o in outcomes if o.state in ("failed", "waiting")]
    finish({"day": job.day, **counts, "missing": left}, fetch_words(counts), problem=bool(left), as_json=as_json)


def run_fetch(job: Job, where: Endpoints, session: Session, port: int, *, quiet: bool) -> list[Outcome]:
    """Fetch, saying each outcome as it comes."""
    producer = Producer(where.kafka)
    outcomes = []
    try:
        with composing.http(system_clock, port) as client:
            for outcome in fetch(job, session, producer, composing.fetcher(client)):
                outcomes.append(outcome)
                if not quiet:
                    click.echo(_outcome_words(outcome), err=True)
    finally:
        producer.close()
    return outcomes


def fetch_words(counts: Any) -> str:
    """A run of fetch in a sentence."""
    told = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    return f"calls: {told or 'none was left to make'}"


def _outcome_words(outcome: Outcome) -> str:
    call = outcome.call
    symbols = ", ".join(call.symbols[:3]) + (" …" if len(call.symbols) > 3 else "")
    why = f": {outcome.reason}" if outcome.reason else ""
    return f"  {call.day} {call.source} {call.what} {symbols} {outcome.state}{why}"


def _missing(outcome: Outcome) -> dict[str, Any]:
    call = outcome.call
    named = {"day": call.day, "source": call.source, "what": call.what, "symbols": call.symbols}
    return {**named, "state": outcome.state, "reason": outcome.reason}


def _tell_plan(job: Job, session: Session, *, as_json: bool) -> None:
    found = costs(job, session)
    rows = [
        {"source": c.source, "symbols": c.symbols, "requests": c.requests, "units": c.units, "seconds": c.seconds}
        for c in found
    ]
    if as_json:
        print_json({"day": job.day, "sources": rows})
        return
    for cost in found:
        what = f"{cost.symbols} symbols need {cost.requests} calls ({cost.units} units)"
        click.echo(f"{cost.source}: {what}, {in_words(cost.seconds)} on this plan")


@batch.command()
@click.option("--accept-gap", is_flag=True, help="Record a gap in the log as lost, and go on behind it.")
@json_option
@pass_context
def load(context: Context, accept_gap: bool, as_json: bool) -> None:
    """Store the answers that lie in the topic raw.payloads as JSONB, each once."""
    where = endpoints(_ready(context))
    with Loader(where.kafka, where.owner_dsn, accept_gap=accept_gap) as loader:
        loaded = loader.run()
    finish(loaded_fields(loaded), loaded_words(loaded), problem=bool(loaded.quarantined), as_json=as_json)


@batch.command("flatten")
@click.option("--wait", default=60.0, show_default=True, metavar="SECONDS", help="For the stream to store the bars.")
@json_option
@pass_context
def flatten_(context: Context, wait: float, as_json: bool) -> None:
    """Make typed rows of stored answers with Spark: news, daily prices, companies."""
    settings = _ready(context)
    where = endpoints(settings)
    with_session = Session(where.owner_dsn, "batch flatten", _STATEMENT_S)
    found, behind = run_flatten(settings, where, with_session, wait)
    problem = bool(found.errors or behind)
    finish(flattened_fields(found, behind), flattened_words(found, behind), problem=problem, as_json=as_json)


def run_flatten(settings: Settings, where: Endpoints, session: Session, wait_s: float) -> tuple[Flattened, int]:
    """Flatten what waits; how many bars and prices the stream has not stored after ``wait_s`` seconds."""
    if not waiting_payloads(session):
        return Flattened(), 0
    spark = spark_session(settings)
    producer = Producer(where.kafka)
    try:
        found = flatten(session, producer, by_spark(spark))
    finally:
        producer.close()
    return found, wait_stored(session, producer.positions, wait_s) if found.sent else 0


def waiting_payloads(session: Session) -> int:
    """How many payloads nobody has read: none needs no Spark."""
    with session.transaction() as cursor:
        return payloads.waiting(cursor)


def spark_session(settings: Settings) -> SparkSession:
    """The session of this process's jobs, made at the first call."""
    from sparktrends import spark

    home = Home.open(settings.home)
    found = java.find(settings.env, settings.cache)
    os.environ.update(java.spark_env(found, settings.env))
    return spark.session("sparktrends batch", spark.Settings(settings.spark_master, (), home.scratch / "batch"))


def wait_stored(session: Session, positions: Mapping[tuple[str, int], int], seconds: float) -> int:
    """Wait until the ledger has passed these positions of the log; how many records are still before it."""
    deadline = time.monotonic() + seconds
    while (behind := _behind(session, positions)) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    return behind


def _behind(session: Session, positions: Mapping[tuple[str, int], int]) -> int:
    with session.transaction() as cursor:
        stands = next_offsets(cursor.connection)
    return sum(max(0, end - stands.get(place, 0)) for place, end in positions.items())


def flattened_fields(found: Flattened, behind: int) -> dict[str, Any]:
    """A run of flatten as JSON."""
    return {**asdict(found), "payloads": found.payloads, "not_stored_yet": behind}


def flattened_words(found: Flattened, behind: int) -> str:
    """A run of flatten in a sentence or two."""
    words = (
        f"{found.payloads:,} payloads read: {found.news:,} news, {found.bars:,} bars, {found.companies:,} companies, "
        f"{found.actions:,} splits and dividends, {found.prices:,} prices; {found.rejects:,} records set aside"
    )
    errors = ", ".join(f"{n} {outcome}" for outcome, n in found.outcomes.items() if outcome != FLATTENED)
    words += f"; no data: {errors}" if errors else ""
    return words + (f"; {behind:,} records wait for the stream: does it run?" if behind else "")


def loaded_fields(loaded: Loaded) -> dict[str, int]:
    """A run of load as JSON."""
    return {"stored": loaded.stored, "quarantined": loaded.quarantined}


def loaded_words(loaded: Loaded) -> str:
    """A run of load in a sentence."""
    aside = f", {loaded.quarantined:,} set aside in quarantine" if loaded.quarantined else ""
    return f"{loaded.stored:,} payloads stored{aside}"


def finish(fields: Any, words: str, *, problem: bool, as_json: bool) -> None:
    """End a command: its document or its sentence, and exit code 1 when something is missing."""
    if as_json:
        print_json(fields)
    else:
        click.echo(words)
    if problem:
        click.get_current_context().exit(_PROBLEM)


def _ready(context: Context) -> Settings:
    settings = context.settings
    telemetry.configure_logging(Redactor(map(Secret, settings.secrets())), "WARNING")
    return settings
