"""``sparktrends alerts backtest``: rules tried on stored history, or on a file of bars without any stack."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from sparktrends.bus.codec import to_micros
from sparktrends.ops.analysing import chains_of
from sparktrends.ops.commands.context import Context, json_option, pass_context, print_json
from sparktrends.ops.commands.symbols import stored
from sparktrends.ops.endpoints import endpoints
from sparktrends.store.connect import connect
from sparktrends.telemetry import system_clock

_PATIENCE_S = 600.0
_DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("backtest")
@click.argument("rules", type=_FILE, required=False)
@click.option("--from", "since", type=_DAY, help="First day, UTC; a year before --to by default.")
@click.option("--to", "until", type=_DAY, help="The day after the last one, UTC; now by default.")
@click.option("--symbols", default="", metavar="A,B", help="Only these; all that are stored by default.")
@click.option("--bars", "file", type=_FILE, help="A CSV or Parquet file of bars instead of the stored ones.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a page with charts here.")
@json_option
@pass_context
def backtest_(
    context: Context,
    rules: Path | None,
    since: datetime | None,
    until: datetime | None,
    symbols: str,
    file: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Try RULES (the rules in use by default) on history: how often each would have fired, and what came after."""
    # Tables and charts are heavy, and the process that sends alerts loads this file too.
    from sparktrends.alerts.backtest import backtest
    from sparktrends.alerts.backtest_page import page
    from sparktrends.alerts.backtest_report import report, table
    from sparktrends.ops.histories import from_file, from_store, news_from_store

    end = until or datetime.fromtimestamp(system_clock() / 1e6, UTC).replace(tzinfo=None)
    first, last = (to_micros(day.replace(tzinfo=UTC)) for day in (since or end - timedelta(days=366), end))
    wanted = stored(symbols)
    chains = chains_of(context.settings, rules=rules)
    begin = time.monotonic()
    if file is not None:
        outcome = backtest(chains, from_file(file, wanted), first, last)
    else:
        with connect(endpoints(context.settings).owner_dsn, timeout_s=_PATIENCE_S, application="backtest") as store:
            outcome = backtest(chains, from_store(store, wanted), first, last, news=news_from_store(store))
    found = {**report(outcome, first, last), "seconds": round(time.monotonic() - begin, 2)}
    if html is not None:
        html.write_text(page(found), encoding="utf-8")
    if as_json:
        print_json(found)
    else:
        click.echo("\n".join(table(found)))
