"""Sources know a provider: its addresses, frames, limits and how to read a payload. They never open a socket.

To add one: write ``sources/<provider>.py`` (a `base.Source`), add it to `PROVIDERS`, put a recording into
``tests/payloads/<provider>/``. The conformance suite does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sparktrends.errors import BadSetting
from sparktrends.sources.alpha_vantage import AlphaVantage
from sparktrends.sources.base import Source
from sparktrends.sources.binance import Binance
from sparktrends.sources.finnhub import Finnhub
from sparktrends.sources.twelve_data import TwelveData
from sparktrends.sources.yahoo import Yahoo

PROVIDERS: Mapping[str, type[Source]] = {
    provider.provider: provider for provider in (Binance, Finnhub, TwelveData, AlphaVantage, Yahoo)
}
"""Every provider by the name that settings, series and recordings use."""


def make_source(
    provider: str,
    *,
    rest: str = "",
    stream: str = "",
    suffix: str = "",
    calls: Mapping[int, int] = MappingProxyType({}),
) -> Source:
    """The source of that name; with other addresses and a suffix for the sandbox. BadSetting for an unknown one.

    ``calls`` is what a plan has beyond the free one: units by the seconds of a window, 0 for no limit.

    >>> make_source("binance", suffix="~sim").name
    'binance~sim'
    """
    if provider not in PROVIDERS:
        raise BadSetting(f"no source {provider!r}", hint=f"allowed: {', '.join(sorted(PROVIDERS))}")
    return PROVIDERS[provider](rest=rest, stream=stream, suffix=suffix, calls=calls)


def spellings(symbol: str) -> dict[str, str]:
    """The registry of names: one name to the spelling of each provider that can have it.

    >>> spellings("BTC/USD")["finnhub"], spellings("BTC/USD")["yahoo"], "binance" in spellings("AAPL")
    ('COINBASE:BTC-USD', 'BTC-USD', False)
    """
    found = {}
    for name in PROVIDERS:
        try:
            found[name] = make_source(name).spell(symbol)
        except BadSetting:
            continue
    return found
