"""A bar of the twin, in whole units, and how bars of minutes make longer ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class Candle:
    """One bar: prices and sizes in units of 10**-8, turnovers in 10**-16; ``first`` and ``last`` are trade ids.

    ``bought`` is the part of the volume whose taker bought. Without trades the ids are -1.
    """

    start: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    trades: int = 0
    turnover: int = 0
    first: int = -1
    last: int = -1
    bought: int = 0
    bought_turnover: int = 0

    def add(self, trade_id: int, price: int, size: int) -> None:
        """Take in one more trade; ids come in their order."""
        if self.trades == 0:
            self.open = self.high = self.low = price
            self.first = trade_id
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
        self.volume += size
        self.turnover += price * size
        self.trades += 1
        self.last = trade_id
        if not sold(trade_id):
            self.bought += size
            self.bought_turnover += price * size


def sold(trade_id: int) -> bool:
    """Whether the buyer of this trade was the maker (the taker sold): as good as a coin's toss, and repeatable."""
    return (trade_id * 2_654_435_761 >> 9) & 1 == 1


def folded(start: int, parts: Iterable[Candle]) -> Candle | None:
    """One bar from ``start`` of consecutive shorter ones; None when there are none."""
    whole: Candle | None = None
    for part in parts:
        if whole is None:
            whole = Candle(start, part.open, part.high, part.low, part.close)
        whole.high, whole.low, whole.close = max(whole.high, part.high), min(whole.low, part.low), part.close
        whole.volume += part.volume
        whole.trades += part.trades
        whole.turnover += part.turnover
        whole.bought += part.bought
        whole.bought_turnover += part.bought_turnover
        whole.first = part.first if whole.first < 0 else whole.first
        whole.last = part.last if part.last >= 0 else whole.last
    return whole
