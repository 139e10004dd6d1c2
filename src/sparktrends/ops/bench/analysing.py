"""The analysis of one micro-batch in which many series changed, inside its real transaction."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from sparktrends.analysis.chain import Chain
from sparktrends.analysis.work import Floats, Peeked, SeriesKey, Stepped, Work
from sparktrends.bars import FoldResult, Limits
from sparktrends.commit import Analysis, Cache, Laws, commit_batch
from sparktrends.commit.analysis import Analysed
from sparktrends.commit.plan import Changed
from sparktrends.detectors import Detectors
from sparktrends.indicators import Kernel
from sparktrends.model import MINUTE, PRICE_SCALE, SECOND, PartialBar, SeriesMark
from sparktrends.ops.bench.lab import NOWHERE, lab
from sparktrends.ops.settings import Settings
from sparktrends.rules import Names, Rules
from sparktrends.store.analysis_rows import TEMPORARY_METRICS
from sparktrends.store.writer import Transaction, Writer

SOURCE = "bench~sim"
START = 1_732_147_200_000_000


@dataclass(slots=True)
class Spent:
    """Milliseconds of the current batch."""

    pure: float = 0.0
    step: float = 0.0
    total: float = 0.0

    @contextmanager
    def adding(self, part: str) -> Iterator[None]:
        """Add the time of the block to a part."""
        begin = time.perf_counter()
        yield
        setattr(self, part, getattr(self, part) + (time.perf_counter() - begin) * 1e3)


class TimedChain(Chain):
    """The default chain, its pure steps timed."""

    spent: Spent

    def advance(self, works: Sequence[Work]) -> list[Stepped]:
        """Timed."""
        with self.spent.adding("pure"):
            return super().advance(works)

    def peek(self, keys: Sequence[SeriesKey], starts: Sequence[int], states: Floats, rows: Floats) -> Peeked:
        """Timed."""
        with self.spent.adding("pure"):
            return super().peek(keys, starts, states, rows)


class TimedAnalysis(Analysis):
    """The analysis, timed with its SQL."""

    spent: Spent

    def run(self, tx: Transaction, changes: Sequence[Changed], cache: Cache, now: int) -> Analysed:
        """Timed."""
        with self.spent.adding("step"):
            return super().run(tx, changes, cache, now)


@dataclass(slots=True)
class Bench:
    """Batches of one trade per symbol: every ``per_minute``-th of them ends a minute of every symbol."""

    writer: Writer
    analysis: TimedAnalysis
    symbols: int
    per_minute: int = 3
    cache: Cache = field(default_factory=Cache)

    def batch(self, number: int) -> Spent:
        """Commit one; what it took."""
        spent = self.analysis.spent = Spent()
        self.analysis._chain.spent = spent  # type: ignore[attr-defined]
        minute, part = divmod(number, self.per_minute)
        ts = START + minute * MINUTE + part * (MINUTE // self.per_minute) + 20 * SECOND
        result = batch_of(self.symbols, ts, number)
        with spent.adding("total"), self.writer.transaction() as tx:
            commit_batch(tx, [], result, Laws(Limits(), (self.analysis,)), self.cache, ts)
        return spent


def run(settings: Settings, symbols: int, minutes: int) -> dict[str, Any]:
    """Medians over batches of two kinds: forming bars only, and those that end a minute of every symbol.

    ``…_pure_ms`` is kernel, detectors and rules; ``…_step_ms`` adds plan, rows and SQL; ``…_batch_ms`` is the whole
    transaction with its bars.
    """
    with lab(settings, NOWHERE) as place:
        writer = Writer(place.dsn, "1/1", [TEMPORARY_METRICS])
        try:
            bench = Bench(writer, timed_analysis(), symbols)
            # As the stream does when it starts.
            gc.collect()
            gc.freeze()
            spans = [bench.batch(number) for number in range(minutes * bench.per_minute)]
        finally:
            gc.unfreeze()
            writer.close()
    # The first minute makes series, states and partitions, and the second loads what was compiled.
    steady = list(enumerate(spans))[2 * bench.per_minute :]
    closing = [spent for number, spent in steady if number % bench.per_minute == 0]
    forming = [spent for number, spent in steady if number % bench.per_minute]
    return {"symbols": symbols, **_medians("forming", forming), **_medians("closing", closing), "batches": len(steady)}


def timed_analysis() -> TimedAnalysis:
    """The default analysis with clocks in it."""
    kernel = Kernel()
    detectors = Detectors(kernel.columns)
    chain = TimedChain(kernel, detectors, Rules.default(Names(kernel.columns, detectors.thresholds)))
    chain.spent = Spent()
    analysis = TimedAnalysis(chain, Limits())
    analysis.spent = chain.spent
    return analysis


def batch_of(symbols: int, ts: int, number: int) -> FoldResult:
    """One trade of every symbol at ``ts``, folded."""
    bars, marks = [], []
    for index in range(symbols):
        name = f"SYM{index:05d}"
        price = (100 + index % 50) * PRICE_SCALE + (number * 7919 + index * 31) % 1009 * PRICE_SCALE // 1000
        size = (1 + (index + number) % 17) * PRICE_SCALE // 10
        place = (ts, index % 4, number)
        start = ts - ts % MINUTE
        bars.append(
            PartialBar(SOURCE, name, start, price, place, price, price, price, place, size, price * size, 1, 0, 0)
        )
        marks.append(SeriesMark(SOURCE, name, ts))
    return FoldResult(tuple(bars), tuple(marks))


def _medians(kind: str, spans: Sequence[Spent]) -> dict[str, float]:
    return {
        f"{kind}_pure_ms": round(median(spent.pure for spent in spans), 1),
        f"{kind}_step_ms": round(median(spent.step for spent in spans), 1),
        f"{kind}_batch_ms": round(median(spent.total for spent in spans), 1),
    }
