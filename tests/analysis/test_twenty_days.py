"""Law 4 at its full size: twenty simulated days of fifty symbols, live in random cuts and as one batch, to the bit.

Candlesticks, which no rule of minutes asks for, are cut in `test_patterns`.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from sparktrends.analysis.chain import Chain
from sparktrends.analysis.work import Floats, Ints, Stepped, Work
from sparktrends.detectors import Detectors
from sparktrends.indicators import Kernel
from sparktrends.model import DAY, MINUTE
from sparktrends.rules import Names, Rules
from sparktrends.rules.news import Stories, news_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SYMBOLS, DAYS = 50, 20
START = 1_732_147_200_000_000
RULES = """
[[rule]]
name = "shock"
when = 'signal("price_move") and volume_ratio > 1'
cooldown = "30m"
unless_market = true
[[rule]]
name = "overbought"
when = "rsi_14 > 75"
until = "rsi_14 < 55"
for = 3
cooldown = "1h"
[[rule]]
name = "spike_then_rise"
when = 'volume_ratio > 8'
then = [{ when = 'close > prev(close) and rsi_14 > 50', within = 10 }]
unless = [{ when = "news_1h > 0", before = "10m" }]
[[rule]]
name = "gloomy"
when = "news_24h >= 2 and sentiment_24h < -0.2 and crosses_below(close, sma_20)"
cooldown = "4h"
"""


@dataclass
class Made:
    """What was made of one series."""

    metrics: Any = field(default_factory=hashlib.sha256)
    signals: list[tuple[object, ...]] = field(default_factory=list)
    alerts: list[tuple[object, ...]] = field(default_factory=list)
    ends: list[tuple[str, int]] = field(default_factory=list)
    rules: set[str] = field(default_factory=set)

    def add(self, step: Stepped) -> None:
        self.metrics.update(step.metrics.tobytes())
        self.signals += [(one.id, one.score, one.severity, str(one.detail)) for one in step.signals]
        self.alerts += [(one.id, one.title, str(one.values)) for one in step.alerts]
        self.rules |= {one.rule for one in step.alerts}
        self.ends += [(end.id, end.at) for end in step.resolutions]

    def found(self) -> tuple[object, ...]:
        return self.metrics.hexdigest(), self.signals, self.alerts, self.ends


@dataclass
class Past:
    """The bars with trades of one symbol, and what was known of news before each."""

    key: tuple[str, str]
    starts: tuple[int, ...]
    rows: Floats
    news: Floats

    def work(self, first: int, end: int, state: Floats, last: int) -> Work:
        part = slice(first, end)
        return Work(self.key, state, last, self.starts[part], self.rows[part], 2**60, self.news[part])


def chain_of() -> Chain:
    kernel = Kernel()
    detectors = Detectors(kernel.columns)
    return Chain(kernel, detectors, Rules.parse(RULES, Names(kernel.columns, detectors.thresholds))).prepared()


def past() -> list[Past]:
    """Minutes of a market: fat tails, calm and wild hours, jumps, bursts of volume, minutes without a trade."""
    made = []
    for n in range(SYMBOLS):
        rng = np.random.default_rng([n, 11])
        count = DAYS * DAY // MINUTE
        mood = np.repeat(rng.lognormal(0, 0.5, DAYS * 24), 60)
        moves = 5e-4 * mood * rng.standard_t(4, count) + rng.choice([0.0, 0.02, -0.02], count, p=[0.999, 5e-4, 5e-4])
        close = 100 * np.exp(np.cumsum(moves))
        open_ = close * np.exp(1e-4 * rng.normal(size=count))
        high = np.maximum(open_, close) * np.exp(2e-4 * mood * rng.exponential(size=count))
        low = np.minimum(open_, close) * np.exp(-2e-4 * mood * rng.exponential(size=count))
        volume = rng.lognormal(3, 0.6, count) * rng.choice([1.0, 15.0], count, p=[0.999, 0.001])
        starts = START + np.arange(count, dtype=np.int64) * MINUTE
        columns = (open_, high, low, close, volume, volume * close, starts // DAY, np.zeros(count))
        traded = rng.random(count) > 0.02
        own = starts[traded]
        rows = np.column_stack(columns)[traded].astype(float)
        key = ("simulator~sim", f"S{n:02}/USD")
        made.append(Past(key, tuple(own.tolist()), rows, news_rows(own, stories(n))))
    return made


def stories(seed: int) -> Stories:
    rng = np.random.default_rng([seed, 5])
    known: Ints = START + np.sort(rng.integers(0, DAYS * DAY, 60))
    return Stories(known, known + rng.integers(1, 60, 60) * MINUTE, rng.uniform(-1, 1, 60))


def live(chain: Chain, series: list[Past], rng: random.Random) -> list[Made]:
    """Batches that end anywhere; symbols that lag behind; restarts: nothing is left but the stored bytes of a state."""
    made = [Made() for _ in series]
    stands: list[tuple[int, int, Floats]] = [(0, -1, chain.new()) for _ in series]
    until = START
    while until < START + DAYS * DAY:
        until += rng.choice((1, 1, 1, 2, 5, 16, 60, 400)) * MINUTE
        works, whose = [], []
        for n, one in enumerate(series):
            first, last, state = stands[n]
            end = int(np.searchsorted(one.starts, until))
            if end > first and (rng.random() > 0.1 or until >= START + DAYS * DAY):
                works.append(one.work(first, end, state, last))
                whose.append((n, end))
        for (n, end), step in zip(whose, chain.advance(works), strict=True):
            made[n].add(step)
            stands[n] = (end, step.starts[-1], step.state)
        if rng.random() < 0.03:
            chain = chain_of()
            stands = [(end, last, np.frombuffer(state.tobytes())) for end, last, state in stands]
    return made


def test_live_in_any_cut_is_the_batch() -> None:
    chain, series = chain_of(), past()
    assert sum(len(one.starts) for one in series) > 1_000_000
    once = [Made() for _ in series]
    for one, of in zip(series, once, strict=True):
        of.add(chain.advance([one.work(0, len(one.starts), chain.new(), -1)])[0])
    assert {rule for of in once for rule in of.rules} == {rule.name for rule in chain.rules.rules}
    assert sum(len(of.ends) for of in once) > 100
    for a, b in zip(live(chain, series, random.Random(4)), once, strict=True):
        assert a.found() == b.found()
