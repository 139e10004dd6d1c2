"""Exact numbers: text to integer units and back, without a float and without ever making a huge number."""

from __future__ import annotations

import re
from decimal import Decimal

from sparktrends.errors import BadRecord

INTEGER_DIGITS = 20
FRACTION_DIGITS = 18
# The grammar of a JSON number (RFC 8259), for decimal strings too: no plus sign, blank, underscore, leading zero,
# bare point or digit outside ASCII. What Python's Decimal would take beyond it is refused.
_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?", re.ASCII)
_EXPONENT = 8
# A sign and the 19 digits of the largest 64-bit number; Python's own int() takes thousands of digits, and time for
# them.
_INTEGER = 20


class Number(str):
    """The text of a JSON number as it was sent; no number is made before its digits are counted."""

    __slots__ = ()


def units_of(text: str, what: str, whole: int = INTEGER_DIGITS, places: int = FRACTION_DIGITS) -> int:
    """``text`` as an integer in units of 10**-places; ``what`` names the field in ``bad_<what>``.

    Digits are counted after leading and trailing zeros are gone, so ``1.50000000000000000000`` is fine. Raises
    BadRecord ``bad_<what>`` for other text than a number, ``too_many_digits`` beyond ``whole`` and ``places``.

    >>> units_of("1.5e-3", "price") == 15 * 10**14
    True
    """
    # Linear on any text: a record is up to 64 KiB of whatever somebody wrote.
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise BadRecord(f"bad_{what}")
    sign, integer, fraction, power = match.groups()
    digits = (integer + (fraction or "")).lstrip("0")
    # "-0" and "0e99999" are zero, whatever their exponent.
    if not digits:
        return 0
    kept = digits.rstrip("0")
    shift = places - len(fraction or "") + len(digits) - len(kept) + _exponent(power or "0")
    # Bounded first: 1e999999999 must cost nothing.
    if shift < 0 or len(kept) + shift > whole + places:
        raise BadRecord("too_many_digits")
    units: int = int(kept) * 10**shift
    return -units if sign else units


def _exponent(text: str) -> int:
    negative = text.startswith("-")
    digits = text.lstrip("+-").lstrip("0")
    if len(digits) > _EXPONENT:  # larger than any mantissa of a megabyte can make up for
        digits = "9" * _EXPONENT
    power = int(digits or "0")
    return -power if negative else power


def integer_of(value: object, what: str) -> int:
    """A JSON integer of at most 20 characters, never a string, a boolean or ``1.0``; else BadRecord ``bad_<what>``."""
    if not isinstance(value, Number) or len(value) > _INTEGER:
        raise BadRecord(f"bad_{what}")
    # The decoder hands numbers over as their text: this is what tells 7 from 7.0 and 7e0.
    if not value.removeprefix("-").isdecimal():
        raise BadRecord(f"bad_{what}")
    return int(value)


def decimal_of(units: int, places: int = FRACTION_DIGITS) -> Decimal:
    """Exactly ``units`` · 10**-places, without zeros at the end of the fraction.

    >>> decimal_of(1_500_000_000_000_000_000), decimal_of(2 * 10**20)
    (Decimal('1.5'), Decimal('200'))
    """
    whole, rest = divmod(abs(units), 10**places)
    text = f"{whole}.{rest:0{places}d}".rstrip("0").rstrip(".")
    return Decimal(f"-{text}" if units < 0 else text)


def vwap_of(turnover: int, volume: int) -> int | None:
    """turnover / volume in units of 10**-18, rounded half away from zero; None at volume 0.

    ``turnover`` is in units of 10**-36, ``volume`` in 10**-18, neither negative.

    >>> vwap_of(7, 2), vwap_of(0, 0)
    (4, None)
    """
    # Integers only (law 5): neither is negative, so rounding half up is rounding half away from zero.
    return (2 * turnover + volume) // (2 * volume) if volume else None
