"""A recorded payload, or recorded frames, read by a source's parser and told as JSON lines: ``sparktrends parse``."""

from __future__ import annotations

import codecs
import dataclasses
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from sparktrends.errors import BadRecord, BadSetting, SparkTrendsError
from sparktrends.sources.base import Event, Reply, Source
from sparktrends.sources.decoding import load_json

_MARKS = frozenset({"e", "event", "type", "message", "stream"})
"""A document with one of these is a frame of some provider's socket, unless its source knows it for an answer."""


def read_recorded(source: Source, data: bytes, symbol: str, received: int) -> Iterator[Event | SparkTrendsError]:
    """Yield what the parser makes of an answer (one JSON document or table) or of frames, one per line.

    ``symbol`` is used where an answer does not say whose it is. Errors are yielded, so one bad line ends nothing.
    """
    # Editors put it in front of a text; no provider does.
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        # Recordings do not say what was asked: the answer's own shape has to.
        body = load_json(data)
        ask = source.ask_of(body, symbol)
    except BadRecord:
        body, ask = None, None
    if ask is None and source.stream:
        framed = type(body) is dict and not _MARKS.isdisjoint(body)
        refusal = None if framed else _refusal(source, data, symbol, received)
        yield from [refusal] if refusal else _frames(source, data, received)
        return
    try:
        asked = ask or source.default_ask(symbol)
        first = source.requests(asked)[0]
        # Whoever recorded it may have asked for more symbols at once than we do.
        request = dataclasses.replace(first, ask=dataclasses.replace(first.ask, symbols=asked.symbols))
        yield from source.parse_rest(request, Reply(200, data, received)).events
    except SparkTrendsError as error:
        yield error


def _refusal(source: Source, data: bytes, symbol: str, received: int) -> SparkTrendsError | None:
    """The error that a provider's words mean, which have no shape of their own; None where they mean none."""
    try:
        source.parse_rest(source.requests(source.default_ask(symbol))[0], Reply(200, data, received))
    except (BadRecord, BadSetting):
        return None
    except SparkTrendsError as error:
        return error
    return None


def _frames(source: Source, data: bytes, received: int) -> Iterator[Event | SparkTrendsError]:
    memory = source.memory()
    for line in data.splitlines():
        if not line.strip():
            continue
        try:
            yield from source.parse(line, received, memory)
        except SparkTrendsError as error:
            yield error


def json_line(item: Event | SparkTrendsError) -> str:
    """One line of JSON: the class under ``event`` or ``error``, then the fields; decimals keep their digits as text.

    >>> json_line(BadRecord("bad_price"))
    '{"error": "BadRecord", "reason": "bad_price", "message": "bad_price"}'
    """
    if isinstance(item, SparkTrendsError):
        reason = {"reason": item.reason} if isinstance(item, BadRecord) else {}
        return json.dumps({"error": type(item).__name__, **reason, "message": str(item)})
    fields = {f.name: getattr(item, f.name) for f in dataclasses.fields(item)}
    return json.dumps({"event": type(item).__name__, **fields}, default=_plain)


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(type(value).__name__)
