"""A stored payload to typed values. Pure, and free of Spark: this is what runs in its workers.

The same parsers read an answer here as when it was fetched, so an error that a provider sent with status 200 is an
error here too. Payloads of other producers may say less of their request: then the answer itself has to tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sparktrends.batch.fields import Fields, fields_of
from sparktrends.errors import AccessDenied, BadRecord, BadSetting, NotFound, RateLimited, SparkTrendsError
from sparktrends.model import INTERVALS, Company, CorporateAction, NewsItem, ProviderBar, Trade
from sparktrends.sources import PROVIDERS, make_source
from sparktrends.sources.base import Ask, Event, Notice, Reject, Reply, Request, Source
from sparktrends.sources.decoding import load_json
from sparktrends.store.payloads import StoredPayload

FLATTENED = "flattened"
_WHATS = ("bars", "trades", "news", "company", "actions", "quote")
_ERRORS: tuple[tuple[type[SparkTrendsError], str], ...] = (
    (RateLimited, "rate_limited"),
    (AccessDenied, "access_denied"),
    (NotFound, "not_found"),
    (BadSetting, "bad_request"),
)


@dataclass(slots=True)
class Reading:
    """What one payload holds. ``outcome`` is ``flattened``, or the error that the answer was.

    ``unknown`` counts fields that no reader knows, ``missing`` expected ones that were absent, by name.
    """

    payload: int
    outcome: str = FLATTENED
    news: list[NewsItem] = field(default_factory=list)
    bars: list[ProviderBar] = field(default_factory=list)
    prices: list[Trade] = field(default_factory=list)
    companies: list[Company] = field(default_factory=list)
    actions: list[CorporateAction] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    unknown: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)


def read_payload(row: StoredPayload) -> Reading:
    """Everything in a payload; never raises for what a provider may send."""
    reading = Reading(row.id)
    try:
        source = source_of(row.source)
        body = body_of(row.payload)
        request, status = request_of(source, json.loads(row.request), body, row.endpoint)
        answer = source.parse_rest(request, Reply(status, body, row.fetched_at))
    except SparkTrendsError as error:
        reading.outcome = outcome_of(error)
        reading.rejects.append(Reject(reading.outcome, row.payload[:65536], str(error)))
        return reading
    _sort(reading, answer.events)
    counted = _fields(source.provider, _held(reading), body)
    reading.unknown, reading.missing = counted.unknown, counted.missing
    return reading


def outcome_of(error: SparkTrendsError) -> str:
    """The error in a word.

    >>> outcome_of(BadRecord("not_json")), outcome_of(NotFound("no such symbol"))
    ('not_json', 'not_found')
    """
    if isinstance(error, BadRecord):
        return error.reason
    return next((word for kind, word in _ERRORS if isinstance(error, kind)), "unavailable")


def source_of(name: str) -> Source:
    """The source of a name like ``yahoo`` or ``yahoo~sim``; raises BadRecord when nobody can read its answers."""
    provider, mark, kind = name.partition("~")
    if provider not in PROVIDERS:
        raise BadRecord("unknown_source")
    return make_source(provider, suffix=mark + kind)


def body_of(payload: str) -> bytes:
    """The answer as the parser wants it: JSON, or the text of an answer that was none."""
    text = payload
    if payload.startswith('"'):
        text = json.loads(payload)
    return text.encode()


def request_of(source: Source, fields: Mapping[str, Any], body: bytes, endpoint: str) -> tuple[Request, int]:
    """The request that an answer belongs to, and its status; raises BadRecord when nothing tells."""
    symbols = _symbols(fields)
    status = fields.get("status", 200)
    status = status if type(status) is int else 200
    if fields.get("what") not in _WHATS:
        return _guess(source, body, symbols, endpoint), status
    interval = fields.get("interval", "1d")
    if interval not in INTERVALS or not symbols:
        raise BadRecord("bad_request")
    start, end = (v if type(v := fields.get(name, 0)) is int else 0 for name in ("start", "end"))
    ask = Ask(fields["what"], symbols, interval, start, end)
    params = fields.get("params")
    told = {str(k): str(v) for k, v in params.items()} if isinstance(params, dict) else {}
    return Request(endpoint, str(fields.get("path", "")), told, ask), status


def _symbols(fields: Mapping[str, Any]) -> tuple[str, ...]:
    told = fields.get("symbols") or [fields.get("symbol")]
    return tuple(s for s in told if isinstance(s, str) and s) if isinstance(told, list) else ()


def _guess(source: Source, body: bytes, symbols: tuple[str, ...], endpoint: str) -> Request:
    symbol = symbols[0] if symbols else ""
    try:
        ask = source.ask_of(load_json(body), symbol)
    except BadRecord:
        ask = None
    ask = replace(ask or source.default_ask(symbol), symbols=symbols or (symbol,))
    # Without a symbol the answer may still say whose it is; no provider could be asked like that.
    return source.requests(ask)[0] if symbols else Request(endpoint, "", {}, ask)


def _sort(reading: Reading, events: Iterable[Event]) -> None:
    kinds: dict[type, list[Any]] = {
        NewsItem: reading.news,
        ProviderBar: reading.bars,
        Trade: reading.prices,
        Company: reading.companies,
        CorporateAction: reading.actions,
        Reject: reading.rejects,
    }
    for event in events:
        if isinstance(event, Notice):
            reading.rejects.append(Reject(event.kind, ", ".join(event.symbols), event.message))
        else:
            kinds[type(event)].append(event)


def _held(reading: Reading) -> str:
    """What the answer was about, which not every request says."""
    kinds = {"news": reading.news, "bars": reading.bars, "company": reading.companies, "quote": reading.prices}
    return next((what for what, found in kinds.items() if found), "")


def _fields(provider: str, what: str, body: bytes) -> Fields:
    try:
        return fields_of(provider, what, load_json(body))
    except BadRecord:
        return Fields({}, {})
