"""For servers that somebody else runs: what `up` does by itself on one machine."""

from __future__ import annotations

import click

from sparktrends.bus.admin import Admin
from sparktrends.bus.connection import wait_ready
from sparktrends.ops.commands.context import Context, json_option, pass_context, print_json
from sparktrends.ops.endpoints import endpoints
from sparktrends.store.migrate import migrate as migrate_database
from sparktrends.store.migrate import set_reader_password

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
