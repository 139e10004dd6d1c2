"""One name for each symbol (``AAPL``, ``BTC/USDT``, ``EUR/USD``), and how to tell a pair from what providers write."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sparktrends.errors import BadRecord, BadSetting
from sparktrends.model import is_simulated
from sparktrends.sessions import ALWAYS, CURRENCIES, STOCKS

FIAT = frozenset({"USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "NZD", "CNY", "TRY", "BRL", "INR", "SEK", "NOK"})
"""Currencies of states: a pair of two of them is foreign exchange, any other pair is crypto."""

# Longest first, so that BTCFDUSD ends in FDUSD and not in USD.
_QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "DAI", "BTC", "ETH", "BNB", *sorted(FIAT))
_PAIR = re.compile(r"([A-Z0-9]{1,20})/([A-Z0-9]{2,20})")
SUFFIXES: Mapping[str, str] = {
    ".AS": "XAMS", ".AT": "ASEX", ".AX": "XASX", ".BA": "XBUE", ".BD": "XBUD", ".BE": "XFRA", ".BK": "XBKK",
    ".BO": "XBOM", ".BR": "XBRU", ".CL": "XBOG", ".CN": "XTSE", ".CO": "XCSE", ".DE": "XETR", ".DU": "XFRA",
    ".F": "XFRA", ".HA": "XFRA", ".HE": "XHEL", ".HK": "XHKG", ".HM": "XFRA", ".IC": "XICE", ".IL": "XLON",
    ".IR": "XDUB", ".IS": "XIST", ".JK": "XIDX", ".JO": "XJSE", ".KA": "XKAR", ".KL": "XKLS", ".KQ": "XKRX",
    ".KS": "XKRX", ".L": "XLON", ".LM": "XLIM", ".LS": "XLIS", ".MC": "XMAD", ".ME": "XMOS", ".MI": "XMIL",
    ".MU": "XFRA", ".MX": "XMEX", ".NE": "XTSE", ".NS": "XBOM", ".NZ": "XNZE", ".OL": "XOSL", ".PA": "XPAR",
    ".PR": "XPRA", ".PS": "XPHS", ".RG": "XRIS", ".RO": "XBSE", ".SA": "BVMF", ".SG": "XFRA", ".SI": "XSES",
    ".SN": "XSGO", ".SR": "XSAU", ".SS": "XSHG", ".ST": "XSTO", ".SW": "XSWX", ".SZ": "XSHG", ".T": "XTKS",
    ".TA": "XTAE", ".TL": "XTAL", ".TO": "XTSE", ".TW": "XTAI", ".TWO": "XTAI", ".V": "XTSE", ".VI": "XWBO",
    ".VS": "XLIT", ".WA": "XWAR",
    # Alpha Vantage's own.
    ".BSE": "XBOM", ".DEX": "XETR", ".FRK": "XFRA", ".LON": "XLON", ".SAO": "BVMF", ".SHH": "XSHG", ".SHZ": "XSHG",
    ".TRT": "XTSE", ".TRV": "XTSE",
}  # fmt: skip
"""How symbols end that are traded elsewhere than in New York, as providers write them, and whose hours hold.

Bombay's hours are those of India's National Stock Exchange, Shanghai's those of Shenzhen, Toronto's and Frankfurt's
those of the smaller exchanges beside them.
"""
INDICES: Mapping[str, str] = {
    **dict.fromkeys(("^GSPC", "^DJI", "^IXIC", "^NDX", "^RUT", "^VIX", "^SOX", "^NYA", "^OEX", "^TNX"), STOCKS),
    "^AEX": "XAMS", "^AXJO": "XASX", "^BSESN": "XBOM", "^BVSP": "BVMF", "^FCHI": "XPAR", "^FTSE": "XLON",
    "^GDAXI": "XETR", "^GSPTSE": "XTSE", "^HSI": "XHKG", "^IBEX": "XMAD", "^KS11": "XKRX", "^N225": "XTKS",
    "^NSEI": "XBOM", "^SSMI": "XSWX", "^STI": "XSES", "^STOXX50E": "XETR", "^TWII": "XTAI",
}  # fmt: skip
"""Whose hours hold for an index, as Yahoo and Finnhub write it."""
FUTURES = "CMES"
"""The hours of futures: those of the CME's, Sunday evening to Friday evening."""
_told: dict[str, str] = {}
_PLACE = re.compile(r"[.][A-Z]{2,}")
"""What stands from the last point on and names an exchange: a class of shares is one letter."""
_FUTURE = re.compile(r"[A-Z0-9]{1,17}=F")
_RATE = re.compile(r"([A-Z]{3})?([A-Z]{3})=X")
_TICKER = re.compile(r"[A-Z0-9^][A-Z0-9.^=-]{0,19}")


def pair_of(symbol: str) -> tuple[str, str] | None:
    """(base, quote) of a pair; None for anything else.

    >>> pair_of("BTC/USDT"), pair_of("AAPL")
    (('BTC', 'USDT'), None)
    """
    match = _PAIR.fullmatch(symbol)
    return (match[1], match[2]) if match else None


def is_exchange_rate(symbol: str) -> bool:
    """Whether the symbol is a pair of two currencies of states."""
    pair = pair_of(symbol)
    return pair is not None and pair[0] in FIAT and pair[1] in FIAT


def exchange_of(symbol: str) -> str:
    """Whose hours hold for a symbol.

    >>> exchange_of("BTC/USDT"), exchange_of("AAPL"), exchange_of("EUR/USD"), exchange_of("7203.T")
    ('24/7', 'XNYS', '24/5', 'XTKS')
    >>> exchange_of("^FTSE"), exchange_of("ES=F")
    ('XLON', 'CMES')
    """
    if exchange := _told.get(symbol) or INDICES.get(symbol):
        return exchange
    if is_future(symbol):
        return FUTURES
    if "." in symbol:
        end = _end(symbol)
        return _told.get(end) or SUFFIXES.get(end, STOCKS)
    if pair_of(symbol) is None:
        return STOCKS
    return CURRENCIES if is_exchange_rate(symbol) else ALWAYS


def is_future(symbol: str) -> bool:
    """Whether it is written as Yahoo writes a future, such as ``ES=F``; nobody else has those."""
    return _FUTURE.fullmatch(symbol) is not None


def use_exchanges(told: Mapping[str, str]) -> None:
    """From now on these hold before all others in this process: exchanges by symbol, or by what stands from its last
    point on (``.T``)."""
    _told.clear()
    _told.update(told)


def split_place(ticker: str) -> tuple[str, str]:
    """A stock's symbol without and with only what says where it is traded.

    >>> split_place("7203.T"), split_place("BRK.B")
    (('7203', '.T'), ('BRK.B', ''))
    """
    end = _end(ticker)
    known = ticker in _told or end in _told or end in SUFFIXES
    return (ticker.removesuffix(end), end) if end and known else (ticker, "")


def _end(ticker: str) -> str:
    name, point, end = ticker.rpartition(".")
    return point + end if name else ""


def hours_of(source: str, symbol: str) -> str:
    """Whose hours hold for a series: what is made up is traded at any hour, so that a person sees something then.

    >>> hours_of("finnhub", "AAPL"), hours_of("finnhub~sim", "AAPL")
    ('XNYS', '24/7')
    """
    return ALWAYS if is_simulated(source) else exchange_of(symbol)


def ticker_of(symbol: str, provider: str) -> str:
    """A stock's symbol, checked; BadSetting for a pair, in whatever spelling, and for what is no symbol."""
    if pair := _spelled_pair(symbol):
        # Taken for a stock it would have a stock's hours, and be closed at night.
        raise BadSetting(f"{provider} has no stock {symbol!r}", hint=f"write the pair as {pair}")
    if not _TICKER.fullmatch(symbol) or "=" in symbol:
        raise BadSetting(f"{provider} has no symbol {symbol!r}", hint="write a stock as AAPL, a pair as BTC/USDT")
    return symbol


def placed_ticker_of(symbol: str, provider: str) -> str:
    """As `ticker_of`, for providers that write exchanges behind a point; BadSetting too where nobody knows whose hours
    hold.

    >>> placed_ticker_of("2222.SR", "yahoo"), placed_ticker_of("BRK.B", "yahoo")
    ('2222.SR', 'BRK.B')
    """
    ticker = ticker_of(symbol, provider)
    place, end = split_place(ticker)[1], _end(ticker)
    index = ticker.startswith("^") and ticker not in INDICES and ticker not in _told
    if index or (not place and _PLACE.fullmatch(end)):
        unknown = ticker if index else end
        # With New York's hours it would be closed while it is traded.
        said = (
            f'say in [exchanges] whose hours hold, such as "{unknown}" = "XNYS" (codes as exchange_calendars has them)'
        )
        raise BadSetting(f"nobody knows the exchange of {symbol!r}", hint=said)
    return ticker


def _spelled_pair(symbol: str) -> str | None:
    """The pair that somebody wrote as a provider does (``BTC-USD``, ``BTCUSDT``, ``EURUSD=X``); None otherwise."""
    if rate := _RATE.fullmatch(symbol):
        return f"{rate[1] or 'USD'}/{rate[2]}"
    # No stock ends in the name of a coin of four letters; in USD or ETH some do.
    coin = next((c for c in _QUOTES if len(c) > 3 and symbol.endswith(c) and symbol != c and "-" not in symbol), None)
    return f"{symbol.removesuffix(coin)}/{coin}" if coin else dashed_pair(symbol)


def ticker_name(wire: str) -> str:
    """A stock's symbol as a provider sent it; BadRecord ``unknown_symbol``."""
    if not _TICKER.fullmatch(wire):
        raise BadRecord("unknown_symbol")
    return wire


def split_pair(wire: str) -> str:
    """A pair written without a stroke, as our name; BadRecord ``unknown_symbol`` when no known currency ends it.

    >>> split_pair("BTCUSDT"), split_pair("ETHBTC")
    ('BTC/USDT', 'ETH/BTC')
    """
    for quote in _QUOTES:
        base = wire.removesuffix(quote)
        # Something must be left before the currency: USDT alone is no pair.
        if base and base != wire and pair_of(f"{base}/{quote}"):
            return f"{base}/{quote}"
    raise BadRecord("unknown_symbol")


def dashed_pair(wire: str, separator: str = "-") -> str | None:
    """``BTC-USD`` as ``BTC/USD`` when a known currency follows the separator; None otherwise (``BRK-B``)."""
    base, found, quote = wire.partition(separator)
    name = f"{base}/{quote}"
    # Only a known currency: BRK-B is a share of its own.
    return name if found and quote in _QUOTES and pair_of(name) else None
