"""The providers of the twin by name."""

from __future__ import annotations

from collections.abc import Mapping

from sparktrends.sandbox.binance import Binance
from sparktrends.sandbox.exchange import Provider

PROVIDERS: Mapping[str, Provider] = {provider.name: provider for provider in (Binance(),)}
"""One of each; they keep nothing between calls."""
