"""``sparktrends batch repair``: late trades into their bars, repeated records out of them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from sparktrends.bus.codec import to_micros
from sparktrends.bus.reader import Reader
from sparktrends.ops.commands.context import Context, json_option, pass_context, print_json
from sparktrends.ops.commands.symbols import stored
from sparktrends.ops.endpoints import started
from sparktrends.store.writer import Writer
from sparktrends.telemetry import system_clock

if TYPE_CHECKING:
    from sparktrends.batch.repair import Repaired

_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.command()
@click.option("--symbols", default="", metavar="A,B", help="Only these; all by default.")
@click.option("--from", "since", type=_TIME, help="Only minutes from here on, UTC.")
@click.option("--to", "until", type=_TIME, help="Only minutes before this, UTC.")
@json_option
@pass_context
def repair(context: Context, symbols: str, since: datetime | None, until: datetime | None, as_json: bool) -> None:
    """Fold the late ledger into its bars, and rebuild bars without records that repeat an id."""
    # The analysis is compiled code: whoever asks for another job need not wait for it.
    from sparktrends.batch.repair import FOREVER, SHARD, Repair, Wanted
    from sparktrends.commit import Laws
    from sparktrends.ops.analysing import Analyses
    from sparktrends.ops.laws import agreed_limits
    from sparktrends.store.analysis_rows import TEMPORARY_METRICS

    wanted = Wanted(
        stored(symbols),
        to_micros(since.replace(tzinfo=UTC)) if since else 0,
        to_micros(until.replace(tzinfo=UTC)) if until else FOREVER,
    )
    with started(context.settings) as where, Reader(where.kafka) as log:
        limits = agreed_limits(context.settings, where.owner_dsn)
        laws = Laws(limits, Analyses(context.settings, limits)())
        writer = Writer(where.owner_dsn, SHARD, [TEMPORARY_METRICS])
        try:
            done = Repair(writer, log, laws, system_clock).run(wanted)
        finally:
            writer.close()
    if as_json:
        print_json(asdict(done))
    else:
        click.echo(_words(done))


def _words(done: Repaired) -> str:
    said = f"{done.late:,} late trades are in their bars, {done.repeats:,} repeated records are in none any more"
    if done.stayed:
        said += f"; {done.stayed:,} repeated records stay: the log no longer holds their whole minute"
    return said
