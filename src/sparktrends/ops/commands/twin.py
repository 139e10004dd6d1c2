"""``sparktrends sandbox``: the offline twin of the providers, as a process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from sparktrends import telemetry
from sparktrends.errors import BadSetting
from sparktrends.net import Redactor, Secret
from sparktrends.ops.commands.context import Context, pass_context
from sparktrends.ops.exposition import expose
from sparktrends.ops.settings import Settings
from sparktrends.sandbox.faults import Plan, load
from sparktrends.sandbox.instruments import chosen
from sparktrends.sandbox.providers import PROVIDERS
from sparktrends.sandbox.recordings import Recordings
from sparktrends.sandbox.recordings import load as load_recordings
from sparktrends.sandbox.server import HOST, Config, Twin

_MOST_BEFORE = 50_000  # trades made before the first call, at most: more would keep a person waiting


def from_settings(click_context: click.Context, option: click.Parameter, given: Any) -> Any:
    """What was typed, else what ``[sandbox]`` of the settings says (`up` runs the twin too), else the default."""
    context = click_context.find_object(Context)
    if context is None or click_context.get_parameter_source(str(option.name)) is not ParameterSource.DEFAULT:
        return given
    found = context.settings.table("sandbox").get(str(option.name), given)
    return option.type.convert(found, option, click_context) if found is not None else None


@click.command()
@click.option("--port", default=0, show_default=True, help="Port on loopback; 0 = any free one.")
@click.option("--port-file", type=click.Path(path_type=Path), help="Write the port here when it is open.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=7,
    show_default=True,
    callback=from_settings,
    help="The same seed gives the same market and the same faults.",
)
@click.option(
    "--rate", default=50.0, show_default=True, callback=from_settings, help="Trades a second, all symbols together."
)
@click.option(
    "--symbols", default="", callback=from_settings, help="Trade only these: AAPL,BTC,EUR/USD; all when left out."
)
@click.option(
    "--faults", default="none", show_default=True, callback=from_settings, help="none, random, or a TOML or JSON file."
)
@click.option(
    "--ledger",
    type=click.Path(path_type=Path),
    callback=from_settings,
    help="Append everything that was emitted to this file.",
)
@click.option(
    "--recordings", type=click.Path(path_type=Path), help="A JSON file of answers and frames to give instead."
)
@click.option("--hostile", is_flag=True, help="Mix in headlines that try to break whoever shows them.")
@pass_context
def sandbox(
    context: Context,
    port: int,
    port_file: Path | None,
    seed: int,
    rate: float,
    symbols: str,
    faults: str,
    ledger: Path | None,
    recordings: Path | None,
    hostile: bool,
) -> None:
    """Serve all five providers on this machine, from a simulated market, with their real shapes and failures."""
    telemetry.configure_logging(Redactor(map(Secret, context.settings.secrets())))
    expose(context.settings, "sandbox")
    recorded = load_recordings(recordings) if recordings else Recordings()
    history = int(min(1800, _MOST_BEFORE / rate))
    config = Config(
        chosen(symbols), port, seed, rate, _plan(faults, seed), ledger, history, hostile=hostile, recordings=recorded
    )
    asyncio.run(_run(config, _announce(port_file)))


def require_table(settings: Settings) -> None:
    """Raises BadSetting for what ``[sandbox]`` says and no option of the sandbox takes."""
    taken = {str(option.name): option for option in sandbox.params if option.callback is from_settings}
    for name, value in settings.only("sandbox", *taken).items():
        try:
            taken[name].type.convert(value, taken[name], None)
        except click.BadParameter as error:
            raise BadSetting(f"[sandbox] {name} = {value!r}: {error.message}") from error


def _plan(faults: str, seed: int) -> Plan:
    if faults == "none":
        return Plan()
    names = tuple(PROVIDERS)
    return Plan(seed=seed, providers=names) if faults == "random" else Plan(load(Path(faults)), None, names)


def _announce(port_file: Path | None) -> Callable[[int], None]:
    def ready(port: int) -> None:
        if port_file:
            # Under another name first: whoever waits for the file never reads half a number.
            part = port_file.with_name(port_file.name + ".part")
            part.write_text(f"{port}\n")
            os.replace(part, port_file)
        click.echo(f"the sandbox serves {', '.join(PROVIDERS)} at http://{HOST}:{port}/<provider>", err=True)

    return ready


async def _run(config: Config, ready: Callable[[int], None]) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await Twin(config, telemetry.system_clock).run(stopping, ready)
