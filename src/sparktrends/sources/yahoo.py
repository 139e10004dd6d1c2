"""Yahoo Finance, unofficial and for personal use: daily and recent intraday bars, splits, dividends, live prices.

Nothing that comes empty is ever read as "no trades": it is unknown, and said so. Prices come
adjusted for every split up to now: bars from the last split on are `raw`, older ones `split`. The last row of a chart
is live: it is a forming bar until the market's own clock is past its end, dropped where it stands beside its own minute
or day; and so is a row after the bell, of which nobody asked.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote as url_quote

from sparktrends.errors import AccessDenied, BadRecord, NotFound, RateLimited, SparkTrendsError, Unavailable
from sparktrends.model import DAY, HOUR, INTERVALS, MINUTE, SECOND, CorporateAction, ProviderBar, Trade
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
    rejected,
    retry_after,
    spelled_interval,
)
from sparktrends.sources.decoding import (
    MAX_FRAME,
    ZERO,
    as_list,
    as_object,
    day_micros,
    load_object,
    local_day,
    local_micros,
    maybe_text,
    micros,
    number,
    quote,
)
from sparktrends.sources.symbols import (
    dashed_pair,
    is_exchange_rate,
    is_future,
    pair_of,
    placed_ticker_of,
    split_pair,
    split_place,
    ticker_name,
)
from sparktrends.sources.yahoo_quote import HEARTBEAT, read_quote

_INTERVALS = {"1m": "1m", "5m": "5m", "15m": "15m", "1h": "60m", "1d": "1d"}
_MILLISECONDS_FROM = 10**11  # as seconds that would be the year 5138
_PLACES = Decimal(1).scaleb(-18)
_LONGEST_DELAY = 30 * MINUTE
"""No exchange is told later than that: the last row of a symbol that is hardly traded is whole by then."""
_FOREVER = 2**63
_NO_BELL = 23 * HOUR
"""A session of such length fills the day, as that of futures: no row comes after it."""


class Yahoo(Source):
    """Charts and live prices of Yahoo Finance.

    >>> source = Yahoo()
    >>> update = source.parse('{"message":"CgRBQVBMFT2KZ0MY9oGmwOlk"}', 0, source.memory(["AAPL"]))[0]
    >>> update.kind, update.price, update.size
    ('price', Decimal('231.54'), Decimal('0'))
    """

    provider = "yahoo"
    rest = "https://query2.finance.yahoo.com"
    # Subscriptions are sent again every 15 s, as yfinance's asynchronous client does.
    stream = Stream("wss://streamer.finance.yahoo.com/?version=2", idle=60, resubscribe=15, max_symbols=200)
    # No figure is published; this is what a polite reader would do.
    allowances = (Allowance(60, 60), Allowance(2, 1))
    reach: ClassVar[Mapping[str, int]] = {"1m": 8 * DAY, "5m": 60 * DAY, "15m": 60 * DAY, "1h": 730 * DAY}
    endpoints = (
        Endpoint("chart", "/v8/finance/chart", "bars"),
        Endpoint("chart", "/v8/finance/chart", "actions"),
        Endpoint("chart", "/v8/finance/chart", "quote"),
    )

    def spell(self, symbol: str) -> str:
        """``BTC-USD``, ``EURUSD=X``, and a dash for the point of a class of shares: ``BRK-B``, but ``7203.T``."""
        pair = pair_of(symbol)
        if is_future(symbol):
            return symbol
        if pair is None:
            share, place = split_place(placed_ticker_of(symbol, self.provider))
            return re.sub(r"[.]([A-Z])$", r"-\1", share) + place
        return f"{pair[0]}{pair[1]}=X" if is_exchange_rate(symbol) else f"{pair[0]}-{pair[1]}"

    def name_of(self, wire: str) -> str:
        """The reverse of `spell`."""
        if wire.endswith("=X"):
            return split_pair(wire[:-2])
        pair = dashed_pair(wire)
        return pair if pair else re.sub(r"-([A-Z])(?=[.]|$)", r".\1", ticker_name(wire))

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """One message for all; to be sent again every 15 s."""
        return [json.dumps({"subscribe": [self.spell(s) for s in symbols]})] if symbols else []

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """One message for all."""
        return [json.dumps({"unsubscribe": [self.spell(s) for s in symbols]})] if symbols else []

    def parse(self, payload: str | bytes, received_at: int, memory: Memory) -> list[Event]:
        """A quote: always a price update, never a trade; its size is the last one seen, not one that was traded."""
        message = load_object(payload, MAX_FRAME).get("message")
        if type(message) is not str:
            raise BadRecord("unknown_frame")
        told = read_quote(message)
        if told.quote_type == HEARTBEAT:
            return [Notice("alive")]
        symbol = self.remember(memory, told.id)
        if told.price is None:
            raise BadRecord("bad_price")
        # The unit is not documented: milliseconds were seen, seconds would be recognised.
        ts = micros(told.time, 1000 if told.time >= _MILLISECONDS_FROM else SECOND)
        # The nine digits of a float32 fit as they are unless it is very small or large; `number` judges those.
        fits = -7 < told.price.adjusted() < 15
        price = told.price if fits else number(f"{told.price:f}", "bad_price")
        return [Trade(self.name, symbol, ts, price, ZERO, received=received_at, kind="price")]

    def requests(self, ask: Ask) -> list[Request]:
        """One chart per symbol; what intraday charts do not reach is not asked for."""
        endpoint = self.endpoint(ask.what)
        interval = {"actions": "1d", "quote": "1m"}.get(ask.what, ask.interval)
        params = {"interval": spelled_interval(_INTERVALS, interval, self.provider), "includePrePost": "false"}
        if ask.what == "quote":
            params["range"] = "1d"
        else:
            params |= {"events": "div,splits"} | self._period(ask, interval)
        return [
            Request(endpoint.name, f"{endpoint.path}/{url_quote(self.spell(s), safe='')}", params,
                    Ask(ask.what, (s,), interval, ask.start, ask.end))
            for s in ask.symbols
        ]  # fmt: skip

    def _period(self, ask: Ask, interval: str) -> dict[str, str]:
        if not ask.end:
            return {"range": "max" if interval == "1d" else f"{self.reach[interval] // DAY - 1}d"}
        # Prices are adjusted for a split of today also in an answer to yesterday's end, which would not tell the split.
        end = ask.end + DAY if ask.what == "bars" else ask.end
        start = max(ask.start, end - self.reach.get(interval, end))
        return {"period1": str(start // SECOND), "period2": str(end // SECOND)}

    def parse_rest(self, request: Request, reply: Reply) -> Answer:
        """Bars, or splits and dividends, or the last price of a chart; Unavailable when there is nothing in it."""
        symbol = request.ask.symbols[0]
        results = as_list(_chart(reply).get("result") or [])
        if not results:
            raise Unavailable(f"yahoo gave an empty answer for {symbol}", hint="unknown, not 'no trades'; ask again")
        result = as_object(results[0])
        meta = as_object(result.get("meta"))
        if request.ask.what == "quote":
            return Answer([self._last(meta, symbol, reply.received)])
        if request.ask.what == "actions":
            return Answer(self._actions(as_object(result.get("events") or {}), meta, symbol))
        actions = self._told_beside(result.get("events") or {}, meta, symbol)
        bars = self._bars(result, meta, request, actions, reply.received)
        if not bars:
            raise Unavailable(f"yahoo gave no rows for {symbol}", hint="unknown, not 'no trades'; ask again")
        # Charts of minutes are asked for again and again, and tell the same.
        return Answer([*bars, *actions] if request.ask.interval == "1d" else bars)

    def _bars(
        self,
        result: Mapping[str, Any],
        meta: Mapping[str, Any],
        request: Request,
        actions: Sequence[Event],
        now: int,
    ) -> list[Event]:
        stamps = as_list(result.get("timestamp") or [])
        quotes = as_list(as_object(result.get("indicators")).get("quote"))
        columns = as_object(quotes[0]) if quotes else {}
        series = [as_list(columns.get(k) or [None] * len(stamps)) for k in ("open", "high", "low", "close", "volume")]
        if any(len(column) != len(stamps) for column in series):
            raise BadRecord("ragged_arrays")
        interval, length = request.ask.interval, INTERVALS[request.ask.interval]
        zone = _zone(meta)
        # A pair has no bell: of its day Yahoo tells a session that ends a minute before the day does.
        session_end = 0 if pair_of(request.ask.symbols[0]) else _session_end(meta)
        starts = _starts(stamps, interval, zone)
        newest, told = max((s for s in starts if s is not None), default=0), _market_time(meta)
        sessions = [] if interval == "1d" or pair_of(request.ask.symbols[0]) else _sessions(meta)
        raw_from = _raw_from(actions, _zone(meta), request, now)
        until = _told_until(request)

        def read(row: tuple[Any, ...]) -> Event | None:
            if row[0] is None or any(cell is None for cell in row[1:5]):
                return None  # padding: the provider has no bar there, which says nothing of the market
            start = bar_start(row[0], interval)
            if request.ask.end <= start < until or _after_bell(start, sessions):
                return None
            end = start + length
            # Of an exchange that is told late the provider's last row still forms, whatever our clock says.
            whole = start < newest or told >= end or now >= end + _LONGEST_DELAY
            closed = _day_closed(start, now, zone, session_end) if interval == "1d" else now >= end and whole
            o, h, low, c = (number(cell, "bad_price") for cell in row[1:5])
            volume = number(row[5] if row[5] is not None else 0, "bad_volume")
            kind = "split" if start < raw_from else "raw"
            return ProviderBar(
                self.name, request.ask.symbols[0], interval, start, o, h, low, c, volume, closed, kind, received=now
            )

        return _one_per_start(collect(zip(starts, *series, strict=True), read))

    def _last(self, meta: Mapping[str, Any], symbol: str, received: int) -> Trade:
        ts = micros(meta.get("regularMarketTime"), SECOND)
        price = number(meta.get("regularMarketPrice"), "bad_price")
        return Trade(self.name, symbol, ts, price, ZERO, received=received, kind="price")

    def _told_beside(self, events: object, meta: Mapping[str, Any], symbol: str) -> list[Event]:
        """Splits and dividends of a chart of bars, which are there without them."""
        try:
            return self._actions(as_object(events), meta, symbol)
        except BadRecord as error:
            return [rejected(events, error)]

    def _actions(self, events: Mapping[str, Any], meta: Mapping[str, Any], symbol: str) -> list[Event]:
        zone = _zone(meta)

        def read(kind: str, row: object) -> Event:
            told = as_object(row)
            day = local_day(micros(told.get("date"), SECOND), zone)
            value = _ratio(told) if kind == "split" else number(told.get("amount"), "bad_value")
            return CorporateAction(self.name, symbol, day, kind, value)

        splits, dividends = (as_object(events.get(k) or {}).values() for k in ("splits", "dividends"))
        actions = collect(splits, lambda row: read("split", row)) + collect(
            dividends, lambda row: read("dividend", row)
        )
        return sorted(actions, key=lambda e: e.day.toordinal() if isinstance(e, CorporateAction) else 0)

    def ask_of(self, body: Any, symbol: str) -> Ask | None:
        """A chart, of the granularity it names."""
        if type(body) is not dict or "chart" not in body:
            return None
        told = re.search(r'"dataGranularity": "([0-9a-z]{2,3})"', json.dumps(body)[:65536])
        interval = next((ours for ours, theirs in _INTERVALS.items() if told and theirs == told[1]), "1m")
        return Ask("bars", (symbol,), interval, DAY, 2 * DAY)

    def usage(self, reply: Reply) -> tuple[Usage, ...]:
        """A refusal, by status or by text, holds for a minute unless it says otherwise."""
        try:
            _chart(reply)
        except RateLimited as error:
            return (Usage(60, blocked=error.delay),)
        except SparkTrendsError:
            return ()  # parse_rest tells the same error to whoever asked
        return ()

    def probes(self) -> list[Probe]:
        """Whether this address is answered at all (no key is involved)."""
        return [Probe("charts", self.requests(Ask("quote", ("SPY",)))[0])]


def _starts(stamps: list[Any], interval: str, zone: str) -> list[int | None]:
    """Where each row's bar begins; None for the last row when it is the live point beside its own minute."""
    moments = [micros(stamp, SECOND) for stamp in stamps]
    if interval == "1d":
        return [day_micros(local_day(at, zone)) for at in moments]
    if not moments:
        return []
    *rest, last = moments
    length = INTERVALS[interval]
    # The live point carries the moment of its trade, not the start of its bar; bars may begin at half past, so where
    # they begin is told by the bar before. One alone is taken as it is where nobody knows.
    phase = (rest[-1] if rest else last if length == HOUR else 0) % length
    live = last - (last - phase) % length
    return [*rest, None if live in rest else live]


def _one_per_start(events: list[Event]) -> list[Event]:
    # A day's live point carries the same day as its bar: the later row is the newer one.
    bars = {e.start: e for e in events if isinstance(e, ProviderBar)}
    return [*(bars[start] for start in sorted(bars)), *(e for e in events if not isinstance(e, ProviderBar))]


def _zone(meta: Mapping[str, Any]) -> str:
    return maybe_text(meta.get("exchangeTimezoneName"), 64) or "UTC"


def _session_end(meta: Mapping[str, Any]) -> int:
    period = meta.get("currentTradingPeriod")
    regular = period.get("regular") if type(period) is dict else None
    end = regular.get("end") if type(regular) is dict else None
    return micros(end, SECOND) if end is not None else 0


def _sessions(meta: Mapping[str, Any]) -> list[tuple[int, int]]:
    """(start, end) of the regular sessions with a bell that the chart tells of, oldest first."""
    current, told = meta.get("currentTradingPeriod"), meta.get("tradingPeriods")
    days = told.get("regular") if type(told) is dict else told
    rows = [row for day in days if type(day) is list for row in day] if type(days) is list else []
    if type(current) is dict:
        rows.append(current.get("regular"))
    spans = [(row.get("start"), row.get("end")) for row in rows if type(row) is dict]
    return sorted(
        (start * SECOND, end * SECOND)
        for start, end in spans
        if type(start) is int and type(end) is int and (end - start) * SECOND < _NO_BELL
    )


def _after_bell(start: int, sessions: Sequence[tuple[int, int]]) -> bool:
    """Whether the newest session that had begun was over; of what came before the first one nobody knows."""
    i = bisect_right(sessions, (start, _FOREVER)) - 1
    return i >= 0 and start >= sessions[i][1]


def _market_time(meta: Mapping[str, Any]) -> int:
    """How far the provider's own prices are; beyond any bar where it does not say so."""
    told = meta.get("regularMarketTime")
    return told * SECOND if type(told) is int else _FOREVER


def _raw_from(actions: Sequence[Event], zone: str, request: Request, now: int) -> int:
    """Prices are adjusted for every split up to now: from the day of the last one on they are those of the day.

    A day of the exchange: in summer Sydney opens at 23:00 UTC of the day before.
    """
    end = _told_until(request)
    if end and end < now:
        return now  # nobody knows what was split between the end of the answer and now
    if not all(isinstance(action, CorporateAction) for action in actions):
        return now
    splits = [a for a in actions if isinstance(a, CorporateAction) and a.kind == "split"]
    # A bar of a day carries the exchange's day as one of UTC.
    zone = "UTC" if request.ask.interval == "1d" else zone
    return max((local_micros(split.day.isoformat(), zone) for split in splits), default=0)


def _told_until(request: Request) -> int:
    """Until when splits and rows were asked for: beyond the end of what was wanted; 0 when as far as there is."""
    end = request.params.get("period2", "")
    # A recording may not say what was asked.
    return int(end) * SECOND if end.isdecimal() and len(end) < 12 else request.ask.end


def _day_closed(start: int, now: int, zone: str, session_end: int) -> bool:
    """A day is closed when the exchange's calendar has passed it, or its own regular session has ended."""
    today = day_micros(local_day(now, zone))
    ended_today = bool(session_end) and day_micros(local_day(session_end, zone)) == start and now >= session_end
    return start < today or ended_today


def _ratio(told: Mapping[str, Any]) -> Decimal:
    """New shares per old one; a ratio that does not end (1:3) is cut at 18 places."""
    new, old = number(told.get("numerator"), "bad_value"), number(told.get("denominator"), "bad_value")
    if new <= 0 or old <= 0 or new / old >= 10**9:
        raise BadRecord("bad_value")
    ratio = new / old
    return ratio.quantize(_PLACES) if ratio != ratio.quantize(Decimal(1)) else ratio.quantize(Decimal(1))


def _chart(reply: Reply) -> dict[str, Any]:
    """The chart of an answer; else the error that its text means, then the one its status means."""
    head = reply.body[:4096].lower()
    if b"too many requests" in head or reply.status == 429:
        raise RateLimited("yahoo asks for slower calls", delay=retry_after(reply) or 60.0)
    if b"will be right back" in head:
        raise Unavailable("yahoo is down: 'Will be right back'", delay=60.0)
    try:
        chart = as_object(load_object(reply.body).get("chart"))
    except BadRecord:
        check_status("yahoo", reply)
        raise
    if chart.get("error"):
        raise _refusal(as_object(chart["error"]), reply)
    check_status("yahoo", reply)
    return chart


def _refusal(error: Mapping[str, Any], reply: Reply) -> SparkTrendsError:
    code, words = maybe_text(error.get("code"), 100), quote(error.get("description"))
    if code == "Not Found":
        return NotFound(f"yahoo: {words}")
    if code in ("Unauthorized", "Forbidden") or "crumb" in words.lower():
        return AccessDenied(f"yahoo: {words}")
    if code in ("Bad Request", "Unprocessable Entity") or 400 <= reply.status < 500:
        return BadRecord("refused_request", f"yahoo: {words}")
    return Unavailable(f"yahoo: {words or code}")
