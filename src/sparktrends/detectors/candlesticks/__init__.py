"""Candlestick patterns: the 61 of TA-Lib, to the last tie.

The conditions are those of TA-Lib (BSD licence, M. Fortier and others), written over arrays of many bars. What TA-Lib
keeps in running sums lies in `window`, compiled; the rules are in `single`, `pair`, `triple` and `longer`.
"""

from __future__ import annotations

from sparktrends.detectors.candlesticks.family import PLAIN, SAID_AT, Candlesticks
from sparktrends.detectors.candlesticks.registry import PATTERNS, Pattern

__all__ = ["PATTERNS", "PLAIN", "SAID_AT", "Candlesticks", "Pattern"]
