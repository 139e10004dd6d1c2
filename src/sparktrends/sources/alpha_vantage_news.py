"""Alpha Vantage's news: how they call a symbol, and whom a story is about."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sparktrends.errors import BadRecord, BadSetting
from sparktrends.model import NewsItem, stable_id
from sparktrends.sources.base import Event, Request, collect
from sparktrends.sources.decoding import as_list, as_object, maybe_text, score, text
from sparktrends.sources.symbols import is_exchange_rate, pair_of, ticker_name, ticker_of

_PLACES: Mapping[str, str] = {
    "BO": "BSE", "DE": "DEX", "F": "FRK", "L": "LON", "SA": "SAO", "SS": "SHH", "SZ": "SHZ", "TO": "TRT", "V": "TRV",
}  # fmt: skip
_OURS = {theirs: ours for ours, theirs in _PLACES.items()}
PAGE = 1000
"""Stories of an answer, at most."""


def news_ticker(symbol: str) -> str:
    """What the news call a symbol; BadSetting for what they cannot have.

    Of a coin's pair the coin alone, whatever it is paid with. Of an exchange rate one currency, the other than the
    dollar: stories about the dollar are about everything.

    >>> news_ticker("AAPL"), news_ticker("BTC/USDT"), news_ticker("EUR/GBP"), news_ticker("USD/JPY")
    ('AAPL', 'CRYPTO:BTC', 'FOREX:EUR', 'FOREX:JPY')
    """
    pair = pair_of(symbol)
    if pair is None:
        return wire_ticker(ticker_of(symbol, "alpha_vantage"))
    if not is_exchange_rate(symbol):
        return f"CRYPTO:{pair[0]}"
    return f"FOREX:{pair[1] if pair[0] == 'USD' else pair[0]}"


def symbol_of(ticker: str) -> str:
    """Our name of a ticker of the news: of a coin its pair with the dollar; BadRecord ``unknown_symbol``.

    A currency is in many rates: its stories are those of the rates that were asked for, and of no other.
    """
    kind, found, code = ticker.partition(":")
    name = f"{code}/USD"
    if not found:
        return our_ticker(ticker)
    if kind != "CRYPTO" or not pair_of(name):
        raise BadRecord("unknown_symbol")
    return name


def wire_ticker(ticker: str) -> str:
    """A stock as the provider writes it, which has words of its own for some exchanges.

    >>> wire_ticker("SAP.DE"), wire_ticker("BRK.B"), our_ticker("SAP.DEX")
    ('SAP.DEX', 'BRK.B', 'SAP.DE')
    """
    name, _, end = ticker.rpartition(".")
    return f"{name}.{_PLACES[end]}" if name and end in _PLACES else ticker


def our_ticker(wire: str) -> str:
    """The reverse; BadRecord ``unknown_symbol``."""
    name, _, end = ticker_name(wire).rpartition(".")
    return f"{name}.{_OURS[end]}" if name and end in _OURS else wire


def older(request: Request, feed: Sequence[object]) -> Request | None:
    """What continues a full page, which comes newest first: the question for what is as old as its oldest story."""
    if len(feed) < PAGE:
        return None
    until = min(filter(None, map(_until, feed)), default="")
    params = request.params
    # Without an end of its own the first page ended now. A page that leads nowhere would be asked for for ever.
    moved = until < params.get("time_to", "9") and until > params.get("time_from", "")
    return replace(request, params={**params, "time_to": until}) if moved else None


def _until(row: object) -> str:
    """The full minute at or after a story, as the provider writes it: what is told twice has one id."""
    try:
        return f"{_published(as_object(row).get('time_published')) + timedelta(seconds=59):%Y%m%dT%H%M}"
    except (BadRecord, OverflowError):
        return ""


def stories(feed: Iterable[object], asked: Iterable[str], source: str) -> list[Event]:
    """The stories of ``feed`` that mention one of ``asked``, oldest first, and a Reject of each that cannot be read."""
    wanted = _by_ticker(asked)
    found = collect(feed, lambda row: _story(as_object(row), wanted, source))
    return sorted(found, key=lambda e: e.published_at.timestamp() if isinstance(e, NewsItem) else 0.0)


def told_of(feed: Iterable[object]) -> tuple[str, ...]:
    """Every symbol of ours that these stories mention."""
    names: dict[str, float] = {}
    for row in feed:
        with suppress(BadRecord):  # whoever reads the stories says so
            names |= _ours(dict(filter(None, map(_mention, as_list(as_object(row).get("ticker_sentiment") or [])))))
    return tuple(names)


def _by_ticker(asked: Iterable[str]) -> Mapping[str, list[str]]:
    found = defaultdict(list)
    for symbol in asked:
        with suppress(BadSetting):  # another producer may have asked for what is no name of ours
            found[news_ticker(symbol)].append(symbol)
    return found


def _story(row: dict[str, Any], wanted: Mapping[str, list[str]], source: str) -> NewsItem | None:
    title, url = text(row.get("title"), "bad_headline", 1000), maybe_text(row.get("url"), 2000)
    if not title.strip():
        raise BadRecord("bad_headline")
    mentions = dict(filter(None, map(_mention, as_list(row.get("ticker_sentiment") or []))))
    asked_for = {name: value for ticker, value in mentions.items() for name in wanted.get(ticker, ())}
    # Under the names that were asked for as well: whoever asks for BTC/USDT looks for no BTC/USD.
    scores = {**_ours(mentions), **asked_for}
    story = NewsItem(
        source,
        # The provider gives stories no id.
        stable_id(url or title),
        _published(row.get("time_published")),
        title,
        maybe_text(row.get("summary")),
        url,
        maybe_text(row.get("source"), 200),
        tuple(scores),
        score(row.get("overall_sentiment_score")),
        # Both spellings occur.
        maybe_text(row.get("overall_sentiment_label"), 40).replace("_", "-"),
        scores,
    )
    return story if asked_for else None


def _mention(row: object) -> tuple[str, float] | None:
    told = as_object(row)
    ticker = told.get("ticker")
    return (ticker, score(told.get("ticker_sentiment_score"))) if type(ticker) is str else None


def _ours(mentions: Mapping[str, float]) -> dict[str, float]:
    named = {}
    for ticker, value in mentions.items():
        with suppress(BadRecord):  # FOREX:USD and the like are no symbols of ours; the story still is one
            named[symbol_of(ticker)] = value
    return named


def _published(stamp: object) -> datetime:
    if type(stamp) is not str or not re.fullmatch(r"[0-9]{8}T[0-9]{4}(?:[0-9]{2})?", stamp):
        raise BadRecord("bad_time")
    try:
        return datetime.strptime(stamp.ljust(15, "0"), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise BadRecord("bad_time") from None
