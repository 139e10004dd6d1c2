"""The daily calls of each provider: symbol lists, endpoint, function and interval, from JSON files a person may edit.

The defaults are beside this file in ``config/``; a folder of a person's own replaces them file by file.
"""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from sparktrends.errors import BadFile, BadSetting
from sparktrends.model import DAY, INTERVALS
from sparktrends.sources.base import Ask, Source

_ALLOWED = {"endpoint", "function", "interval", "symbols"}


def daily_calls(source: Source, folder: Path | None = None) -> list[Ask]:
    """What to ask a source each day; times are left at 0 for the caller to set.

    Raises BadFile, naming file and entry, for a file that is not of this form or asks for what the source has not.

    >>> from sparktrends.sources import make_source
    >>> [(ask.what, ask.interval, len(ask.symbols)) for ask in daily_calls(make_source("alpha_vantage"))]
    [('news', '1m', 11), ('bars', '1d', 8), ('bars', '1d', 3), ('company', '1m', 7)]
    """
    name = f"{source.provider}.json"
    own = folder / name if folder else None
    try:
        text = own.read_text("utf-8") if own and own.exists() else _default(name)
        told = json.loads(text)
        calls = told["calls"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise BadFile(f"{own or name} is not a list of calls", hint='write {"calls": [{"function": …}]}') from None
    if not isinstance(calls, list):
        raise BadFile(f"{own or name}: calls is not a list")
    if told.get("source", source.provider) != source.provider:
        raise BadFile(f"{own or name}: is of another source", hint=f'it is read for "{source.provider}"')
    return [_ask(source, call, f"{own or name}, call {i}") for i, call in enumerate(calls, start=1)]


def _default(name: str) -> str:
    return resources.files("sparktrends.sources").joinpath("config", name).read_text("utf-8")


def _ask(source: Source, call: Any, where: str) -> Ask:
    if not isinstance(call, dict) or not set(call) <= _ALLOWED:
        raise BadFile(f"{where}: has other fields than {', '.join(sorted(_ALLOWED))}")
    function, path = call.get("function"), call.get("endpoint")
    found = [e for e in source.endpoints if e.name == function and e.path == path]
    if not found:
        offered = ", ".join(dict.fromkeys(e.name for e in source.endpoints))
        raise BadFile(f"{where}: {source.provider} has no {path} {function}", hint=f"it has {offered}")
    symbols, what = call.get("symbols"), found[0].what
    if not isinstance(symbols, list) or not symbols or not all(isinstance(symbol, str) for symbol in symbols):
        raise BadFile(f"{where}: needs symbols", hint='write ["AAPL", "7203.T", "BTC/USD"]')
    # Nothing but bars has one.
    interval = call.get("interval") if what == "bars" else call.get("interval", "1m")
    if not isinstance(interval, str) or interval not in INTERVALS:
        raise BadFile(f"{where}: needs an interval", hint=f"one of {', '.join(INTERVALS)}")
    ask = Ask(what, tuple(dict.fromkeys(symbols)), interval, endpoint=found[0].name)
    _require_asked(source, ask, where)
    return ask


def _require_asked(source: Source, ask: Ask, where: str) -> None:
    """BadFile when a symbol cannot be had, or would be asked for by another call than the one named: at the start, not
    at night, and before it is paid for."""
    try:
        requests = source.requests(replace(ask, start=DAY, end=2 * DAY))
    except BadSetting as error:
        raise BadFile(f"{where}: {error}") from None
    for symbol in ask.symbols:
        made = [request.endpoint for request in requests if symbol in request.ask.symbols]
        if ask.endpoint not in made:
            of = f"{symbol} of {ask.interval}" if ask.what == "bars" else symbol
            raise BadFile(f"{where}: {ask.endpoint} is not for {of}", hint=f"{', '.join(made) or 'nothing'} is")
