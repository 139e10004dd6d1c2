"""Binance spot: klines, aggregate trades and the two streams of them; limits by weight and address; no key."""

from __future__ import annotations

import json
from typing import Any

from sparktrends.model import DAY, HOUR, MINUTE, SECOND
from sparktrends.sandbox.candles import Candle, sold
from sparktrends.sandbox.exchange import Answer, Call, Close, Frame, Message, Provider, Session, Topic, World, told
from sparktrends.sandbox.instruments import plain
from sparktrends.sandbox.meters import left
from sparktrends.sandbox.tape import Row, Series

# The limits here are those of Binance's documentation; a client that breaks them should see it here first.
LIMIT = 6000
_QUOTES = ("FDUSD", "USDT", "USDC")
_MAX_TIME = 10**16
LENGTHS = {
    "1m": MINUTE, "3m": 3 * MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "30m": 30 * MINUTE, "1h": HOUR,
    "2h": 2 * HOUR, "4h": 4 * HOUR, "6h": 6 * HOUR, "8h": 8 * HOUR, "12h": 12 * HOUR, "1d": DAY, "3d": 3 * DAY,
}  # fmt: skip
_WEIGHTS = {"klines": 2, "aggTrades": 4, "exchangeInfo": 20, "ping": 1, "time": 1}
_CONTROL_PER_SECOND = 5
_STREAMS = 1024
_KLINE_EVERY = 2 * SECOND
_LIFETIME = DAY
_PATIENCE = 10  # calls beyond the limit before an address is banned


class Refused(ValueError):
    """A parameter that Binance answers with an error code; caught where the call came in."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Binance(Provider):
    """The reference feed: contiguous ids, the same on the socket and by REST."""

    name = "binance"

    def answer(self, call: Call, world: World) -> Answer:
        """One of klines, aggTrades, exchangeInfo, ping, time; else a 404."""
        who = f"binance:{call.client}"
        if world.meters.banned(who, world.now):
            return self.refusal(418, call, world)
        name = call.path.removeprefix("/api/v3/")
        weight = _WEIGHTS.get(name, 1)
        used = world.meters.spend(who, 60, weight, world.now)
        if used > LIMIT:
            if world.meters.spend(who + ":over", 60, 1, world.now) > _PATIENCE:
                world.meters.ban(who, world.now + 120 * SECOND)
                return self.refusal(418, call, world)
            return self.refusal(429, call, world)
        headers = {"x-mbx-used-weight": str(used), "x-mbx-used-weight-1m": str(used)}
        if not call.path.startswith("/api/v3/") or name not in _WEIGHTS:
            return Answer(404, b"<html><body>404 Not Found</body></html>", {"content-type": "text/html"}, weight)
        try:
            body = getattr(self, f"_{name}")(call, world)
        except Refused as error:
            return told({"code": error.code, "msg": str(error)}, 400, headers, weight)
        return told(body, 200, headers, weight)

    def refusal(self, status: int, call: Call, world: World) -> Answer:
        """Its error bodies; a 429 and a 418 say how long to wait."""
        wait = left(60, world.now)
        if status == 418:
            until = world.meters.banned(f"binance:{call.client}", world.now) or world.now + 120 * SECOND
            said = f"Way too much request weight used; IP banned until {until // 1000}. Please use WebSocket Streams"
            return told(
                {"code": -1003, "msg": said + "."}, 418, {"retry-after": str((until - world.now) // SECOND + 1)}
            )
        if status == 429:
            said = f"Too much request weight used; current limit is {LIMIT} request weight per 1 MINUTE. Please use"
            return told({"code": -1003, "msg": said + " WebSocket Streams."}, 429, {"retry-after": str(wait)})
        if status == 451:
            said = "Service unavailable from a restricted location according to 'b. Eligibility' in the terms."
            return told({"code": 0, "msg": said}, 451)
        if status == 403:
            return Answer(403, b"<html><head><title>403 Forbidden</title></head></html>", {"content-type": "text/html"})
        if status >= 500:
            return told({"code": -1008, "msg": "Server is currently overloaded with other requests."}, status)
        return told({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, status)

    # -- REST ------------------------------------------------------------------------------------------------

    def _ping(self, _call: Call, _world: World) -> Any:
        return {}

    def _time(self, _call: Call, world: World) -> Any:
        return {"serverTime": world.now // 1000}

    def _exchangeInfo(self, _call: Call, world: World) -> Any:
        limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": LIMIT}]
        symbols = [
            {"symbol": f"{name}{quote}", "status": "TRADING", "baseAsset": name, "quoteAsset": quote}
            for name, series in world.tape.series.items()
            for quote in _QUOTES
            if series.instrument.kind == "coin"
        ]
        return {"timezone": "UTC", "serverTime": world.now // 1000, "rateLimits": limits, "symbols": symbols}

    def _klines(self, call: Call, world: World) -> Any:
        series, unit = _series(call, world), _unit(call)
        interval = call.query.get("interval", "")
        if interval not in LENGTHS:
            raise Refused(-1120, "Invalid interval.")
        length, limit = LENGTHS[interval], _number(call, "limit", 500, 1000)
        last = min(world.now, _stamp(call, "endTime", world.now))
        first = _stamp(call, "startTime", last // length * length - (limit - 1) * length)
        begin = -(-first // length) * length
        starts = range(begin, last + 1, length)[:limit]
        return [_kline_row(series.candle(start, length), length, unit) for start in starts]

    def _aggTrades(self, call: Call, world: World) -> Any:
        series, limit = _series(call, world), _number(call, "limit", 500, 1000)
        if "fromId" in call.query:
            if "startTime" in call.query or "endTime" in call.query:
                raise Refused(-1128, "Combination of optional parameters invalid.")
            first = max(series.first, _number(call, "fromId", 0, 2**62))
            stop = series.end
        elif "startTime" in call.query or "endTime" in call.query:
            # The end is inclusive, and names a whole millisecond.
            stop = series.id_at(_stamp(call, "endTime", world.now) + 1000)
            first = series.id_at(_stamp(call, "startTime", 0)) if "startTime" in call.query else stop - limit
        else:
            first, stop = series.end - limit, series.end
        unit = _unit(call)
        return [_trade_fields(row, unit) for row in series.rows(first, min(stop, first + limit))]

    # -- sockets ---------------------------------------------------------------------------------------------

    def admit(self, call: Call, world: World) -> Session | Answer:
        """``/ws``, ``/ws/<stream>/<stream>``, ``/stream?streams=a/b``; anything else opens a raw session."""
        if world.meters.spend(f"binance:connect:{call.client}", 300, 1, world.now) > 300:
            return self.refusal(429, call, world)
        session = Session(0, call.client, world.now, combined=call.path.startswith("/stream"))
        session.unit = 1 if call.query.get("timeUnit", "").upper() == "MICROSECOND" else 1000
        named = (
            call.path.removeprefix("/ws").strip("/") if call.path.startswith("/ws") else call.query.get("streams", "")
        )
        for stream in filter(None, named.split("/")):
            _subscribe(session, stream, world)
        return session

    def hear(self, session: Session, text: str, world: World) -> list[Message]:
        """SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS; more than five messages a second end the connection."""
        session.heard = [at for at in session.heard if at > world.now - SECOND] + [world.now]
        if len(session.heard) > _CONTROL_PER_SECOND:
            return [Close(1008, "Too many requests")]
        try:
            message = json.loads(text)
            method, params, number = message["method"], message.get("params", []), message.get("id")
        except (ValueError, KeyError, TypeError, AttributeError):
            return [Frame('{"code":2,"msg":"Invalid request: unable to parse the message"}')]
        if method == "LIST_SUBSCRIPTIONS":
            return [Frame(json.dumps({"result": list(session.topics), "id": number}))]
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE") or not isinstance(params, list):
            return [Frame(json.dumps({"code": 2, "msg": f"Invalid request: unknown variant {method}"}))]
        for stream in map(str, params):
            if method == "UNSUBSCRIBE":
                session.topics.pop(stream, None)
            else:
                _subscribe(session, stream, world)
        if len(session.topics) > _STREAMS:
            return [Close(1008, "Too many streams")]
        return [Frame(json.dumps({"result": None, "id": number}, separators=(",", ":")))]

    def tell(self, session: Session, world: World) -> list[Frame]:
        """New aggregate trades one a frame, klines every two seconds and when they close, the end after 24 hours."""
        frames: list[Frame] = []
        for stream, topic in session.topics.items():
            made = (
                _trades(topic, world.now, session.unit)
                if topic.kind == "aggTrade"
                else _klines(topic, world, session.unit)
            )
            frames += (
                [Frame(f'{{"stream":"{stream}","data":{f.text}}}', f.items) for f in made] if session.combined else made
            )
        return frames

    def spent(self, session: Session, world: World) -> bool:
        """Whether the session has lived its 24 hours."""
        return world.now - session.opened >= _LIFETIME


def shutdown_notice(world: World) -> Frame:
    """What a server that will go down says before it does."""
    return Frame(f'{{"e":"serverShutdown","E":{world.now // 1000}}}')


def _subscribe(session: Session, stream: str, world: World) -> None:
    # A stream that does not exist is accepted and stays silent, as there.
    wire, _, kind = stream.partition("@")
    series = _listed(wire.upper(), world)
    known = kind == "aggTrade" or kind.removeprefix("kline_") in LENGTHS
    if series and known and wire == wire.lower():
        session.topics.setdefault(stream, Topic(wire.upper(), series, kind, series.end))


def _trades(topic: Topic, now: int, unit: int) -> list[Frame]:
    rows = topic.series.rows(topic.cursor, topic.series.end)
    topic.cursor = topic.series.end
    head = f'{{"e":"aggTrade","E":{now // unit},"s":"{topic.wire}","a":'
    return [
        Frame(
            f'{head}{i},"p":"{plain(price)}","q":"{plain(size)}","f":{i},"l":{i},"T":{ts // unit},'
            f'"m":{"true" if sold(i) else "false"},"M":true}}',
            ((topic.wire, str(i)),),
        )
        for i, ts, price, size in rows
    ]


def _klines(topic: Topic, world: World, unit: int) -> list[Frame]:
    interval = topic.kind.removeprefix("kline_")
    length = LENGTHS[interval]
    current = world.now // length * length
    frames = []
    if topic.last and topic.last < current:
        frames.append(_kline_frame(topic, interval, topic.last, world.now, unit, closed=True))
        topic.told_at = 0
    if world.now - topic.told_at >= _KLINE_EVERY:
        frames.append(_kline_frame(topic, interval, current, world.now, unit, closed=False))
        topic.told_at = world.now
    topic.last = current
    return frames


def _kline_frame(topic: Topic, interval: str, start: int, now: int, unit: int, *, closed: bool) -> Frame:
    length = LENGTHS[interval]
    k = topic.series.candle(start, length)
    times = {"t": start // unit, "T": (start + length) // unit - 1, "s": topic.wire, "i": interval}
    prices = {"o": plain(k.open), "c": plain(k.close), "h": plain(k.high), "l": plain(k.low), "v": plain(k.volume)}
    counts = {"n": k.trades, "x": closed, "q": _turnover(k.turnover)}
    bought = {"V": plain(k.bought), "Q": _turnover(k.bought_turnover), "B": "0"}
    row = {**times, "f": k.first, "L": k.last, **prices, **counts, **bought}
    body = {"e": "kline", "E": now // unit, "s": topic.wire, "k": row}
    return Frame(json.dumps(body, separators=(",", ":")))


def _kline_row(k: Candle, length: int, unit: int) -> list[Any]:
    return [
        k.start // unit, plain(k.open), plain(k.high), plain(k.low), plain(k.close), plain(k.volume),
        (k.start + length) // unit - 1, _turnover(k.turnover), k.trades, plain(k.bought), _turnover(k.bought_turnover),
        "0",
    ]  # fmt: skip


def _trade_fields(row: Row, unit: int) -> dict[str, Any]:
    i, ts, price, size = row
    return {
        "a": i, "p": plain(price), "q": plain(size), "f": i, "l": i, "T": ts // unit, "m": sold(i), "M": True,
    }  # fmt: skip


def _turnover(value: int) -> str:
    return plain(value // 10**8)


def _listed(wire: str, world: World) -> Series | None:
    for quote in _QUOTES:
        series = world.tape.series.get(wire.removesuffix(quote)) if wire.endswith(quote) else None
        if series and series.instrument.kind == "coin":
            return series
    return None


def _series(call: Call, world: World) -> Series:
    if not call.query.get("symbol"):
        raise Refused(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
    series = _listed(call.query["symbol"], world)
    if series is None:
        raise Refused(-1121, "Invalid symbol.")
    return series


def _unit(call: Call) -> int:
    return 1 if call.headers.get("x-mbx-time-unit", "").upper() == "MICROSECOND" else 1000


def _number(call: Call, name: str, default: int, most: int) -> int:
    text = call.query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Refused(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return min(int(text), most)


def _stamp(call: Call, name: str, default: int) -> int:
    """A time parameter as microseconds: milliseconds, or microseconds where they are that large."""
    value = _number(call, name, -1, _MAX_TIME)
    return default if value < 0 else value if value >= 10**14 else value * 1000
