"""``sparktrends init``: the files of a new project."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sparktrends.errors import BadSetting
from sparktrends.ops import project
from sparktrends.ops.commands.context import json_option, print_json


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option("--yes", is_flag=True, help="Ask nothing: leave keys empty, keep every file that is there.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@json_option
def init(folder: Path, yes: bool, force: bool, as_json: bool) -> None:
    """Write .env, .env.example, sparktrends.toml and symbol lists into FOLDER (here by default).

    A file that is there stays as it is, unless you say otherwise.
    """
    try:
        became = _written(folder, force=force, silent=yes or as_json)
    except click.Abort:
        if sys.stdin.isatty():
            raise  # Ctrl-C
        raise BadSetting("nobody is there to answer", hint="sparktrends init --yes asks nothing") from None
    if as_json:
        print_json(became)
        return
    for path, what in became.items():
        click.echo(f"{what:<9} {path}")
    click.echo("next: sparktrends up")


def _written(folder: Path, *, force: bool, silent: bool) -> dict[str, str]:
    """What became of each file of the project."""
    answers = {} if silent or _kept(folder, force) else _answers()
    became = {}
    for file in project.files(answers):
        there = (folder / file.path).exists()
        replace = force or (there and not silent and click.confirm(f"{file.path} is there. Replace it?", err=True))
        became[file.path] = project.write(folder, file, replace=replace)
    return became


def _kept(folder: Path, force: bool) -> bool:
    """Whether there are settings already, which nobody wants to type again."""
    return (folder / ".env").exists() and not force


def _answers() -> dict[str, str]:
    click.echo("Keys you have (Enter for none; what you type is not shown):", err=True)
    given = {
        name: click.prompt(f"{name} ({meaning})", default="", show_default=False, hide_input=True, err=True)
        for name, meaning in project.asked().items()
    }
    return {name: value.strip() for name, value in given.items() if value.strip()}
