"""Yahoo: charts with holes and a live last row, a crumb, and a socket of quotes in base64 protobuf."""

from __future__ import annotations

import base64
import json
import re
import struct
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from sparktrends.model import DAY, HOUR, MINUTE, SECOND
from sparktrends.sandbox.candles import Candle
from sparktrends.sandbox.exchange import Answer, Call, Frame, Message, Provider, Session, Topic, World, told
from sparktrends.sandbox.instruments import UNIT, number, short
from sparktrends.sandbox.news import actions
from sparktrends.sandbox.tape import Series

PER_MINUTE = 120
"""Calls a minute and address; no figure is published, this is one a polite reader never meets."""
_LENGTHS = {
    "1m": MINUTE, "2m": 2 * MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "30m": 30 * MINUTE, "60m": HOUR, "1h": HOUR,
    "1d": DAY,
}  # fmt: skip
_REACH = {"1m": 8, "2m": 60, "5m": 60, "15m": 60, "30m": 60, "60m": 730, "1h": 730}
_RANGES = {"1mo": 31, "3mo": 92, "6mo": 183, "1y": 366, "2y": 731, "5y": 1827, "10y": 2500, "ytd": 366, "max": 2500}
_EAST = -5 * HOUR
_OPENS = 14 * HOUR + 30 * MINUTE  # a stock's day is stamped with half past nine in New York, as winter has it
_TELL_EVERY, _BEAT_EVERY = SECOND // 5, 20 * SECOND
_QUOTE_TYPES = {"stock": 8, "coin": 41, "rate": 14}
_HEARTBEAT = 7


class Yahoo(Provider):
    """Unofficial: no key, values that may be null, a quote that is no trade."""

    name = "yahoo"

    def answer(self, call: Call, world: World) -> Answer:
        """``/v8/finance/chart/<symbol>`` and ``/v1/test/getcrumb``."""
        if world.meters.spend(f"yahoo:{call.client}", 60, 1, world.now) > PER_MINUTE:
            return self.refusal(429, call, world)
        if call.path == "/v1/test/getcrumb":
            return Answer(200, b"SandboxCrumb", {"content-type": "text/plain"})
        wire = call.path.removeprefix("/v8/finance/chart/")
        if wire == call.path:
            return _problem("Not Found", "HTTP 404 Not Found", 404)
        series = _listed(wire, world)
        if series is None:
            return _problem("Not Found", "No data found, symbol may be delisted", 404)
        return _chart(series, wire, call, world)

    def refusal(self, status: int, call: Call, world: World) -> Answer:  # noqa: ARG002
        """Text for a rate limit, a page for a failure, its own error body for the rest."""
        if status in (200, 429):
            return Answer(status, b"Too Many Requests\r\n", {"content-type": "text/plain"})
        if status == 401:
            return _problem("Unauthorized", "Invalid Crumb", 401)
        if status >= 500:
            return Answer(
                status, b"<html><title>Yahoo</title>Will be right back...</html>", {"content-type": "text/html"}
            )
        return _problem("Forbidden", "User is not allowed", status)

    # -- sockets ---------------------------------------------------------------------------------------------

    def admit(self, call: Call, world: World) -> Session | Answer:
        """Everybody may come in."""
        return Session(0, call.client, world.now, beat=world.now)

    def hear(self, session: Session, text: str, world: World) -> list[Message]:
        """``{"subscribe": [...]}`` and ``{"unsubscribe": [...]}``; nothing is answered, unknown symbols stay silent."""
        try:
            message = json.loads(text)
            wanted, unwanted = message.get("subscribe") or [], message.get("unsubscribe") or []
        except (ValueError, AttributeError):
            return []
        for wire in map(str, wanted):
            series = _listed(wire, world)
            if series:
                session.topics.setdefault(wire, Topic(wire, series, "quote", series.end))
        for wire in map(str, unwanted):
            session.topics.pop(wire, None)
        return []

    def tell(self, session: Session, world: World) -> list[Frame]:
        """The newest price of each symbol that traded, at most five times a second."""
        due = [t for t in session.topics.values() if t.cursor < t.series.end and world.now - t.told_at >= _TELL_EVERY]
        for topic in due:
            topic.told_at, topic.cursor = world.now, topic.series.end
        frames = [_quote(topic) for topic in due]
        if world.now - session.beat >= _BEAT_EVERY:
            session.beat = world.now
            frames.append(_pricing("HEARTBEAT", world.now // 1000, _HEARTBEAT, 0.0, b""))
        return frames

    def spoil(self, text: str) -> str:
        """A number for the message."""
        return '{"message":17,"type":"pricing"}' if text else text


def _quote(topic: Topic) -> Frame:
    series, ms = topic.series, topic.series.time // 1000
    day = series.candle(series.time - series.time % DAY, DAY)
    rest = b"".join(
        (
            _text(4, "USD"), _text(5, "NMS" if series.instrument.kind == "stock" else "CCC"), _varint_field(7, 1),
            _float(8, (series.price / day.open - 1) * 100), _varint_field(9, _zigzag(day.volume // UNIT)),
            _float(10, number(day.high)), _float(11, number(day.low)),
        )
    )  # fmt: skip
    frame = _pricing(topic.wire, ms, _QUOTE_TYPES[series.instrument.kind], number(series.price), rest)
    return Frame(frame.text, ((topic.wire, f"{ms}:{short(series.price)}"),))


def _pricing(name: str, ms: int, quote_type: int, price: float, rest: bytes) -> Frame:
    data = _text(1, name) + _float(2, price) + _varint_field(3, _zigzag(ms)) + _varint_field(6, quote_type) + rest
    return Frame(f'{{"type":"pricing","message":"{base64.b64encode(data).decode()}"}}')


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _varint_field(number_of: int, value: int) -> bytes:
    return _varint(number_of << 3) + _varint(value)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _text(number_of: int, value: str) -> bytes:
    return _varint(number_of << 3 | 2) + _varint(len(value.encode())) + value.encode()


def _float(number_of: int, value: float) -> bytes:
    return _varint(number_of << 3 | 5) + struct.pack("<f", value)


# -- REST ----------------------------------------------------------------------------------------------------


def _chart(series: Series, wire: str, call: Call, world: World) -> Answer:
    interval = call.query.get("interval", "1d")
    length = _LENGTHS.get(interval)
    if length is None:
        return _problem("Bad Request", f"Invalid input - interval={interval} is not supported.", 422)
    first, last = _window(call, interval, world.now)
    reach = _REACH.get(interval, 40_000)
    if first < world.now - reach * DAY - length:
        said = f"{interval} data not available for startTime={first // SECOND} and endTime={last // SECOND}. Only "
        return _problem("Unprocessable Entity", said + f"{reach} days worth of {interval} granularity data are allowed "
                        "to be fetched per request.", 422)  # fmt: skip
    candles = series.candles(first, min(last - 1, world.now), length, 12_000)
    live = bool(candles) and candles[-1].start + length > world.now
    result: dict[str, Any] = {"meta": _meta(series, wire, interval, world.now)}
    result |= _arrays(candles, series, wire, length, world.now if live else 0)
    events = _events(series, call, first, last, world.now)
    return told({"chart": {"result": [result | ({"events": events} if events else {})], "error": None}})


def _arrays(candles: list[Candle], series: Series, wire: str, length: int, live: int) -> dict[str, Any]:
    stock_day = _OPENS if length == DAY and series.instrument.kind == "stock" else 0
    stamps: list[int] = [(candle.start + stock_day) // SECOND for candle in candles]
    columns: dict[str, list[Any]] = {name: [] for name in ("open", "high", "low", "close", "volume")}
    for candle in candles:
        # Minutes without a trade are null, and now and then one with trades is as well.
        missing = candle.trades == 0 or (length < DAY and crc32(f"{wire}:{candle.start}".encode()) % 97 == 0)
        for name, column in columns.items():
            value = getattr(candle, name)
            column.append(None if missing else value // UNIT if name == "volume" else number(value))
    if live and length < DAY and candles[-1].start // SECOND != live // SECOND:
        # The last row is live: the second of the last price, beside the row of its own minute.
        stamps.append(live // SECOND)
        for name, column in columns.items():
            column.append(0 if name == "volume" else number(series.price))
    return {"timestamp": stamps, "indicators": {"quote": [columns]}} if stamps else {"indicators": {"quote": [{}]}}


def _meta(series: Series, wire: str, interval: str, now: int) -> dict[str, Any]:
    stock = series.instrument.kind == "stock"
    # The session of the day that it is there: an hour after midnight it is over, and no other has begun.
    day = (now + _EAST * stock) // DAY * DAY
    regular = {"timezone": "EST" if stock else "UTC", "start": day // SECOND, "end": (day + DAY) // SECOND - 1}
    return {
        "currency": "USD", "symbol": wire, "exchangeName": "NMS" if stock else "CCC",
        "instrumentType": "EQUITY" if stock else "CRYPTOCURRENCY", "regularMarketTime": series.time // SECOND,
        "gmtoffset": _EAST // SECOND if stock else 0, "timezone": "EST" if stock else "UTC",
        "exchangeTimezoneName": "America/New_York" if stock else "UTC", "regularMarketPrice": number(series.price),
        "priceHint": 2, "dataGranularity": interval, "range": "", "currentTradingPeriod": {"regular": regular},
    }  # fmt: skip


def _events(series: Series, call: Call, first: int, last: int, now: int) -> dict[str, Any]:
    wanted = call.query.get("events", "")
    found: dict[str, Any] = {}
    for action in actions(series.instrument, now):
        at = int(datetime(action.day.year, action.day.month, action.day.day, tzinfo=UTC).timestamp())
        at += _OPENS // SECOND
        if not first <= at * SECOND < last:
            continue
        if action.kind == "split" and "split" in wanted:
            ratio = int(action.value)
            row = {"date": at, "numerator": ratio, "denominator": 1, "splitRatio": f"{ratio}:1"}
            found.setdefault("splits", {})[str(at)] = row
        elif action.kind == "dividend" and "div" in wanted:
            found.setdefault("dividends", {})[str(at)] = {"amount": action.value, "date": at}
    return found


def _window(call: Call, interval: str, now: int) -> tuple[int, int]:
    first, last = (call.query.get(name, "") for name in ("period1", "period2"))
    if first.isdigit() and last.isdigit() and len(first) < 12 and len(last) < 12:
        # Nothing is older than what this market remembers, however early a caller begins.
        begin = int(first) * SECOND if interval != "1d" else max(int(first) * SECOND, now - 2500 * DAY)
        return begin, int(last) * SECOND
    told_range = call.query.get("range", "1d")
    days = re.fullmatch(r"([0-9]{1,4})d", told_range)
    return now - (int(days[1]) if days else _RANGES.get(told_range, 31)) * DAY, now + 1


def _problem(code: str, words: str, status: int) -> Answer:
    return told({"chart": {"result": None, "error": {"code": code, "description": words}}}, status)


def _listed(wire: str, world: World) -> Series | None:
    """``AAPL``, ``BTC-USD``, ``EURUSD=X``."""
    if wire.endswith("=X") and len(wire) == 8:
        series = world.tape.series.get(f"{wire[:3]}/{wire[3:6]}")
        return series if series and series.instrument.kind == "rate" else None
    series = world.tape.series.get(wire.removesuffix("-USD"))
    coin = wire.endswith("-USD")
    return (
        series if series and (series.instrument.kind == "coin") == coin and series.instrument.kind != "rate" else None
    )
