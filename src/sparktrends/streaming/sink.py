"""What Spark calls with each micro-batch: fold it, then commit it, patiently, exactly once."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sparktrends import telemetry
from sparktrends.bars import FoldResult, Limits
from sparktrends.commit import Cache, Committed, Laws, commit_batch
from sparktrends.errors import Retryable, Unavailable
from sparktrends.model import SECOND, OffsetRange, is_replayed
from sparktrends.store.writer import Writer
from sparktrends.streaming.fold import DRIVER_RECORDS, fold_dataframe

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = logging.getLogger(__name__)

RECORDS = telemetry.counter("stream_records", "Records of the log that were committed, by what they were", ["kind"])
BARS = telemetry.counter("stream_bars", "Minutes that were written, each as often as it changed")
LAG = telemetry.histogram(
    "event_to_bar_seconds", "From the newest arrival of a live series to the commit of its bar; the longest of a batch"
)
BATCHES = telemetry.histogram("stream_batch_seconds", "Duration of the parts of a micro-batch", ["part"])
WAITING = telemetry.gauge("stream_waiting", "1 while the store does not answer and a batch waits")
_KINDS = ("trades", "prices", "heartbeats", "bars", "late", "quarantined")
# Capped low: the end of an outage is found by asking, and every second of it is a second of delay.
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 5.0

Fold = Callable[["DataFrame", int, Limits], FoldResult]


@dataclass(slots=True)
class OffsetLog:
    """Spark's own offset log of the query: the only place that says which records a batch holds."""

    folder: Path
    topic_ids: Mapping[str, str]
    next_offsets: dict[tuple[str, int], int]

    def ranges(self, batch_id: int) -> list[OffsetRange]:
        """The records of a batch: from where the last one ended to what Spark planned.

        Raises Unavailable when the scratch checkpoint was taken away: the query has to begin again.
        """
        try:
            text = (self.folder / "offsets" / str(batch_id)).read_text()
        except OSError as error:
            gone = f"Spark's offset log is gone ({error.strerror})"
            raise Unavailable(gone, hint="the stream starts anew from the ledger") from error
        # Version of the format, then metadata of the batch, then the end offsets of its one source.
        planned: dict[str, dict[str, int]] = json.loads(text.splitlines()[2])
        return [
            OffsetRange(topic, int(partition), self.topic_ids[topic], self._next(topic, int(partition), end), end)
            for topic, partitions in sorted(planned.items())
            for partition, end in sorted(partitions.items(), key=lambda item: int(item[0]))
        ]

    def _next(self, topic: str, partition: int, end: int) -> int:
        return self.next_offsets.get((topic, partition), end)

    def advance(self, ranges: Sequence[OffsetRange]) -> None:
        """Remember where the next batch begins."""
        self.next_offsets.update({(r.topic, r.partition): r.end for r in ranges})


@dataclass(slots=True)
class Sink:
    """The function given to ``foreachBatch``. A batch ends committed, or the query ends with an error.

    Of a backlog one batch is committed while the next one is folded: one thread commits them in order, and the ledger
    refuses whatever does not begin where it stands. What Spark believes to have done is scratch, so it may be ahead.
    A small batch is waited for: two at once would share one interpreter, and a trade would wait for both. Call
    `settle` after the last batch. ``renew`` is asked before each commit and may answer with other rules. While
    PostgreSQL is away the batch waits and says so, until ``wait`` answers that the process is to end.
    """

    writer: Writer
    offsets: OffsetLog
    laws: Laws
    clock: telemetry.Clock
    wait: Callable[[float], bool]
    on_commit: Callable[[Committed], None] = lambda _: None
    fold: Fold = fold_dataframe
    renew: Callable[[Laws], Laws] = lambda laws: laws
    cache: Cache | None = None
    small: int = DRIVER_RECORDS
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "commit"))
    _under_way: Future[None] | None = None

    def __call__(self, frame: DataFrame, batch_id: int) -> None:
        """Fold one micro-batch and hand it to be committed; raises what the batch before it met."""
        ranges = self.offsets.ranges(batch_id)
        records = sum(r.end - r.start for r in ranges)
        if records == 0:
            return
        with _named(batch_id, ranges), BATCHES.labels("fold").time():
            result = self.fold(frame, records, self.laws.limits)
        # Raises what the batch before met, before anything moves past it.
        self.settle()
        self.offsets.advance(ranges)
        self._under_way = self._thread.submit(self._store, batch_id, ranges, result)
        if records <= self.small:
            self.settle()

    @property
    def failed(self) -> bool:
        """Whether a batch could not be committed; `settle` raises why."""
        # Read once: Spark's thread takes it away in `settle` while another one asks here.
        under_way = self._under_way
        return under_way is not None and under_way.done() and under_way.exception() is not None

    def settle(self) -> None:
        """Return when the last batch is committed; raises what kept it from that, once."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def close(self) -> None:
        """Let the thread go; what is under way comes to its end first."""
        self._thread.shutdown()

    def _store(self, batch_id: int, ranges: Sequence[OffsetRange], result: FoldResult) -> None:
        with _named(batch_id, ranges):
            with BATCHES.labels("commit").time():
                committed = self._commit_patiently(ranges, result)
            if committed is not None:
                self._count(committed, result)
                self.on_commit(committed)

    def _count(self, committed: Committed, result: FoldResult) -> None:
        for counts in result.counts:
            for kind in _KINDS:
                RECORDS.labels(kind).inc(getattr(counts, kind))
        BARS.inc(committed.bars)
        # The clock of a recording is that of its day: how late it is says nothing.
        if clocks := [mark.clock for mark in result.marks if not is_replayed(mark.source)]:
            LAG.observe((self.clock() - min(clocks)) / SECOND)

    def _commit_patiently(self, ranges: Sequence[OffsetRange], result: FoldResult) -> Committed | None:
        delay = _FIRST_WAIT_S
        while True:
            try:
                committed = self._commit(ranges, result)
                WAITING.set(0)
                return committed
            except Retryable as error:
                WAITING.set(1)
                log.warning("the store does not take the batch, next try in %.1f s: %s", delay, error)
                # The process is to end: what is not committed will be read again from the ledger.
                if self.wait(delay):
                    raise
                delay = min(delay * 2, _LONGEST_WAIT_S)

    def _commit(self, ranges: Sequence[OffsetRange], result: FoldResult) -> Committed | None:
        laws = self.renew(self.laws)
        if laws is not self.laws:
            # Where each series stands is read anew: what is at hand has the memory of the rules from before.
            self.laws, self.cache = laws, None
        cache = self.cache = self.cache if self.cache is not None else Cache()
        try:
            with self.writer.transaction() as tx:
                return commit_batch(tx, ranges, result, self.laws, cache, self.clock())
        except BaseException:
            # What the cache learnt in a transaction that failed never happened.
            self.cache = None
            raise


def _named(batch_id: int, ranges: Sequence[OffsetRange]) -> AbstractContextManager[None]:
    """Lines about a batch say which records it holds; a line for each batch would be a hundred megabytes a day."""
    held = ", ".join(f"{r.topic}/{r.partition} [{r.start}, {r.end})" for r in ranges if r.end > r.start)
    return telemetry.correlated(f"batch-{batch_id}", held)
