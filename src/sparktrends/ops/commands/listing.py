"""Which symbols are taken in: what is wanted beside those of the command line, changed while everything runs."""

from __future__ import annotations

import click

from sparktrends.errors import BadSetting
from sparktrends.ingest.wanted import EVERY, Wanted
from sparktrends.ops.commands.context import Context, json_option, pass_context, print_json
from sparktrends.ops.home import Home
from sparktrends.sources import PROVIDERS, make_source, spellings


@click.group()
def symbols() -> None:
    """Add symbols to live sources while they run, remove them again, and see how each provider spells them."""


@symbols.command()
@click.argument("names", nargs=-1, required=True, metavar="SYMBOL…")
@click.option("--source", type=click.Choice(sorted(PROVIDERS)), help="Only for this source; else for all that have it.")
@json_option
@pass_context
def add(context: Context, names: tuple[str, ...], source: str | None, as_json: bool) -> None:
    """Take these in as well: AAPL, BTC/USDT. Sources that run begin within a second or two."""
    names = tuple(name.upper() for name in names)
    for name in names:
        if source:
            make_source(source).spell(name)
        elif not spellings(name):
            raise BadSetting(f"no source has {name!r}", hint="write a stock as AAPL, a pair as BTC/USDT")
    wanted = Wanted(Home.open(context.settings.home).run / "symbols.json").add(names, source or EVERY)
    if as_json:
        print_json(wanted)
    else:
        click.echo(f"wanted: {', '.join(names)}")


@symbols.command()
@click.argument("names", nargs=-1, required=True, metavar="SYMBOL…")
@click.option("--source", type=click.Choice(sorted(PROVIDERS)), help="Only what was added for this source.")
@json_option
@pass_context
def remove(context: Context, names: tuple[str, ...], source: str | None, as_json: bool) -> None:
    """Take these in no longer, as `add` wrote them. A running ingest leaves them out from its next start on."""
    names = tuple(name.upper() for name in names)
    left = _wanted(context).remove(names, source or "")
    if as_json:
        print_json(left)
    else:
        click.echo(f"no longer wanted: {', '.join(names)}")
        click.echo("an ingest that runs takes them in until its next start: `sparktrends restart ingest`")


@symbols.command("list")
@json_option
@pass_context
def list_(context: Context, as_json: bool) -> None:
    """What was added, and each provider's spelling of it."""
    wanted = _wanted(context).read()
    if as_json:
        print_json({source: {name: spellings(name) for name in names} for source, names in wanted.items()})
        return
    for source, names in wanted.items():
        for name in names:
            told = ", ".join(f"{provider} {wire}" for provider, wire in spellings(name).items())
            click.echo(f"{'all sources' if source == EVERY else source:<14} {name:<12} {told}")
    if not wanted:
        click.echo("no symbol was added; those of the command line are taken in anyway")


def _wanted(context: Context) -> Wanted:
    # Without opening the home: who only looks makes none.
    return Wanted(Home(context.settings.home).run / "symbols.json")
