"""Looking at what runs and what is stored."""

from __future__ import annotations

import os
import shutil
import time
from typing import Any

import click
import psutil

from sparktrends.bus.admin import Admin
from sparktrends.bus.reader import Reader
from sparktrends.bus.topics import RAW_TRADES, TABLE, Create, plan, wanted
from sparktrends.errors import BadSetting, SparkTrendsError, Unavailable
from sparktrends.ingest.trouble import ALARMING
from sparktrends.model import SECOND
from sparktrends.net.quota import in_words
from sparktrends.ops import postgres_server, troubles
from sparktrends.ops.commands.context import Context, json_option, pass_context, print_json
from sparktrends.ops.commands.progress import progress_line
from sparktrends.ops.endpoints import Endpoints, endpoints, processes, record, started
from sparktrends.ops.exposition import addresses
from sparktrends.ops.home import Home
from sparktrends.ops.secured import SCRAM
from sparktrends.ops.settings import Settings, quoted
from sparktrends.ops.status import collect, price
from sparktrends.store import queries
from sparktrends.store.audit_queries import AuditDatabase
from sparktrends.store.conditions import Conditions
from sparktrends.store.connect import connect
from sparktrends.telemetry import system_clock

LAG_LIMIT_S = 60
SILENCE_LIMIT_S = 300
_SAID_FROM_S = 2.0


@click.command()
@json_option
@pass_context
def status(context: Context, as_json: bool) -> None:
    """What runs, how far behind, how fresh each symbol is."""
    where, home = endpoints(context.settings), Home(context.settings.home)
    found = collect(where, home, process_list(processes(home.path)))
    if as_json:
        print_json(found.to_json())
        return
    click.echo(f"{found.trades:,} trades in {found.bars:,} bars · {found.signals:,} signals · {found.alerts:,} alerts")
    click.echo(f"{found.late:,} late · {found.quarantined:,} quarantined · {found.behind:,} behind ({found.lag_s} s)")
    exposed = addresses(record(home.path).get("ports", {}))
    for process in found.process_list:
        state = f"pid {process['pid']}, {process['memory_mb']:,} MB" if process["running"] else "not running"
        click.echo(f"  {process['name']:<10} {state:<24} {exposed.get(process['name'], '')}".rstrip())
    for sentence in found.troubles:
        click.echo(f"! {sentence}")
    for bar in found.newest:
        click.echo(f"  {bar.source:<18} {bar.symbol:<14} {bar.start:%Y-%m-%d %H:%M} {price(bar.close)} {bar.state}")


def process_list(pids: dict[str, int]) -> list[dict[str, Any]]:
    """What each recorded process does now."""
    found = []
    for name, pid in pids.items():
        try:
            memory = psutil.Process(pid).memory_info().rss
            found.append({"name": name, "pid": pid, "running": True, "memory_mb": round(memory / 1e6)})
        except psutil.NoSuchProcess:
            found.append({"name": name, "pid": pid, "running": False, "memory_mb": 0})
    return found


@click.command()
@click.option("--owner", is_flag=True, help="The account that writes, instead of the reader's.")
@json_option
@pass_context
def env(context: Context, owner: bool, as_json: bool) -> None:
    """The addresses of the running stack, as lines for a .env file."""
    where = endpoints(context.settings)
    database = where.database
    user, password = (database.owner, database.owner_password) if owner else (database.reader, database.reader_password)
    lines = {
        "POSTGRES_HOST": database.host,
        "POSTGRES_PORT": str(database.port),
        "POSTGRES_DB": database.name,
        "POSTGRES_USER": user,
        "POSTGRES_PASSWORD": password,
        "KAFKA_BOOTSTRAP": where.kafka.bootstrap,
        **{f"POSTGRES_{name.upper()}": value for name, value in database.tls.items()},
    }
    numbers = record(context.settings.home).get("ports", {})
    for name in ("api", "dashboard"):
        if name in numbers:
            lines[f"SPARKTRENDS_{name.upper()}_URL"] = f"http://127.0.0.1:{numbers[name]}"
    lines |= {f"SPARKTRENDS_{part.upper()}_METRICS": address for part, address in addresses(numbers).items()}
    if as_json:
        print_json(lines)
    else:
        click.echo("\n".join(f"{name}={quoted(value)}" for name, value in lines.items()))


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--owner", is_flag=True, help="As the account that writes.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@pass_context
def psql(context: Context, owner: bool, arguments: tuple[str, ...]) -> None:
    """Open psql on the database, as the reader; further arguments are psql's."""
    program = shutil.which("psql") or str(postgres_server.psql())
    database = endpoints(context.settings).database
    user, password = (database.owner, database.owner_password) if owner else (database.reader, database.reader_password)
    named = {"PGHOST": database.host, "PGPORT": str(database.port), "PGDATABASE": database.name, "PGUSER": user}
    options = {**database.tls, **database.fixed}
    entered = {f"PG{name.upper().replace('_', '')}": value for name, value in options.items()}
    # The password goes by the environment: arguments can be read by everybody on the machine.
    proved = {"PGPASSWORD": password, "PGREQUIREAUTH": SCRAM} if password else {}
    # What a service of the shell says would come before all of these: it may be another database than everybody else's.
    around = {name: value for name, value in os.environ.items() if name != "PGSERVICE"}
    os.execve(program, [program, *arguments], {**around, **named, **proved, **entered})


@click.command()
@click.option("--apply", "apply_", is_flag=True, help="Carry the changes out.")
@click.option("--partitions", type=click.IntRange(1), help="How many raw.trades shall have: one per stream, or more.")
@json_option
@pass_context
def topics(context: Context, apply_: bool, partitions: int | None, as_json: bool) -> None:
    """Compare the broker's topics with the table, and bring them to it."""
    admin = Admin(endpoints(context.settings).kafka)
    existing = admin.existing([topic.name for topic in TABLE])
    if partitions and RAW_TRADES in existing and partitions < existing[RAW_TRADES].partitions:
        what = f"{RAW_TRADES} has {existing[RAW_TRADES].partitions} partitions"
        raise BadSetting(what, hint="Kafka takes none away: give --partitions that or more")
    changes = plan(existing, wanted(partitions) if partitions else TABLE)
    if apply_:
        admin.apply(changes)
    if as_json:
        print_json({"applied": apply_, "changes": [str(change) for change in changes]})
        return
    for change in changes:
        click.echo(f"{'done' if apply_ else 'to do'}: {change}")
    if not changes:
        click.echo("every topic is as the table says")


@click.command()
@click.argument("what", type=click.Choice(["kafka", "database", "stream", "ingest", "freshness", "keys"]))
@json_option
@pass_context
@click.pass_context
def check(click_context: click.Context, context: Context, what: str, as_json: bool) -> None:
    """Whether one part does its work; exit 0 when it does, 1 when not, 3 when it is not there."""
    try:
        # Keys are asked at their providers: nothing of ours has to run for that.
        problem = _check_keys(context) if what == "keys" else _CHECKS[what](context, endpoints(context.settings))
    except Unavailable:
        raise
    except SparkTrendsError as error:
        problem = str(error)
    if as_json:
        print_json({"check": what, "ok": not problem, "problem": problem})
    else:
        click.echo(problem or f"{what}: well")
    click_context.exit(1 if problem else 0)


def _check_kafka(_context: Context, where: Endpoints) -> str:
    # An operator may size topics differently; one that is not there at all stops somebody. By name alone: an account of
    # a service may not ask how a topic is set.
    there = Admin(where.kafka).names()
    return "; ".join(str(Create(topic)) for topic in TABLE if topic.name not in there)


def _check_database(_context: Context, where: Endpoints) -> str:
    with connect(where.owner_dsn, timeout_s=5) as connection:
        queries.next_offsets(connection)
    return ""


def _check_stream(context: Context, where: Endpoints) -> str:
    if problem := _not_running(context, "stream"):
        return problem
    found = collect(where, Home(context.settings.home), [])
    if found.lag_s <= LAG_LIMIT_S:
        return ""
    return f"{found.behind:,} records are not committed, the oldest {found.lag_s} s old"


def _check_ingest(context: Context, where: Endpoints) -> str:
    if problem := _not_running(context, "ingest"):
        return problem
    if not _is_ups(context.settings) and (problem := _silent(where)):
        return problem
    told = troubles.told(Home(context.settings.home), system_clock())
    return "; ".join(trouble.words for trouble in told if trouble.kind in ALARMING)


def _silent(where: Endpoints) -> str:
    """Heartbeats come every few seconds, whatever the market does: where none does, nobody takes anything in."""
    with Reader(where.kafka) as reader:
        tails = (reader.tail(RAW_TRADES, partition, 1) for partition in reader.partitions(RAW_TRADES))
        newest = max((record.appended for tail in tails for record in tail), default=0)
    age_s = (system_clock() - newest) // SECOND
    return f"nothing was taken in for {age_s:,} s" if newest and age_s > SILENCE_LIMIT_S else ""


def _check_freshness(context: Context, where: Endpoints) -> str:
    """Live series that are silent for too long, and daily work that is overdue: asks nobody but the database."""
    limits = context.settings.seconds("stale_after_s")
    now, conditions = system_clock(), Conditions(where.owner_dsn, "check")
    try:
        work = conditions.daily_work(now)
        silent = conditions.stale_series({name: now - int(age * SECOND) for name, age in limits.items()})
    finally:
        conditions.close()
    never = ["the daily work has never run: `sparktrends batch daily`"] if work.called is None else []
    quiet = [f"{symbol}: nothing from {source} for {(now - at) // SECOND} s" for source, symbol, at in silent]
    return "; ".join((*never, *work.problems, *quiet))


def _check_keys(context: Context) -> str:
    """Asks every provider whose key is set (or needs none); what a plan leaves out is told, and is no problem.

    Neither is a quota that is spent: the calls come out of the same one as everybody's.
    """
    from sparktrends.net import AddressGuard, Http, Redactor, Secret
    from sparktrends.ops.feeding import allowed_hosts, source_of
    from sparktrends.ops.keys import askable, probe_all, unset
    from sparktrends.sources import PROVIDERS

    settings = context.settings
    redact = Redactor(map(Secret, settings.secrets()))
    sources = [source_of(name, settings) for name in PROVIDERS]
    providers = askable(settings, system_clock, PROVIDERS, Home.open(settings.home).run)
    with Http(system_clock, AddressGuard(allowed_hosts(settings))) as http:
        found = probe_all(providers, http, lambda f: click.echo(redact(str(f)), err=True), _wait_for_quota)
    for words in unset(settings, sources):
        click.echo(words, err=True)
    works = {finding.provider for finding in found if finding.ok or not finding.asked}
    return redact("; ".join(str(f) for f in found if f.provider not in works))


def _wait_for_quota(seconds: float) -> None:
    if seconds > _SAID_FROM_S:
        click.echo(f"waiting {in_words(seconds)} for a quota …", err=True)
    time.sleep(seconds)


def _not_running(context: Context, name: str) -> str:
    if not _is_ups(context.settings):
        return ""  # who runs the processes sees them; here only their work can be judged
    pids = processes(context.settings.home)
    alive = [process for process in process_list(pids) if process["name"] == name and process["running"]]
    return "" if alive else f"{name} does not run: `sparktrends restart {name}`"


def _is_ups(settings: Settings) -> bool:
    """Whether `up` of this home runs the parts: on servers and in containers each is started by itself."""
    return Home.running(settings.home) is not None


_CHECKS = {
    "kafka": _check_kafka,
    "database": _check_database,
    "stream": _check_stream,
    "ingest": _check_ingest,
    "freshness": _check_freshness,
}


@click.command()
@json_option
@pass_context
@click.pass_context
def audit(click_context: click.Context, context: Context, as_json: bool) -> None:
    """Recompute every bar from the log, by an independent way, and compare with what is stored."""
    from sparktrends.audit import run
    from sparktrends.ops.laws import agreed_limits, laws_of

    with started(context.settings) as where, Reader(where.kafka) as reader:
        laws = laws_of(agreed_limits(context.settings, where.owner_dsn))
        report = run(reader, AuditDatabase(where.owner_dsn), progress_line(), laws)
    if as_json:
        print_json(report.to_json())
    else:
        click.echo(report.text())
    click_context.exit(0 if report.ok else 1)
