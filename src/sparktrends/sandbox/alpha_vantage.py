"""Alpha Vantage: one address, everything a function, every error a sentence with status 200; 25 calls a day."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sparktrends.model import DAY, HOUR, MINUTE, SECOND
from sparktrends.sandbox.candles import Candle
from sparktrends.sandbox.exchange import Answer, Call, Provider, World, key_refused, premium, told
from sparktrends.sandbox.instruments import UNIT, number, plain
from sparktrends.sandbox.news import Story, actions, mood, stories
from sparktrends.sandbox.tape import Series

PER_DAY, PER_SECOND = 25, 1
_LENGTHS = {"1min": MINUTE, "5min": 5 * MINUTE, "15min": 15 * MINUTE, "30min": 30 * MINUTE, "60min": HOUR}
_COMPACT = 100
_QUOTE_FIELDS = (
    "symbol", "open", "high", "low", "price", "volume", "latest trading day", "previous close", "change",
    "change percent",
)  # fmt: skip
_EASTERN = ZoneInfo("America/New_York")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SITE = "https://www.alphavantage.co"
_THANKS = "Thank you for using Alpha Vantage!"
_PREMIUM = (
    f"You may subscribe to any of the premium plans at {_SITE}/premium/ to instantly unlock all premium endpoints"
)


class AlphaVantage(Provider):
    """No socket, no headers: only words tell what is wrong, and they may repeat the caller's key."""

    name = "alpha_vantage"

    def answer(self, call: Call, world: World) -> Answer:
        """``/query?function=…``; a refused call costs nothing."""
        key, function = call.query.get("apikey", ""), call.query.get("function", "")
        if call.path != "/query":
            return Answer(404, b"<html>Page not found</html>", {"content-type": "text/html"})
        if key_refused(key):
            return self.refusal(401, call, world)
        if not premium(key):
            who = f"alpha_vantage:{key}"
            if world.meters.used(who, 86_400, world.now) >= PER_DAY:
                return _said("Information", _day_spent(key))
            if world.meters.spend(who, 1, 1, world.now) > PER_SECOND:
                return _said("Information", _second_spent())
            world.meters.spend(who, 86_400, 1, world.now)
        make = _FUNCTIONS.get(function)
        if make is None:
            return _said("Error Message", f"This API function ({function}) does not exist.")
        return make(call, world)

    def refusal(self, status: int, call: Call, world: World) -> Answer:
        """Everything that concerns the key comes with 200; other failures are the front's own page."""
        key = call.query.get("apikey", "")
        if status in (200, 418, 429):
            # The old words and the new ones in turn.
            old = world.now // SECOND % 2 == 0
            words = f"{_THANKS} Our standard API call frequency is 5 calls per minute and 500 calls per day."
            return (
                _said("Note", words)
                if old
                else _said("Information", _day_spent(key) if status == 418 else _second_spent())
            )
        if status == 401:
            words = f"the parameter apikey is invalid or missing. Please claim your free API key on ({_SITE}/support/"
            return _said("Error Message", words + "#api-key). It should take less than 20 seconds.")
        if status == 403:
            return _said("Information", f"{_THANKS} This is a premium endpoint. {_PREMIUM}")
        return Answer(status, b"<html>upstream connect error</html>", {"content-type": "text/html"})


def _day_spent(key: str) -> str:
    return (
        f"We have detected your API key as {key} and our standard API rate limit is {PER_DAY} requests per day. Please "
        f"subscribe to any of the premium plans at {_SITE}/premium/ to instantly remove all daily rate limits."
    )


def _second_spent() -> str:
    return (
        f"{_THANKS} Please consider spreading out your free API requests more sparingly (1 request per second). "
        f"You may subscribe to any of the premium plans at {_SITE}/premium/ to lift the free key rate limit "
        f"({PER_DAY} requests per day), raise the per-second burst limit, and instantly unlock all premium endpoints"
    )


def _said(key: str, words: str) -> Answer:
    return told({key: words}, weight=0)


def _invalid(call: Call) -> Answer:
    function = call.query.get("function", "")
    return _said(
        "Error Message",
        f"Invalid API call. Please retry or visit the documentation ({_SITE}/documentation/) for {function}.",
    )


def _intraday(call: Call, world: World) -> Answer:
    series, interval = _listed(call.query.get("symbol", ""), world, "stock"), call.query.get("interval", "")
    if not premium(call.query.get("apikey", "")):
        return _said("Information", f"{_THANKS} This is a premium endpoint. {_PREMIUM}")
    if series is None or interval not in _LENGTHS:
        return _invalid(call)
    most = 5000 if call.query.get("outputsize") == "full" else _COMPACT
    rows = _newest(series, _LENGTHS[interval], world, most)
    return told(
        {
            "Meta Data": {
                "1. Information": f"Intraday ({interval}) open, high, low, close prices and volume",
                "2. Symbol": series.instrument.name,
                "3. Last Refreshed": _eastern(rows[0].start),
                "4. Interval": interval,
                "5. Output Size": "Full size" if most > _COMPACT else "Compact",
                "6. Time Zone": "US/Eastern",
            },
            f"Time Series ({interval})": {_eastern(row.start): _fields(row, 4, whole=True) for row in rows},
        }
    )


def _daily(call: Call, world: World) -> Answer:
    series = _listed(call.query.get("symbol", ""), world, "stock")
    if series is None:
        return _invalid(call)
    full = call.query.get("outputsize") == "full"
    if full and not premium(call.query.get("apikey", "")):
        words = "The outputsize=full parameter value is a premium feature for the TIME_SERIES_DAILY endpoint."
        return _said("Information", f"{_THANKS} {words} {_PREMIUM}")
    rows = _newest(series, DAY, world, 2500 if full else _COMPACT)
    return told(
        {
            "Meta Data": {
                "1. Information": "Daily Prices (open, high, low, close) and Volumes",
                "2. Symbol": series.instrument.name,
                "3. Last Refreshed": _date(rows[0].start),
                "4. Output Size": "Full size" if full else "Compact",
                "5. Time Zone": "US/Eastern",
            },
            "Time Series (Daily)": {_date(row.start): _fields(row, 4, whole=True) for row in rows},
        }
    )


def _coin_daily(call: Call, world: World) -> Answer:
    series, market = _listed(call.query.get("symbol", ""), world, "coin"), call.query.get("market", "")
    if series is None or market not in ("USD", "USDT", "EUR"):
        return _invalid(call)
    rows = _newest(series, DAY, world, 350)
    return told(
        {
            "Meta Data": {
                "1. Information": "Daily Prices and Volumes for Digital Currency",
                "2. Digital Currency Code": series.instrument.name,
                "3. Digital Currency Name": series.instrument.title,
                "4. Market Code": market,
                "5. Market Name": "United States Dollar" if market == "USD" else market,
                "6. Last Refreshed": _date(rows[0].start) + " 00:00:00",
                "7. Time Zone": "UTC",
            },
            "Time Series (Digital Currency Daily)": {_date(row.start): _fields(row, 8, whole=False) for row in rows},
        }
    )


def _coin_intraday(call: Call, world: World) -> Answer:  # noqa: ARG001
    return _said("Information", f"{_THANKS} This is a premium endpoint. {_PREMIUM}")


def _news(call: Call, world: World) -> Answer:
    everyone = [series.instrument for series in world.tape.series.values()]
    first = _moment(call.query.get("time_from", "")) or world.now - DAY
    last = min(_moment(call.query.get("time_to", "")) or world.now, world.now)
    found = stories(everyone, max(first, last - 30 * DAY), last, world.seed, hostile=world.hostile)
    wanted = set(filter(None, call.query.get("tickers", "").split(",")))
    # Several tickers ask for stories that mention all of them.
    found = [story for story in found if wanted <= {_ticker(i) for i in (story.about, *story.others)}]
    limit = call.query.get("limit", "50")
    most = min(1000, int(limit)) if limit.isdigit() and len(limit) < 6 else 50
    if call.query.get("sort", "LATEST") != "EARLIEST":
        found.reverse()
    feed = [_story(story) for story in found[:most]]
    if not feed:
        words = "No articles found. Please adjust the time range or refer to the API documentation"
        return _said("Information", f"{words} {_SITE}/documentation#newsapi and try again.")
    return told(
        {
            "items": str(len(feed)),
            "sentiment_score_definition": "x <= -0.35: Bearish; -0.35 < x <= -0.15: Somewhat-Bearish; "
            "-0.15 < x < 0.15: Neutral; 0.15 <= x < 0.35: Somewhat_Bullish; x >= 0.35: Bullish",
            "relevance_score_definition": "0 < x <= 1, with a higher score indicating higher relevance.",
            "feed": feed,
        }
    )


def _story(story: Story) -> dict[str, Any]:
    mentions = [
        {
            "ticker": _ticker(of),
            "relevance_score": "0.85" if of is story.about else "0.12",
            "ticker_sentiment_score": f"{story.score if of is story.about else 0.0:.6f}",
            "ticker_sentiment_label": mood(story.score if of is story.about else 0.0),
        }
        for of in (story.about, *story.others)
    ]
    return {
        "title": story.headline, "url": story.url,
        "time_published": f"{_EPOCH + timedelta(microseconds=story.at):%Y%m%dT%H%M%S}", "authors": ["A. Writer"],
        "summary": story.summary, "banner_image": None, "source": story.source, "category_within_source": "n/a",
        "source_domain": "wire.example", "topics": [{"topic": "Financial Markets", "relevance_score": "0.5"}],
        "overall_sentiment_score": story.score, "overall_sentiment_label": mood(story.score).replace("-", "_", 1),
        "ticker_sentiment": mentions,
    }  # fmt: skip


def _overview(call: Call, world: World) -> Answer:
    series = _listed(call.query.get("symbol", ""), world, "stock")
    if series is None:
        return told({})
    of = series.instrument
    return told(
        {
            "Symbol": of.name, "AssetType": "Common Stock", "Name": of.title, "Description": "Simulated.",
            "Exchange": of.exchange, "Currency": "USD", "Country": "USA", "Sector": of.industry.upper(),
            "Industry": of.industry.upper(), "MarketCapitalization": str(of.shares * series.price // UNIT),
            "SharesOutstanding": str(of.shares), "PERatio": "None",
        }
    )  # fmt: skip


def _global_quote(call: Call, world: World) -> Answer:
    series = _listed(call.query.get("symbol", ""), world, "stock")
    if series is None:
        return told({"Global Quote": {}})
    day = world.now - world.now % DAY
    today, before = series.candle(day, DAY), series.candle(day - DAY, DAY)
    change = number(series.price) - number(before.close)
    values = (
        series.instrument.name,
        *(_price(units, 4) for units in (today.open, today.high, today.low, series.price)),
        str(today.volume // UNIT), _date(day), _price(before.close, 4), f"{change:.4f}",
        f"{100 * change / number(before.close):.4f}%",
    )  # fmt: skip
    fields = enumerate(zip(_QUOTE_FIELDS, values, strict=True), start=1)
    return told({"Global Quote": {f"{number_of:02d}. {name}": value for number_of, (name, value) in fields}})


def _splits(call: Call, world: World) -> Answer:
    return _action_list(
        call, world, "split", lambda day, value: {"effective_date": day, "split_factor": f"{value:.4f}"}
    )


def _dividends(call: Call, world: World) -> Answer:
    return _action_list(call, world, "dividend", lambda day, value: {"ex_dividend_date": day, "amount": f"{value:g}"})


def _action_list(call: Call, world: World, kind: str, row: Any) -> Answer:
    series = _listed(call.query.get("symbol", ""), world, "stock")
    found = [a for a in actions(series.instrument, world.now) if a.kind == kind] if series else []
    rows = [row(str(action.day), action.value) for action in reversed(found)]
    return told({"symbol": call.query.get("symbol", ""), "data": rows})


_FUNCTIONS = {
    "TIME_SERIES_INTRADAY": _intraday,
    "TIME_SERIES_DAILY": _daily,
    "DIGITAL_CURRENCY_DAILY": _coin_daily,
    "CRYPTO_INTRADAY": _coin_intraday,
    "NEWS_SENTIMENT": _news,
    "OVERVIEW": _overview,
    "GLOBAL_QUOTE": _global_quote,
    "SPLITS": _splits,
    "DIVIDENDS": _dividends,
}


def _listed(name: str, world: World, kind: str) -> Series | None:
    series = world.tape.series.get(name)
    return series if series and series.instrument.kind == kind else None


def _ticker(of: Any) -> str:
    return f"CRYPTO:{of.name}" if of.kind == "coin" else str(of.name)


def _newest(series: Series, length: int, world: World, most: int) -> list[Candle]:
    rows = series.candles(world.now - most * length, world.now, length, most)
    return rows[::-1]


def _fields(row: Candle, digits: int, *, whole: bool) -> dict[str, str]:
    volume = str(row.volume // UNIT) if whole else plain(row.volume)
    prices = (row.open, row.high, row.low, row.close)
    names = ("1. open", "2. high", "3. low", "4. close")
    return {**{n: _price(p, digits) for n, p in zip(names, prices, strict=True)}, "5. volume": volume}


def _price(units: int, digits: int) -> str:
    text = plain(units)
    return text[: len(text) - 8 + digits]


def _eastern(at: int) -> str:
    return f"{(_EPOCH + timedelta(microseconds=at)).astimezone(_EASTERN):%Y-%m-%d %H:%M:%S}"


def _date(at: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=at):%Y-%m-%d}"


def _moment(text: str) -> int:
    if not re.fullmatch(r"[0-9]{8}T[0-9]{4}", text):
        return 0
    try:
        return int(datetime.strptime(text, "%Y%m%dT%H%M").replace(tzinfo=UTC).timestamp()) * SECOND
    except ValueError:
        return 0
