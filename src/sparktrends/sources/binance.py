"""Binance spot, public market data, no key: the reference live feed.

Trades are aggregate trades (one taker order at one price): their ids are contiguous and the same on the socket and by
REST, so a gap is found exactly and filled exactly. Limits are counted per IP address, in weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from sparktrends.errors import (
    LONGEST_BAN_S,
    AccessDenied,
    BadRecord,
    BadSetting,
    NotFound,
    RateLimited,
    SparkTrendsError,
    Unavailable,
)
from sparktrends.model import INTERVALS, ProviderBar, Trade
from sparktrends.sources.base import (
    Allowance,
    Answer,
    Ask,
    Endpoint,
    Event,
    Memory,
    Notice,
    Probe,
    Reply,
    Request,
    Source,
    Stream,
    Usage,
    bar_start,
    check_status,
    collect,
    retry_after,
    spelled_interval,
)
from sparktrends.sources.decoding import (
    MAX_FRAME,
    as_list,
    as_object,
    integer,
    load_json,
    load_object,
    micros,
    number,
    quote,
)
from sparktrends.sources.symbols import pair_of, split_pair

_INTERVALS = {interval: interval for interval in INTERVALS}
_PAGE = 1000
# One message for each symbol would run into the limit of control messages.
_STREAMS_PER_MESSAGE = 100
_MICROSECONDS_FROM = 10**14  # no time in milliseconds is that large before the year 5138
_BANNED_UNTIL = re.compile(r"banned until ([0-9]{13})")
_LIMIT = re.compile(
    r"current limit is ([0-9]{1,9}) request weight per (?:([0-9]{1,3}) )?(SECOND|MINUTE|HOUR|DAY)", re.I
)
_UNITS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}


class Binance(Source):
    """Aggregate trades and klines of Binance spot.

    >>> source = Binance()
    >>> frame = '{"e":"aggTrade","E":1,"s":"BTCUSDT","a":7,"p":"97123.45","q":"0.0125","f":1,"l":2,"T":5,"m":true}'
    >>> trade = source.parse(frame, 6, source.memory(["BTC/USDT"]))[0]
    >>> trade.symbol, trade.id, trade.price, trade.size, trade.ts
    ('BTC/USDT', '7', Decimal('97123.45'), Decimal('0.0125'), 5000)
    """

    provider = "binance"
    # Market data without a key, and not the hosts where people trade.
    rest = "https://data-api.binance.vision"
    # The server cuts at 24 hours, takes 1024 streams (a symbol has two) and 5 control messages a second. A kline comes
    # every two seconds.
    stream = Stream(
        "wss://data-stream.binance.vision/ws",
        idle=30,
        always_talks=True,
        lifetime=23.5 * 3600,
        max_symbols=512,
        per_second=4,
    )
    allowances = (Allowance(6000, 60),)
    endpoints = (
        Endpoint("klines", "/api/v3/klines", "bars", weight=2),
        Endpoint("aggTrades", "/api/v3/aggTrades", "trades", weight=4),
    )
    tape = True
    ids = True

    def spell(self, symbol: str) -> str:
        """``BTC/USDT`` is ``BTCUSDT``."""
        pair = pair_of(symbol)
        if pair is None:
            raise BadSetting(f"binance has no symbol {symbol!r}", hint="write a pair like BTC/USDT")
        return pair[0] + pair[1]

    def name_of(self, wire: str) -> str:
        """``BTCUSDT`` is ``BTC/USDT``."""
        return split_pair(wire)

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """Aggregate trades and the 1-minute kline of each symbol, in messages of at most 100 streams."""
        return self._control("SUBSCRIBE", symbols)

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """The reverse of `subscribe`."""
        return self._control("UNSUBSCRIBE", symbols)

    def _control(self, method: str, symbols: Sequence[str]) -> list[str]:
        streams = [f"{self.spell(s).lower()}@{kind}" for s in symbols for kind in ("aggTrade", "kline_1m")]
        chunks = [streams[i : i + _STREAMS_PER_MESSAGE] for i in range(0, len(streams), _STREAMS_PER_MESSAGE)]
        return [json.dumps({"method": method, "params": chunk, "id": i + 1}) for i, chunk in enumerate(chunks)]

    def parse(self, payload: str | bytes, received_at: int, memory: Memory) -> list[Event]:
        """One frame of a raw or a combined stream."""
        frame = load_object(payload, MAX_FRAME)
        # A combined stream wraps what a raw one sends.
        if "stream" in frame:
            frame = as_object(frame.get("data"))
        kind = frame.get("e")
        if kind == "aggTrade":
            return [self._trade(frame, self.remember(memory, frame.get("s")), received_at, fill=False)]
        if kind == "kline":
            return [self._kline(as_object(frame.get("k")), received_at, memory)]
        if kind == "serverShutdown":
            return [Notice("shutdown", message="the server announced its shutdown")]
        if "result" in frame and "id" in frame and frame["result"] is None:
            return [Notice("subscribed")]
        # Both forms are in use: {"error": {"code", "msg"}} and {"code", "msg"}.
        problem = frame.get("error", frame)
        if type(problem) is dict and type(problem.get("code")) is int:
            return [Notice("refused", message=quote(problem.get("msg")))]
        raise BadRecord("unknown_frame")

    def _trade(self, row: dict[str, Any], symbol: str, received: int, *, fill: bool) -> Trade:
        return Trade(
            self.name,
            symbol,
            _time(row.get("T")),
            number(row.get("p"), "bad_price"),
            number(row.get("q"), "bad_size"),
            str(_id(row.get("a"))),
            received,
            fill=fill,
        )

    def _kline(self, k: dict[str, Any], received: int, memory: Memory) -> ProviderBar:
        closed = k.get("x")
        if type(closed) is not bool:
            raise BadRecord("wrong_type")
        return ProviderBar(
            self.name,
            self.remember(memory, k.get("s")),
            k["i"] if type(k.get("i")) is str else "",
            _time(k.get("t")),
            number(k.get("o"), "bad_price"),
            number(k.get("h"), "bad_price"),
            number(k.get("l"), "bad_price"),
            number(k.get("c"), "bad_price"),
            number(k.get("v"), "bad_volume"),
            closed,
            trades=integer(k.get("n"), "bad_count"),
            turnover=number(k.get("q"), "bad_turnover"),
            received=received,
        )

    def requests(self, ask: Ask) -> list[Request]:
        """One request per symbol; `parse_rest` continues it page by page."""
        endpoint = self.endpoint(ask.what)
        return [self._page(endpoint, ask, symbol) for symbol in ask.symbols]

    def _page(self, endpoint: Endpoint, ask: Ask, symbol: str, start: int = 0, from_id: str = "") -> Request:
        params = {"symbol": self.spell(symbol), "limit": str(_PAGE)}
        if endpoint.what == "bars":
            params["interval"] = spelled_interval(_INTERVALS, ask.interval, self.provider)
        first_id = from_id or ask.from_id
        if first_id:  # the provider refuses an id together with times
            params["fromId"] = first_id
        else:
            if start or ask.start:
                params["startTime"] = str((start or ask.start) // 1000)
            if ask.end:
                # The provider counts the last millisecond in, we do not.
                params["endTime"] = str(ask.end // 1000 - 1)
        one = Ask(ask.what, (symbol,), ask.interval, ask.start, ask.end, ask.from_id, ask.to_id)
        return Request(endpoint.name, endpoint.path, params, one, endpoint.weight)

    def parse_rest(self, request: Request, reply: Reply) -> Answer:
        """Klines or aggregate trades; a full page is followed by the next."""
        body = _body(reply)
        rows = as_list(body)
        return (
            self._klines(request, reply, rows) if request.endpoint == "klines" else self._trades(request, reply, rows)
        )

    def _klines(self, request: Request, reply: Reply, rows: list[Any]) -> Answer:
        ask = request.ask
        symbol, length = ask.symbols[0], INTERVALS[ask.interval]

        def read(row: object) -> Event:
            cells = as_list(row)
            if len(cells) < 9:
                raise BadRecord("missing_field")
            start = bar_start(_time(cells[0]), ask.interval)
            o, h, low, c = (number(cell, "bad_price") for cell in cells[1:5])
            volume, turnover = number(cells[5], "bad_volume"), number(cells[7], "bad_turnover")
            # REST does not say whether a kline is closed.
            closed = start + length <= reply.received
            return ProviderBar(
                self.name, symbol, ask.interval, start, o, h, low, c, volume, closed,
                trades=integer(cells[8], "bad_count"), turnover=turnover, received=reply.received,
            )  # fmt: skip

        events = collect(rows, read)
        last = max((e.start for e in events if isinstance(e, ProviderBar)), default=0) + length
        more = len(rows) >= _PAGE and (not ask.end or last < ask.end) and last > _first_asked(request)
        return Answer(events, self._page(self.endpoints[0], ask, symbol, start=last) if more else None)

    def _trades(self, request: Request, reply: Reply, rows: list[Any]) -> Answer:
        ask = request.ask
        symbol, stop = ask.symbols[0], int(ask.to_id) if ask.to_id else None
        events = collect(rows, lambda row: self._trade(as_object(row), symbol, reply.received, fill=True))
        last = max((int(e.id) for e in events if isinstance(e, Trade)), default=-1)
        over = any(isinstance(e, Trade) and _beyond(e, stop, ask.end) for e in events)
        kept = [e for e in events if not (isinstance(e, Trade) and _beyond(e, stop, ask.end))]
        # A page that does not lead past its own start would ask for itself again, for ever.
        more = len(rows) >= _PAGE and not over and last >= int(request.params.get("fromId", "0"))
        if not more or (stop is not None and last + 1 >= stop):
            return Answer(kept)
        return Answer(kept, self._page(self.endpoints[1], ask, symbol, from_id=str(last + 1)))

    def ask_of(self, body: Any, symbol: str) -> Ask | None:
        """Arrays of arrays are klines (their interval is the step between two), arrays of objects are trades."""
        if type(body) is not list:
            return None
        if body and type(body[0]) is dict:
            return Ask("trades", (symbol,))
        opens = [_time(row[0]) for row in body[:2] if type(row) is list and row]
        step = opens[-1] - opens[0] if len(opens) == 2 else 0
        return Ask("bars", (symbol,), next((name for name, length in INTERVALS.items() if length == step), "1m"))

    def usage(self, reply: Reply) -> tuple[Usage, ...]:
        """The weight used in this minute is in every answer's header; the limit, in the words of a refusal."""
        used = reply.headers.get("x-mbx-used-weight-1m", "")
        counted = (Usage(60, int(used)),) if used.isascii() and used.isdigit() else ()
        try:
            _body(reply)
        except RateLimited as error:
            return (*counted, *_limits(reply), Usage(60, blocked=error.delay))
        except SparkTrendsError:
            return counted  # parse_rest tells the same error to whoever asked
        return counted

    def probes(self) -> list[Probe]:
        """Whether this address may read market data at all (no key is involved)."""
        return [Probe("market data", self.requests(Ask("bars", ("BTC/USDT",)))[0])]


def _first_asked(request: Request) -> int:
    return int(request.params.get("startTime", "0")) * 1000


def _beyond(trade: Trade, stop: int | None, end: int) -> bool:
    return (stop is not None and int(trade.id) >= stop) or bool(end and trade.ts >= end)


def _time(value: object) -> int:
    # Milliseconds, or microseconds where a connection asked for timeUnit=MICROSECOND.
    return micros(value, 1 if type(value) is int and value >= _MICROSECONDS_FROM else 1000)


def _id(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise BadRecord("bad_id")
    return value


def _said(reply: Reply) -> str:
    try:
        body = load_json(reply.body)
    except BadRecord:
        return ""
    return quote(body.get("msg")) if type(body) is dict else ""


def _limits(reply: Reply) -> tuple[Usage, ...]:
    found = _LIMIT.search(_said(reply))
    return (Usage(int(found[2] or 1) * _UNITS[found[3].upper()], limit=int(found[1])),) if found else ()


def _delay(reply: Reply, said: str) -> float:
    banned = _BANNED_UNTIL.search(reply.body.decode("utf-8", "replace"))
    if banned:
        return min(LONGEST_BAN_S, max(1.0, int(banned[1]) / 1000 - reply.received / 1e6))
    return retry_after(reply) or (120.0 if reply.status == 418 or "banned" in said else 60.0)


def _body(reply: Reply) -> Any:
    """The data of an answer; else the error its body, then its status, means."""
    said = _said(reply)
    if reply.status == 403:  # their firewall, not a key: there is none
        raise RateLimited("binance: the firewall refuses this address for now", delay=retry_after(reply) or 300.0)
    try:
        body = load_json(reply.body)
    except BadRecord:
        # Whoever stands in front of it answers without words: a ban that nobody heard of would grow.
        if reply.status in (418, 429):
            raise RateLimited(f"binance answered {reply.status}", delay=_delay(reply, said)) from None
        check_status("binance", reply)
        raise
    if type(body) is dict and type(body.get("code")) is int:
        _refuse(body["code"], reply, said)
    check_status("binance", reply, said)
    return body


def _refuse(code: int, reply: Reply, said: str) -> None:
    # A country that is not served: nothing that waiting mends.
    if reply.status == 451:
        raise AccessDenied(f"binance does not serve this location: {said}")
    if code == -1003 or reply.status in (418, 429):
        raise RateLimited(f"binance: {said}", delay=_delay(reply, said))
    if code == -1121:
        raise NotFound(f"binance: {said}")
    if code in (-1000, -1001, -1006, -1007, -1008, -1016) or reply.status >= 500:
        raise Unavailable(f"binance: {said}", delay=retry_after(reply))
    raise BadRecord("refused_request", f"binance {code}: {said}")
