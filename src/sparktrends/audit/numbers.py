"""Digits to integers by way of `decimal`: any digit that would be lost is a trap that springs."""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation, Overflow
from functools import lru_cache
from typing import Any

from sparktrends.errors import BadRecord

UNITS = 10**18
"""A price or size is an integer in units of 10**-18 here; turnover has 36 places."""
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
# Wide enough for the longest turnover (40 + 36 digits).
_TRAPPED = Context(prec=120, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact, InvalidOperation, Overflow])


class Numeral(str):
    """A number of a record with its digits as they were sent."""

    __slots__ = ()


# Prices repeat, and making a Decimal is slow.
@lru_cache(maxsize=1 << 17)
def scaled(text: str, whole: int = 20, places: int = 18) -> int:
    """A JSON number as an integer in units of 10**-places; BadRecord when it is none or its digits do not fit.

    >>> scaled("97123.45"), scaled("1e-18"), scaled("1.50000000000000000000")
    (97123450000000000000000, 1, 1500000000000000000)
    """
    if _JSON_NUMBER.fullmatch(text) is None:
        raise BadRecord("not_a_number")
    # Zero first: 0e99999999 fits, though its exponent does not.
    mantissa = text.lower().partition("e")[0]
    if not mantissa.strip("-0."):
        return 0
    try:
        number = Decimal(text)
        # Before scaling: an exponent within Decimal's range would still make a number of a million digits.
        if number.adjusted() >= whole:
            raise BadRecord("too_many_digits")
        return int(_TRAPPED.to_integral_exact(_TRAPPED.scaleb(number, places)))
    except (Inexact, InvalidOperation, Overflow):
        raise BadRecord("too_many_digits") from None


def amount(value: Any, whole: int = 20, places: int = 18) -> int:
    """A price, size or sum of a record: a JSON number or a string like one; BadRecord when it is neither."""
    kind = type(value)
    if kind is int:
        units: int = value * 10**places
        if abs(units) >= 10 ** (whole + places):
            raise BadRecord("too_many_digits")
        return units
    if kind is str or kind is Numeral:
        return scaled(value, whole, places)
    raise BadRecord("not_a_number")


def vwap(turnover: int, volume: int) -> int | None:
    """turnover / volume (36 and 18 places) with 18 places, halves away from zero; None at volume 0.

    >>> vwap(5, 2), vwap(4, 3), vwap(0, 0)
    (3, 1, None)
    """
    if not volume:
        return None
    # Another formula than `bars.vwap_of`, on purpose: equal results then say something.
    quotient, rest = divmod(turnover, volume)
    return quotient + (2 * rest >= volume)


def digits(units: int | Decimal | None, places: int = 18) -> str:
    """How a finding shows a number of such units.

    >>> digits(1_500_000_000_000_000_000), digits(None)
    ('1.5', 'null')
    """
    if units is None:
        return "null"
    with_point = f"{_TRAPPED.scaleb(Decimal(units), -places):f}"
    return with_point.rstrip("0").rstrip(".") if "." in with_point else with_point
