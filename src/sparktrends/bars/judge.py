"""One record and its place in the log in, one verdict out (laws 1 and 2). Nothing else says what is accepted.

A verdict depends on the record's bytes, its coordinates and the limits alone: never on other records, on where a
batch ends, or on a clock. What each field may be:

- ``source``, ``symbol``: strings, 1 to 64 printable characters (`model.is_printable`: no control character, lone
  surrogate or the like), no blank at either end: else ``bad_source``, ``bad_symbol``.
- ``kind``: absent, ``trade``, ``price`` or ``heartbeat``: else ``bad_kind``.
- ``ts``, ``received``: JSON integers, microseconds since 1970 UTC (not ``1.0``, not a string, not a boolean, at most
  20 characters): else ``bad_ts``, ``bad_received``; then the bounds of `record.check_times`.
- ``price``, ``size``: a JSON number or a string in the same grammar, exponents included; at most 20 integer and 18
  fractional digits after zeros at the ends are gone: else ``bad_price``, ``bad_size``, ``too_many_digits``. A price
  is above 0, a size not below. A trade of size 0 is a price update, and a price update needs no size.
- ``id``: a string of at most 128 printable characters, or an integer: else ``bad_id``.
- ``conditions``: an array of at most 32 such strings: else ``bad_conditions``. Any word is accepted and kept; the words
  of `conditions.VOLUME_ONLY` keep a trade out of open, high, low and close.
- ``fill``: a boolean: else ``bad_fill``. ``status`` of a heartbeat: a word of `model.Status`: else ``bad_status``.

Fields are judged in the order: names, kind, times, digits of price and size, id, conditions, fill, signs of price and
size; the first fault is the reason. A heartbeat's price, size, id and conditions are not looked at. Only trades can be
late; a heartbeat that late moves the clock only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sparktrends.bars.conditions import moves_prices
from sparktrends.bars.intervals import end_of, minute_of
from sparktrends.bars.limits import PAYLOAD_BYTES, RAW_BARS, Limits
from sparktrends.bars.numbers import decimal_of, integer_of
from sparktrends.bars.provider import read_bar
from sparktrends.bars.record import (
    Fields,
    amount,
    check_times,
    flag,
    name,
    read_object,
    received_of,
    text,
    texts,
    word,
)
from sparktrends.errors import BadRecord
from sparktrends.model import (
    Coordinates,
    Heartbeat,
    LateTrade,
    Quarantined,
    Status,
    StoredProviderBar,
    Trade,
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A trade that belongs in its minute; ``price`` and ``size`` in units of 10**-18.

    ``after_final``: it came when its bar was final. ``pricing``: it may move open, high, low and close.
    """

    trade: Trade
    price: int
    size: int
    arrival: int
    after_final: bool
    pricing: bool
    at: Coordinates


@dataclass(frozen=True, slots=True)
class PriceUpdate:
    """A price without a trade: it moves its series' clock to ``arrival`` at least, and nothing else."""

    trade: Trade
    arrival: int


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat; when ``late`` it moves the clock but says nothing of its minute."""

    heartbeat: Heartbeat
    arrival: int
    late: bool


Judged = Accepted | PriceUpdate | Beat | LateTrade | StoredProviderBar | Quarantined


def judge(value: bytes | None, at: Coordinates, limits: Limits) -> Judged:
    """The one place where this record ends. Never raises: what cannot be used is `Quarantined`."""
    try:
        data = read_object(value)
        if at.topic == RAW_BARS:
            return read_bar(data, at, limits)
        return _judge_fields(data, at, limits)
    except BadRecord as bad:
        return quarantine(bad.reason, value, at)


def quarantine(reason: str, value: bytes | None, at: Coordinates) -> Quarantined:
    """The record as quarantine keeps it: at most 64 KiB of it, and hash and size of the whole."""
    whole = value or b""
    return Quarantined(reason, at, whole[:PAYLOAD_BYTES], hashlib.sha256(whole).digest(), len(whole))


def _judge_fields(data: Fields, at: Coordinates, limits: Limits) -> Judged:
    source, symbol = name(data, "source"), name(data, "symbol")
    kind = word(data, "kind", "trade")
    if kind not in ("trade", "price", "heartbeat"):
        raise BadRecord("bad_kind")
    ts, received = integer_of(data.get("ts"), "ts"), received_of(data)
    arrival = check_times(ts, received, at, limits)
    # Law 2: compared with the record's own arrival, so no other record and no batch border can make it late.
    late = arrival > ts + limits.grace_of(source)
    if kind == "heartbeat":
        # A heartbeat of a fill speaks of a past minute on purpose.
        late = late and not flag(data, "fill", default=False)
        return Beat(Heartbeat(source, symbol, ts, _status(data), received), arrival, late)
    # Digits before the sign, which `Trade` judges: the order of the docstring decides which word quarantine shows.
    units = amount(data, "price"), _size(data, str(kind))
    trade = _trade(data, (source, symbol, ts, received), str(kind), units)
    # Before lateness: a price update touches no bar, so it cannot come too late for one.
    if trade.kind == "price":
        return PriceUpdate(trade, arrival)
    if late and not trade.fill:
        return LateTrade(trade, arrival, at)
    after_final = arrival > end_of(minute_of(ts)) + limits.settle
    pricing = moves_prices(source, trade.conditions, limits.volume_only)
    return Accepted(trade, *units, arrival, after_final, pricing, at)


def _size(data: Fields, kind: str) -> int:
    # Feeds that only tell a price leave the size out.
    return 0 if kind == "price" and data.get("size") is None else amount(data, "size")


def _trade(data: Fields, key: tuple[str, str, int, int | None], kind: str, units: tuple[int, int]) -> Trade:
    source, symbol, ts, received = key
    price, size = units
    return Trade(
        source=source,
        symbol=symbol,
        ts=ts,
        price=decimal_of(price),
        size=decimal_of(size),
        id=text(data, "id"),
        received=received,
        conditions=texts(data, "conditions"),
        fill=flag(data, "fill", default=False),
        # Nothing changed hands: counted as a trade it would put its price into a bar without volume.
        kind=kind if size else "price",
    )


def _status(data: Fields) -> Status:
    value = word(data, "status", "ok")
    if value not in list(Status):
        raise BadRecord("bad_status")
    return Status(str(value))
