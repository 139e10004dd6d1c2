"""``sparktrends parse``: what a source's parser makes of a recorded answer or of recorded frames."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click

from sparktrends import telemetry
from sparktrends.errors import BadFile, SparkTrendsError
from sparktrends.sources import PROVIDERS, make_source
from sparktrends.sources.reading import json_line, read_recorded

_DEFAULTS = {"binance": "BTC/USDT"}


@click.command()
@click.argument("provider", type=click.Choice(sorted(PROVIDERS)))
@click.argument("file", type=click.File("rb"))
@click.option("--symbol", default="", help="Whose answer it is, where the answer does not say: AAPL, BTC/USDT.")
@click.pass_context
def parse(ctx: click.Context, provider: str, file: BinaryIO, symbol: str) -> None:
    """Parse a recorded payload, or frames one per line (FILE, - = standard input); prints JSON lines.

    Errors are lines too, with their class; there is then exit code 1, and all other lines are still read.
    """
    source = make_source(provider)
    problems = 0
    for item in read_recorded(
        source, _content(file), symbol or _DEFAULTS.get(provider, "AAPL"), telemetry.system_clock()
    ):
        problems += isinstance(item, SparkTrendsError)
        click.echo(json_line(item))
    ctx.exit(1 if problems else 0)


def _content(file: BinaryIO) -> bytes:
    try:
        return file.read()
    except OSError as error:
        raise BadFile(f"{Path(str(file.name))} cannot be read: {error.strerror}") from None
