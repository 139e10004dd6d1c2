"""The flatten job: Spark reads payloads to typed values, one transaction a chunk stores them.

Bars and prices go to the log, where everything that ends in a bar comes from, so that stream, audit and replay see
them; only bars that say something new are sent. They are sent before the transaction: a kill in between sends some
twice, which changes nothing, and loses none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sparktrends.batch import stories
from sparktrends.batch.reading import FLATTENED, Reading, read_payload
from sparktrends.bus.codec import encode
from sparktrends.bus.producer import Producer
from sparktrends.model import Company, CorporateAction, ProviderBar, Trade
from sparktrends.store import flattened, known_news, payloads
from sparktrends.store.flattened import ReadingRow, StoryRow
from sparktrends.store.payloads import StoredPayload
from sparktrends.store.session import Session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CHUNK, _CHUNK_BYTES = 2000, 64 * 2**20

Read = Callable[[Sequence[StoredPayload]], Iterable[Reading]]
"""Payloads to readings: by Spark, or (in tests and where there is little) one after the other."""


@dataclass(slots=True)
class Flattened:
    """What a run read: payloads by outcome, records by kind; ``sent`` bars and prices were new to the log."""

    outcomes: dict[str, int] = field(default_factory=dict)
    news: int = 0
    companies: int = 0
    actions: int = 0
    bars: int = 0
    prices: int = 0
    rejects: int = 0
    sent: int = 0

    @property
    def payloads(self) -> int:
        """How many payloads were read."""
        return sum(self.outcomes.values())

    @property
    def errors(self) -> int:
        """How many of them were no data."""
        return self.payloads - self.outcomes.get(FLATTENED, 0)

    def add(self, reading: Reading) -> None:
        """Count one more."""
        self.outcomes[reading.outcome] = self.outcomes.get(reading.outcome, 0) + 1
        self.news += len(reading.news)
        self.companies += len(reading.companies)
        self.actions += len(reading.actions)
        self.bars += len(reading.bars)
        self.prices += len(reading.prices)
        self.rejects += len(reading.rejects)


def by_spark(session: SparkSession) -> Read:
    """Readings made by Spark's workers, on this machine or a cluster."""
    from sparktrends.spark import working  # here: a worker that imports this module needs no session

    def read(rows: Sequence[StoredPayload]) -> Iterable[Reading]:
        parts = min(len(rows), 4 * session.sparkContext.defaultParallelism)
        with working():
            return session.sparkContext.parallelize(rows, parts).map(read_payload).collect()

    return read


def flatten(
    session: Session, producer: Producer, read: Read, told: Callable[[Flattened], None] = lambda _: None
) -> Flattened:
    """Read every payload that waits; ``told`` hears the running total after each chunk."""
    total = Flattened()
    while True:
        with session.transaction() as cursor:
            rows = payloads.next_waiting(cursor, _CHUNK, _CHUNK_BYTES)
        if not rows:
            with session.transaction() as cursor:
                known_news.publish(cursor)
            return total
        readings = list(read(rows))
        total.sent += _send(session, producer, readings)
        _store(session, readings)
        for reading in readings:
            total.add(reading)
        told(total)


def _send(session: Session, producer: Producer, readings: Sequence[Reading]) -> int:
    # A bar that still moves is no day yet. Of several answers the newest says what holds.
    closed = {
        (bar.source, bar.symbol, bar.interval, bar.start, bar.adjustment): bar
        for bar in sorted((b for r in readings for b in r.bars if b.closed), key=lambda b: b.received or 0)
    }
    with session.transaction() as cursor:
        fresh = flattened.new_bars(cursor, list(closed.values()))
    prices = {(p.source, p.symbol, p.ts): p for r in readings for p in r.prices}
    events: list[ProviderBar | Trade] = [*sorted(fresh, key=lambda bar: bar.start), *prices.values()]
    for event in events:
        # History by the time it is read: never late, and nobody is woken by an alert about it.
        producer.send(*encode(replace(event, fill=True)))
    producer.flush()
    return len(fresh) + len(prices)


def _store(session: Session, readings: Sequence[Reading]) -> None:
    found = stories.merge((r.payload, item) for r in readings for item in r.news)
    # Of several answers about one day the last one holds: the order of payloads is the order of answers.
    companies: dict[tuple[object, ...], tuple[int, Company]] = {
        (c.source, c.symbol, c.day): (r.payload, c) for r in readings for c in r.companies
    }
    actions: dict[tuple[object, ...], tuple[int, CorporateAction]] = {
        (a.source, a.symbol, a.day, a.kind): (r.payload, a) for r in readings for a in r.actions
    }
    with session.transaction() as cursor:
        flattened.save_stories(cursor, [_story_row(story) for story in found])
        flattened.save_companies(cursor, list(companies.values()))
        flattened.save_actions(cursor, list(actions.values()))
        flattened.save_readings(cursor, [_reading_row(reading) for reading in readings])


def _story_row(story: stories.Story) -> StoryRow:
    item = story.item
    return StoryRow(
        item.source,
        item.id,
        item.published_at.isoformat(),
        item.headline,
        story.headline_key,
        item.summary,
        item.url,
        item.publisher,
        item.provider_score,
        item.provider_label,
        story.payload,
        story.ids,
        story.mentions,
    )


def _reading_row(r: Reading) -> ReadingRow:
    counts = (len(r.news), len(r.bars), len(r.prices), len(r.companies), len(r.actions))
    rejects = [(reject.reason, reject.payload) for reject in r.rejects]
    return ReadingRow(r.payload, r.outcome, *counts, rejects, r.unknown, r.missing)
