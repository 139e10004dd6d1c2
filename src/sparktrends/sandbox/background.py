"""The market before the twin was started: any bar of any time from a formula, so that years of history cost nothing.

The log price is a sum of waves from minutes to years; it ends exactly where the live market begins. The same seed
gives the same past.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, pi, sin
from zlib import crc32

from sparktrends.model import DAY, HOUR, MINUTE
from sparktrends.sandbox.candles import Candle
from sparktrends.sandbox.instruments import UNIT, Instrument

_WAVES = ((17 * MINUTE, 0.0008), (3 * HOUR, 0.002), (DAY, 0.006), (9 * DAY, 0.02), (41 * DAY, 0.06), (500 * DAY, 0.25))
_A_MINUTE = 40_000.0  # currency that changes hands in a minute


@dataclass(slots=True)
class Background:
    """The past of one instrument up to ``end`` (µs), when its price is ``instrument.price``."""

    instrument: Instrument
    end: int
    seed: int
    _phases: tuple[float, ...] = field(init=False)
    _last: float = field(init=False)

    def __post_init__(self) -> None:
        self._phases = tuple(2 * pi * self._chance(k) for k in range(len(_WAVES)))
        # Every price asks for it, and a chart of a day asks for some 3,000 prices.
        self._last = self._level(self.end)

    def price(self, t: int) -> int:
        """The price at time ``t``, in units, on the grid of the instrument."""
        raw = self.instrument.price * exp(self._level(t) - self._last)
        tick = self.instrument.tick
        return max(tick, round(raw * UNIT / tick) * tick)

    def candle(self, start: int, end: int) -> Candle:
        """The bar of [start, end), which lies before `end`: prices that follow each other without a jump."""
        # A minute is nearly straight; a day has shape between its ends.
        step = end - start if end - start <= MINUTE else max(1, (end - start) // 8)
        path = [self.price(t) for t in range(start, end, step)] + [self.price(end)]
        minutes = max(1, (end - start) // MINUTE)
        mean = sum(path) // len(path)
        lot = self.instrument.lot
        volume = max(1, int((0.5 + self._chance(start)) * _A_MINUTE * minutes * UNIT * UNIT / mean / lot)) * lot
        bought = volume // lot // 2 * lot
        trades = int((10 + 50 * self._chance(start + 1)) * minutes)
        return Candle(
            start, path[0], max(path), min(path), path[-1], volume, trades, volume * mean, bought=bought,
            bought_turnover=bought * mean,
        )  # fmt: skip

    def _level(self, t: int) -> float:
        turns = 2 * pi * t
        return sum(
            height * sin(turns / wave + phase) for (wave, height), phase in zip(_WAVES, self._phases, strict=True)
        )

    def _chance(self, what: int) -> float:
        return crc32(f"{self.seed}:{self.instrument.name}:{what}".encode()) / 2**32
