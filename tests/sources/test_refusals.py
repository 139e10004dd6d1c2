"""Whom a refusal is about: one rule, whether ingest asks or the daily run."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date

import pytest

from batch.world import Waits, fetcher, provider
from ingest.test_rest import rest_at
from loopback import http_server
from sparktrends.batch.plan import Call
from sparktrends.errors import AccessDenied
from sparktrends.model import DAY
from sparktrends.sources.base import Ask

LACKS = (403, {"error": "You don't have access to this resource."})
NO_KEY = (401, {"error": "Please use an API key."})
NO_CRUMB = (401, {"chart": {"result": None, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}}})
META = {"symbol": "X", "exchangeTimezoneName": "America/New_York", "gmtoffset": -14400}
BAR = {"open": [1], "high": [1], "low": [1], "close": [1], "volume": [1]}
GOOD = {
    "finnhub": {"s": "no_data"},
    "yahoo": {"chart": {"result": [{"meta": META, "timestamp": [1728000000], "indicators": {"quote": [BAR]}}]}},
}
Questions = Sequence[tuple[str, str]]


def by_ingest(name: str, url: str, questions: Questions) -> None:
    async def ask_all(pool: ThreadPoolExecutor) -> None:
        rest = rest_at(url, name, pool, key="key-of-test" if name == "finnhub" else "")
        for symbol, interval in questions:
            with suppress(AccessDenied):
                async for _ in rest.ask(Ask("bars", (symbol,), interval, DAY * 20_000, DAY * 20_001), 1):
                    pass

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(ask_all(pool))


def by_the_daily_run(name: str, url: str, questions: Questions) -> None:
    made = provider(name, url, key="key-of-test" if name == "finnhub" else "")
    endpoint = made.source.endpoint("bars").name
    calls = [Call(date(2026, 11, 20), f"{name}~sim", "bars", endpoint, i, (s,)) for s, i in questions]
    list(fetcher(Waits()).run([(made, calls)], {}))


@pytest.mark.parametrize("asking", [by_ingest, by_the_daily_run])
@pytest.mark.parametrize(
    ("name", "refusal", "refused", "questions", "asked"),
    [
        ("finnhub", LACKS, "ABC", ["A", "B", "C"], "AB"),
        ("finnhub", LACKS, "AC", ["A", "A 1d", "B", "C"], "ABC"),
        ("finnhub", LACKS, "BCD", ["A", "B", "C", "D"], "ABCD"),
        ("finnhub", LACKS, "ACD", ["A", "B", "C", "D", "E"], "ABCDE"),
        ("finnhub", NO_KEY, "ABC", ["A", "B", "C"], "A"),
        ("finnhub", NO_KEY, "BCD", ["A", "B", "C", "D"], "AB"),
        ("yahoo", NO_CRUMB, "ABC", ["A", "B", "C"], "AB"),
        ("yahoo", NO_CRUMB, "ACD", ["A", "B", "C", "D", "E"], "ABCDE"),
    ],
)
def test_who_is_still_asked_for_after_refusals(
    asking: Callable[[str, str, Questions], None],
    name: str,
    refusal: tuple[int, object],
    refused: str,
    questions: Sequence[str],
    asked: str,
) -> None:
    def symbol_in(path: str) -> str:
        return re.findall(r"(?:symbol=|chart/)(\w)\b", path)[0]

    def answer(path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        status, said = refusal if symbol_in(path) in refused else (200, GOOD[name])
        return status, {}, json.dumps(said).encode()

    with http_server(answer) as (url, paths):
        asking(name, url, [(question[0], question[2:] or "1m") for question in questions])
    assert "".join(dict.fromkeys(map(symbol_in, paths))) == asked
