"""The dashboard's process."""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from sparktrends import telemetry
from sparktrends.alerts.manual import acknowledge, silence
from sparktrends.errors import Unavailable
from sparktrends.model import SECOND
from sparktrends.net.redaction import Redactor, Secret
from sparktrends.ops.commands.context import Context, pass_context
from sparktrends.ops.endpoints import endpoints, processes, record
from sparktrends.ops.exposition import addresses, expose
from sparktrends.ops.ports import LOOPBACK, WANTED
from sparktrends.ops.settings import Settings, port_number
from sparktrends.serve.dashboard.config import DashboardConfig


@click.command()
@click.option("--port", default=0, help="Port of the loopback interface.  [default: 8501]")
@pass_context
def dashboard(context: Context, port: int) -> None:
    """Serve the dashboard to this machine until stopped."""
    from sparktrends.serve.dashboard.server import run

    settings = context.settings
    telemetry.configure_logging(Redactor(map(Secret, settings.secrets())))
    config = dashboard_config(settings)
    expose(settings, "dashboard")
    chosen = port or port_of(settings, "dashboard")
    click.echo(f"dashboard on http://{LOOPBACK}:{chosen}", err=True)
    run(config, chosen, settings.listen)


def dashboard_config(settings: Settings) -> DashboardConfig:
    """What the pages run with: the reader's account, and the two things that only the owner may do."""
    where = endpoints(settings)
    return DashboardConfig(
        where.reader_dsn,
        f"http://{LOOPBACK}:{port_of(settings, 'api')}",
        kafka=where.kafka,
        processes=lambda: processes(settings.home),
        metrics=lambda: addresses(record(settings.home).get("ports", {})),
        disk=str(settings.home),
        backtest=Backtests(settings),
        actions=ByOwner(where.owner_dsn),
    )


def port_of(settings: Settings, part: str) -> int:
    """Where a part listens: as `up` chose it, else as this home has it, else the port of the contract."""
    name = f"SPARKTRENDS_PORT_{part.upper()}"
    given = settings.env.get(name) or str(record(settings.home).get("ports", {}).get(part, WANTED[part]))
    return port_number(name, given)


class Backtests:
    """Tries the rules in use, in a process of its own: it is heavy, and the pages go on meanwhile."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, days: int) -> Mapping[str, Any]:
        """The report of `sparktrends alerts backtest` for the newest so many days (0: for all); raises Unavailable."""
        since = datetime.fromtimestamp(telemetry.system_clock() / SECOND, UTC) - timedelta(days=days)
        words = ["alerts", "backtest", "--json", "--from", f"{since:%Y-%m-%d}" if days else "1990-01-01"]
        command = [sys.executable, "-m", "sparktrends.ops.cli", "--home", str(self._settings.home), *words]
        done = subprocess.run(command, capture_output=True, text=True, env=dict(self._settings.env), check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:] or ["`sparktrends alerts backtest` said nothing"]
            raise Unavailable(said[0].removeprefix("sparktrends: "))
        found: dict[str, Any] = json.loads(done.stdout)
        return found


class ByOwner:
    """Acknowledges and silences as the person who runs this process."""

    def __init__(self, owner_dsn: str) -> None:
        self._dsn = owner_dsn

    def acknowledge(self, alert: str) -> None:
        """Write down that this person has seen an alert; raises NotFound."""
        acknowledge(self._dsn, alert, getpass.getuser(), telemetry.system_clock)

    def silence(self, match: Mapping[str, str], hours: float) -> int:
        """Send nothing that matches for some hours; the number of the silence."""
        return silence(self._dsn, match, hours, getpass.getuser(), telemetry.system_clock)
