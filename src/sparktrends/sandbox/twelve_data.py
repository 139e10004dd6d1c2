"""Twelve Data: bars in batches, quotes, and a stream of prices with the day's volume; eight credits a minute."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sparktrends.model import DAY, HOUR, MINUTE, SECOND
from sparktrends.sandbox.candles import Candle
from sparktrends.sandbox.exchange import (
    Answer,
    Call,
    Frame,
    Message,
    Provider,
    Session,
    Topic,
    World,
    key_refused,
    told,
)
from sparktrends.sandbox.instruments import UNIT, number, plain, short
from sparktrends.sandbox.tape import Series

PER_MINUTE, PER_DAY, SYMBOLS, CONNECTIONS = 8, 800, 8, 3
_LENGTHS = {
    "1min": MINUTE, "5min": 5 * MINUTE, "15min": 15 * MINUTE, "30min": 30 * MINUTE, "45min": 45 * MINUTE, "1h": HOUR,
    "2h": 2 * HOUR, "4h": 4 * HOUR, "8h": 8 * HOUR, "1day": DAY,
}  # fmt: skip
_NO_KEY = (
    "**apikey** parameter is incorrect or not specified. You can get your free API key instantly following this link: "
    "https://twelvedata.com/pricing. If you believe that everything is correct, you can email us at "
    "support@twelvedata.com"
)
_NO_SYMBOL = (
    "**symbol** or **figi** parameter is missing or invalid. Please provide a valid symbol according to API "
    "documentation: https://twelvedata.com/docs#reference-data"
)
_NO_BARS = "No data is available on the specified dates. Try setting different start/end dates."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TwelveData(Provider):
    """Strings for numbers, newest first unless asked, errors in the body of a 200."""

    name = "twelve_data"

    def answer(self, call: Call, world: World) -> Answer:
        """A call with its key; each symbol costs a credit, and a batch may run out of them in its middle."""
        key = _key(call)
        if key_refused(key):
            return self.refusal(401, call, world)
        make = _CALLS.get(call.path)
        if make is None:
            return _error(404, "The requested endpoint does not exist.")
        wires = call.query.get("symbol", "").split(",") if make is not _api_usage else [""]
        parts = {wire: self._part(make, wire, call, world) for wire in wires}
        used = world.meters.used(f"twelve_data:{key}", 60, world.now)
        headers = {"api-credits-used": str(used), "api-credits-left": str(max(0, PER_MINUTE - used))}
        body: dict[str, Any] = dict(parts) if len(wires) > 1 else parts[wires[0]]
        code = int(body["code"]) if body.get("status") == "error" and "code" in body else 200
        # Both ways are seen there: the error as the status, and the error in the body of a 200.
        return told(body, code if used % 2 else 200, headers, len(wires))

    def _part(self, make: Any, wire: str, call: Call, world: World) -> dict[str, Any]:
        who = f"twelve_data:{_key(call)}"
        used, today = (world.meters.spend(who, window, 1, world.now) for window in (60, 86_400))
        if today > PER_DAY:
            return _spent("day", today, PER_DAY)
        if used > PER_MINUTE:
            world.meters.spend(who, 86_400, -1, world.now)
            return _spent("current minute", used, PER_MINUTE)
        series = _listed(wire, world)
        if series is None and make is not _api_usage:
            return {"code": 404, "message": _NO_SYMBOL, "status": "error"}
        body: dict[str, Any] = make(series, wire, call, world)
        return body

    def refusal(self, status: int, call: Call, world: World) -> Answer:
        """Its error body, with the code in it and, for 200, only in it."""
        if status in (200, 429):
            used = world.meters.used(f"twelve_data:{_key(call)}", 60, world.now)
            return told(_spent("current minute", used + PER_MINUTE, PER_MINUTE), status)
        if status == 401:
            return _error(401, _NO_KEY)
        if status == 403:
            return _error(403, "/time_series is not available with your plan. You may select the appropriate plan at")
        return _error(status, "Internal server error. Please try again later." if status >= 500 else "Refused.")

    # -- sockets ---------------------------------------------------------------------------------------------

    def admit(self, call: Call, world: World) -> Session | Answer:
        """A wrong key is refused in the handshake."""
        key = _key(call)
        return self.refusal(401, call, world) if key_refused(key) else Session(0, key, world.now)

    def most(self) -> int:
        """Three sockets a key; a fourth ends the first."""
        return CONNECTIONS

    def hear(self, session: Session, text: str, world: World) -> list[Message]:
        """subscribe, unsubscribe, reset and heartbeat."""
        try:
            message = json.loads(text)
            action, params = message["action"], message.get("params") or {}
            wires = [wire.strip() for wire in str(params.get("symbols", "")).split(",") if wire.strip()]
        except (ValueError, KeyError, TypeError, AttributeError):
            return [Frame('{"event":"message-processing","status":"error","messages":["Invalid message"]}')]
        if action == "heartbeat":
            return [Frame('{"event":"heartbeat","status":"ok"}')]
        if action == "reset":
            session.topics.clear()
            return [Frame('{"event":"reset-status","status":"ok"}')]
        if action == "unsubscribe":
            gone = [wire for wire in wires if session.topics.pop(wire, None)]
            return [_status("unsubscribe-status", [{"symbol": wire} for wire in gone], [])]
        return [_subscribed(session, wires, world)]

    def tell(self, session: Session, world: World) -> list[Frame]:
        """At most one price a second and symbol, when there was a trade."""
        second = world.now // SECOND
        due = [t for t in session.topics.values() if t.told_at < second and t.cursor < t.series.end]
        for topic in due:
            topic.told_at, topic.cursor = second, topic.series.end
        return [_price(topic) for topic in due]

    def spoil(self, text: str) -> str:
        """No number where the price was."""
        return text.replace('"price":', '"price":[],"was":', 1)


def _subscribed(session: Session, wires: list[str], world: World) -> Frame:
    good, bad = [], []
    # A credit for each symbol of each connection, and the credits are the key's.
    beside = [s for s in world.sessions.get("twelve_data", ()) if s.key == session.key and s is not session]
    room = SYMBOLS - sum(len(other.topics) for other in beside)
    for wire in wires:
        series = _listed(wire, world)
        if series is None or (wire not in session.topics and len(session.topics) >= room):
            bad.append({"symbol": wire})
            continue
        session.topics.setdefault(wire, Topic(wire, series, "price", series.end))
        good.append({"symbol": wire, **_place(series)})
    return _status("subscribe-status", good, bad)


def _status(event: str, good: list[dict[str, str]], bad: list[dict[str, str]]) -> Frame:
    body = {"event": event, "status": "ok" if good or not bad else "error", "success": good, "fails": bad or None}
    return Frame(json.dumps(body, separators=(",", ":")))


def _price(topic: Topic) -> Frame:
    series, at, price = topic.series, topic.series.time // SECOND, short(topic.series.price)
    head = {"event": "price", "symbol": topic.wire, "currency": "USD", **_place(series)}
    told_volume = series.instrument.kind == "stock"
    volume = series.day_volume(series.time) // UNIT
    tail = f',"timestamp":{at},"price":{price}' + (f',"day_volume":{volume}}}' if told_volume else "}")
    text = json.dumps(head, separators=(",", ":"))[:-1] + tail
    return Frame(text, ((topic.wire, f"{at}:{price}:{volume if told_volume else ''}"),))


# -- REST ----------------------------------------------------------------------------------------------------


def _time_series(series: Series | None, wire: str, call: Call, world: World) -> dict[str, Any]:
    interval = call.query.get("interval", "")
    length = _LENGTHS.get(interval)
    if series is None or length is None:
        return {"code": 400, "message": f"Invalid **interval** provided: {interval}.", "status": "error"}
    zone = _zone(series, call)
    first, last = (_local(call.query.get(name, ""), zone) for name in ("start_date", "end_date"))
    size = call.query.get("outputsize", "")
    most = min(5000, int(size)) if size.isdigit() and len(size) < 6 else 5000 if first is not None else 30
    last = world.now if last is None else min(last, world.now)
    rows = series.candles(last - most * length if first is None else first, last, length, most)
    values = [_value(candle, series, zone, daily=length == DAY) for candle in rows]
    if not values:
        return {"code": 400, "message": _NO_BARS, "status": "error"}
    if call.query.get("order", "desc").lower() != "asc":
        values.reverse()
    meta = {"symbol": wire, "interval": interval, "currency": "USD", "exchange_timezone": _exchange_zone(series)}
    return {"meta": {**meta, **_place(series)}, "values": values, "status": "ok"}


def _value(candle: Candle, series: Series, zone: ZoneInfo, *, daily: bool) -> dict[str, str]:
    # A day is a date, whatever the zone.
    at = _EPOCH + timedelta(microseconds=candle.start)
    stamp = f"{at:%Y-%m-%d}" if daily else f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    prices = {name: plain(getattr(candle, name))[:-3] for name in ("open", "high", "low", "close")}
    volume = {} if series.instrument.kind == "rate" else {"volume": short(candle.volume)}
    return {"datetime": stamp, **prices, **volume}


def _quote(series: Series | None, wire: str, call: Call, world: World) -> dict[str, Any]:  # noqa: ARG001
    assert series is not None
    day = world.now - world.now % DAY
    today, before = series.candle(day, DAY), series.candle(day - DAY, DAY)
    text = {name: plain(getattr(today, name))[:-3] for name in ("open", "high", "low")}
    change = number(series.price) - number(before.close)
    return {
        "symbol": wire, "name": series.instrument.title, **_place(series), "currency": "USD",
        "datetime": f"{_EPOCH + timedelta(microseconds=day):%Y-%m-%d}", "timestamp": day // SECOND,
        "last_quote_at": series.time // SECOND, **text, "close": plain(series.price)[:-3],
        "volume": str(today.volume // UNIT), "previous_close": plain(before.close)[:-3], "change": f"{change:.5f}",
        "percent_change": f"{100 * change / number(before.close):.5f}", "is_market_open": True,
    }  # fmt: skip


def _last_price(series: Series | None, wire: str, call: Call, world: World) -> dict[str, Any]:  # noqa: ARG001
    assert series is not None
    return {"price": plain(series.price)[:-3]}


def _api_usage(series: Series | None, wire: str, call: Call, world: World) -> dict[str, Any]:  # noqa: ARG001
    who = f"twelve_data:{_key(call)}"
    minute, day = (world.meters.used(who, window, world.now) for window in (60, 86_400))
    return {
        "timestamp": f"{_EPOCH + timedelta(microseconds=world.now):%Y-%m-%d %H:%M:%S}", "current_usage": minute,
        "plan_limit": PER_MINUTE, "daily_usage": day, "plan_daily_limit": PER_DAY, "plan_category": "basic",
    }  # fmt: skip


_CALLS = {"/time_series": _time_series, "/quote": _quote, "/price": _last_price, "/api_usage": _api_usage}


def _spent(window: str, used: int, limit: int) -> dict[str, Any]:
    said = (
        f"You have run out of API credits for the {window}. {used} API credits were used, with the current limit being "
        f"{limit}. Wait for the next {window.split()[-1]} or consider switching to a higher tier plan at "
        "https://twelvedata.com/pricing"
    )
    return {"code": 429, "message": said, "status": "error"}


def _error(code: int, words: str) -> Answer:
    return told({"code": code, "message": words, "status": "error"}, code)


def _key(call: Call) -> str:
    return call.headers.get("authorization", "").removeprefix("apikey ") or call.query.get("apikey", "")


def _listed(wire: str, world: World) -> Series | None:
    """``AAPL``, ``BTC/USD``, ``EUR/USD``."""
    series = world.tape.series.get(wire)
    if series is None and wire.endswith("/USD"):
        series = world.tape.series.get(wire.removesuffix("/USD"))
        return series if series and series.instrument.kind == "coin" else None
    return series if series and series.instrument.kind != "coin" else None


def _place(series: Series) -> dict[str, str]:
    if series.instrument.kind == "coin":
        return {"exchange": "Coinbase Pro", "mic_code": "", "type": "Digital Currency"}
    if series.instrument.kind == "rate":
        return {"exchange": "PHYSICAL CURRENCY", "mic_code": "", "type": "Physical Currency"}
    return {"exchange": series.instrument.exchange, "mic_code": "XNGS", "type": "Common Stock"}


def _exchange_zone(series: Series) -> str:
    return "America/New_York" if series.instrument.kind == "stock" else "UTC"


def _zone(series: Series, call: Call) -> ZoneInfo:
    return ZoneInfo("UTC" if call.query.get("timezone", "").upper() == "UTC" else _exchange_zone(series))


def _local(text: str, zone: ZoneInfo) -> int | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(at.replace(tzinfo=zone).timestamp()) * SECOND
