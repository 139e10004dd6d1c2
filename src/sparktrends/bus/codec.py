"""Events to and from the JSON of the contract (pure ASCII, compact, keys in the contract's order).

Pure ASCII because the stream's fast scanner takes only plain ASCII records; other characters are escaped, which any
JSON parser undoes. Decimals travel as plain strings, never with an exponent. Times are microseconds since 1970 UTC.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quote
from typing import Any

import orjson

from sparktrends.bus import topics
from sparktrends.errors import BadRecord
from sparktrends.model import Heartbeat, Payload, ProviderBar, Trade

Event = Trade | Heartbeat | ProviderBar | Payload

OUT_BAR_FIELDS = (
    *("source", "symbol", "interval", "start", "open", "high", "low", "close", "volume", "turnover", "vwap"),
    *("trades", "state", "revision", "reason", "origin", "updated_at"),
)
"""What a record of `out.bars` holds: the columns of `market.bars`."""
OUT_SIGNAL_FIELDS = (
    *("id", "source", "symbol", "interval", "start", "kind", "name", "direction", "score", "severity", "detail"),
    *("detected_at", "retracted_at", "revision"),
)
"""What a record of `out.signals` holds: the columns of `market.signals` and the revision of its bar."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plain(value: Decimal) -> str:
    """The digits of a decimal without an exponent.

    >>> plain(Decimal("1E-7")), plain(Decimal("1E+3"))
    ('0.0000001', '1000')
    """
    text = str(value)
    return format(value, "f") if "E" in text else text


# Bounded: anyone may invent symbols, and a cache without an end is a leak.
@lru_cache(maxsize=65_536)
def _head(source: str, symbol: str) -> str:
    # Quoting the same two names for every record would be a third of the encoder's time.
    return f'{{"source":{quote(source)},"symbol":{quote(symbol)},"'


def encode_trade(trade: Trade) -> bytes:
    """A record of `raw.trades` for a trade or a price update.

    >>> encode_trade(Trade("sandbox~sim", "BTC/USD", 1, Decimal("2.50"), Decimal("1"), "7"))
    b'{"source":"sandbox~sim","symbol":"BTC/USD","ts":1,"price":"2.50","size":"1","id":"7"}'
    """
    text = (
        # By hand and not by `json.dumps`: prices and sizes are strings of digits already, and this runs for every
        # trade.
        f'{_head(trade.source, trade.symbol)}ts":{trade.ts},"price":"{plain(trade.price)}","size":"{plain(trade.size)}"'
    )
    if trade.id:
        text += f',"id":{quote(trade.id)}'
    if trade.received is not None:
        text += f',"received":{trade.received}'
    if trade.conditions:
        text += f',"conditions":[{",".join(map(quote, trade.conditions))}]'
    if trade.fill:
        text += ',"fill":true'
    if trade.kind != "trade":
        text += f',"kind":{quote(trade.kind)}'
    return f"{text}}}".encode("ascii")


def encode_heartbeat(beat: Heartbeat) -> bytes:
    """A record of `raw.trades` of kind heartbeat.

    >>> encode_heartbeat(Heartbeat("a", "B", 5, received=6))
    b'{"source":"a","symbol":"B","ts":5,"received":6,"kind":"heartbeat","status":"ok"}'
    """
    received = "" if beat.received is None else f'"received":{beat.received},'
    head = _head(beat.source, beat.symbol)
    return f'{head}ts":{beat.ts},{received}"kind":"heartbeat","status":"{beat.status.value}"}}'.encode("ascii")


def encode_bar(bar: ProviderBar) -> bytes:
    """A record of `raw.bars`."""
    text = f'{_head(bar.source, bar.symbol)}interval":"{bar.interval}","start":{bar.start}'
    for name in ("open", "high", "low", "close", "volume"):
        text += f',"{name}":"{plain(getattr(bar, name))}"'
    text += f',"closed":{"true" if bar.closed else "false"},"adjustment":{quote(bar.adjustment)}'
    if bar.trades is not None:
        text += f',"trades":{bar.trades}'
    if bar.turnover is not None:
        text += f',"turnover":"{plain(bar.turnover)}"'
    if bar.received is not None:
        text += f',"received":{bar.received}'
    if bar.fill:
        text += ',"fill":true'
    return f"{text}}}".encode("ascii")


def encode_payload(payload: Payload) -> bytes:
    """A record of `raw.payloads`.

    ``payload.payload`` as bytes is a JSON document that is kept digit for digit; anything else is a JSON value.
    Raises BadRecord when it is neither.
    """
    # Last comes the payload, so that it can be appended as it is.
    head = {"source": payload.source, "endpoint": payload.endpoint, "fetched_at": to_micros(payload.fetched_at)}
    text = f'{_dump(head)[:-1]},"request":{_dump(payload.request)},"payload":'.encode("ascii")
    # The provider's own bytes: read and written again they would lose digits.
    return text + _document(payload.payload) + b"}"


def _document(value: Any) -> bytes:
    if not isinstance(value, bytes):
        return _dump(value).encode("ascii")
    try:
        # Parsed only to know that it is one JSON document; what travels is the text itself.
        orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise BadRecord("bad_payload", f"a payload given as bytes must be JSON: {error}") from error
    return value.strip()


def encode(event: Event) -> tuple[str, str, bytes]:
    """(topic, key, value) of any event."""
    if isinstance(event, Trade):
        return topics.RAW_TRADES, event.symbol, encode_trade(event)
    if isinstance(event, Heartbeat):
        return topics.RAW_TRADES, event.symbol, encode_heartbeat(event)
    if isinstance(event, ProviderBar):
        return topics.RAW_BARS, event.symbol, encode_bar(event)
    return topics.RAW_PAYLOADS, str(event.request.get("symbol") or event.endpoint), encode_payload(event)


def encode_out_bar(row: Mapping[str, Any]) -> bytes:
    """A record of `out.bars` from a row of `market.bars`; KeyError names a missing column."""
    return _dump({name: row[name] for name in OUT_BAR_FIELDS}).encode("ascii")


def encode_out_signal(row: Mapping[str, Any]) -> bytes:
    """A record of `out.signals` from a row of `market.signals` and ``revision``; KeyError names a missing one."""
    return _dump({name: row[name] for name in OUT_SIGNAL_FIELDS}).encode("ascii")


def decode(value: bytes | None) -> dict[str, Any]:
    """Any record of the bus as a dict; numbers lose no digits only if they travelled as strings. BadRecord if not one.

    This is for readers who want names and ids; whether a trade is acceptable is decided in `bars` alone.
    """
    try:
        # Quick and lossy for numbers: whoever needs exact ones reads through `bars` or `audit`.
        row = orjson.loads(value or b"")
    except orjson.JSONDecodeError as error:
        raise BadRecord("not_json", str(error)) from error
    if not isinstance(row, dict):
        raise BadRecord("not_an_object")
    return row


def to_micros(moment: datetime) -> int:
    """An aware time as microseconds since 1970 UTC, exactly (no float on the way)."""
    # `timestamp()` is a float, and loses microseconds.
    span = moment - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def _dump(value: Any) -> str:
    try:
        # The standard encoder, because it refuses NaN and is given its own words for Decimal; rows of out.* are few.
        return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_default)
    except (TypeError, ValueError) as error:
        raise BadRecord("not_json", f"cannot be written as JSON: {error}") from error


def _default(value: object) -> str | int:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return to_micros(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")
