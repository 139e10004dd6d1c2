"""Looking after a home: what is wrong with it, saving it, and having it again."""

from __future__ import annotations

from pathlib import Path

import click

from sparktrends.errors import BadSetting
from sparktrends.net.redaction import Redactor, Secret
from sparktrends.ops import backups
from sparktrends.ops.commands.context import Context, json_option, pass_context, print_json
from sparktrends.ops.doctor import Finding, examine
from sparktrends.ops.endpoints import external
from sparktrends.ops.home import Home
from sparktrends.telemetry import system_clock


@click.command()
@json_option
@pass_context
@click.pass_context
def doctor(click_context: click.Context, context: Context, as_json: bool) -> None:
    """Say what is wrong and what to do: this machine, the home, the settings, what runs. Exit 1 on a problem."""
    try:
        redact = Redactor(map(Secret, context.settings.secrets()))
        found = list(examine(context.settings, system_clock))
    except BadSetting as error:
        redact, found = Redactor([]), [Finding("settings", str(error), error.hint or "correct it")]
    ill = any(finding.problem for finding in found)
    if as_json:
        print_json({"ok": not ill, "findings": [{k: _told(redact, v) for k, v in f.to_json().items()} for f in found]})
    else:
        click.echo("\n".join(redact(str(finding)) for finding in found) or "well")
    click_context.exit(1 if ill else 0)


def _told(redact: Redactor, value: object) -> object:
    return redact(value) if isinstance(value, str) else value


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@pass_context
def backup(context: Context, file: Path, as_json: bool) -> None:
    """Save the stopped home in one file: log, database and passwords. Keep the file as you keep the passwords.

    Refused where database or broker are somebody else's: docs/cluster.md says how those are saved.
    """
    backups.require_embedded(external(context.settings))
    _tell(backups.backup(backups.stored_in(context.settings.home), file), file, as_json)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@json_option
@pass_context
def restore(context: Context, file: Path, as_json: bool) -> None:
    """Put a saved home into an empty one (--home); then `up` goes on where it stood.

    Refused where the settings name a database or broker of somebody else: `up` would not use what is restored.
    """

    def agree(home: Path) -> None:
        # Addresses of the saved home in a `.env` are its own, and only what was read knows them.
        backups.require_used(external(context.settings, home))

    _tell(backups.restore(file, Home.open(context.settings.home), agree), file, as_json)


def _tell(saved: backups.Saved, file: Path, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(file), "files": saved.files, "bytes": saved.size})
    else:
        click.echo(f"{saved.files:,} files, {saved.size / 1e6:,.1f} MB")
