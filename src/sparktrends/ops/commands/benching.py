"""`sparktrends bench NAME`: how fast this machine does it."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

import click

from sparktrends.ops.bench.report import line
from sparktrends.ops.commands.context import Context, pass_context
from sparktrends.telemetry import system_clock

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def bench() -> None:
    """Measure the real parts in a home of their own; one JSON line each."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    # As an exception, so that what was started is stopped and the home removed.
    raise SystemExit(128 + number)


@bench.command()
@click.option("--trades", default=10_000_000, show_default=True, help="Records in the topic.")
@click.option("--symbols", default=500, show_default=True)
@pass_context
def throughput(context: Context, trades: int, symbols: int) -> None:
    """From a full topic to committed bars, beside a loop written by hand."""
    from sparktrends.ops.bench import throughput as measured

    click.echo(line("throughput", measured.run(context.settings, system_clock, trades, symbols)))


@bench.command()
@click.option("--trades", default=10_000_000, show_default=True, help="Records in the topic.")
@click.option("--symbols", default=500, show_default=True)
@click.option("--shards", default=2, show_default=True, type=click.IntRange(2))
@pass_context
def shards(context: Context, trades: int, symbols: int, shards: int) -> None:
    """What a trade costs with several streams, against one."""
    from sparktrends.ops.bench import shards as measured

    click.echo(line("shards", measured.run(context.settings, system_clock, trades, symbols, shards)))


@bench.command()
@click.option("--seconds", default=60.0, show_default=True, help="Measured, after the warm-up.")
@click.option(
    "--warm-up", default=90.0, show_default=True, help="Seconds of load in which Java compiles what it needs."
)
@click.option("--rate", default=5_000.0, show_default=True, help="Trades a second.")
@click.option("--symbols", default=500, show_default=True)
@pass_context
def latency(context: Context, seconds: float, warm_up: float, rate: float, symbols: int) -> None:
    """From the moment a trade is due to the commit that holds it."""
    from sparktrends.ops.bench import latency as measured

    click.echo(line("latency", measured.run(context.settings, system_clock, seconds, warm_up, rate, symbols)))


@bench.command()
@click.option("--runs", default=3, show_default=True)
@pass_context
def startup(context: Context, runs: int) -> None:
    """From typing `sparktrends up` to the first bar, with everything downloaded and compiled."""
    from sparktrends.ops.bench import whole

    click.echo(line("startup", whole.startup(context.settings, runs)))


@bench.command()
@click.option("--minutes", default=10.0, show_default=True)
@click.option("--every", default=10.0, show_default=True, help="Seconds between samples.")
@click.option("--rate", default=5_000.0, show_default=True, help="Trades a second.")
@click.option("--symbols", default=500, show_default=True)
@pass_context
def memory(context: Context, minutes: float, every: float, rate: float, symbols: int) -> None:
    """What all processes of `sparktrends up` take together under load."""
    from sparktrends.ops.bench import whole

    click.echo(line("memory", whole.memory(context.settings, minutes, every, rate, symbols)))


@bench.command()
@click.option("--symbols", default=5_000, show_default=True, help="Series that change in every batch.")
@click.option("--minutes", default=8, show_default=True, help="Of bars, three batches each; the first two warm up.")
@pass_context
def analysis(context: Context, symbols: int, minutes: int) -> None:
    """The analysis of one micro-batch."""
    from sparktrends.ops.bench import analysing

    click.echo(line("analysis", analysing.run(context.settings, symbols, minutes)))


@bench.command()
@click.option("--seconds", default=30.0, show_default=True, help="Measured, after a warm-up.")
@click.option("--rate", default=200.0, show_default=True, help="Requests a second.")
@click.option("--symbols", default=20, show_default=True)
@click.option("--trades", default=50.0, show_default=True, help="Trades a second in the pipeline beside it.")
@click.option("--listeners", default=200, show_default=True, help="Who follow the stream, after the requests.")
@pass_context
def api(context: Context, seconds: float, rate: float, symbols: int, trades: float, listeners: int) -> None:
    """The API beside a running pipeline: 80 % newest bars, 20 % for 500 bars with metrics; then the event stream."""
    from sparktrends.ops.bench import api as measured

    found = measured.run(context.settings, system_clock, seconds, rate, symbols, trades, listeners)
    click.echo(line("api", found))


@bench.command()
@click.option("--nab", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A folder in NAB's layout.")
@click.option("--symbols", default=20, show_default=True, help="Of the simulated market.")
@click.option("--rate", default=20.0, show_default=True, help="Its trades a second.")
@click.option("--days", default=2, show_default=True, help="Simulated; 0 for none.")
@click.option("--seed", default=2024, show_default=True)
def detectors(nab: Path | None, symbols: int, rate: float, days: int, seed: int) -> None:
    """What the detectors find, how soon, and how often they cry wolf."""
    from sparktrends.ops.bench import detecting, planted

    figures = detecting.on_nab(nab) if nab else {}
    if days:
        figures |= planted.run(symbols, rate, days, seed)
    click.echo(line("detectors", figures))


@bench.command()
def kernel() -> None:
    """The indicators alone on one core, beside talipp."""
    from sparktrends.ops.bench import kernel as measured

    click.echo(line("kernel", measured.run()))


@bench.command()
@click.option("--symbols", default=50, show_default=True)
@click.option("--days", default=252, show_default=True, help="Sessions of 390 minutes.")
@pass_context
def backtest(context: Context, symbols: int, days: int) -> None:
    """Alert rules over a year of stored minutes."""
    from sparktrends.ops.bench import backtest as measured

    click.echo(line("backtest", measured.run(context.settings, symbols, days)))


@bench.command()
@click.option("--records", default=200_000, show_default=True, help="Trades or prices of each source.")
def ingest(records: int) -> None:
    """From a socket's frame to Kafka on one core, for each live source, with the share of each stage."""
    from sparktrends.ops.bench import ingest as measured

    click.echo(line("ingest", measured.run(records)))


@bench.command()
@click.option("--headlines", default=30_000, show_default=True)
@click.option("--labelled", type=_FILE, help="CSV text,label: say how often the labels are met instead.")
@click.option("--model", type=click.Path(path_type=Path, file_okay=False), help="A transformer's folder (extra).")
@click.option("--loughran", type=_FILE, help="Your copy of Loughran and McDonald's dictionary.")
def sentiment(headlines: int, labelled: Path | None, model: Path | None, loughran: Path | None) -> None:
    """Headlines a second on one core, beside VADER's library; or agreement with labels."""
    from sparktrends.ops.bench import sentiment as measured

    scorer = measured.new_scorer(model, loughran)
    found = measured.labelled(scorer, labelled) if labelled else measured.run(scorer, headlines)
    click.echo(line("sentiment", found))
    if labelled:
        click.echo(measured.table(found), err=True)


@bench.command()
@click.option("--bars", default=50_000_000, show_default=True, help="One-minute bars, a year a series.")
@pass_context
def history(context: Context, bars: int) -> None:
    """Minutes to metrics with Spark, Parquet to Parquet."""
    from sparktrends.ops.bench import history as measured

    click.echo(line("history", measured.run(context.settings, bars)))


@bench.command()
@click.option("--news", default=1_000_000, show_default=True, help="Stories, all different.")
@pass_context
def news(context: Context, news: int) -> None:
    """Stored answers to scored stories with Spark."""
    from sparktrends.ops.bench import news as measured

    click.echo(line("news", measured.run(context.settings, news, system_clock())))


@bench.command()
@click.option("--moved", default=5_000_000, show_default=True, help="Bars archived to Parquet and restored.")
@click.option("--bars", default=20_000_000, show_default=True, help="Bars stored when days are asked for.")
@click.option("--days", default=200, show_default=True, help="Days of one symbol that are asked for.")
@click.option("--symbols", default=20, show_default=True, help="Who share the bars: fewer symbols, more months.")
@pass_context
def store(context: Context, moved: int, bars: int, days: int, symbols: int) -> None:
    """Bars from Parquet into the database, and a day of one symbol out of all of them."""
    from sparktrends.ops.bench import store as measured

    click.echo(line("store", measured.run(context.settings, measured.Size(moved, bars, days, symbols))))
