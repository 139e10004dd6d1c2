"""Good frames among mutated ones: each good record is published once, and nothing that came is passed over in silence.

What is not a trade, a bar or a word of the connection lies in quarantine with a reason.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conformance.test_sources import STREAMING, frames_of, mutated
from ingest.rig import Log
from ingest.test_live import living
from librdkafka_broker import Broker
from sparktrends.bus.codec import decode
from sparktrends.errors import AccessDenied, BadRecord, Retryable, SparkTrendsError
from sparktrends.model import Trade
from sparktrends.ops.bench.ingest import FRAMES
from sparktrends.sources import make_source
from sparktrends.sources.base import Reject

pytestmark = pytest.mark.anyio
RECEIVED = 1_732_147_200_200_000
SYMBOLS = {"binance": ["BTC/USDT"], "finnhub": ["AAPL"], "twelve_data": ["AAPL"], "yahoo": ["AAPL"]}
BAD_PER_GOOD = 4


def stirred(provider: str, count: int, seed: int) -> Iterator[tuple[bytes, bool]]:
    """``count`` mutated frames (False), and after every fourth a good one (True), these in the order of their time."""
    rng, make = random.Random(seed), FRAMES[provider][0]
    recorded = frames_of(provider)
    # Behind whatever a mutated frame may look like.
    good = iter(range(10 * count, 20 * count))
    yield make(next(good)), True
    for i in range(1, count + 1):
        broken = mutated(rng.choice([*recorded, make(i).decode()]), rng)
        yield broken if isinstance(broken, bytes) else broken.encode("utf-8", "surrogatepass"), False
        if not i % BAD_PER_GOOD:
            yield make(next(good)), True


@dataclass
class Wanted:
    """What another parser, with the same memory, makes of the same frames."""

    provider: str
    outcomes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    good: list[tuple[str, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source = make_source(self.provider, suffix="~sim")
        self.memory = self.source.memory(SYMBOLS[self.provider])

    def take(self, frame: bytes, good: bool) -> None:
        try:
            events = self.source.parse(frame, RECEIVED, self.memory)
        except SparkTrendsError as error:
            assert not good
            self.outcomes[type(error).__name__] += 1
            self.refused.update([error.reason] if isinstance(error, BadRecord) else [])
            return
        self.outcomes.update(type(e).__name__ for e in events)
        self.refused.update(e.reason for e in events if isinstance(e, Reject))
        self.good += [(e.id, e.ts, str(e.price)) for e in events if good and isinstance(e, Trade)]


async def survive(broker: Broker, folder: Path, provider: str, count: int) -> Counter[str]:
    """Take all of it in, and compare what is in the log with what each frame should have become."""
    wanted, log = Wanted(provider), Log(broker.connection.bootstrap)
    async with living(broker, folder, provider, SYMBOLS[provider]) as live:
        for number, (frame, good) in enumerate(stirred(provider, count, seed=11)):
            wanted.take(frame, good)
            with suppress(Retryable, AccessDenied):  # such a frame ends the connection, which is the link's business
                live.frame(frame, RECEIVED)
            if not number % 64:
                live.outlet.tend()
        if live.source.ids:
            while ready := live.seam.give_up(SYMBOLS[provider][0], RECEIVED):
                for trade in ready:
                    live.publisher.publish(trade)
    found = Counter(
        (r.get("id", ""), r["ts"], r["price"]) for r in map(decode, log.values("raw.trades")) if "price" in r
    )
    reasons = Counter(decode(value)["reason"] for value in log.values("ops.quarantine"))
    log.close()
    assert len(wanted.good) > count // BAD_PER_GOOD
    assert [record for record in wanted.good if not found[record]] == []
    assert [record for record in wanted.good if record[0] and found[record] > 1] == []
    assert reasons == wanted.refused
    return wanted.outcomes


@pytest.mark.parametrize("provider", STREAMING)
async def test_good_records_among_mutated_frames_are_all_kept(broker: Broker, tmp_path: Path, provider: str) -> None:
    outcomes = await survive(broker, tmp_path, provider, 2_000)
    assert outcomes["BadRecord"] > 500


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("provider", STREAMING)
async def test_a_hundred_thousand(broker: Broker, tmp_path: Path, provider: str) -> None:
    outcomes = await survive(broker, tmp_path, provider, 100_000)
    assert outcomes["BadRecord"] > 20_000
