"""What a record of raw.trades says of itself, for batch work that must not pass over one that the stream took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparktrends.bars.numbers import integer_of
from sparktrends.bars.record import name, read_object
from sparktrends.bus.codec import decode
from sparktrends.errors import BadRecord


def told_by(value: bytes | None) -> Mapping[str, Any]:
    """The fields of a record: ``source`` and ``symbol`` as text, ``ts`` as an integer, an ``id`` by its very digits.

    Nothing where the judge refuses the record for one of the first three, or for being no document; whether it accepts
    the rest is for the judge alone.

    >>> told_by(b'{"source":"demo","symbol":"A","ts":5,"size":1e400}')["ts"], told_by(b'{"source":"demo","ts":5}')
    (5, {})
    """
    try:
        fields = decode(value)
    except BadRecord:
        # Also for what stands in a field that nobody reads: 1e400, or half of a character.
        return _exactly(value)
    plain = type(fields.get("source")) is type(fields.get("symbol")) is str and type(fields.get("ts")) is int
    return fields if plain and _is_kept(fields.get("id")) else _exactly(value)


def _is_kept(id_: object) -> bool:
    """Whether the quick reader keeps an id: a long number it makes a float, and -0 it makes 0."""
    return id_ is None or type(id_) is str or (type(id_) is int and id_ != 0)


def _exactly(value: bytes | None) -> Mapping[str, Any]:
    try:
        data = read_object(value)
        names = {"source": name(data, "source"), "symbol": name(data, "symbol")}
        return {**data, **names, "ts": integer_of(data.get("ts"), "ts")}
    except BadRecord:
        return {}
