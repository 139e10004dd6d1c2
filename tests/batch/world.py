"""What tests of the daily run share: a log that is a list, providers that say what a test wants, stored payloads."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from sparktrends.batch.fetch import Fetcher, Provider
from sparktrends.bus.producer import Producer
from sparktrends.net import AddressGuard, Backoff, Http, Planner, Secret
from sparktrends.sources import make_source
from sparktrends.sources.base import Allowance
from sparktrends.store import payloads
from sparktrends.store.payloads import PayloadRow
from sparktrends.telemetry import system_clock

NOW = 1_795_248_000_000_000  # 2026-11-21 08:00 UTC


class Log(Producer):
    """A producer whose log is a list."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str, bytes]] = []

    def send(self, topic: str, key: str, value: bytes) -> None:
        self.records.append((topic, key, value))

    def flush(self, deadline_s: float = 30.0) -> None:
        """Everything is acknowledged at once."""

    def values(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(value) for name, _, value in self.records if name == topic]


@dataclass
class Waits:
    """A sleep that takes no time and is remembered."""

    slept: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def fetcher(waits: Waits) -> Fetcher:
    # A provider that refuses for "the rest of the day" does so in the morning, whenever the test runs.
    http = Http(lambda: NOW, AddressGuard(["127.0.0.1"]))
    return Fetcher(http, Backoff(random.Random(2), waits, base=0.01, cap=0.02), waits)


def provider(name: str, url: str, *, key: str = "", units: int = 1000, window: int = 1) -> Provider:
    source = make_source(name, rest=url, suffix="~sim")
    return Provider(source, Planner([Allowance(units, window)], system_clock), Secret(key) if key else None)


def store_payloads(dsn: str, *found: tuple[str, Mapping[str, Any], Any]) -> None:
    """Put (source, request, payload) into the table as the load job does."""
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(log_offset) + 1, 0) FROM raw.payloads")
        (base,) = cursor.fetchone() or (0,)
        rows = [
            PayloadRow(source, "call", NOW, json.dumps({"request": request, "payload": payload}), "t", 0, base + n)
            for n, (source, request, payload) in enumerate(found)
        ]
        assert payloads.insert(cursor, rows) == []


def ask_rows(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def finnhub_story(id_: int, headline: str, at: int = NOW // 1_000_000, **more: Any) -> dict[str, Any]:
    told = {"id": id_, "datetime": at, "headline": headline, "summary": "s", "url": f"https://w.example/{headline}"}
    return {**told, "source": "Wire", "image": "", **more}


def news_request(symbol: str) -> dict[str, Any]:
    return {"what": "news", "symbols": [symbol], "interval": "1m", "start": 0, "end": 0}
