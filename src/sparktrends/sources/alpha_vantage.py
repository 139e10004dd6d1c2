"""Alpha Vantage: daily and intraday bars, crypto by day, news with sentiment, company data; 25 calls a day for free.

Every error comes with HTTP 200 and may repeat the caller's key: answers are told apart by their keys and words, in the
order of `_refusal`, and no error quotes what could be a key. Bars are stamped with their beginning, in exchange time.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from sparktrends.errors import (
    AccessDenied,
    BadRecord,
    NotFound,
    NotInPlan,
    RateLimited,
    SparkTrendsError,
    Unavailable,
)
from sparktrends.model import DAY, INTERVALS, Company, CorporateAction, ProviderBar, Trade
from sparktrends.sources.alpha_vantage_news import (
    PAGE,
    news_ticker,
    older,
    our_ticker,
    stories,
    symbol_of,
    told_of,
    wire_ticker,
)
from sparktrends.sources.base import (
    Allowance,
    Answer,
    Ask,
    Auth,
    Endpoint,
    Event,
    Probe,
    Reply,
    Request,
    Source,
    Usage,
    bar_start,
    check_status,
    collect,
    spelled_interval,
)
from sparktrends.sources.decoding import (
    ZERO,
    as_list,
    as_object,
    load_json,
    local_day,
    local_micros,
    maybe_number,
    maybe_text,
    moment,
    number,
    quote,
    text,
)
from sparktrends.sources.symbols import pair_of, placed_ticker_of

_MINUTES = {"1m": "1min", "5m": "5min", "15m": "15min", "1h": "60min"}
_FIELD = re.compile(r"[0-9]{1,2}([ab]?)\. ([A-Za-z ]{1,30}?)(?: \([A-Z]{3,5}\))?")
_ACTIONS = {
    "SPLITS": ("split", "effective_date", "split_factor"),
    "DIVIDENDS": ("dividend", "ex_dividend_date", "amount"),
}
_EASTERN = "US/Eastern"
# Keys that only data has. Their presence wins over any note beside them.
_SERIES = re.compile(r"Time Series.*|Global Quote|bestMatches|feed|data|Symbol")


class AlphaVantage(Source):
    """Bars, news and companies of Alpha Vantage.

    >>> source = AlphaVantage()
    >>> request = source.requests(Ask("news", ("AAPL", "BTC/USD")))[0]
    >>> request.params.get("tickers"), len(source.requests(Ask("bars", ("AAPL", "MSFT"), "1d")))
    (None, 2)
    """

    provider = "alpha_vantage"
    rest = "https://www.alphavantage.co"
    # The provider takes it nowhere else: this is why URLs are never logged.
    auth = Auth("query", "apikey")
    allowances = (Allowance(25, 86_400), Allowance(1, 1))
    history = ()  # the calls of the day bring the same hundred days, and there are 25 calls in all
    # No day can be named: an answer holds the newest hundred bars. The longest that these can span, by what is closed
    # between them.
    reach: ClassVar[Mapping[str, int]] = {"1m": 4 * DAY, "5m": 4 * DAY, "15m": 6 * DAY, "1h": 14 * DAY, "1d": 150 * DAY}
    pages = 2  # of news: a busy day would spend all calls on stories, and keep the day's bars and companies waiting
    endpoints = (
        Endpoint("TIME_SERIES_DAILY", "/query", "bars"),
        Endpoint("DIGITAL_CURRENCY_DAILY", "/query", "bars"),
        Endpoint("TIME_SERIES_INTRADAY", "/query", "bars"),
        Endpoint("CRYPTO_INTRADAY", "/query", "bars"),
        Endpoint("NEWS_SENTIMENT", "/query", "news"),
        Endpoint("OVERVIEW", "/query", "company"),
        Endpoint("SPLITS", "/query", "actions"),
        Endpoint("DIVIDENDS", "/query", "actions"),
        Endpoint("GLOBAL_QUOTE", "/query", "quote"),
    )

    def spell(self, symbol: str) -> str:
        """A stock with the provider's own word for its exchange (``SAP.DEX``); of a pair the first currency (the second
        is the parameter ``market``)."""
        pair = pair_of(symbol)
        return pair[0] if pair else wire_ticker(placed_ticker_of(symbol, self.provider))

    def name_of(self, wire: str) -> str:
        """A ticker of the news: ``CRYPTO:BTC`` is ``BTC/USD``."""
        return symbol_of(wire)

    def reach_of(self, symbol: str, interval: str) -> int | None:
        """Of pairs all that is known by day comes with every answer."""
        return None if interval == "1d" and pair_of(symbol) else super().reach_of(symbol, interval)

    def requests(self, ask: Ask) -> list[Request]:
        """One call per symbol; news of all symbols in one call, since a day has 25."""
        if ask.what == "news":
            return [self._call("NEWS_SENTIMENT", self._news_of(ask), ask, ask.symbols)]
        if ask.what == "bars":
            return [self._bars_call(ask, s) for s in ask.symbols]
        functions = [e.name for e in self.endpoints if e.what == self.endpoint(ask.what).what]
        return [self._call(f, {"symbol": self.spell(s)}, ask, (s,)) for s in ask.symbols for f in functions]

    def _call(self, function: str, params: Mapping[str, str], ask: Ask, symbols: tuple[str, ...]) -> Request:
        one = Ask(ask.what, symbols, ask.interval, ask.start, ask.end)
        return Request(function, "/query", {"function": function, **params}, one)

    def _news_of(self, ask: Ask) -> dict[str, str]:
        # Several tickers ask for stories that mention all of them together, which hardly any does: so several
        # symbols are asked for by asking for everything of the time, and `stories` keeps what mentions one of them.
        window = {k: f"{moment(at):%Y%m%dT%H%M}" for k, at in (("time_from", ask.start), ("time_to", ask.end)) if at}
        params = {"sort": "LATEST", "limit": str(PAGE)} | window
        if len(ask.symbols) != 1:
            return params
        return params | {"tickers": news_ticker(ask.symbols[0])}

    def _bars_call(self, ask: Ask, symbol: str) -> Request:
        pair = pair_of(symbol)
        params = {"symbol": self.spell(symbol)} | ({"market": pair[1]} if pair else {})
        if ask.interval == "1d":
            function = "DIGITAL_CURRENCY_DAILY" if pair else "TIME_SERIES_DAILY"
            # By name, though it is the default: the full history is a premium feature, and refused whole.
            return self._call(function, params if pair else params | {"outputsize": "compact"}, ask, (symbol,))
        params["interval"] = spelled_interval(_MINUTES, ask.interval, self.provider)
        if pair:
            return self._call("CRYPTO_INTRADAY", params, ask, (symbol,))
        # What was traded, as our own bars are.
        return self._call("TIME_SERIES_INTRADAY", params | {"adjusted": "false"}, ask, (symbol,))

    def parse_rest(self, request: Request, reply: Reply) -> Answer:
        """Whatever the answer holds, oldest first; an answer without data raises what its words mean."""
        if reply.body.startswith(b"time,open,high,low,close,volume"):
            return Answer(self._table(request, reply))
        body = _body(reply)
        if "Global Quote" in body:
            return Answer(self._global_quote(named(as_object(body["Global Quote"])), request, reply.received))
        if "bestMatches" in body:
            return Answer(collect(as_list(body["bestMatches"]), lambda row: self._match(row, reply.received)))
        if "feed" in body:
            feed = as_list(body["feed"])
            return Answer(stories(feed, request.ask.symbols, self.name), older(request, feed))
        if "Symbol" in body:
            return Answer([self._overview(body, request, reply.received)])
        if "data" in body:
            return Answer(self._actions(as_list(body["data"]), request))
        series = next((key for key in body if key.startswith("Time Series")), None)
        if series is None:
            # `{}` is its way to say that there is nothing.
            raise NotFound(f"alpha_vantage has no data for {', '.join(request.ask.symbols)}")
        return Answer(self._series(body, series, request, reply.received))

    def _series(self, body: Mapping[str, Any], key: str, request: Request, received: int) -> list[Event]:
        meta = as_object(body.get("Meta Data"))
        zone = next((maybe_text(v, 64) for k, v in meta.items() if k.endswith("Time Zone")), _EASTERN)
        interval = _interval(key, meta)
        # A day's bar is keyed by its date, whatever zone the answer names.
        zone = "UTC" if interval == "1d" else zone

        def read(item: tuple[str, Any]) -> Event:
            fields = named(as_object(item[1]))
            return self._bar(request.ask.symbols[0], interval, local_micros(item[0], zone), fields, received)

        return _ordered(collect(as_object(body[key]).items(), read))

    def _bar(self, symbol: str, interval: str, start: int, row: Mapping[str, Any], received: int) -> Event:
        if "price" in row and "close" not in row:  # the crypto answers of 2017: a price every five minutes, no bar
            return Trade(
                self.name, symbol, start, number(row["price"], "bad_price"), ZERO, "", received, (), True, "price"
            )
        o, h, low, c = (number(row.get(k), "bad_price") for k in ("open", "high", "low", "close"))
        closed = bar_start(start, interval) + INTERVALS[interval] <= received
        volume = number(row.get("volume"), "bad_volume")
        return ProviderBar(self.name, symbol, interval, start, o, h, low, c, volume, closed, received=received)

    def _table(self, request: Request, reply: Reply) -> list[Event]:
        # Only the extended intraday answers were tables; they are kept readable for whoever has recorded some.
        try:
            rows = list(csv.DictReader(io.StringIO(reply.body.decode("utf-8")), strict=True))
        except (UnicodeDecodeError, csv.Error):
            raise BadRecord("not_csv") from None
        symbol, interval = request.ask.symbols[0], request.ask.interval

        def read(row: dict[str, Any]) -> Event:
            return self._bar(symbol, interval, local_micros(row.get("time"), _EASTERN), row, reply.received)

        return _ordered(collect(rows, read))

    def _global_quote(self, row: dict[str, Any], request: Request, received: int) -> list[Event]:
        if not row:
            raise NotFound(f"alpha_vantage knows no symbol {request.ask.symbols[0]}")
        day, fields = local_micros(row.get("latest trading day"), "UTC"), {**row, "close": row.get("price")}
        return [self._bar(self._told(row.get("symbol"), request), "1d", day, fields, received)]

    def _told(self, wire: object, request: Request) -> str:
        """Our name of a stock that an answer names: as it was asked for."""
        ticker = maybe_text(wire, 20)
        return next((s for s in request.ask.symbols if self.spell(s) == ticker), None) or our_ticker(ticker)

    def _match(self, row: object, received: int) -> Event:
        found = named(as_object(row))
        return Company(
            self.name,
            our_ticker(maybe_text(found.get("symbol"), 20)),
            local_day(received, "UTC"),
            text(found.get("name"), "bad_name", 500),
            currency=maybe_text(found.get("currency"), 10),
            country=maybe_text(found.get("region"), 100),
        )

    def _overview(self, body: Mapping[str, Any], request: Request, received: int) -> Company:
        exchange, currency, sector, industry, country = (
            maybe_text(body.get(k), 500) for k in ("Exchange", "Currency", "Sector", "Industry", "Country")
        )
        return Company(
            self.name,
            self._told(body["Symbol"], request),
            local_day(received, "UTC"),
            text(body.get("Name"), "bad_name", 500),
            exchange,
            currency,
            sector,
            industry,
            country,
            maybe_number(body.get("SharesOutstanding")),
            maybe_number(body.get("MarketCapitalization")),
        )

    def _actions(self, rows: list[Any], request: Request) -> list[Event]:
        kind, day, value = _ACTIONS[request.endpoint]

        def read(row: object) -> Event:
            told = as_object(row)
            at = local_day(local_micros(told.get(day), "UTC"), "UTC")
            return CorporateAction(self.name, request.ask.symbols[0], at, kind, number(told.get(value), "bad_value"))

        # They come newest first.
        return collect(reversed(rows), read)

    def ask_of(self, body: Any, symbol: str) -> Ask | None:
        """Splits and dividends do not say themselves what they are, news not whom they were asked for; the rest is read
        by its keys."""
        if type(body) is dict and type(body.get("feed")) is list:
            return Ask("news", told_of(body["feed"]) or (symbol,))
        return Ask("actions", (symbol,)) if type(body) is dict and "data" in body else self.default_ask(symbol)

    def usage(self, reply: Reply) -> tuple[Usage, ...]:
        """There are no headers: only the words of a refusal tell that the day's or the second's calls are spent."""
        try:
            _body(reply)
        except RateLimited as error:
            # Both refusals are HTTP 200; how long they last is what tells them apart.
            return (Usage(86_400 if (error.delay or 0) > 60 else 1, blocked=error.delay),)
        except SparkTrendsError:
            return ()  # parse_rest tells the same error to whoever asked
        return ()

    def probes(self) -> list[Probe]:
        """Costs two of the day's calls. That a made-up key is accepted is known: a success proves little."""
        day, minute = Ask("bars", ("IBM",), "1d"), Ask("bars", ("IBM",), "5m")
        return [Probe("key", self.requests(day)[0]), Probe("intraday bars", self.requests(minute)[0])]


def named(row: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by their last words: ``1. open``, ``1a. open (CNY)`` and ``open`` are all ``open``.

    Where both ``1a.`` and ``1b.`` are there, the first is in the market's currency and is meant.
    """
    named: dict[str, Any] = {}
    for key, value in row.items():
        match = _FIELD.fullmatch(key)
        if match:
            named.setdefault(match[2], value)
    return named


def _interval(key: str, meta: Mapping[str, Any]) -> str:
    words = key + " " + " ".join(maybe_text(v, 64) for k, v in meta.items() if k.endswith("Interval"))
    if "Daily" in key:
        return "1d"
    for ours, theirs in _MINUTES.items():
        if re.search(rf"\b{theirs}\b", words):
            return ours
    raise BadRecord("bad_interval")


def _ordered(events: list[Event]) -> list[Event]:
    def at(event: Event) -> int:
        return event.start if isinstance(event, ProviderBar) else event.ts if isinstance(event, Trade) else 0

    return sorted(events, key=at)


def _body(reply: Reply) -> dict[str, Any]:
    """The data of an answer; else the error that its words mean, then the one its status means."""
    if reply.body.startswith(b"time,open"):
        return {}
    try:
        body = as_object(load_json(reply.body))
    except BadRecord:
        check_status("alpha_vantage", reply)
        raise
    if any(_SERIES.fullmatch(key) for key in body):
        return body
    said = " ".join(maybe_text(body.get(key)) for key in ("Error Message", "Information", "Note")).strip()
    if said.startswith("No articles found"):
        return {"feed": []}  # the one refusal that is an answer: nobody wrote in that time
    if said:
        raise _refusal(said, reply)
    check_status("alpha_vantage", reply)
    if body:
        raise BadRecord("unknown_answer", "alpha_vantage: " + quote(", ".join(body)))
    return body


def _refusal(said: str, reply: Reply) -> SparkTrendsError:
    # The texts about rates also speak of "premium", so the plan is told by naming a parameter or an endpoint.
    low = said.lower()
    if re.search(r"apikey is (invalid|missing)|demo\W+api key", low):
        return AccessDenied("alpha_vantage refuses the key", hint="set ALPHA_VANTAGE_API_KEY")
    if re.search(r"is a premium (feature|endpoint)\b", low):
        return NotInPlan("alpha_vantage: your plan does not include this", hint=quote(said))
    if (
        re.search(r"per day|daily", low)
        and re.search(r"sparingly|requests|rate limit", low)
        and "per second" not in low
    ):
        return RateLimited("alpha_vantage: the day's calls are spent", delay=(DAY - reply.received % DAY) / 1e6)
    if re.search(r"per second|sparingly|call frequency|per minute|rate limit", low):
        return RateLimited("alpha_vantage asks for slower calls", delay=60.0 if "minute" in low else 1.0)
    # The second is what the news say to an unknown ticker. Taken for a failure it would be asked again, at a call each.
    if "invalid api call" in low or "invalid inputs" in low:
        return NotFound("alpha_vantage: no such symbol or parameter", hint=quote(said))
    if "does not exist" in low:
        return BadRecord("refused_request", "alpha_vantage: no such function")
    return Unavailable("alpha_vantage gave words instead of data: " + quote(said))
