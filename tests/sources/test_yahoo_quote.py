"""The quote message, against the protobuf wire format built here by other means."""

from __future__ import annotations

import base64
import random
import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.errors import BadRecord
from sparktrends.sources.yahoo_quote import PricingData, read_quote


def varint(value: int) -> bytes:
    groups = []
    while True:
        groups.append(value & 0x7F)
        value >>= 7
        if not value:
            return bytes([g | 0x80 for g in groups[:-1]] + groups[-1:])


def message(name: str, price: float, time: int, kind: int = 8) -> bytes:
    zigzag = time * 2 if time >= 0 else -time * 2 - 1
    head = b"\x0a" + varint(len(name.encode())) + name.encode() + b"\x15" + struct.pack("<f", price)
    return head + b"\x18" + varint(zigzag) + b"\x30" + varint(kind)


def read(data: bytes) -> PricingData:
    return read_quote(base64.b64encode(data).decode())


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.floats(2**-20, 2**20, width=32),
    st.integers(-(2**62), 2**62),
    st.integers(0, 2**31),
)
def test_what_was_written_is_read(name: str, price: float, time: int, kind: int) -> None:
    told = read(message(name, price, time, kind))
    assert (told.id, told.time, told.quote_type) == (name, time, kind)
    assert told.price is not None
    assert struct.pack("<f", float(told.price)) == struct.pack("<f", price)


@pytest.mark.parametrize("price", ["231.54", "0.1", "97123.45", "1.0842", "0.00002134", "415.1"])
def test_a_price_has_the_digits_that_were_meant(price: str) -> None:
    assert read(message("A", float(price), 1)).price == Decimal(price)


def test_fields_that_we_do_not_know_are_skipped() -> None:
    extra = varint(99 << 3) + b"\x05" + varint(98 << 3 | 2) + b"\x03abc" + varint(97 << 3 | 1) + b"\0" * 8
    assert read(message("A", 1.0, 1) + extra).id == "A"


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\x01",
        b"\x0a\x7fA",
        b"\x15\0\0",
        b"\x18" + b"\xff" * 11,
        b"\x0b",
        b"\x02\x00",
        b"\x0a\x01\xff",
        b"\x1d\0\0\0\0",
        b"\x18",
    ],
)
def test_a_broken_message_is_a_bad_record(data: bytes) -> None:
    with pytest.raises(BadRecord, match="bad_protobuf"):
        read(data)


@pytest.mark.parametrize("text", ["@@@", "\u00e4", "Cg RB"])
def test_what_is_no_base64_is_a_bad_record(text: str) -> None:
    with pytest.raises(BadRecord, match="bad_base64"):
        read_quote(text)


def test_mutated_messages_end_in_a_quote_or_a_bad_record() -> None:
    rng, bad = random.Random(11), 0
    for _ in range(5_000):
        data = bytearray(message("BTC-USD", 97_123.45, 1_732_147_200_123))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            read(bytes(data[: rng.randint(1, len(data))]))
        except BadRecord:
            bad += 1
    assert 2_000 < bad < 5_000
