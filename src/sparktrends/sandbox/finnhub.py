"""Finnhub: trades of stocks and coins on a socket, quotes, news, profiles; candles only for a premium key."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sparktrends.model import DAY, HOUR, MINUTE, SECOND
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
    premium,
    told,
)
from sparktrends.sandbox.instruments import UNIT, number, short
from sparktrends.sandbox.meters import left
from sparktrends.sandbox.news import Story, stories
from sparktrends.sandbox.tape import Row, Series

# The free plan; so many a second hold on top of every plan.
PER_MINUTE, PER_SECOND, SYMBOLS = 60, 30, 50
_ROWS = 20  # most trades of one message
_PING_EVERY = 30 * SECOND
_RESOLUTIONS = {"1": MINUTE, "5": 5 * MINUTE, "15": 15 * MINUTE, "30": 30 * MINUTE, "60": HOUR, "D": DAY}
_PREMIUM = ("/stock/candle", "/crypto/candle", "/forex/candle", "/news-sentiment")


class Finnhub(Provider):
    """No ids, arrays that may be newest first, messages that may come twice, price updates without size, trades of
    stocks that only count for the volume."""

    name = "finnhub"

    def answer(self, call: Call, world: World) -> Answer:
        """A call with its key and within its 60 a minute; else what Finnhub says then."""
        key = _key(call)
        if key_refused(key):
            return self.refusal(401, call, world)
        used = world.meters.spend(f"finnhub:{key}", 60, 1, world.now)
        burst = world.meters.spend(f"finnhub:{key}", 1, 1, world.now)
        headers = {
            "x-ratelimit-limit": str(PER_MINUTE),
            "x-ratelimit-remaining": str(max(0, PER_MINUTE - used)),
            "x-ratelimit-reset": str(world.now // SECOND + left(60, world.now)),
        }
        if used > PER_MINUTE or burst > PER_SECOND:
            refused = self.refusal(429, call, world)
            return Answer(429, refused.body, {**headers, **refused.headers})
        if call.path in _PREMIUM and not premium(key):
            return self.refusal(403, call, world)
        make = _CALLS.get(call.path)
        return told(make(call, world), 200, headers) if make else told({"error": "Not found."}, 404, headers)

    def refusal(self, status: int, call: Call, world: World) -> Answer:  # noqa: ARG002
        """Its error bodies, all under ``error``."""
        words = {
            401: "Invalid API key" if _key(call) else "Please use an API key.",
            403: "You don't have access to this resource.",
            429: "API limit reached. Please try again later. Remaining Limit: 0",
            200: "API limit reached. Please try again later. Remaining Limit: 0",
        }
        if status >= 500:
            return Answer(status, b"<html><body>Bad Gateway</body></html>", {"content-type": "text/html"})
        return told({"error": words.get(status, "Request refused.")}, status)

    # -- sockets ---------------------------------------------------------------------------------------------

    def admit(self, call: Call, world: World) -> Session | Answer:
        """A wrong key is refused in the handshake."""
        key = _key(call)
        return self.refusal(401, call, world) if key_refused(key) else Session(0, key, world.now, beat=world.now)

    def most(self) -> int:
        """One socket a key."""
        return 1

    def hear(self, session: Session, text: str, world: World) -> list[Message]:
        """subscribe and unsubscribe, one symbol a message; nothing is answered when it went well."""
        try:
            message = json.loads(text)
            kind, wire = message["type"], str(message["symbol"])
        except (ValueError, KeyError, TypeError):
            return [_error("Invalid message")]
        if kind == "unsubscribe":
            session.topics.pop(wire, None)
            return []
        series = _listed(wire, world)
        if kind != "subscribe" or series is None:
            return [_error(f"Invalid symbol {wire}")]
        if len(session.topics) >= SYMBOLS and wire not in session.topics:
            return [_error("Subscribing to too many symbols")]
        session.topics.setdefault(wire, Topic(wire, series, "trade", series.end))
        return []

    def tell(self, session: Session, world: World) -> list[Frame]:
        """Up to twenty trades a message: every seventh newest first, every thirty-first sent twice; pings."""
        rows = sorted(
            ((row[1], topic, row) for topic in session.topics.values() for row in _new(topic)), key=lambda told: told[0]
        )
        frames: list[Frame] = []
        for at in range(0, len(rows), _ROWS):
            session.messages += 1
            frame = _message([(topic, row) for _, topic, row in rows[at : at + _ROWS]])
            frame = self.reverse(frame) if session.messages % 7 == 0 else frame
            frames += [frame, Frame(frame.text)] if session.messages % 31 == 0 else [frame]
        if world.now - session.beat >= _PING_EVERY:
            session.beat = world.now
            frames.append(Frame('{"type":"ping"}'))
        return frames

    def reverse(self, frame: Frame) -> Frame:
        """The rows newest first."""
        if not frame.text.startswith(_HEAD):
            return frame
        rows = frame.text[len(_HEAD) + 1 : -len(_TAIL) - 1].split("},{")
        return Frame(_HEAD + "{" + "},{".join(reversed(rows)) + "}" + _TAIL, frame.items)


_HEAD, _TAIL = '{"type":"trade","data":[', "]}"


def _new(topic: Topic) -> list[Row]:
    rows = list(topic.series.rows(topic.cursor, topic.series.end))
    topic.cursor = topic.series.end
    return rows


def _message(rows: list[tuple[Topic, Row]]) -> Frame:
    texts, items = [], []
    for topic, (i, ts, price, size) in rows:
        kind, p, v, ms = topic.series.instrument.kind, short(price), short(size), ts // 1000
        head = f'{{"s":"{topic.wire}","p":{p},"t":{ms}'
        if kind == "rate":  # a feed of prices without trades
            texts.append(head + ',"v":0,"c":null}')
            continue
        codes = _conditions(i, size)
        listed = json.dumps(codes, separators=(",", ":")) if kind == "stock" else "null"
        texts.append(f'{head},"v":{v},"c":{listed}}}')
        if i % 40 == 0:
            texts.append(head + ',"v":0,"c":null}')
        items.append((topic.wire, f"{ms}:{p}:{v}" + (":" + ",".join(codes) if kind == "stock" else "")))
    return Frame(_HEAD + ",".join(texts) + _TAIL, tuple(items))


def _conditions(i: int, size: int) -> list[str]:
    """Odd lots are marked; one trade in twenty-five tells its average price, which counts for the volume alone."""
    return ["3"] if i % 25 == 0 else ["1", "12"] if size < 100 * UNIT else ["1"]


def _error(words: str) -> Frame:
    return Frame(json.dumps({"type": "error", "msg": words}))


# -- REST ----------------------------------------------------------------------------------------------------


def _quote(call: Call, world: World) -> Any:
    series = _listed(call.query.get("symbol", ""), world)
    if series is None:
        # To Finnhub a symbol that does not exist is no error.
        return {"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}
    day = world.now - world.now % DAY
    today, before = series.candle(day, DAY), series.candle(day - DAY, DAY)
    c, pc = series.price, before.close
    return {
        "c": number(c), "d": number(c - pc), "dp": round((c / pc - 1) * 100, 4), "h": number(today.high),
        "l": number(today.low), "o": number(today.open), "pc": number(pc), "t": series.time // SECOND,
    }  # fmt: skip


def _candles(call: Call, world: World) -> Any:
    series, length = _listed(call.query.get("symbol", ""), world), _RESOLUTIONS.get(call.query.get("resolution", ""))
    first, last = (_seconds(call, name) for name in ("from", "to"))
    if series is None or length is None or last < first:
        return {"s": "no_data"}
    candles = series.candles(first, min(last, world.now), length, 50_000)
    candles = [candle for candle in candles if candle.trades]
    if not candles:
        return {"s": "no_data"}
    columns = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
    arrays = {short_name: [number(getattr(k, name)) for k in candles] for short_name, name in columns.items()}
    return {**arrays, "t": [k.start // SECOND for k in candles], "s": "ok"}


def _company_news(call: Call, world: World) -> Any:
    series = _listed(call.query.get("symbol", ""), world)
    first, last = _day(call.query.get("from", "")), _day(call.query.get("to", ""))
    if series is None or first is None or last is None or series.instrument.kind != "stock":
        return []
    found = stories([series.instrument], first, min(last + DAY, world.now), world.seed, hostile=world.hostile)
    return [row for story in reversed(found) for row in _news_rows(story, series.instrument.name)]


def _news(call: Call, world: World) -> Any:
    everyone = [series.instrument for series in world.tape.series.values()]
    found = stories(everyone, world.now - DAY, world.now, world.seed, hostile=world.hostile)
    least = call.query.get("minId", "")
    rows = [row for story in reversed(found) for row in _news_rows(story, "")]
    return [row for row in rows if not least.isdigit() or row["id"] > int(least)]


def _news_rows(story: Story, related: str) -> list[dict[str, Any]]:
    row = {
        "category": "company" if related else "top news", "datetime": story.at // SECOND, "headline": story.headline,
        "id": story.id, "image": "", "related": related, "source": story.source, "summary": story.summary,
        "url": story.url,
    }  # fmt: skip
    # One story in five comes a second time under another id, as they do there.
    return [row, {**row, "id": story.id + 10_000_000}] if story.id % 5 == 0 else [row]


def _profile(call: Call, world: World) -> Any:
    series = _listed(call.query.get("symbol", ""), world)
    if series is None or series.instrument.kind != "stock":
        return {}
    of = series.instrument
    return {
        "country": "US", "currency": "USD", "exchange": f"{of.exchange} MARKET", "finnhubIndustry": of.industry,
        "ipo": "1990-01-02", "logo": "", "marketCapitalization": round(of.shares * number(series.price) / 1e6, 2),
        "name": of.title, "phone": "", "shareOutstanding": of.shares / 1e6, "ticker": of.name, "weburl": "",
    }  # fmt: skip


def _market_status(call: Call, world: World) -> Any:
    return {
        "exchange": call.query.get("exchange", "US"), "holiday": None, "isOpen": True, "session": "regular",
        "timezone": "America/New_York", "t": world.now // SECOND,
    }  # fmt: skip


_CALLS = {
    "/quote": _quote,
    "/stock/candle": _candles,
    "/crypto/candle": _candles,
    "/company-news": _company_news,
    "/news": _news,
    "/stock/profile2": _profile,
    "/stock/market-status": _market_status,
}


def _key(call: Call) -> str:
    return call.headers.get("x-finnhub-token") or call.query.get("token", "")


def _listed(wire: str, world: World) -> Series | None:
    """``AAPL``, ``BINANCE:BTCUSDT``, ``COINBASE:BTC-USD``, ``OANDA:EUR_USD``."""
    venue, found, rest = wire.partition(":")
    if not found:
        series = world.tape.series.get(wire)
        return series if series and series.instrument.kind == "stock" else None
    name = {
        "BINANCE": rest.removesuffix("USDT"),
        "COINBASE": rest.removesuffix("-USD"),
        "OANDA": rest.replace("_", "/"),
    }.get(venue, "")
    series = world.tape.series.get(name)
    return series if series and name != rest and series.instrument.kind != "stock" else None


def _seconds(call: Call, name: str) -> int:
    text = call.query.get(name, "")
    return int(text) * SECOND if text.isascii() and text.isdigit() and len(text) < 12 else 0


def _day(text: str) -> int | None:
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * SECOND
    except ValueError:
        return None
