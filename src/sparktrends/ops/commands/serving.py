"""The API: the process that serves it, and the keys that open it to other machines."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import click

from sparktrends import telemetry
from sparktrends.errors import BadSetting
from sparktrends.net.redaction import Redactor, Secret
from sparktrends.ops.commands.context import Context, json_option, pass_context, print_json, stop_event
from sparktrends.ops.endpoints import endpoints, record
from sparktrends.ops.exposition import expose
from sparktrends.ops.ports import WANTED
from sparktrends.ops.settings import Settings, port_number
from sparktrends.store import api_keys
from sparktrends.store.connect import connect


@click.command()
@click.option("--host", default="", help="Address to listen on; off loopback a key must exist.  [default: 127.0.0.1]")
@click.option("--port", default=0, help="Port to listen on.  [default: 8000]")
@pass_context
def api(context: Context, host: str, port: int) -> None:
    """Serve the REST API and its event stream until stopped."""
    from sparktrends.serve.api import Api
    from sparktrends.serve.api.server import Server

    settings, stopping = context.settings, stop_event()
    telemetry.configure_logging(Redactor(map(Secret, settings.secrets())))
    config = api_config(settings, host, port)
    if not config.loopback:
        with connect(config.owner, timeout_s=5) as connection:
            config.require_keys(len(api_keys.usable_keys(connection)))
    expose(settings, "api")
    running = Api(config)
    server = Server(running.app, config)
    click.echo(f"API on http://{config.host}:{server.port}/api/v1 (try it: /api/v1/docs)", err=True)
    thread = threading.Thread(target=server.run, name="api")
    thread.start()
    try:
        stopping.wait()
    finally:
        running.close()
        server.stop()
        thread.join(10)


def api_config(settings: Settings, host: str = "", port: int = 0) -> Any:
    """What the API runs with: command line, then ``[api]`` of sparktrends.toml, then defaults."""
    from sparktrends.serve.api import ApiConfig

    where, own = endpoints(settings), record(settings.home).get("ports", {})
    table = dict(settings.table("api"))
    given = settings.env.get("SPARKTRENDS_PORT_API", "") or str(table.pop("port", "") or own.get("api", WANTED["api"]))
    origins = table.pop("origins", None)
    chosen = host or str(table.pop("host", settings.listen))
    table.pop("host", None)
    limits = _limits(table)
    return ApiConfig(
        where.reader_dsn,
        where.owner_dsn,
        host=chosen,
        port=port or port_number("[api] port", given),
        origins=_origins(origins),
        contained=bool(settings.get("SPARKTRENDS_CONTAINER")),
        **limits,
    )


def _origins(given: object) -> tuple[str, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list):
        raise BadSetting(f"[api] origins = {given!r}", hint='give a list, such as ["https://pages.example.org"]')
    return tuple(map(str, given))


def _limits(table: Mapping[str, Any]) -> dict[str, Any]:
    kinds: Mapping[str, type] = {"rate": float, "burst": float, "threads": int, "listeners": int}
    table = {name: value for name, value in table.items() if name != "port"}
    for name, value in table.items():
        if name not in kinds:
            raise BadSetting(f"[api] {name} is no setting", hint=f"there are host, port, origins, {', '.join(kinds)}")
        # A count is cut to a whole number below: half a thread would be none.
        least = 1 if kinds[name] is int else math.ulp(0)
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value < math.inf:
            raise BadSetting(f"[api] {name} = {value!r}", hint="give a number above 0")
    return {name: kinds[name](value) for name, value in table.items()}


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
