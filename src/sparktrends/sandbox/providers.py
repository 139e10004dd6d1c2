"""The providers of the twin by name."""

from __future__ import annotations

from collections.abc import Mapping

from sparktrends.sandbox.alpha_vantage import AlphaVantage
from sparktrends.sandbox.binance import Binance
from sparktrends.sandbox.exchange import Provider
from sparktrends.sandbox.finnhub import Finnhub
from sparktrends.sandbox.twelve_data import TwelveData
from sparktrends.sandbox.yahoo import Yahoo

PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider for provider in (Binance(), Finnhub(), TwelveData(), AlphaVantage(), Yahoo())
}
"""One of each; they keep nothing between calls."""
