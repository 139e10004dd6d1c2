"""The streaming process: opens the ledger, keeps the query alive, and stops it between two batches."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sparktrends import telemetry
from sparktrends.bars import Limits
from sparktrends.bus.admin import Admin
from sparktrends.bus.connection import Connection
from sparktrends.bus.reader import Reader
from sparktrends.bus.topics import RAW_BARS, RAW_TRADES
from sparktrends.commit import Analysis, Committed, Laws
from sparktrends.commit.lost_end import without_other_records
from sparktrends.errors import BadSetting, Fenced, IntegrityError, LogGap, SparkTrendsError, Terminal
from sparktrends.store.analysis_rows import TEMPORARY_METRICS
from sparktrends.store.ledger import PartitionLog, open_ledger, standings
from sparktrends.store.limits import Times, agree
from sparktrends.store.writer import Writer
from sparktrends.streaming.query import start_query
from sparktrends.streaming.sink import OffsetLog, Sink

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

    from sparktrends.spark import Executors

log = logging.getLogger(__name__)

RESTARTS = telemetry.counter("stream_restarts", "Times the query had to begin anew from the ledger")
# One query for both: their offsets advance in the same transaction.
_TOPICS = (RAW_BARS, RAW_TRADES)
_LONGEST_WAIT_S = 10.0
# How long a partition that is added may wait: producers find it within half a minute.
_LOOK_S = 10.0
# How long the end waits for a batch before it asks whether anybody works on it.
_CANCEL_S = 2.0


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """What one streaming process needs to know. ``shard`` is ``k/n``: it takes every n-th partition from the k-th."""

    kafka: Connection
    database: str = field(repr=False)
    scratch: Path
    limits: Limits = field(default_factory=Limits)
    shard: str = "1/1"
    accept_gap: bool = False
    # Bounds the memory of a batch and what a kill costs to fold again.
    max_records: int = 1_000_000
    trigger_ms: int = 50


def share_of(shard: str) -> tuple[int, int]:
    """``k/n`` as numbers; raises BadSetting for what is none: such a stream would fold nothing, and say nothing.

    >>> share_of("2/8")
    (2, 8)
    """
    part, _, parts = shard.partition("/")
    if not (shard.isascii() and part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise BadSetting(f"--shard {shard} is no share", hint="write K/N with K from 1 to N, such as 2/8")
    # The lock and the ledger go by the words: 01/2 would be another shard of the same partitions.
    if shard != f"{int(part)}/{int(parts)}":
        raise BadSetting(f"--shard {shard}", hint=f"write {int(part)}/{int(parts)}")
    return int(part), int(parts)


def shared(partitions: Iterable[int], shard: str) -> list[int]:
    """Those of a topic's partitions that a shard reads.

    >>> shared(range(5), "1/2")
    [0, 2, 4]
    """
    part, parts = share_of(shard)
    # Shards do not know each other: whose a partition is follows from numbers alone.
    return [partition for partition in partitions if partition % parts == part - 1]


def added(admin: Admin, shard: str, read: Collection[tuple[str, int]]) -> list[str]:
    """What of a shard's partitions is not among those that are read, in words; nothing while nobody answers."""
    try:
        found = [(topic, part) for topic in _TOPICS for part in shared(admin.partitions(topic), shard)]
    except SparkTrendsError:
        return []
    return [f"{topic}[{part}]" for topic, part in found if (topic, part) not in read]


def partition_logs(admin: Admin, shard: str) -> list[PartitionLog]:
    """What the broker holds of the partitions that a shard reads; raises BadSetting when there is none for it."""
    logs: list[PartitionLog] = []
    for topic in _TOPICS:
        topic_id = str(admin.topic_id(topic))
        marks = admin.watermarks(topic)
        logs += [PartitionLog(topic, part, topic_id, *marks[part]) for part in shared(sorted(marks), shard)]
    if not logs:
        hint = "start fewer streams, or `sparktrends topics --apply --partitions N`: raw.trades needs one for each"
        raise BadSetting(f"shard {shard} has no partition to read", hint=hint)
    return logs


class Stream:
    """Runs until ``stopping`` is set (then ends after the batch under way), or until no new start can help."""

    def __init__(
        self,
        config: StreamConfig,
        session: SparkSession,
        stopping: threading.Event,
        analyses: Callable[[], tuple[Analysis, ...]],
        clock: telemetry.Clock = telemetry.system_clock,
        on_commit: Callable[[Committed], None] = lambda _: None,
        executors: Executors | None = None,
    ) -> None:
        self._config = config
        self._session = session
        self._analyses = analyses
        self._clock = clock
        self._on_commit = on_commit
        self._executors = executors
        self._stopping = stopping
        self._between_batches = threading.Lock()
        self._ending = False
        self._failure: BaseException | None = None
        # Of this start: what is lost while it runs is said again.
        self._accept_gap = config.accept_gap

    def run(self) -> None:
        """Fold the log until stopped. Raises Fenced, LogGap and other Terminal errors; waits out the rest.

        Raises Unavailable when no executor is left and none comes: a new process is an application of its own.
        """
        # What was imported stays for ever: the collector need not go through it in the middle of a batch.
        gc.collect()
        gc.freeze()
        delay = 0.2
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._run_query()
            except SparkTrendsError as error:
                # No new start mends what is fenced, trimmed or refused: a person has to decide.
                if isinstance(error, Terminal):
                    raise
                log.warning("the stream starts anew from the ledger: %s", error)
            if self._stopping.is_set():
                return
            if self._executors:
                self._executors.require()
            RESTARTS.inc()
            # A query that ran for a while failed by accident: no reason to wait long.
            delay = 0.2 if time.monotonic() - began > 60 else min(delay * 2, _LONGEST_WAIT_S)
            self._stopping.wait(delay)

    def _run_query(self) -> None:
        config = self._config
        logs = partition_logs(Admin(config.kafka), config.shard)
        places = [(item.topic, item.partition) for item in logs]
        writer = Writer(config.database, config.shard, [TEMPORARY_METRICS], places)
        try:
            # The lock comes before the ledger is read: what another writer commits until then must be seen.
            with writer.transaction():
                pass
            asked = config.limits
            agree(config.database, Times(asked.grace, asked.settle, asked.future), begins=True)
            with Reader(config.kafka) as reader:
                logs = without_other_records(logs, standings(config.database), reader)
            start = open_ledger(config.database, config.shard, logs, accept_gap=self._accept_gap)
            self._accept_gap = False
            topic_ids = {item.topic: item.topic_id for item in logs}
            offsets = OffsetLog(config.scratch / "checkpoint", topic_ids, dict(start))
            limits = config.limits.shared_by(len(start))
            laws = Laws(limits, self._analyses())
            sink = Sink(writer, offsets, laws, self._clock, self._stopping.wait, self._on_commit, renew=self._renew)
            try:
                self._watch(sink, start)
            finally:
                sink.close()
        finally:
            writer.close()

    def _renew(self, laws: Laws) -> Laws:
        analyses = self._analyses()
        return laws if analyses is laws.analyses else Laws(laws.limits, analyses)

    def _watch(self, sink: Sink, start: dict[tuple[str, int], int]) -> None:
        # Before the query starts: its first batch may fail before `start_query` returns.
        self._failure, self._ending = None, False
        query = start_query(
            self._session,
            self._config.kafka.java_options(),
            start,
            sink.offsets.folder,
            self._guarded(sink),
            max_records=self._config.max_records,
            trigger_ms=self._config.trigger_ms,
        )
        admin, looked = Admin(self._config.kafka, timeout_s=2.0), time.monotonic()
        while query.isActive and not self._stopping.is_set() and not sink.failed:
            # Asked, not awaited: `awaitTermination` hears neither `stopping` nor a commit that failed in its thread.
            self._stopping.wait(0.2)
            if time.monotonic() - looked < _LOOK_S:
                continue
            looked = time.monotonic()
            if self._executors and self._executors.deserted():
                break
            # The query reads what it was told at its start, and no other partition.
            if new := added(admin, self._config.shard, start):
                log.warning("there are new partitions, the stream begins anew with them: %s", ", ".join(new))
                break
        self._end(query, sink)

    def _guarded(self, sink: Sink) -> Callable[[DataFrame, int], None]:
        """The sink, made safe to stop: a query that is stopped inside a batch ends in a StackOverflowError."""

        def process(frame: DataFrame, batch_id: int) -> None:
            with self._between_batches:
                if self._ending or self._stopping.is_set():
                    return  # what Spark then believes of this batch is scratch; the ledger has not moved
                try:
                    sink(frame, batch_id)
                except BaseException as error:
                    self._failure = error
                    raise

        return process

    def _end(self, query: StreamingQuery, sink: Sink) -> None:
        failed = None if query.isActive else query.exception()
        if query.isActive:
            # Whoever holds the lock is a batch: once it is taken none is under way, and from here on none begins, also
            # where a commit failed and nobody asked to stop.
            self._ending = True
            while not self._between_batches.acquire(timeout=_CANCEL_S):
                # One that nobody works on has no end of its own; the ledger has not moved.
                if self._executors and not self._executors.there():
                    self._session.sparkContext.cancelAllJobs()
            self._between_batches.release()
            query.stop()
        try:
            # After the query: the last commit may still be under way, and its error says more than Spark's.
            sink.settle()
        except SparkTrendsError as error:
            self._failure = self._failure or error
        if isinstance(self._failure, Fenced | LogGap | IntegrityError | Terminal):
            raise self._failure
        if ended := self._failure or failed:
            log.warning("the Spark query ended: %s", _first_line(ended))


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
