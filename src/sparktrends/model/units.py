"""What everything is counted in and named by: times, digits, intervals, statuses, names of sources."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from enum import IntFlag, StrEnum
from functools import lru_cache

from sparktrends.errors import BadRecord

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

PRICE_SCALE = 10**18
"""A stored price or size is this many units."""
MAX_DIGITS = 10**38
"""Price and size have at most 20 integer and 18 fractional digits."""
MAX_NAME = 64
"""Longest source or symbol, in characters."""
INTERVALS: Mapping[str, int] = {"1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": HOUR, "1d": DAY}
"""The intervals of `market.bars` and their lengths in microseconds."""
_UNSEEN = (
    *((0x0000, 0x001F), (0x007F, 0x00A0), (0x00AD, 0x00AD), (0x0600, 0x0605), (0x061C, 0x061C), (0x06DD, 0x06DD)),
    *((0x070F, 0x070F), (0x0890, 0x0891), (0x08E2, 0x08E2), (0x1680, 0x1680), (0x180E, 0x180E), (0x2000, 0x200F)),
    *((0x2028, 0x202F), (0x205F, 0x206F), (0x3000, 0x3000), (0xD800, 0xF8FF), (0xFDD0, 0xFDEF), (0xFEFF, 0xFEFF)),
    *((0xFFF0, 0xFFFB), (0xFFFE, 0xFFFF), (0x110BD, 0x110BD), (0x110CD, 0x110CD), (0x13430, 0x1343F)),
    *((0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE00FF), (0xE01F0, 0xE0FFF), (0xF0000, 0x10FFFF)),
    *((plane + 0xFFFE, plane + 0xFFFF) for plane in range(0x10000, 0xF0000, 0x10000)),
)
"""Controls, format characters and the places that are kept for more of them, blanks but the space, surrogates, private
use, and what is no character."""
_UNSEEN_IN = re.compile("[" + "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in _UNSEEN) + "]")


class Status(StrEnum):
    """What a source says of a symbol's stream with each heartbeat."""

    OK = "ok"
    STALE = "stale"
    THROTTLED = "throttled"
    CLOSED = "closed"
    START = "start"


class Statuses(IntFlag):
    """The set of heartbeat statuses that touched a minute; merging two sets is ``|``."""

    NONE = 0
    OK = 1
    STALE = 2
    THROTTLED = 4
    CLOSED = 8
    START = 16


class State(StrEnum):
    """How far a bar has come (law 6)."""

    FORMING = "forming"
    FINAL = "final"
    REVISED = "revised"


class Origin(StrEnum):
    """What a bar was made of: our own fold of trades, a provider's bar, or quotes standing in for trades."""

    TRADES = "trades"
    PROVIDER = "provider"
    PSEUDO = "pseudo"


def check_name(value: object, what: str) -> str:
    """A source or symbol: 1 to 64 printable characters (`is_printable`) without surrounding blanks.

    >>> check_name("BTC/USD", "symbol")
    'BTC/USD'
    """
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not _is_name(value):
        raise BadRecord(f"bad_{what}")
    return value


# Every event names its source and symbol, of which there are few.
@lru_cache(maxsize=16_384)
def _is_name(value: str) -> bool:
    return is_printable(value) and value == value.strip(" ")


def is_printable(text: str) -> bool:
    """Whether all of it can be seen: fixed ranges, for `str.isprintable` goes by the Unicode of each Python.

    >>> is_printable("€ 5 🫨"), is_printable("a\\u200bb")
    (True, False)
    """
    return text.isprintable() if text.isascii() else _UNSEEN_IN.search(text) is None


# Every event names its series, of which there are few; what raises is not remembered.
@lru_cache(maxsize=16_384)
def check_series(source: str, symbol: str) -> None:
    """Both names, as `check_name` has them."""
    check_name(source, "source")
    check_name(symbol, "symbol")


def is_simulated(source: str) -> bool:
    """Whether values of this source were made up: the simulator's and the sandbox's (law 9)."""
    return source.endswith("~sim")


def is_replayed(source: str) -> bool:
    """Whether values of this source come from a recording (law 9)."""
    return source.endswith("~replay")


def provider_of(source: str) -> str:
    """Who a source's values come from, or whom they imitate.

    >>> provider_of("binance~sim"), provider_of("binance")
    ('binance', 'binance')
    """
    return source.partition("~")[0]


def kind_of(source: str) -> str:
    """``sim``, ``replay``, or empty for a source of real values: what is made up is compared with its like only."""
    return source.partition("~")[2]


def stable_id(*parts: str) -> str:
    """The first 128 bits, as hex, of SHA-256 over the parts; no two lists of parts give the same text.

    >>> stable_id("a", "bc") == stable_id("ab", "c")
    False
    """
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
