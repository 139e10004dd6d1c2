"""One record of the log to what it says, judged by the laws: a second reading, sharing nothing with ``bars``.

A record that cannot be used raises `BadRecord`. Its reason is a rough word for people: the stream's own word for
the same fault is more exact, and only *that* a record is in quarantine is compared.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from sparktrends.audit.numbers import Numeral, amount
from sparktrends.errors import BadRecord
from sparktrends.model import INTERVALS, MINUTE, SECOND

TRADES_TOPIC = "raw.trades"
BARS_TOPIC = "raw.bars"
LARGEST = 64 * 1024
DEEPEST = 64
TAPE = frozenset("BW4CNRHV7PZU")
"""The letters of the United States tapes for trades that are no price of the moment."""
# Python refuses more than 4300 digits by default.
_DIGITS_PYTHON_TAKES = 4000
# What nobody sees begins at every other number, and what is seen at those between: without the last two of each plane.
_BORDERS = (
    0x0000, 0x0020, 0x007F, 0x00A1, 0x00AD, 0x00AE, 0x0600, 0x0606, 0x061C, 0x061D, 0x06DD, 0x06DE, 0x070F, 0x0710,
    0x0890, 0x0892, 0x08E2, 0x08E3, 0x1680, 0x1681, 0x180E, 0x180F, 0x2000, 0x2010, 0x2028, 0x2030, 0x205F, 0x2070,
    0x3000, 0x3001, 0xD800, 0xF900, 0xFDD0, 0xFDF0, 0xFEFF, 0xFF00, 0xFFF0, 0xFFFC, 0x110BD, 0x110BE, 0x110CD,
    0x110CE, 0x13430, 0x13440, 0x1BCA0, 0x1BCA4, 0x1D173, 0x1D17B, 0xE0000, 0xE0100, 0xE01F0, 0xE1000, 0xF0000,
    0x110000,
)  # fmt: skip
_STATUSES = frozenset(("ok", "stale", "throttled", "closed", "start"))


@dataclass(frozen=True, slots=True)
class Laws:
    """The times of law 2 in microseconds: how late, how long until final, how far ahead; grace by source.

    ``volume_only``: by source (before ``~``), the sale conditions whose trades leave open, high, low and close alone.
    """

    grace: int = 15 * MINUTE
    settle: int = 5 * SECOND
    future: int = 60 * SECOND
    graces: Mapping[str, int] = field(default_factory=dict)
    volume_only: Mapping[str, frozenset[str]] = field(default_factory=lambda: {"tape": TAPE})


class Event(NamedTuple):
    """A usable record of ``raw.trades``; ``place`` is where it ends: trades, prices, heartbeats or late.

    ``status`` and ``touches`` (a heartbeat in time says something of its minute) belong to heartbeats. ``pricing``:
    the trade may move open, high, low and close.
    """

    place: str
    source: str
    symbol: str
    ts: int
    arrival: int
    price: int = 0
    size: int = 0
    id: str = ""
    conditions: tuple[str, ...] = ()
    status: str = ""
    touches: bool = False
    pricing: bool = True


class Bar(NamedTuple):
    """A usable record of ``raw.bars``: its key, and everything else that is stored; ``turnover`` has 36 places."""

    source: str
    symbol: str
    interval: str
    start: int
    adjustment: str
    arrival: int
    values: tuple[int | bool | None, ...]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _whole(text: str) -> int | Numeral:
    return int(text) if len(text) <= _DIGITS_PYTHON_TAKES else Numeral(text)


_decode = json.JSONDecoder(parse_float=Numeral, parse_constant=_refuse).decode
# Python's int() refuses thousands of digits; a field that nobody reads may well have them.
_decode_long = json.JSONDecoder(parse_float=Numeral, parse_int=_whole, parse_constant=_refuse).decode
_decode_literal = json.JSONDecoder(parse_float=Numeral, parse_int=Numeral, parse_constant=_refuse).decode


def fields_of(value: bytes | None) -> dict[str, Any]:
    """The fields of a record; BadRecord unless it is one JSON object in UTF-8, of 64 KiB and 64 levels at most."""
    if not value or len(value) > LARGEST:
        raise BadRecord("size")
    try:
        text = value.decode()
        if _depth_at_least(text) > DEEPEST:
            raise BadRecord("depth")
        try:
            # The quick decoder first: nearly every record is read by it.
            found = _decode(text)
        except ValueError:
            found = _decode_long(text)
    except ValueError:
        raise BadRecord("not_json") from None
    if type(found) is not dict:
        raise BadRecord("not_json")
    if type(found.get("id")) is int and found["id"] == 0:
        found["id"] = str(_decode_literal(text)["id"])  # "-0" stays "-0"
    return found


def _depth_at_least(text: str) -> int:
    """The deepest nesting of brackets outside strings (0 without looking when there are few brackets)."""
    if text.count("{") + text.count("[") <= DEEPEST:
        return 0
    depth = deepest = 0
    quoted = escaped = False
    for letter in text:
        if quoted:
            quoted = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
        elif letter == '"':
            quoted = True
        elif letter in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in "}]":
            depth -= 1
    return deepest


def read_event(value: bytes | None, appended: int, laws: Laws) -> Event:
    """What a record of ``raw.trades`` says and where it ends; ``appended`` in microseconds. Raises BadRecord."""
    fields = fields_of(value)
    get = fields.get
    source, symbol = _name(get("source")), _name(get("symbol"))
    ts: Any = get("ts")
    arrival = _arrival(ts, get("received"), appended, laws)
    kind = get("kind")
    late = arrival - ts > laws.graces.get(source, laws.grace)
    if late and _boolean(get("fill"), False):
        late = False
    if kind == "heartbeat":
        return _heartbeat(fields, source, symbol, arrival, late)
    if kind is not None and kind not in ("trade", "price"):
        raise BadRecord("kind")
    size = get("size")
    sizes = 0 if size is None and kind == "price" else amount(size)
    price = amount(get("price"))
    _boolean(get("fill"), False)
    if price <= 0 or sizes < 0:
        raise BadRecord("sign")
    conditions = get("conditions")
    words = () if conditions is None else _conditions(conditions)
    place = "prices" if kind == "price" or not sizes else "late" if late else "trades"
    pricing = not words or laws.volume_only.get(source.partition("~")[0], frozenset()).isdisjoint(words)
    return Event(place, source, symbol, ts, arrival, price, sizes, _id(get("id")), words, pricing=pricing)


def _heartbeat(fields: dict[str, Any], source: str, symbol: str, arrival: int, late: bool) -> Event:
    status = fields.get("status")
    status = "ok" if status is None else status
    if type(status) is not str or status not in _STATUSES:
        raise BadRecord("status")
    return Event("heartbeats", source, symbol, fields["ts"], arrival, status=status, touches=not late)


def read_bar(value: bytes | None, appended: int, laws: Laws) -> Bar:
    """What a record of ``raw.bars`` says. Raises BadRecord."""
    fields = fields_of(value)
    get = fields.get
    source, symbol = _name(get("source")), _name(get("symbol"))
    interval, adjustment = get("interval"), get("adjustment")
    adjustment = "raw" if adjustment is None else adjustment
    if type(interval) is not str or interval not in INTERVALS or adjustment not in ("raw", "split"):
        raise BadRecord("interval_or_adjustment")
    start: Any = get("start")
    arrival = _arrival(start, get("received"), appended, laws)
    prices = [amount(get(name)) for name in ("open", "high", "low", "close")]
    volume = amount(get("volume"))
    if start % MINUTE or min(prices) <= 0 or volume < 0 or prices[1] != max(prices) or prices[2] != min(prices):
        raise BadRecord("bar")
    trades, turnover = get("trades"), get("turnover")
    if trades is not None and (type(trades) is not int or not 0 <= trades < 10**12):
        raise BadRecord("trades")
    if turnover is not None:
        turnover = amount(turnover, 40, 36)
        if turnover < 0:
            raise BadRecord("turnover")
    closed = _boolean(get("closed"), True)
    _boolean(get("fill"), False)
    return Bar(source, symbol, interval, start, adjustment, arrival, (*prices, volume, turnover, trades, closed))


def _arrival(ts: Any, received: Any, appended: int, laws: Laws) -> int:
    # `type`, not isinstance: True is an int to Python.
    if type(ts) is not int or ts < 0:
        raise BadRecord("time")
    if received is None:
        received = appended
    elif type(received) is not int:
        raise BadRecord("time")
    if received > appended + laws.future or ts > received + laws.future:
        raise BadRecord("future")
    return received  # type: ignore[no-any-return]


def _name(value: Any) -> str:
    if type(value) is not str or not _is_name(value):
        raise BadRecord("name")
    return value


# The same few names stand in every record.
@lru_cache(maxsize=1 << 14)
def _is_name(text: str) -> bool:
    return 0 < len(text) <= 64 and printable(text) and text == text.strip(" ")


def printable(text: str) -> bool:
    """Whether each character is one that is seen, or may be in some Unicode to come."""
    # Its own `isprintable` would be another law in each Python.
    return text.isprintable() if text.isascii() else all(map(_is_seen, map(ord, text)))


def _is_seen(code: int) -> bool:
    return bisect_right(_BORDERS, code) % 2 == 0 and code & 0xFFFE != 0xFFFE


def _id(value: Any) -> str:
    if type(value) is int:
        value = str(value) if abs(value) < 10**20 else ""
        # Twenty characters with the sign, as the judge counts them.
        if not 0 < len(value) <= 20:
            raise BadRecord("id")
    return "" if value is None else _words(value)


def _words(value: Any) -> str:
    if type(value) is not str or len(value) > 128 or not printable(value):
        raise BadRecord("text")
    return value


def _conditions(value: Any) -> tuple[str, ...]:
    if type(value) is not list or len(value) > 32:
        raise BadRecord("conditions")
    return tuple(map(_words, value))


def _boolean(value: Any, otherwise: bool) -> bool:
    if value is None:
        return otherwise
    if type(value) is not bool:
        raise BadRecord("flag")
    return value
