"""Twelve Data: a live price stream, and bars in batches of symbols.

The stream is no tape: it tells a price by the second and the day's volume so far. The volume of a record is the
difference to the one before, unless nobody listened in between; bars made of it stand in for bars of trades (origin
``pseudo``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

from sparktrends.errors import (
    AccessDenied,
    BadRecord,
    BadSetting,
    NotFound,
    NotInPlan,
    RateLimited,
    SparkTrendsError,
    Unavailable,
)
from sparktrends.model import DAY, HOUR, INTERVALS, MINUTE, SECOND, ProviderBar, Trade
from sparktrends.sources.base import (
    Allowance,
    Answer,
    Ask,
    Auth,
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
    spelled_interval,
)
from sparktrends.sources.decoding import (
    MAX_FRAME,
    ZERO,
    as_list,
    as_object,
    load_json,
    load_object,
    local_micros,
    maybe_text,
    micros,
    moment,
    number,
    quote,
)
from sparktrends.sources.symbols import pair_of, split_place, ticker_name, ticker_of

_INTERVALS = {"1m": "1min", "5m": "5min", "15m": "15min", "1h": "1h", "1d": "1day"}
_ROWS = 5000
_BATCH = 8
_ABSENCE = MINUTE
_CREDITS = re.compile(r"([0-9]{1,9}) API credits were used, with the current limit being ([0-9]{1,9})")
_OUTCOMES: tuple[tuple[Literal["subscribed", "refused"], str], ...] = (("subscribed", "success"), ("refused", "fails"))


class _NoBars(NotFound):
    """A span without a bar (a night, a holiday, the years before a listing), said as an error of status 400."""


class TwelveData(Source):
    """Prices with cumulative volume, and time series, of Twelve Data.

    >>> source = TwelveData()
    >>> memory = source.memory(["AAPL"])
    >>> frame = '{"event":"price","symbol":"AAPL","timestamp":%d,"price":231.5,"day_volume":%d}'
    >>> [source.parse(frame % tick, 0, memory)[0].size for tick in ((100, 5000), (101, 5300))]
    [Decimal('0'), Decimal('300')]
    """

    provider = "twelve_data"
    rest = "https://api.twelvedata.com"
    stream = Stream(
        # The vendor's own client sends a heartbeat every 10 s; eight symbols are what a trial may hear, and it may
        # hear them over one connection or over three: more connections are no more symbols.
        "wss://ws.twelvedata.com/v1/quotes/price", idle=30, keepalive='{"action":"heartbeat"}', every=10,
        auth=Auth("query", "apikey"), max_symbols=8, per_second=1,
    )  # fmt: skip
    # In the header, where no log of addresses shows it; the socket takes it in the query only.
    auth = Auth("header", "Authorization", "apikey {}")
    allowances = (Allowance(8, 60), Allowance(800, 86_400))
    endpoints = (
        Endpoint("time_series", "/time_series", "bars", batch=_BATCH),
        Endpoint("quote", "/quote", "quote"),
    )

    def spell(self, symbol: str) -> str:
        """Stocks and pairs are written as we write them; BadSetting for a stock of another country than the USA, whose
        exchange this provider is told apart."""
        if pair_of(symbol):
            return symbol
        if split_place(symbol)[1]:
            raise BadSetting(f"twelve_data has no symbol {symbol!r}", hint="add it at yahoo or alpha_vantage")
        return ticker_of(symbol, self.provider)

    def name_of(self, wire: str) -> str:
        """The same spelling."""
        return wire if pair_of(wire) else ticker_name(wire)

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """One message for all."""
        return self._action("subscribe", symbols)

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """One message for all."""
        return self._action("unsubscribe", symbols)

    def _action(self, action: str, symbols: Sequence[str]) -> list[str]:
        spelled = ",".join(self.spell(s) for s in symbols)
        return [json.dumps({"action": action, "params": {"symbols": spelled}})] if symbols else []

    def parse(self, payload: str | bytes, received_at: int, memory: Memory) -> list[Event]:
        """A price, a heartbeat, or what became of a subscription."""
        _come_back(memory, received_at)
        frame = load_object(payload, MAX_FRAME)
        event = frame.get("event")
        if event == "price":
            return [self._price(frame, received_at, memory)]
        if event == "heartbeat":
            return [Notice("alive")]
        if event in ("subscribe-status", "unsubscribe-status", "reset-status"):
            return self._status(frame, memory)
        if frame.get("status") == "error":
            raise _error(frame, None)
        raise BadRecord("unknown_frame")

    def _price(self, frame: Mapping[str, Any], received: int, memory: Memory) -> Trade:
        symbol = self.remember(memory, frame.get("symbol"))
        ts, price = micros(frame.get("timestamp"), SECOND), number(frame.get("price"), "bad_price")
        told = frame.get("day_volume")
        # Not later than it came: after a record of tomorrow all others would be old ones.
        at = min(ts, received)
        size = ZERO if told is None else _difference(memory, symbol, at, number(told, "bad_size"))
        if not size:
            return Trade(self.name, symbol, ts, price, ZERO, received=received, kind="price")
        # The cumulative volume is part of the content, so a repeated frame has the id it had the first time.
        return Trade(self.name, symbol, ts, price, size, f"{ts // SECOND}:{frame['price']}:{told}", received)

    def _status(self, frame: Mapping[str, Any], memory: Memory) -> list[Event]:
        events: list[Event] = []
        for kind, field in _OUTCOMES:
            told = [row.get("symbol") if type(row) is dict else row for row in as_list(frame.get(field) or [])]
            names = tuple(memory.names[wire] for wire in told if type(wire) is str and wire in memory.names)
            if told:
                events.append(Notice(kind, names))
        return events or [Notice("alive")]

    def requests(self, ask: Ask) -> list[Request]:
        """Bars: eight symbols a request, a credit each; quotes: one request per symbol."""
        if ask.what == "bars":
            return self._series(ask)
        endpoint = self.endpoint(ask.what)
        one = [Ask(ask.what, (s,), ask.interval) for s in ask.symbols]
        return [Request(endpoint.name, endpoint.path, {"symbol": self.spell(a.symbols[0])}, a) for a in one]

    def _series(self, ask: Ask) -> list[Request]:
        spelled = spelled_interval(_INTERVALS, ask.interval, self.provider)
        # Each of these by name: the defaults are the exchange's clock, newest first, adjusted for splits and 30 rows.
        params = {"interval": spelled, "timezone": "UTC", "order": "asc", "adjust": "none", "outputsize": str(_ROWS)}
        span = _ROWS * INTERVALS[ask.interval]
        starts = range(ask.start, ask.end, span) if ask.start and ask.end else [ask.start]
        made = []
        for begin in range(0, len(ask.symbols), _BATCH):
            symbols = ask.symbols[begin : begin + _BATCH]
            for at in starts:
                end = min(at + span, ask.end) if at and ask.end else ask.end
                window = {"symbol": ",".join(self.spell(s) for s in symbols)} | _window(at, end)
                one = Ask(ask.what, symbols, ask.interval, at, end)
                made.append(Request("time_series", "/time_series", params | window, one, len(symbols)))
        return made

    def parse_rest(self, request: Request, reply: Reply) -> Answer:
        """Bars of one symbol or of a batch keyed by symbol; a symbol that failed is a `Notice` ``refused``."""
        try:
            body = as_object(_body(reply))
        except _NoBars:
            return Answer([])
        if request.ask.what == "quote":
            return Answer([self._quote(body, request.ask.symbols[0], reply.received)])
        if "values" in body or "meta" in body:
            return Answer(self._bars(body, request, request.ask.symbols[0], reply.received))
        return self._batch(body, request, reply)

    def _batch(self, body: Mapping[str, Any], request: Request, reply: Reply) -> Answer:
        events: list[Event] = []
        later: dict[str, SparkTrendsError] = {}
        for symbol in request.ask.symbols:
            part = as_object(body.get(self.spell(symbol)))
            if part.get("status") != "error":
                events += self._bars(part, request, symbol, reply.received)
                continue
            error = _error(part, reply)
            if isinstance(error, _NoBars):
                continue
            # One symbol's fault must not cost the other seven, whose credits are spent.
            if isinstance(error, (NotFound, BadRecord, AccessDenied)):
                plan, unknown = isinstance(error, AccessDenied), isinstance(error, NotFound)
                events.append(Notice("refused", (symbol,), str(error), plan, unknown))
            else:
                later[symbol] = error
        if not later:
            return Answer(events)
        if not events:
            raise next(iter(later.values()))
        # As where the credits ran out within the batch: what came is kept, the rest asked again.
        return Answer(events, self._series(replace(request.ask, symbols=tuple(later)))[0])

    def _bars(self, part: Mapping[str, Any], request: Request, symbol: str, received: int) -> list[Event]:
        interval = request.ask.interval
        meta = as_object(part.get("meta"))
        daily = interval == "1d"
        # A day is a date, which no zone moves.
        utc = daily or request.params.get("timezone") == "UTC"
        zone = "UTC" if utc else maybe_text(meta.get("exchange_timezone"), 64)

        def read(row: object) -> Event:
            cells = as_object(row)
            start = bar_start(local_micros(cells.get("datetime"), zone), interval)
            o, h, low, c = (number(cells.get(k), "bad_price") for k in ("open", "high", "low", "close"))
            volume = number(cells.get("volume", 0), "bad_volume")  # foreign exchange has none
            closed = start + INTERVALS[interval] <= received
            return ProviderBar(self.name, symbol, interval, start, o, h, low, c, volume, closed, received=received)

        bars = collect(as_list(part.get("values")), read)
        return sorted(bars, key=lambda e: e.start if isinstance(e, ProviderBar) else 0)

    def _quote(self, body: Mapping[str, Any], symbol: str, received: int) -> Trade:
        ts = micros(body.get("last_quote_at", body.get("timestamp")), SECOND)
        return Trade(
            self.name, symbol, ts, number(body.get("close"), "bad_price"), ZERO, received=received, kind="price"
        )

    def ask_of(self, body: Any, symbol: str) -> Ask | None:
        """Told by the fields; frames have an ``event``."""
        if type(body) is not dict or "event" in body:
            return None
        told = {symbol: part for symbol, part in body.items() if type(part) is dict}
        parts = {s: part for s, part in told.items() if "values" in part or part.get("status") == "error"}
        if "values" in body or parts:
            meta = next((part["meta"] for part in (body, *parts.values()) if "values" in part and "meta" in part), None)
            spelled = meta.get("interval") if type(meta) is dict else None
            interval = next((ours for ours, theirs in _INTERVALS.items() if theirs == spelled), "1m")
            return Ask("bars", tuple(parts) or (symbol,), interval)
        return Ask("quote", (symbol,))

    def usage(self, reply: Reply) -> tuple[Usage, ...]:
        """Credits used and left this minute, from the headers; what a 429 of all or of a symbol says, from the body."""
        told = _refusals(reply)
        try:
            _body(reply)
        except RateLimited as error:
            told = told or {60: Usage(60, blocked=error.delay)}
        except SparkTrendsError:
            pass  # parse_rest tells the same error to whoever asked
        # The words of a refusal know the limit, which no header does.
        return (*(count for count in _counted(reply) if count.window not in told), *told.values())

    def probes(self) -> list[Probe]:
        """A quote costs one credit."""
        return [Probe("key", self.requests(Ask("quote", ("AAPL",)))[0])]


def _come_back(memory: Memory, now: int) -> None:
    """Forget the volumes when nothing came for longer than a minute, not even a heartbeat: what was traded in an
    absence was not traded in the minute after it, and bars of the provider stand for its minutes."""
    if now - memory.heard > _ABSENCE:
        memory.volumes.clear()
    memory.heard = now


def _difference(memory: Memory, symbol: str, ts: int, total: Decimal) -> Decimal:
    """The volume since the last record; zero for the first, since nobody knows when that much was traded.

    A lower total begins a new session when an hour has passed or it fell below half; otherwise the record is corrected,
    and what is remembered stays. So it does when an older record comes: one of the day before has a higher total.
    """
    last_ts, last = memory.volumes.get(symbol, (ts, total))
    if ts < last_ts:
        return ZERO
    fell = total < last
    reset = fell and (ts - last_ts >= HOUR or 2 * total < last)
    if fell and not reset:
        return ZERO
    memory.volumes[symbol] = (ts, total)
    return total if reset else total - last


def _window(start: int, end: int) -> dict[str, str]:
    stamps = {"start_date": start, "end_date": end - SECOND if end else 0}
    return {name: f"{moment(at):%Y-%m-%d %H:%M:%S}" for name, at in stamps.items() if at}


def _body(reply: Reply) -> Any:
    try:
        body = load_json(reply.body)
    except BadRecord:
        check_status("twelve_data", reply)
        raise
    if type(body) is dict and body.get("status") == "error":  # with status 200 as well
        raise _error(body, reply)
    check_status("twelve_data", reply)
    return body


def _counted(reply: Reply) -> tuple[Usage, ...]:
    """What the headers say of the minute."""
    used, left = (reply.headers.get(f"api-credits-{word}", "") for word in ("used", "left"))
    if not (used.isascii() and left.isascii() and used.isdecimal() and left.isdecimal()):
        return ()
    # With none left the calls that were refused are among those used, and the sum is no limit.
    return (Usage(60, int(used), int(used) + int(left) if int(left) else None),)


def _refusals(reply: Reply) -> dict[int, Usage]:
    """The windows whose credits ran out, for the whole of a question or within a batch."""
    try:
        body = load_json(reply.body)
    except BadRecord:
        return {}
    parts = [part for part in (body, *body.values()) if type(part) is dict] if type(body) is dict else []
    said = [_spent(part, reply) for part in parts if part.get("status") == "error" and part.get("code") == 429]
    return {usage.window: usage for usage in said}


def _spent(body: Mapping[str, Any], reply: Reply | None) -> Usage:
    """What a refusal tells of the credits. Its minutes and days end with the clock's."""
    said = quote(body.get("message") or body.get("messages"))
    # Of the two texts about credits only the day's has these words.
    window, period = (86_400, DAY) if "for the day" in said else (60, MINUTE)
    wait = period - (reply.received % period) if reply else period
    used, limit = map(int, found.groups()) if (found := _CREDITS.search(said)) else (None, None)
    return Usage(window, used, limit, wait / 1e6)


def _error(body: Mapping[str, Any], reply: Reply | None) -> SparkTrendsError:
    code, said = body.get("code"), quote(body.get("message") or body.get("messages"))
    words = f"twelve_data {code}: {said}"
    if code == 429:
        spent = _spent(body, reply)
        window = "for the day" if spent.window == 86_400 else "this minute"
        return RateLimited(f"twelve_data: no credits left {window}", delay=spent.blocked)
    if code == 401:
        return AccessDenied("twelve_data refuses the key", hint=said)
    if code == 403:
        return NotInPlan("twelve_data: not in your plan", hint=said)
    if code in (400, 404) and said.startswith("No data is available on the specified dates"):
        return _NoBars(words)
    if code == 404 or (code == 400 and "symbol" in said.lower()):
        return NotFound(words)
    if type(code) is int and 400 <= code < 500:
        return BadRecord("refused_request", words)
    return Unavailable(words)
