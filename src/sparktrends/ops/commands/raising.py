"""Operational alerts that others raise and end: a scheduler whose job failed, a script, a person."""

from __future__ import annotations

import click

from sparktrends import telemetry
from sparktrends.alerts.manual import end_condition, raise_condition
from sparktrends.ops.channels import all_channels
from sparktrends.ops.commands.context import Context, json_option, pass_context, print_json
from sparktrends.ops.endpoints import endpoints

_SUBJECT = click.option("--subject", required=True, help="What it is about: the name of a job.")
_RULE = click.option("--rule", default="ops.job", show_default=True, help="What kind of trouble: ops.<name>.")


@click.command("raise")
@click.argument("title")
@_SUBJECT
@_RULE
@click.option("--severity", type=click.Choice(["info", "warning", "critical"]), default="warning", show_default=True)
@json_option
@pass_context
def raise_(context: Context, title: str, subject: str, rule: str, severity: str, as_json: bool) -> None:
    """Raise an operational alert on every channel; one that fires already is not raised again."""
    settings = context.settings
    where, told = endpoints(settings), all_channels(settings)
    made = raise_condition(where.owner_dsn, (rule, subject), title, severity, told, telemetry.system_clock)
    if as_json:
        print_json({"alert": made})
    else:
        click.echo(f"raised {made}" if made else f"{rule} {subject} fires already")


@click.command()
@_SUBJECT
@_RULE
@json_option
@pass_context
def resolve(context: Context, subject: str, rule: str, as_json: bool) -> None:
    """End an operational alert: who heard of it hears that it is over. Nothing happens when none fires."""
    ended = end_condition(endpoints(context.settings).owner_dsn, (rule, subject), telemetry.system_clock)
    if as_json:
        print_json({"resolved": ended})
    else:
        click.echo("resolved" if ended else f"{rule} {subject} did not fire")
