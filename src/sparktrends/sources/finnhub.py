"""Finnhub: live trades of United States stocks (IEX's part of them) and crypto, company news, profiles, quotes.

Trades have no id, a message may hold them newest first, and a message may come twice. So a trade's id is its content:
time, price, size, conditions and, for the second of two equal trades in one message, its number there. Two equal
trades of one millisecond in two messages are taken for one: without ids that cannot be told from a repeat.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from sparktrends.errors import AccessDenied, BadRecord, BadSetting, NotFound, NotInPlan, RateLimited, SparkTrendsError
from sparktrends.model import DAY, INTERVALS, SECOND, Company, NewsItem, ProviderBar, Trade
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
    rejected,
    retry_after,
    spelled_interval,
)
from sparktrends.sources.decoding import (
    MAX_FRAME,
    ZERO,
    as_list,
    as_object,
    load_json,
    load_object,
    local_day,
    maybe_number,
    maybe_text,
    micros,
    moment,
    number,
    quote,
    text,
)
from sparktrends.sources.symbols import (
    dashed_pair,
    is_exchange_rate,
    pair_of,
    placed_ticker_of,
    split_pair,
    ticker_name,
)

_RESOLUTIONS = {"1m": "1", "5m": "5", "15m": "15", "1h": "60", "1d": "D"}
_INTRADAY_SPAN = 30 * DAY  # at most a month of intraday candles a call
_CONDITIONS = re.compile("[0-9A-Za-z]{1,8}(?:,[0-9A-Za-z]{1,8}){0,15}")
"""At most sixteen."""


class Finnhub(Source):
    """Trades, candles (where the plan has them), news, profiles and quotes of Finnhub.

    Of exchange rates its stream tells prices alone, and no minute of theirs were ever known to be whole: they are
    refused.

    >>> source = Finnhub()
    >>> frame = '{"type":"trade","data":[{"s":"AAPL","p":231.5,"t":1732147200123,"v":100,"c":["1"]}]}'
    >>> trade = source.parse(frame, 0, source.memory(["AAPL"]))[0]
    >>> trade.price, trade.id, trade.conditions
    (Decimal('231.5'), '1732147200123:231.5:100:1', ('1',))
    """

    provider = "finnhub"
    rest = "https://finnhub.io/api/v1"
    # One socket a key: a second one throws the first out. Fifty symbols are the free plan's.
    stream = Stream("wss://ws.finnhub.io", idle=90, auth=Auth("query", "token"), max_symbols=50, per_second=10)
    auth = Auth("header", "X-Finnhub-Token")
    # The plan's calls a minute, and 30 a second for every plan.
    allowances = (Allowance(60, 60), Allowance(30, 1))
    endpoints = (
        Endpoint("stock/candle", "/stock/candle", "bars"),
        Endpoint("crypto/candle", "/crypto/candle", "bars"),
        Endpoint("company-news", "/company-news", "news"),
        Endpoint("stock/profile2", "/stock/profile2", "company"),
        Endpoint("quote", "/quote", "quote"),
    )
    tape = True
    # The vendor's list of trade conditions, as far as it decides what a trade may move.
    conditions: ClassVar[Mapping[str, str]] = {
        "1": "regular", "3": "average price", "5": "cash sale", "10": "price variation", "12": "odd lot",
        "17": "next day", "21": "prior reference price", "22": "seller", "24": "form T",
        "25": "extended hours, sold out of sequence", "26": "contingent", "30": "sold, out of sequence",
        "32": "derivatively priced", "37": "qualified contingent",
    }  # fmt: skip
    volume_only = frozenset({"3", "5", "10", "17", "21", "22", "25", "26", "30", "32", "37"})

    def spell(self, symbol: str) -> str:
        """``AAPL`` as it is; ``BINANCE:BTCUSDT`` and ``COINBASE:BTC-USD`` for pairs."""
        pair = pair_of(symbol)
        if pair is None:
            return placed_ticker_of(symbol, self.provider)
        if is_exchange_rate(symbol):
            said = "add it at twelve_data or yahoo, which tell its price and its bars"
            raise BadSetting(f"finnhub has no trades of the exchange rate {symbol}", hint=said)
        return f"COINBASE:{pair[0]}-{pair[1]}" if pair[1] in ("USD", "EUR", "GBP") else f"BINANCE:{pair[0]}{pair[1]}"

    def name_of(self, wire: str) -> str:
        """The reverse of `spell`, by the exchange before the colon."""
        _, found, rest = wire.partition(":")
        if not found:
            return ticker_name(wire)
        return dashed_pair(rest) or dashed_pair(rest, "_") or split_pair(rest)

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """One message per symbol."""
        return [json.dumps({"type": "subscribe", "symbol": self.spell(s)}) for s in symbols]

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """One message per symbol."""
        return [json.dumps({"type": "unsubscribe", "symbol": self.spell(s)}) for s in symbols]

    def parse(self, payload: str | bytes, received_at: int, memory: Memory) -> list[Event]:
        """One message; its trades come out oldest first, whatever order they came in."""
        frame = load_object(payload, MAX_FRAME)
        kind = frame.get("type")
        if kind == "trade":
            return self._trades(as_list(frame.get("data")), received_at, memory)
        if kind == "ping":
            return [Notice("alive")]
        if kind == "error":
            raise _error(maybe_text(frame.get("msg")), None)
        raise BadRecord("unknown_frame")

    def _trades(self, rows: list[Any], received: int, memory: Memory) -> list[Event]:
        seen: dict[str, int] = {}
        trades: list[Trade] = []
        rejects: list[Event] = []
        for row in rows:
            try:
                trades.append(self._trade(as_object(row), received, memory, seen))
            except BadRecord as error:
                rejects.append(rejected(row, error))
        if len(trades) > 1 and trades[0].ts > trades[-1].ts:
            trades.reverse()  # newest first: trades of one millisecond too must come out in their order
        trades.sort(key=lambda t: t.ts)
        return [*trades, *rejects]

    def _trade(self, row: dict[str, Any], received: int, memory: Memory, seen: dict[str, int]) -> Trade:
        symbol = self.remember(memory, row.get("s"))
        price, size = number(row.get("p"), "bad_price"), number(row.get("v"), "bad_size")
        ts, codes = row.get("t"), _codes(row.get("c"))
        # Milliseconds here, seconds by REST.
        at = micros(ts, 1000)
        if not size:  # a feed without trades sends prices alone
            return Trade(self.name, symbol, at, price, size, received=received, conditions=codes, kind="price")
        content = f"{ts}:{row['p']}:{row['v']}" + (":" + ",".join(codes) if codes else "")
        key = symbol + content
        nth = seen[key] = seen.get(key, 0) + 1
        return Trade(self.name, symbol, at, price, size, content if nth == 1 else f"{content}#{nth}", received, codes)

    def requests(self, ask: Ask) -> list[Request]:
        """One per symbol; intraday candles one per symbol and month."""
        if ask.what == "bars":
            return [r for s in ask.symbols for r in self._candles(ask, s)]
        endpoint = self.endpoint(ask.what)
        return [self._single(endpoint, ask, s) for s in ask.symbols]

    def _candles(self, ask: Ask, symbol: str) -> list[Request]:
        resolution = spelled_interval(_RESOLUTIONS, ask.interval, self.provider)
        path = "stock/candle" if pair_of(symbol) is None else "crypto/candle"
        one = Ask(ask.what, (symbol,), ask.interval, ask.start, ask.end)
        # Days come in one piece however many they are.
        span = ask.end - ask.start if ask.interval == "1d" else _INTRADAY_SPAN
        params = {"symbol": self.spell(symbol), "resolution": resolution}
        starts = range(ask.start, ask.end, max(span, SECOND))
        return [
            Request(path, "/" + path, params | {"from": str(at // SECOND), "to": str(_last(at + span, ask.end))}, one)
            for at in starts
        ]

    def _single(self, endpoint: Endpoint, ask: Ask, symbol: str) -> Request:
        params = {"symbol": self.spell(symbol)}
        if endpoint.what == "news":
            params |= {"from": str(local_day(ask.start, "UTC")), "to": str(local_day(max(ask.end - 1, 0), "UTC"))}
        return Request(endpoint.name, endpoint.path, params, Ask(ask.what, (symbol,), ask.interval, ask.start, ask.end))

    def parse_rest(self, request: Request, reply: Reply) -> Answer:
        """Candles, news, a profile or a quote."""
        body = _body(reply)
        symbol = request.ask.symbols[0]
        if request.ask.what == "news":
            news = collect(as_list(body), lambda row: self._story(as_object(row), symbol))
            return Answer(sorted(news, key=lambda e: e.published_at.timestamp() if isinstance(e, NewsItem) else 0.0))
        answer = as_object(body)
        if request.ask.what == "bars":
            return Answer(self._bars(answer, request, reply.received))
        if request.ask.what == "company":
            return Answer([self._company(answer, symbol, reply.received)])
        return Answer([self._quote(answer, symbol, reply.received)])

    def _bars(self, answer: dict[str, Any], request: Request, received: int) -> list[Event]:
        if answer.get("s") == "no_data":
            return []
        if answer.get("s") != "ok":
            raise BadRecord("unknown_answer")
        columns = [as_list(answer.get(name)) for name in "tohlcv"]
        # Columns of different lengths would pair prices with other times.
        if len({len(column) for column in columns}) != 1:
            raise BadRecord("ragged_arrays")
        interval = request.ask.interval
        length = INTERVALS[interval]

        def read(row: tuple[Any, ...]) -> Event:
            at = micros(row[0], SECOND)
            start = at - at % length if interval == "1d" else bar_start(at, interval)
            o, h, low, c = (number(cell, "bad_price") for cell in row[1:5])
            return ProviderBar(
                self.name, request.ask.symbols[0], interval, start, o, h, low, c,
                number(row[5], "bad_volume"), start + length <= received,
                # The provider adjusts days of shares for splits and leaves intraday bars as they were.
                "split" if interval == "1d" and request.endpoint == "stock/candle" else "raw", received=received,
            )  # fmt: skip

        bars = collect(zip(*columns, strict=True), read)
        return sorted(bars, key=lambda e: e.start if isinstance(e, ProviderBar) else 0)

    def _story(self, row: dict[str, Any], symbol: str) -> NewsItem:
        headline = text(row.get("headline"), "bad_headline", 1000)
        if not headline.strip():
            raise BadRecord("bad_headline")
        if type(row.get("id")) is not int:
            raise BadRecord("bad_id")
        return NewsItem(
            self.name,
            str(row["id"]),
            moment(micros(row.get("datetime"), SECOND)),
            headline,
            maybe_text(row.get("summary")),
            maybe_text(row.get("url"), 2000),
            maybe_text(row.get("source"), 200),
            (symbol,),
        )

    def _company(self, row: dict[str, Any], symbol: str, received: int) -> Company:
        if not row:
            raise NotFound(f"finnhub knows no company {symbol}")
        million = 1_000_000
        shares, cap = maybe_number(row.get("shareOutstanding")), maybe_number(row.get("marketCapitalization"))
        return Company(
            self.name, symbol, local_day(received, "UTC"), text(row.get("name"), "bad_name", 500),
            maybe_text(row.get("exchange"), 200), maybe_text(row.get("currency"), 10),
            industry=maybe_text(row.get("finnhubIndustry"), 200), country=maybe_text(row.get("country"), 100),
            shares=None if shares is None else shares * million, market_cap=None if cap is None else cap * million,
        )  # fmt: skip

    def _quote(self, row: dict[str, Any], symbol: str, received: int) -> Trade:
        price = number(row.get("c"), "bad_price")
        if not price and not maybe_number(row.get("pc")):
            raise NotFound(f"finnhub knows no symbol {symbol}: it answers with zeros")
        ts = micros(row["t"], SECOND) if row.get("t") else received
        return Trade(self.name, symbol, ts, price, ZERO, received=received, kind="price")

    def ask_of(self, body: Any, symbol: str) -> Ask | None:
        """Told by the fields; frames have a ``type``."""
        if type(body) is list:
            return Ask("news", (symbol,), start=DAY, end=2 * DAY)
        if type(body) is not dict or "type" in body:
            return None
        if "s" in body:
            return Ask("bars", (symbol,), start=DAY, end=2 * DAY)
        return Ask("company" if "name" in body else "quote", (symbol,))

    def usage(self, reply: Reply) -> tuple[Usage, ...]:
        """Limit and remainder of the minute, where the headers say them; a 429 blocks for a minute."""
        limit, left = (reply.headers.get(f"x-ratelimit-{word}", "") for word in ("limit", "remaining"))
        said = limit.isdecimal() and left.isdecimal() and limit.isascii() and left.isascii()
        blocked = (retry_after(reply) or 60.0) if reply.status == 429 else None
        if not said:
            return (Usage(60, blocked=blocked),) if blocked else ()
        return (Usage(60, max(0, int(limit) - int(left)), int(limit), blocked),)

    def probes(self) -> list[Probe]:
        """Quotes come with every key; candles only with some plans."""
        day = DAY * 20_000
        candles = self.requests(Ask("bars", ("AAPL",), "1d", day, day + 5 * DAY))[0]
        return [Probe("key", self.requests(Ask("quote", ("AAPL",)))[0]), Probe("candles", candles)]


def _last(at: int, end: int) -> int:
    return min(at, end) // SECOND - 1  # the provider counts "to" in


def _codes(value: object) -> tuple[str, ...]:
    if value is None or value == []:
        return ()
    told = as_list(value)
    try:
        joined = ",".join(told)
    except TypeError:
        # By type, since True would be read as a number.
        if not all(type(code) in (str, int) for code in told):
            raise BadRecord("bad_conditions") from None
        joined = ",".join(map(str, told))
    codes = _split(joined)
    # Else one of them had a comma within.
    if len(codes) != len(told):
        raise BadRecord("bad_conditions")
    return codes


# The same few lists come with every trade, and to look at each code costs as much as all the rest of it.
@lru_cache(maxsize=1024)
def _split(joined: str) -> tuple[str, ...]:
    if not _CONDITIONS.fullmatch(joined):
        raise BadRecord("bad_conditions")
    return tuple(joined.split(","))


def _body(reply: Reply) -> Any:
    try:
        body = load_json(reply.body)
    except BadRecord:
        check_status("finnhub", reply)
        raise
    if type(body) is dict and "error" in body:
        raise _error(maybe_text(body["error"]), reply)
    check_status("finnhub", reply)
    return body


def _error(said: str, reply: Reply | None) -> SparkTrendsError:
    """The error that the provider's words mean; the older API told a missing plan by 401, the newer by 403."""
    low, words = said.lower(), quote(said)
    # Words first: an error on the socket has no status.
    if "limit" in low or "too many" in low:
        return RateLimited(f"finnhub: {words}", delay=(retry_after(reply) if reply else None) or 60.0)
    if "don't have access" in low or "premium" in low:
        return NotInPlan("finnhub: your plan does not include this", hint=words)
    if "api key" in low or "unauthorized" in low or (reply is not None and reply.status in (401, 403)):
        return AccessDenied("finnhub refuses the key", hint=words)
    if "symbol" in low:
        return NotFound(f"finnhub: {words}")
    if reply is not None:
        try:
            check_status("finnhub", reply, said)
        except SparkTrendsError as error:
            return error
    return BadRecord("provider_error", f"finnhub: {words}")
