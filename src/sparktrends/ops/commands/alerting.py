"""Alerts: the process that sends them, and what a person does with them. Rules: checking a file."""

from __future__ import annotations

import getpass
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from sparktrends import telemetry
from sparktrends.alerts.channels import Channel, Tools, build
from sparktrends.alerts.dispatch import Dispatcher, Policy, Surroundings
from sparktrends.alerts.manual import acknowledge, send_test
from sparktrends.alerts.manual import silence as silence_alerts
from sparktrends.alerts.operational import Monitor, Thresholds, Watched
from sparktrends.alerts.rules_watch import RulesWatch
from sparktrends.alerts.transport import guarded_post
from sparktrends.bus.admin import Admin
from sparktrends.net.addresses import AddressGuard
from sparktrends.net.redaction import Redactor, Secret
from sparktrends.ops.analysing import Analysing, names_of
from sparktrends.ops.channels import channel_blocks, operational_channels
from sparktrends.ops.commands.backtesting import backtest_
from sparktrends.ops.commands.context import Context, json_option, pass_context, print_json, stop_event
from sparktrends.ops.commands.raising import raise_, resolve
from sparktrends.ops.endpoints import endpoints
from sparktrends.ops.exposition import expose, folded_ends, outsiders
from sparktrends.ops.settings import Settings
from sparktrends.rules import Rules
from sparktrends.rules import check as check_rules
from sparktrends.store.conditions import Conditions
from sparktrends.store.deliveries import Limits


@click.group(invoke_without_command=True)
@click.pass_context
def alerts(click_context: click.Context) -> None:
    """Send alerts until stopped; or test, acknowledge and silence them."""
    if click_context.invoked_subcommand is None:
        _run(click_context.find_object(Context) or Context(None))


def _run(context: Context) -> None:
    settings, stopping = context.settings, stop_event()
    telemetry.configure_logging(Redactor(map(Secret, settings.secrets())))
    where = endpoints(settings)
    expose(settings, "alerts", outsiders(where, settings))
    around = Surroundings(
        where.owner_dsn, telemetry.system_clock, random.Random(), f"{os.uname().nodename}-{os.getpid()}"
    )
    channels = _channels(settings)
    told = operational_channels(settings)
    analysing = Analysing(settings, ["1m"])
    conditions = Conditions(where.owner_dsn)
    set_up = [channel.name for channel in channels]
    watch = RulesWatch(analysing.rules, conditions, told, telemetry.system_clock, analysing.tags_of, set_up)
    policy = Policy(Limits(cooldown_s=watch.cooldown_s), link=str(settings.table("alerts").get("link", "")))
    dispatcher = Dispatcher(channels, policy, around)
    admin = Admin(where.kafka, timeout_s=5)
    stale = settings.seconds("stale_after_s")
    monitor = Monitor(
        Conditions(where.owner_dsn),
        telemetry.system_clock,
        told,
        dispatcher.broadcast,
        Thresholds(stale_after_s=stale),
        Watched([str(settings.home)], lambda: folded_ends(admin)),
    )
    dispatcher.run(stopping, monitor.run, watch.run)


def _channels(settings: Settings) -> Sequence[Channel]:
    post = guarded_post(telemetry.system_clock, AddressGuard(settings.allowed_hosts))
    return build(channel_blocks(settings), Tools(post, telemetry.system_clock, _to_console))


def _to_console(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@alerts.command()
@click.option("--channel", "only", help="One channel instead of all.")
@json_option
@pass_context
@click.pass_context
def test(click_context: click.Context, context: Context, only: str | None, as_json: bool) -> None:
    """Send one test alert through every channel."""
    said = send_test(_channels(context.settings), telemetry.system_clock, only)
    if as_json:
        print_json(said)
    else:
        for name, error in said.items():
            click.echo(f"{name}: {error or 'sent'}")
    click_context.exit(1 if any(said.values()) else 0)


@alerts.command()
@click.argument("alert")
@json_option
@pass_context
def ack(context: Context, alert: str, as_json: bool) -> None:
    """Say that you have seen an alert."""
    acknowledge(endpoints(context.settings).owner_dsn, alert, getpass.getuser(), telemetry.system_clock)
    if as_json:
        print_json({"alert": alert, "acknowledged": True})
    else:
        click.echo("acknowledged")


@alerts.command()
@click.option("--rule", default="")
@click.option("--source", default="")
@click.option("--symbol", default="")
@click.option("--hours", default=1.0, show_default=True)
@json_option
@pass_context
def silence(context: Context, rule: str, source: str, symbol: str, hours: float, as_json: bool) -> None:
    """Send nothing of a rule, a source or a symbol for some hours."""
    match = {name: value for name, value in (("rule", rule), ("source", source), ("symbol", symbol)) if value}
    number = silence_alerts(
        endpoints(context.settings).owner_dsn, match, hours, getpass.getuser(), telemetry.system_clock
    )
    if as_json:
        print_json({"silence": number, "hours": hours, **match})
    else:
        click.echo(f"silence {number} holds for {hours:g} hours")


alerts.add_command(raise_)
alerts.add_command(resolve)
alerts.add_command(backtest_)


@click.group()
def rules() -> None:
    """Alert rules."""


@rules.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
@pass_context
@click.pass_context
def check(click_context: click.Context, context: Context, file: Path, as_json: bool) -> None:
    """Say everything that is wrong with a rules file, with line and column."""
    names = names_of(context.settings)
    findings = check_rules(file, names)
    deaf = {} if findings else Rules.load(file, names).deaf(["console", *channel_blocks(context.settings)])
    notes = [f"{rule}: the channel {channel} is not set up here, nobody would hear" for rule, channel in deaf.items()]
    if as_json:
        print_json({"file": str(file), "findings": [str(finding) for finding in findings], "notes": notes})
    else:
        click.echo("\n".join(map(str, findings)) or "\n".join([f"{file}: every rule is good", *notes]))
    click_context.exit(1 if findings else 0)
