"""The dashboard's process."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import click

from sparktrends import telemetry
from sparktrends.alerts.manual import acknowledge, silence
from sparktrends.net.redaction import Redactor, Secret
from sparktrends.ops.commands.context import Context, pass_context
from sparktrends.ops.endpoints import endpoints, processes, record
from sparktrends.ops.exposition import addresses, expose
from sparktrends.ops.home import REPORTS
from sparktrends.ops.ports import LOOPBACK, WANTED
from sparktrends.ops.settings import Settings, port_number
from sparktrends.rules import Rule, RulesFile
from sparktrends.serve.dashboard.config import Backtests, DashboardConfig


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
        reports=str(settings.home / REPORTS),
        rules=rules_in_use(settings),
        backtest=Backtests(["--home", str(settings.home)], settings.env),
        actions=ByOwner(where.owner_dsn),
    )


def rules_in_use(settings: Settings) -> Callable[[], Sequence[Rule]]:
    """What gives the rules in use: read when somebody looks first, and again when their file has changed."""

    @cache
    def file() -> RulesFile:
        # The kernel is heavy to load, and who looks at prices needs none of it.
        from sparktrends.ops.analysing import Analysing

        return Analysing(settings, ["1m"]).rules

    return lambda: file().look().rules


def port_of(settings: Settings, part: str) -> int:
    """Where a part listens: as `up` chose it, else as this home has it, else the port of the contract."""
    name = f"SPARKTRENDS_PORT_{part.upper()}"
    given = settings.env.get(name) or str(record(settings.home).get("ports", {}).get(part, WANTED[part]))
    return port_number(name, given)


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
