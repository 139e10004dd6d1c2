"""Where the bars of a backtest come from: the store, or a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sparktrends.alerts.backtest import History, Load, NewsOf
from sparktrends.analysis.work import Floats, Ints
from sparktrends.commit.news import rows_of
from sparktrends.ops.commands.offline import read_bars
from sparktrends.store.connect import Connection, translated
from sparktrends.store.history import histories


def from_store(connection: Connection, symbols: Sequence[str] = ()) -> Load:
    """The stored histories."""

    def load(interval: str) -> Iterator[History]:
        return (History(*history) for history in histories(connection, interval, symbols))

    return load


def news_from_store(connection: Connection) -> NewsOf:
    """What was known of news, as the stream sees it."""

    def rows(key: tuple[str, str], starts: Ints) -> Floats:
        with translated(), connection.cursor() as cursor:
            return rows_of(cursor, key, starts)

    return rows


def from_file(file: Path, symbols: Sequence[str] = ()) -> Load:
    """The histories in a file; it may hold several intervals."""
    bars = read_bars(file)

    def load(interval: str) -> Iterator[History]:
        for (source, symbol, length), frame in bars.partition_by("source", "symbol", "interval", as_dict=True).items():
            if length == interval and (not symbols or symbol in symbols):
                prices = frame.select("open", "high", "low", "close", "volume").to_numpy()
                rest = np.tile([0.0, 0.0, 1.0], (len(frame), 1))
                yield History((str(source), str(symbol)), frame["start"].to_numpy(), np.hstack([prices, rest]))

    return load
