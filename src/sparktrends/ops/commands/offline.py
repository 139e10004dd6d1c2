"""What works on a file alone, without any stack: the same kernel, detectors and rules as live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import polars as pl

from sparktrends.analysis.chain import Chain
from sparktrends.analysis.work import Work
from sparktrends.commit import Sessions
from sparktrends.detectors.candlesticks import PATTERNS, PLAIN, Candlesticks
from sparktrends.errors import BadFile
from sparktrends.indicators import BAR_COLUMNS, Kernel, compute
from sparktrends.model import DAY, INTERVALS, ProviderBar
from sparktrends.ops.analysing import chain_of
from sparktrends.ops.commands.context import Context, pass_context
from sparktrends.sources.replay import Replay

_OUTPUT = click.option("-o", "output", type=click.Path(path_type=Path), help="A .parquet or .csv file instead.")
_JSON = click.option("--json", "as_json", is_flag=True, help="A JSON array of rows instead of CSV.")
_PRICES = ("open", "high", "low", "close", "volume")
_PATTERN_COLUMNS = {
    "symbol": pl.String,
    "interval": pl.String,
    "start": pl.Int64,
    "pattern": pl.String,
    "value": pl.Int64,
    "talib": pl.String,
}
_FILE = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))


def _on_file(command: Callable[..., Any]) -> Callable[..., Any]:
    decorated: Callable[..., Any] = _FILE(_OUTPUT(_JSON(pass_context(command))))
    return decorated


@click.command()
@_on_file
def metrics(context: Context, file: Path, output: Path | None, as_json: bool) -> None:
    """The metrics of a file of bars (CSV or Parquet)."""
    settings = context.settings
    kernel = Kernel(settings.table("indicators"), cache=settings.cache / "kernel")
    _write(compute(read_bars(file), kernel=kernel), output, as_json)


@click.command()
@_on_file
def signals(context: Context, file: Path, output: Path | None, as_json: bool) -> None:
    """The signals that detectors find in a file of bars."""
    chain = chain_of(context.settings)
    found = [
        row
        for key, bars in read_bars(file).partition_by("source", "symbol", as_dict=True).items()
        for row in _signals_of(chain, (str(key[0]), str(key[1])), bars)
    ]
    _write(pl.DataFrame(found, infer_schema_length=None), output, as_json)


@click.command()
@_on_file
def patterns(_context: Context, file: Path, output: Path | None, as_json: bool) -> None:
    """The candlestick patterns in a file of bars: TA-Lib's 61, with its values."""
    found = [
        row
        for key, bars in read_bars(file).partition_by("source", "symbol", "interval", as_dict=True).items()
        for row in _patterns_of(str(key[1]), str(key[2]), bars)
    ]
    _write(pl.DataFrame(found, _PATTERN_COLUMNS, orient="row"), output, as_json)


def read_bars(file: Path) -> pl.DataFrame:
    """Bars of a file as columns source, symbol, interval, start (µs UTC), session (`Sessions`) and float prices.

    Raises BadFile.
    """
    recording = Replay(file)
    if not recording.bars:
        raise BadFile(f"{file} holds trades, not bars", hint="give open, high, low, close and volume")
    events = [bar for bar in recording.events({}) if isinstance(bar, ProviderBar)]
    session_of = {interval: Sessions(interval) for interval in INTERVALS}
    return pl.DataFrame(
        {
            "source": [bar.source for bar in events],
            "symbol": [bar.symbol for bar in events],
            "interval": [bar.interval for bar in events],
            "start": pl.Series([bar.start for bar in events], dtype=pl.Int64),
            "session": [session_of[bar.interval]((bar.source, bar.symbol), bar.start) for bar in events],
            **{
                name: [float(getattr(bar, name)) for bar in events]
                for name in ("open", "high", "low", "close", "volume")
            },
        }
    )


def _signals_of(chain: Chain, key: tuple[str, str], bars: pl.DataFrame) -> list[dict[str, Any]]:
    starts = tuple(bars["start"].to_list())
    # A file has no turnover of its own: its bars count as a provider's.
    table = bars.select(*_PRICES, pl.lit(0.0), "session", pl.lit(1.0).alias("provider")).to_numpy()
    # Kept from behind the last bar: nobody goes on from here, so no state is wanted back.
    work = Work(key, chain.new(), -1, starts, table, keep_from=starts[-1] + DAY)
    (stepped,) = chain.advance([work])
    return [
        {
            "symbol": s.symbol,
            "start": s.start,
            "kind": s.kind,
            "name": s.name,
            "direction": s.direction,
            "score": s.score,
            "severity": s.severity,
        }
        for s in stepped.signals
    ]


def _patterns_of(symbol: str, interval: str, bars: pl.DataFrame) -> list[tuple[Any, ...]]:
    shapes = Candlesticks()
    table = np.zeros((len(bars), len(BAR_COLUMNS)))
    table[:, :5] = bars.select(_PRICES).to_numpy()
    scores = shapes.run(shapes.new(1)[0], table)
    starts, places = bars["start"].to_list(), np.argwhere(scores)
    return [
        (symbol, interval, starts[j], PATTERNS[c].name, round(scores[j, c] * PLAIN), PATTERNS[c].talib)
        for j, c in places.tolist()
    ]


def _write(frame: pl.DataFrame, output: Path | None, as_json: bool) -> None:
    """To standard output or a file; raises BadFile when that cannot be written."""
    if "start" in frame.columns:
        frame = frame.with_columns(pl.from_epoch("start", time_unit="us").dt.replace_time_zone("UTC"))
    if output is None:
        click.echo(frame.write_json() if as_json else frame.write_csv(), nl=as_json)
        return
    try:
        with open(output, "wb") as out:
            frame.write_parquet(out) if output.suffix == ".parquet" else frame.write_csv(out)
    except OSError as error:
        raise BadFile(f"{output} cannot be written ({error.strerror})", hint="name another file with -o") from error
