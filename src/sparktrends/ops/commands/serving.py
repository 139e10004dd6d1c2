"""The API: the process that serves it, and the keys that open it to other machines."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from sparktrends import telemetry
from sparktrends.errors import BadSetting
from sparktrends.net.redaction import Redactor, Secret
from sparktrends.ops.answering import api_table
from sparktrends.ops.commands.context import Context, json_option, pass_context, print_json, stop_event
from sparktrends.ops.endpoints import endpoints, record
from sparktrends.ops.exposition import expose
from sparktrends.ops.ports import WANTED
from sparktrends.ops.settings import Settings, port_number
from sparktrends.store import api_keys
from sparktrends.store.connect import connect

if TYPE_CHECKING:
    from sparktrends.serve.api import Api
    from sparktrends.serve.api.server import Server


@click.command()
@click.option("--host", default="", help="Address to listen on; off loopback a key must exist.  [default: 127.0.0.1]")
@click.option("--port", default=0, help="Port to listen on.  [default: 8000]")
@pass_context
def api(context: Context, host: str, port: int) -> None:
    """Serve the REST API and its event stream until stopped."""
    from sparktrends.serve.api import Api
    from sparktrends.serve.api.server import Server, settle_process

    settings, stopping = context.settings, stop_event()
    telemetry.configure_logging(Redactor(map(Secret, settings.secrets())))
    config = api_config(settings, host, port)
    if not config.loopback:
        with connect(config.owner, timeout_s=5) as connection:
            config.require_keys(len(api_keys.usable_keys(connection)))
    expose(settings, "api")
    running = Api(config)
    server = Server(running.app, config)
    settle_process()
    click.echo(f"API on http://{config.host}:{server.port}/api/v1 (try it: /api/v1/docs)", err=True)
    _serve(running, server, stopping)


def _serve(api: Api, server: Server, stopping: threading.Event) -> None:
    thread = threading.Thread(target=server.run, name="api", daemon=True)
    thread.start()
    with ExitStack() as ending:
        # From the last to the first, and each whatever the others met: the streams end before their connections do.
        ending.callback(thread.join, 10)
        ending.callback(server.stop)
        ending.callback(api.close)
        stopping.wait()


def api_config(settings: Settings, host: str = "", port: int = 0) -> Any:
    """What the API runs with: command line, then ``[api]`` of sparktrends.toml, then defaults."""
    from sparktrends.serve.api import ApiConfig

    where, told = endpoints(settings), api_table(settings)
    own = record(settings.home).get("ports", {}).get("api", WANTED["api"])
    given = port_number("SPARKTRENDS_PORT_API", settings.env.get("SPARKTRENDS_PORT_API") or str(told.get("port", own)))
    chosen = {"host": host or told.get("host", settings.listen), "port": port or given}
    return ApiConfig(where.reader_dsn, where.owner_dsn, contained=settings.contained, **{**told, **chosen})


@click.group()
def keys() -> None:
    """Keys of the API: needed by everybody who asks from another machine."""


@keys.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(api_keys.SCOPES), default=("read",))
@json_option
@pass_context
def add(context: Context, name: str, scopes: Sequence[str], as_json: bool) -> None:
    """Make a key and print it: it is stored as a hash and cannot be shown again."""
    if not name.isprintable() or not 0 < len(name) <= 64:
        raise BadSetting(f"{name!r} is no name for a key", hint="1 to 64 printable characters")
    with connect(endpoints(context.settings).owner_dsn, autocommit=True, timeout_s=5) as connection:
        key = api_keys.add_key(connection, name, scopes)
    if as_json:
        print_json({"name": name, "scopes": list(scopes), "key": key})
        return
    click.echo(key)
    click.echo("keep it now: it cannot be shown again", err=True)


@keys.command("list")
@json_option
@pass_context
def list_(context: Context, as_json: bool) -> None:
    """Name every key, its scopes, and when it was made or revoked."""
    with connect(endpoints(context.settings).owner_dsn, timeout_s=5) as connection:
        found = api_keys.list_keys(connection)
    if as_json:
        print_json([{name: getattr(row, name) for name in row.__slots__} for row in found])
        return
    for row in found:
        ended = f"revoked {row.revoked_at:%Y-%m-%d %H:%M}" if row.revoked_at else ""
        click.echo(f"{row.name:<24} {','.join(row.scopes):<12} {row.created_at:%Y-%m-%d %H:%M}  {ended}")


@keys.command()
@click.argument("name")
@json_option
@pass_context
def revoke(context: Context, name: str, as_json: bool) -> None:
    """End a key: within five seconds nobody gets in with it."""
    with connect(endpoints(context.settings).owner_dsn, autocommit=True, timeout_s=5) as connection:
        api_keys.revoke_key(connection, name)
    if as_json:
        print_json({"name": name, "revoked": True})
    else:
        click.echo(f"{name} is revoked")
