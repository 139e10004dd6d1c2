"""A backlog of news: payloads to stories to scores, by Spark, in a database of its own."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from sparktrends import spark
from sparktrends.batch import flatten, score
from sparktrends.bus.connection import Connection
from sparktrends.bus.producer import Producer
from sparktrends.errors import IntegrityError
from sparktrends.ops import java
from sparktrends.ops.bench.lab import NOWHERE, Lab, lab
from sparktrends.ops.cluster import enter_spark
from sparktrends.ops.settings import Settings
from sparktrends.store import payloads
from sparktrends.store.payloads import PayloadRow
from sparktrends.store.session import Session

_STORIES = 50
_BATCH = 200
_SUBJECTS = ("Apple", "Microsoft", "Nvidia", "Tesla", "Amazon", "JPMorgan", "Alphabet")
_VERBS = (
    "beats estimates",
    "misses forecasts",
    "raises its outlook",
    "cuts guidance",
    "faces a lawsuit",
    "buys a rival",
)
_REASONS = ("on strong demand", "amid weak sales", "after record profit", "as costs rise", "despite a probe")


def run(settings: Settings, news: int, now: int) -> dict[str, Any]:
    """The figures for so many stories, 50 a payload, all different."""
    enter_spark(settings, java.find(settings.env, settings.cache))
    with lab(settings, external=NOWHERE) as found, closing(Session(found.dsn, "bench", 600)) as session:
        _fill(session, news, now)
        sparks = spark.session("bench news", spark.Settings(settings.spark_master, (), found.home.scratch / "spark"))
        try:
            return {"news": news, **_measure(found, session, sparks, news)}
        finally:
            sparks.stop()


def _measure(found: Lab, session: Session, sparks: Any, news: int) -> dict[str, Any]:
    begin = time.perf_counter()
    read = flatten.flatten(session, Producer(Connection(found.kafka.bootstrap)), flatten.by_spark(sparks))
    between = time.perf_counter()
    scored = score.score_news(session, score.by_spark(sparks))
    end = time.perf_counter()
    if not read.news == scored == news:
        raise IntegrityError(f"of {news} stories {read.news} were read and {scored} scored")
    return {
        "flatten_s": round(between - begin, 1),
        "score_s": round(end - between, 1),
        "news_per_s": round(news / (end - begin)),
    }


def _fill(session: Session, news: int, now: int) -> None:
    rows: list[PayloadRow] = []
    for row in _rows(news, now):
        rows.append(row)
        if len(rows) == _BATCH:
            _insert(session, rows)
            rows = []
    _insert(session, rows)


def _insert(session: Session, rows: list[PayloadRow]) -> None:
    with session.transaction() as cursor:
        payloads.insert(cursor, rows)


def _rows(news: int, now: int) -> Iterator[PayloadRow]:
    rng = random.Random(7)
    for number, first in enumerate(range(0, news, _STORIES)):
        stories = [_story(rng, n, now) for n in range(first, min(first + _STORIES, news))]
        request = {"what": "news", "symbols": ["AAPL"], "interval": "1m"}
        document = json.dumps({"request": request, "payload": stories})
        yield PayloadRow("finnhub~sim", "company-news", now, document, "bench", 0, number)


def _story(rng: random.Random, number: int, now: int) -> dict[str, Any]:
    words = f"{rng.choice(_SUBJECTS)} {rng.choice(_VERBS)} {rng.choice(_REASONS)}, says note {number}"
    told = {"id": number, "datetime": now // 1_000_000 - number, "headline": words, "summary": words * 2}
    return {**told, "url": f"https://wire.example/{number}", "source": "Wire", "image": "", "related": "AAPL"}
