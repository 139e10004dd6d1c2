"""Strict reading of what providers send: every payload is hostile until it has passed through here.

Numbers keep their digits: JSON fractions arrive as the text that was sent, and `number` makes a Decimal only of what
has at most 20 integer and 18 fractional digits. Everything that cannot be read ends in `BadRecord` with a fixed word.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from sparktrends.errors import BadRecord
from sparktrends.model import DAY, SECOND

MAX_PAYLOAD = 32 * 1024 * 1024
"""Longest answer in bytes; `Http` stops reading at the same size."""
MAX_FRAME = 4 * 1024 * 1024
"""Longest socket frame in bytes."""
ZERO = Decimal(0)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_TIME = 253_402_300_800 * SECOND  # the year 10000: beyond it no calendar goes
_PLAIN = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,18})?")
# Bounded before Decimal sees it: 1e9999999 costs nothing to read and much to write out.
_EXPONENT = re.compile(r"-?[0-9]{1,60}(?:\.[0-9]{1,60})?(?:[eE][+-]?[0-9]{1,4})?")
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?")
# What follows "API key as", "apikey=" or "token=", and any long run of letters with a digit or all in capitals.
_KEY_LIKE = re.compile(
    r"(?<=key as )\S+|(?<=key is )\S+|(?<=apikey=)[^\s&]+|(?<=token=)[^\s&]+"
    r"|(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{12,}|\b[A-Z]{14,}\b"
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


# `decode` would search for blanks by regular expression before and after, which costs a third of it.
_decode = json.JSONDecoder(parse_float=str, parse_constant=_no_constant).raw_decode
_BLANKS = " \t\n\r"


def load_json(payload: str | bytes, limit: int = MAX_PAYLOAD) -> Any:
    """Read one JSON document; fractions stay text. NaN, a BOM, broken UTF-8 and endless nesting are refused.

    >>> load_json('{"p": 97123.450000000000000001, "t": 5}')
    {'p': '97123.450000000000000001', 't': 5}
    """
    if len(payload) > limit:
        raise BadRecord("too_large", f"{len(payload)} bytes; at most {limit} are read")
    try:
        document = (payload if isinstance(payload, str) else payload.decode("utf-8")).strip(_BLANKS)
        found, end = _decode(document)
    except UnicodeDecodeError:
        raise BadRecord("not_utf8") from None
    except RecursionError:
        raise BadRecord("too_deep") from None
    except ValueError:
        raise BadRecord("not_json") from None
    if end != len(document):
        raise BadRecord("not_json")
    return found


def load_object(payload: str | bytes, limit: int = MAX_PAYLOAD) -> dict[str, Any]:
    """Read one JSON document that must be an object."""
    return as_object(load_json(payload, limit))


def as_object(value: object) -> dict[str, Any]:
    """The value, if it is a JSON object; else BadRecord ``wrong_type``."""
    if type(value) is not dict:
        raise BadRecord("wrong_type")
    return value


def as_list(value: object) -> list[Any]:
    """The value, if it is a JSON array; else BadRecord ``wrong_type``."""
    if type(value) is not list:
        raise BadRecord("wrong_type")
    return value


def number(value: object, reason: str) -> Decimal:
    """A price or size as it was sent, as JSON number or as decimal string; BadRecord(reason) for anything else.

    >>> number("97123.4500", "bad_price"), number(5, "bad_size"), number("1e-8", "bad_price")
    (Decimal('97123.4500'), Decimal('5'), Decimal('1E-8'))
    """
    # `type`, not isinstance: True is an int to Python.
    if type(value) is int:
        value = str(value) if -(10**20) < value < 10**20 else None
    if type(value) is not str:
        raise BadRecord(reason)
    # The usual case, by one look; only what is left needs its digits counted.
    if _PLAIN.fullmatch(value):
        return Decimal(value)
    return _odd_number(value, reason)


def _odd_number(value: str, reason: str) -> Decimal:
    # Exponents and superfluous zeros are legal ways to write a number that fits; what does not fit is never rounded.
    if not _EXPONENT.fullmatch(value):
        raise BadRecord(reason)
    made = Decimal(value)
    _, digits, exponent = made.as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).lstrip("0")
    significant = text.rstrip("0")
    lowest = exponent + len(text) - len(significant)
    if significant and (len(significant) + lowest > 20 or lowest < -18):
        raise BadRecord(reason)
    return made if significant else Decimal(0)


def maybe_number(value: object) -> Decimal | None:
    """A number that a provider may leave out: None, "", "None" and "-" are nothing; text that is no number is too."""
    if value in (None, "", "None", "-", "null"):
        return None
    try:
        return number(value, "bad_number")
    except BadRecord:
        return None


def integer(value: object, reason: str) -> int:
    """A whole JSON number (never a boolean)."""
    if type(value) is not int:
        raise BadRecord(reason)
    return value


def micros(value: object, unit: int) -> int:
    """A time given as a whole number of ``unit`` microseconds since 1970, in microseconds.

    >>> micros(1732147200123, 1000)
    1732147200123000
    """
    if type(value) is not int or not -_MAX_TIME < value * unit < _MAX_TIME:
        raise BadRecord("bad_time")
    return value * unit


def text(value: object, reason: str, limit: int = 8192) -> str:
    """Text that UTF-8 and PostgreSQL can hold: NUL and lone surrogates become U+FFFD; longer than limit is cut."""
    if type(value) is not str:
        raise BadRecord(reason)
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value[:limit])


def maybe_text(value: object, limit: int = 8192) -> str:
    """Text that a provider may leave out; "" for null, and for what is no text."""
    return text(value, "bad_text", limit) if type(value) is str else ""


def score(value: object, reason: str = "bad_score") -> float:
    """A finite figure that is no price (a sentiment, a relevance), sent as number or string."""
    return float(number(value, reason))


def local_micros(stamp: object, zone: str) -> int:
    """``YYYY-MM-DD[ HH:MM[:SS]]`` in the time zone, as microseconds UTC; the first of two equal clock times.

    >>> local_micros("2017-12-18 14:56:00", "US/Eastern")
    1513626960000000
    """
    if type(stamp) is not str or not _STAMP.fullmatch(stamp):
        raise BadRecord("bad_time")
    try:
        naive = datetime.fromisoformat(stamp)
    except ValueError:
        raise BadRecord("bad_time") from None
    # Whole numbers: `timestamp()` would be a float.
    return (naive.replace(tzinfo=time_zone(zone)) - _EPOCH) // timedelta(microseconds=1)


@lru_cache(maxsize=64)
def time_zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name; BadRecord ``bad_time_zone``."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
        raise BadRecord("bad_time_zone") from None


def local_day(at: int, zone: str) -> date:
    """The calendar day that a moment (microseconds UTC) falls on in the time zone."""
    try:
        return (_EPOCH + timedelta(microseconds=at)).astimezone(time_zone(zone)).date()
    except OverflowError:
        raise BadRecord("bad_time") from None


def day_micros(day: date) -> int:
    """The start of a trading day's bar: midnight UTC of the calendar day, whatever the exchange's zone."""
    return (day.toordinal() - _EPOCH.toordinal()) * DAY


def moment(at: int) -> datetime:
    """Microseconds since 1970 as an aware datetime; BadRecord ``bad_time`` outside the calendar."""
    try:
        return _EPOCH + timedelta(microseconds=at)
    except OverflowError:
        raise BadRecord("bad_time") from None


def quote(value: object) -> str:
    """A provider's words for an error message: one line, cut, with everything that could be a key masked.

    >>> quote("We have detected your API key as ABCD1234EFGH5678 and")
    'We have detected your API key as *** and'
    """
    line = " ".join(maybe_text(value, 2000).split())
    return "".join(c for c in _KEY_LIKE.sub("***", line) if c.isprintable())[:240]
