"""The one protobuf message of Yahoo's quote socket, ``PricingData``, read strictly and by hand.

Thirty-three fields of three wire types do not earn a code generator. A field we know with another wire type than
its own, a length beyond the end, a varint of more than ten bytes or invalid UTF-8 refuse the message; fields that we
do not know are skipped.
"""

from __future__ import annotations

import binascii
import struct
from decimal import Decimal
from typing import NamedTuple

from sparktrends.errors import BadRecord

HEARTBEAT = 7
"""The ``quote_type`` of a message that only says the socket lives."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_ID, _PRICE, _TIME, _QUOTE_TYPE = 1, 2, 3, 6
# Wire types of the fields 1 to 33 in the order of their numbers; sint64 and enums are varints, floats are fixed.
_WIRE_TYPES = dict(
    enumerate(
        [2, 5, 0, 2, 2, 0, 0, 5, 0, 5, 5, 5, 2, 0, 5, 5, 5, 2, 0, 0, 0, 0, 5, 0, 5, 0, 0, 0, 0, 2, 2, 1, 1], start=1
    )
)


class PricingData(NamedTuple):
    """What we use of a quote: the spelling, the price, the provider's time as it was sent, and the kind."""

    id: str
    price: Decimal | None
    time: int
    quote_type: int


def read_quote(message: str) -> PricingData:
    """Decode the base64 text of one message; BadRecord ``bad_base64`` or ``bad_protobuf``.

    >>> read_quote("CgRBQVBMFT2KZ0MY9oGmwOlk")
    PricingData(id='AAPL', price=Decimal('231.54'), time=1732147200123, quote_type=0)
    """
    try:
        data = binascii.a2b_base64(message, strict_mode=True)
    except ValueError:
        raise BadRecord("bad_base64") from None
    try:
        return _read(data)
    except (IndexError, UnicodeDecodeError):  # it ended within a field, or its text is no text
        raise BadRecord("bad_protobuf") from None


def _read(data: bytes) -> PricingData:
    name, price, time, quote_type = "", None, 0, 0
    at, end = 0, len(data)
    while at < end:
        key, at = (data[at], at + 1) if data[at] < 0x80 else _varint(data, at)
        number, wire = key >> 3, key & 7
        if number == 0 or _WIRE_TYPES.get(number, wire) != wire:
            raise BadRecord("bad_protobuf")
        value, at = _varint(data, at) if wire == _VARINT else _span(data, at, wire)
        if number == _ID:
            name = data[at - value : at].decode("utf-8")
        elif number == _PRICE:
            price = _shortest(data[at - 4 : at])
        elif number == _TIME:
            time = (value >> 1) ^ -(value & 1)
        elif number == _QUOTE_TYPE:
            quote_type = value
    return PricingData(name, price, time, quote_type)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    if value < 0x80:
        return value, at + 1
    value &= 0x7F
    for shift in range(7, 70, 7):
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + 1
    raise BadRecord("bad_protobuf")


def _span(data: bytes, at: int, wire: int) -> tuple[int, int]:
    """(length, where it ends) of a field that is not a varint."""
    if wire == _BYTES:
        length, at = _varint(data, at)
    elif wire in (_FIXED32, _FIXED64):
        length = 4 if wire == _FIXED32 else 8
    else:
        raise BadRecord("bad_protobuf")
    if at + length > len(data):
        raise BadRecord("bad_protobuf")
    return length, at + length


def _shortest(raw: bytes) -> Decimal:
    """The shortest decimal that is this float32: the price that was meant, without the noise of 2**-n."""
    (value,) = struct.unpack("<f", raw)
    for digits in (6, 7, 8):
        text = f"{value:.{digits}g}"
        try:
            if struct.pack("<f", float(text)) == raw:
                return Decimal(text)
        except OverflowError:  # rounded up beyond the largest float32
            continue
    return Decimal(f"{value:.9g}")
