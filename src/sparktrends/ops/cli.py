"""`sparktrends`: the one composition root. Each module in `commands` adds some commands to the group here.

Exit codes: 0 well, 1 found a problem, 2 wrong use, 3 a needed service is not there.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

from sparktrends import __version__
from sparktrends.errors import SparkTrendsError
from sparktrends.ops.commands.context import Context
from sparktrends.ops.settings import forget_other_databases

# Command → module that defines it: a command imports only what it needs, so that help and errors come at once.
COMMANDS = {
    "up": "running",
    "down": "running",
    "restart": "running",
    "status": "inspecting",
    "env": "inspecting",
    "init": "starting",
    "psql": "inspecting",
    "migrate": "deploying",
    "accounts": "deploying",
    "doctor": "caring",
    "backup": "caring",
    "restore": "caring",
    "topics": "inspecting",
    "check": "inspecting",
    "audit": "inspecting",
    "ingest": "processes",
    "stream": "processes",
    "prepare": "processes",
    "alerts": "alerting",
    "rules": "alerting",
    "api": "serving",
    "keys": "serving",
    "dashboard": "dashboarding",
    "metrics": "offline",
    "signals": "offline",
    "patterns": "offline",
    "symbols": "listing",
    "sandbox": "twin",
    "batch": "batching",
    "parse": "parsing",
    "bench": "benching",
}


class Commands(click.Group):
    """Finds commands by name and imports their module on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None when there is none."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"sparktrends.ops.commands.{COMMANDS[cmd_name]}")
        found: click.Command = getattr(module, cmd_name)
        return found

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an error of ours is one sentence on standard error and its exit code."""
        try:
            return super().invoke(ctx)
        except SparkTrendsError as error:
            click.echo(f"sparktrends: {_redacted(str(error), ctx.obj)}", err=True)
            ctx.exit(error.exit_code)


def _redacted(sentence: str, context: Context | None) -> str:
    """Without the secrets of the settings: drivers put their words into our errors, and standard error may be a log."""
    from sparktrends.net.redaction import Redactor, Secret  # only here: every command would wait for it

    known = context.settings.secrets() if context and "settings" in vars(context) else []
    return Redactor(map(Secret, known))(sentence)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", type=click.Path(path_type=Path), help="Folder of everything that is kept.")
@click.version_option(__version__, prog_name="sparktrends")
@click.pass_context
def main(ctx: click.Context, home: Path | None) -> None:
    """Market data you can trust: providers → Kafka → Spark → PostgreSQL → alerts, API, dashboard."""
    forget_other_databases()
    ctx.obj = Context(home)


if __name__ == "__main__":
    sys.exit(main())
