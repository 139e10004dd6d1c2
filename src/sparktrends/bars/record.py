"""Bytes to fields: the JSON that is accepted, and the checks that fields of every kind of record share.

A record is one JSON object (RFC 8259) in UTF-8, at most 64 KiB, nested at most 64 deep. Refused, though ``json``
would take it: a byte order mark, UTF-16, NaN and Infinity. Of a name that occurs twice the last one counts, as
``json`` has it. Unknown fields are ignored. An optional field that is ``null`` is absent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NoReturn

from sparktrends.bars.limits import PAYLOAD_BYTES, Limits
from sparktrends.bars.numbers import FRACTION_DIGITS, INTEGER_DIGITS, Number, integer_of, units_of
from sparktrends.errors import BadRecord
from sparktrends.model import Coordinates, check_name, is_printable

MAX_BYTES = PAYLOAD_BYTES
"""A longer record is never looked into, so that readers may cut it to what quarantine keeps."""
# Far below where Python's decoder gives up, so that its limit never decides.
MAX_DEPTH = 64
MAX_TEXT = 128
"""Longest id or condition, in characters."""
MAX_CONDITIONS = 32

Fields = Mapping[str, object]

# A string to its end, or to the end of the text where it has none: linear on anything.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)


# Python's json takes NaN and Infinity unless it is told otherwise, and PostgreSQL's numeric would take them too.
def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


_decode = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse).decode


def read_object(value: bytes | None) -> Fields:
    """The fields of one record, numbers as `Number`; else BadRecord.

    Its words: ``empty`` (nothing, or a tombstone), ``too_large``, ``not_utf8``, ``too_deep``, ``not_json``,
    ``not_object``.
    """
    if not value:
        raise BadRecord("empty")
    if len(value) > MAX_BYTES:
        raise BadRecord("too_large")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRecord("not_utf8") from None
    if _too_deep(text):
        raise BadRecord("too_deep")
    try:
        data = _decode(text)
    except ValueError:
        raise BadRecord("not_json") from None
    if not isinstance(data, dict):
        raise BadRecord("not_object")
    return data


def _too_deep(text: str) -> bool:
    # Our own bound: how deep json itself goes differs from one Python to the next, and the log alone decides.
    # Nearly every record ends here; the slow walk is for those that could be deep at all.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif token in "]}":
            depth -= 1
    return False


def amount(data: Fields, name: str, whole: int = INTEGER_DIGITS, places: int = FRACTION_DIGITS) -> int:
    """The field as an integer in units of 10**-places: a JSON number, or a string in the same grammar.

    Raises BadRecord ``bad_<name>`` (also for booleans and nothing) or ``too_many_digits``.
    """
    value = data.get(name)
    # Numbers come as `Number`, which is a str: only booleans, null, arrays and objects are refused here.
    if not isinstance(value, str):
        raise BadRecord(f"bad_{name}")
    return units_of(value, name, whole, places)


def name(data: Fields, field: str) -> str:
    """A source or symbol, as `model.check_name` wants it; a JSON number is none."""
    value = data.get(field)
    return check_name(None if isinstance(value, Number) else value, field)


def text(data: Fields, name: str) -> str:
    """An optional string of at most 128 printable characters, or an integer's digits; "" when absent."""
    value = data.get(name)
    if value is None:
        return ""
    # An id that was sent as a number is kept by its digits, so it repeats as the same text.
    if isinstance(value, Number):
        integer_of(value, name)
    return str(_printable(value, name))


def _printable(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or not is_printable(value):
        raise BadRecord(f"bad_{name}")
    return value


def texts(data: Fields, name: str) -> tuple[str, ...]:
    """An optional array of at most 32 strings like those of `text`; empty when absent."""
    value = data.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_CONDITIONS or any(isinstance(v, Number) for v in value):
        raise BadRecord(f"bad_{name}")
    return tuple(_printable(item, name) for item in value)


def flag(data: Fields, name: str, default: bool) -> bool:
    """An optional JSON boolean."""
    value = data.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise BadRecord(f"bad_{name}")
    return value


def word(data: Fields, name: str, default: str) -> object:
    """An optional field that must be one of a few words; the caller checks which."""
    value = data.get(name)
    return default if value is None else value


def received_of(data: Fields) -> int | None:
    """When the record reached us, if it says so."""
    return None if data.get("received") is None else integer_of(data["received"], "received")


def check_times(ts: int, received: int | None, at: Coordinates, limits: Limits) -> int:
    """The record's arrival (law 2): ``received``, else the append time.

    Raises BadRecord ``before_1970`` for a negative ``ts``, ``future_arrival`` when the arrival is more than
    ``limits.future`` after the append time, ``future_ts`` when ``ts`` is more than that after the arrival.
    """
    arrival = at.appended if received is None else received
    if ts < 0:
        raise BadRecord("before_1970")
    # Before the record's own time: a producer with a wrong clock is named as such, not by its trades.
    if arrival > at.appended + limits.future:
        raise BadRecord("future_arrival")
    if ts > arrival + limits.future:
        raise BadRecord("future_ts")
    return arrival
