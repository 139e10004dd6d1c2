"""For servers that somebody else runs: what `up` does by itself on one machine."""

from __future__ import annotations

import click

from sparktrends.bus.admin import Admin
from sparktrends.bus.connection import wait_ready
from sparktrends.bus.rights import Rights
from sparktrends.ops import accounts as table
from sparktrends.ops.commands.context import Context, json_option, pass_context, print_json
from sparktrends.ops.endpoints import endpoints
from sparktrends.store.migrate import grant, set_reader_password
from sparktrends.store.migrate import migrate as migrate_database

_PATIENCE_S = 60.0


@click.command()
@json_option
@pass_context
def migrate(context: Context, as_json: bool) -> None:
    """Bring the broker's topics and the database's tables to this release, and give the reader its password."""
    where = endpoints(context.settings)
    done = migrate_database(where.owner_dsn)
    if where.database.reader_password:
        set_reader_password(where.owner_dsn, where.database.reader_password)
    wait_ready(where.kafka, _PATIENCE_S)
    Admin(where.kafka).ensure()
    if as_json:
        print_json({"migrations": done})
        return
    click.echo(f"{len(done)} migrations applied, every topic is there")


@click.command()
@click.option(
    "--apply", "apply_", is_flag=True, help="Allow what is missing at the broker, and make the database's roles."
)
@click.option("--sql", is_flag=True, help="Print the statements that make the database's roles, and nothing else.")
@json_option
@pass_context
def accounts(context: Context, apply_: bool, sql: bool, as_json: bool) -> None:
    """Compare the services' rights with the table of accounts; run as the broker's administrator and the owner."""
    if sql:
        click.echo(table.sql(), nl=False)
        return
    where = endpoints(context.settings)
    broker = Rights(where.kafka)
    there, wanted = broker.existing(table.NAMES), table.rights()
    missing, beyond = sorted(wanted - there), sorted(there - wanted)
    if apply_:
        grant(where.owner_dsn, table.sql())
        broker.allow(missing)
    if as_json:
        print_json({"applied": apply_, "missing": [*map(str, missing)], "beyond": [*map(str, beyond)]})
        return
    for right in missing:
        click.echo(f"{'done' if apply_ else 'to do'}: {right}")
    for right in beyond:
        click.echo(f"more than the table says: {right}")
    if not missing and not beyond:
        click.echo("every right is as the table says")
