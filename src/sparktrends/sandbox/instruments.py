"""What the twin's market trades: a fixed table, with prices near the real ones, so that numbers look right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, log10
from typing import Literal

from sparktrends.errors import BadSetting

UNIT = 10**8
"""Prices and sizes of the twin are whole numbers of 10**-8: each has at most eight decimal places."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One thing that trades: ``name`` is a ticker (``AAPL``), a coin (``BTC``) or a rate (``EUR/USD``)."""

    name: str
    kind: Literal["stock", "coin", "rate"]
    price: float
    title: str = ""
    industry: str = ""
    exchange: str = "NASDAQ"
    shares: int = 0

    @property
    def magnitude(self) -> int:
        """The power of ten of its price."""
        return floor(log10(self.price))

    @property
    def tick(self) -> int:
        """The smallest step of its price, in units."""
        return _grid({"stock": 2, "rate": 5}.get(self.kind, min(8, max(2, 4 - self.magnitude))))

    @property
    def lot(self) -> int:
        """The smallest step of its size, in units: whole shares, fractions of a coin."""
        return _grid(min(6, max(0, self.magnitude + 2))) if self.kind == "coin" else UNIT


def _grid(digits: int) -> int:
    return UNIT // int(10**digits)


_ALL = (
    Instrument("AAPL", "stock", 231.5, "Apple Inc", "Technology", shares=15_100_000_000),
    Instrument("MSFT", "stock", 415.1, "Microsoft Corp", "Technology", shares=7_430_000_000),
    Instrument("GOOGL", "stock", 168.4, "Alphabet Inc", "Media", shares=12_200_000_000),
    Instrument("AMZN", "stock", 203.2, "Amazon.com Inc", "Retail", shares=10_500_000_000),
    Instrument("NVDA", "stock", 146.7, "NVIDIA Corp", "Semiconductors", shares=24_500_000_000),
    Instrument("TSLA", "stock", 339.6, "Tesla Inc", "Automobiles", shares=3_210_000_000),
    Instrument("JPM", "stock", 245.3, "JPMorgan Chase & Co", "Banking", "NYSE", 2_810_000_000),
    Instrument("SPY", "stock", 594.2, "SPDR S&P 500 ETF Trust", "Funds", "NYSE ARCA", 1_060_000_000),
    Instrument("META", "stock", 563.1, "Meta Platforms Inc", "Media", shares=2_520_000_000),
    Instrument("IBM", "stock", 222.9, "International Business Machines Corp", "Technology", "NYSE", 925_000_000),
    Instrument("BTC", "coin", 97_123.45, "Bitcoin"),
    Instrument("ETH", "coin", 3_310.4, "Ethereum"),
    Instrument("SOL", "coin", 243.1, "Solana"),
    Instrument("BNB", "coin", 621.5, "BNB"),
    Instrument("XRP", "coin", 1.1342, "XRP"),
    Instrument("DOGE", "coin", 0.38512, "Dogecoin"),
    Instrument("EUR/USD", "rate", 1.0471),
    Instrument("GBP/USD", "rate", 1.2588),
)

INSTRUMENTS: Mapping[str, Instrument] = {instrument.name: instrument for instrument in _ALL}
"""Every instrument by its name."""


def chosen(names: str) -> tuple[Instrument, ...]:
    """The instruments of a comma list, all of them for an empty one; BadSetting naming what there is.

    >>> [instrument.name for instrument in chosen("BTC,AAPL")]
    ['BTC', 'AAPL']
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()] or list(INSTRUMENTS)
    unknown = [name for name in wanted if name not in INSTRUMENTS]
    if unknown:
        raise BadSetting(f"the sandbox does not trade {', '.join(unknown)}", hint=f"it has {', '.join(INSTRUMENTS)}")
    return tuple(INSTRUMENTS[name] for name in dict.fromkeys(wanted))


def plain(units: int) -> str:
    """A price or size as text with exactly eight places, as Binance writes them.

    >>> plain(9_712_345_000_000)
    '97123.45000000'
    """
    return f"{units // UNIT}.{units % UNIT:08d}"


def number(units: int) -> float | int:
    """A price or size as a JSON number: the shortest one that is exactly it.

    >>> number(23_154_000_000), number(300_000_000)
    (231.54, 3)
    """
    return units // UNIT if units % UNIT == 0 else units / UNIT


def short(units: int) -> str:
    """A price or size as a JSON number without an exponent or needless zeros.

    >>> short(23_154_000_000), short(300_000_000), short(1_000)
    ('231.54', '3', '0.00001')
    """
    return plain(units).rstrip("0").rstrip(".")
