"""The ingest process for live sources: one loop that runs every source, one way out, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparktrends.bus.kafka import Connection, Producer, Reader
from sparktrends.bus.topics import RAW_TRADES
from sparktrends.errors import SparkTrendsError
from sparktrends.ingest.alarm import FEED, WAITS, Alarm, Found, conditions_of
from sparktrends.ingest.dedupe import Door, Known, Numbers, last_seen, number_of, recall, settle
from sparktrends.ingest.kept import Kept
from sparktrends.ingest.link import CONNECTS, Surroundings
from sparktrends.ingest.live import Live
from sparktrends.ingest.outlet import Outlet
from sparktrends.ingest.publish import Publisher
from sparktrends.ingest.rest import Rest
from sparktrends.ingest.spool import MOST_BYTES, Spool
from sparktrends.ingest.trouble import Trouble
from sparktrends.ingest.unawaited import Unawaited
from sparktrends.ingest.wanted import Wanted
from sparktrends.model import DAY
from sparktrends.net import AddressGuard, Backoff, Http, JsonFile, Limits, Planner, Secret
from sparktrends.sessions import calendar
from sparktrends.sources.base import Allowance, Source
from sparktrends.sources.recording import LastSeen, Series
from sparktrends.sources.symbols import exchange_of
from sparktrends.store.conditions import Conditions
from sparktrends.telemetry import Clock, gauge

_log = logging.getLogger(__name__)
_LEFT = gauge("quota_left", "units of its quota that a source could spend at once", ["source"])
# How long a delivery report, or a record of the spool, waits for its turn.
_TICK_S = 0.01
_LOOK_S = 1.0
_REPORT_S = 1.0
# What a kill can leave open, wherever it lies: as many as may be with Kafka (`MOST_PENDING`), and what was fetched and
# not yet noted as paid. Holes of before were found by the start after them, and are owed since.
_RECALL = 30_000
# About four seconds of reading: without a bound a symbol that was never published had the whole log read at each start.
_SEARCH = 2_000_000
TROUBLES = "troubles.json"
"""The file in ``run`` that says what keeps sources from taking in, renewed every second."""


@dataclass(frozen=True, slots=True)
class Feeder:
    """One source to run, with the symbols of the command line and the key its provider wants."""

    source: Source
    symbols: tuple[str, ...]
    key: Secret | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Where records go and where state is kept: ``run`` is a folder that outlives the process.

    ``hosts`` are hosts that may be called although their address is not public (the sandbox's); ``database`` is the
    connection string of whoever may raise alerts, empty for none; ``channels`` are told of them.
    """

    kafka: Connection
    run: Path
    feeders: Sequence[Feeder]
    hosts: tuple[str, ...] = ()
    database: str = field(default="", repr=False)
    channels: Sequence[str] = ("console",)
    spool_bytes: int = MOST_BYTES


@dataclass(frozen=True, slots=True)
class _Past:
    """What earlier runs published: where each series ended, and which ids the end of the log holds.

    ``spooled`` is when (µs) the first record of a series came that they left on disk.
    """

    ends: Mapping[Series, LastSeen]
    numbers: Numbers
    spooled: Mapping[Series, int]

    def known(self, source: Source, symbols: Sequence[str], now: int) -> Mapping[str, Known]:
        """Which trades the log holds of a source that counts them, and which of the last day are missing."""
        if not source.ids:
            return {}
        return {symbol: self._known((source.name, symbol), now) for symbol in symbols}

    def _known(self, series: Series, now: int) -> Known:
        known = self.numbers.of(series, now - DAY)
        last = self.ends.get(series)
        # Of a symbol that is hardly traded the last trade may lie before the tail.
        deeper = number_of(last.id) if last and not known.ids else None
        return known if deeper is None else Known([deeper], deeper)


class Ingest:
    """Runs live sources until told to stop. ``told`` hears a sentence when something begins or ends."""

    def __init__(
        self, config: Config, clock: Clock, rng: random.Random, told: Callable[[str], None] = lambda _: None
    ) -> None:
        self._config = config
        self._clock = clock
        self._rng = rng
        self._told = told
        self._guard = AddressGuard(config.hosts)
        self._http = Http(clock, self._guard, Limits(connect=5.0, read=8.0, total=15.0))
        self._kept: list[Kept] = []
        self._told_file = self._keep(TROUBLES)
        self._wanted = Wanted(config.run / "symbols.json")
        self._troubles: Sequence[Trouble] = ()
        self.lives: list[Live] = []

    def run(self, stop: threading.Event) -> dict[str, int]:
        """Take in until ``stop``; what was published, by source. Raises what no waiting mends."""
        spool = Spool(self._config.run / "ingest.spool", self._clock, self._config.spool_bytes)
        outlet = Outlet(Producer(self._config.kafka, patience_s=5.0), spool, self._clock)
        publisher = Publisher(outlet, Door())
        # Before any source starts: the door must know what earlier runs published.
        past = self._recall(publisher, outlet)
        alarm = self._alarm(outlet)
        # A call may hang for its whole time limit: nobody waits for an answer that nobody will use.
        executor = Unawaited()
        # Around the end of everything else: a runner's own waits for threads, and until then records that Kafka did not
        # take are in memory only.
        with asyncio.Runner() as runner:
            try:
                self.lives = [self._live(feeder, outlet, publisher, past, executor) for feeder in self._config.feeders]
                runner.run(self._main(outlet, publisher, stop))
            finally:
                publisher.report()
                outlet.close()
                self._save_again()
                if alarm:
                    alarm.stop()
                self._http.close()
        return dict(publisher.published)

    def _keep(self, name: str) -> Kept:
        kept = Kept(JsonFile(self._config.run / name))
        self._kept.append(kept)
        return kept

    def _save_again(self) -> None:
        for kept in self._kept:
            kept.again()

    def _recall(self, publisher: Publisher, outlet: Outlet) -> _Past:
        """What earlier runs published: their ids, where each series ended, and what they left on disk."""
        began = time.monotonic()
        series = {(f.source.name, symbol) for f in self._config.feeders for symbol in self._symbols(f)}
        with Reader(self._config.kafka) as reader:
            settle(reader, RAW_TRADES)
            assert publisher.door is not None
            numbers = Numbers({f.source.name for f in self._config.feeders if f.source.ids})
            now = self._clock()
            recalled = recall(publisher.door, reader, RAW_TRADES, _RECALL, series, numbers.add, now)
            unnumbered = {f.source.name for f in self._config.feeders if not f.source.ids}
            seen = last_seen(
                reader, RAW_TRADES, series, deepest=_SEARCH, unnumbered=unnumbered, recalled=recalled, now=now
            )
        spooled: dict[Series, int] = {}

        def note(row: Mapping[str, Any]) -> None:
            numbers.add(row)
            if isinstance(row.get("received"), int):
                spooled.setdefault((str(row.get("source")), str(row.get("symbol"))), row["received"])

        left = outlet.recover(publisher.door, note)
        self._told(f"{recalled.learnt:,} ids known, {left:,} records on disk ({time.monotonic() - began:.1f} s)")
        return _Past(seen.series, numbers, spooled)

    def _symbols(self, feeder: Feeder) -> list[str]:
        return list(dict.fromkeys([*feeder.symbols, *self._wanted.of(feeder.source)]))

    def _alarm(self, outlet: Outlet) -> Alarm | None:
        dsn = self._config.database
        if not dsn:
            return None

        def look(now: int) -> Found:
            return conditions_of(now, outlet.away_since, outlet.waiting, self._troubles)

        subjects = [(WAITS, "ingest"), *((FEED, feeder.source.name) for feeder in self._config.feeders)]
        alarm = Alarm(lambda: Conditions(dsn, "ingest"), self._clock, look, subjects, self._config.channels)
        alarm.start()
        return alarm

    def _live(self, feeder: Feeder, outlet: Outlet, publisher: Publisher, past: _Past, executor: Executor) -> Live:
        source, key = feeder.source, feeder.key
        # A quota belongs to a key or an address: another key begins with a whole one, and its name in a file betrays
        # nothing.
        who = key.fingerprint() if key else "ip"
        planner = Planner(
            source.allowances, self._clock, JsonFile(self._config.run / f"quota-{source.name}-{who}.json")
        )
        backoff = Backoff(self._rng, time.sleep)
        rest = Rest(source, self._http, planner, backoff, executor, self._clock, key)
        # Sockets are counted as calls are: so many in any minute.
        gate = Planner([Allowance(CONNECTS, 60)], self._clock)
        around = Surroundings(self._clock, self._guard, backoff, gate, key)
        debts, bars = (self._keep(f"{what}-{source.name}.json") for what in ("gaps", "bars"))
        known = past.known(source, self._symbols(feeder), self._clock())
        return Live(source, rest, outlet, publisher, around, past.ends, known, past.spooled, debts, bars)

    async def _main(self, outlet: Outlet, publisher: Publisher, stop: threading.Event) -> None:
        work = asyncio.create_task(self._work())
        # Not by our clock: one that is set back would silence the reports for as long.
        reported = time.monotonic()
        try:
            while not stop.is_set() and not work.done():
                outlet.tend()
                if time.monotonic() - reported > _REPORT_S:
                    self._report()
                    publisher.report()
                    self._save_again()
                    reported = time.monotonic()
                await asyncio.sleep(_TICK_S)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        if not work.cancelled() and (error := work.exception()) is not None:
            raise _innermost(error)

    def _report(self) -> None:
        for live in self.lives:
            _LEFT.labels(live.source.name).set(live.rest.planner.left())
        # Replaced, never changed: the alarm reads it in another thread.
        self._troubles = [trouble for live in self.lives for trouble in live.troubles()]
        told = {"at": self._clock(), "troubles": [trouble.to_json() for trouble in self._troubles]}
        self._told_file.save(told)

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            for feeder, live in zip(self._config.feeders, self.lives, strict=True):
                symbols = self._symbols(feeder)
                await _know_hours(symbols)
                live.start(group, symbols)
                self._told(f"{live.source.name}: {', '.join(live.feeds)}")
            group.create_task(self._follow())

    async def _follow(self) -> None:
        """Take in what `symbols add` wanted while we run."""
        seen: dict[str, set[str]] = {live.source.name: set() for live in self.lives}
        while True:
            await asyncio.sleep(_LOOK_S)
            for live in self.lives:
                try:
                    await self._take_added(live, seen[live.source.name])
                except SparkTrendsError as error:
                    _log.warning("%s: %s", live.source.name, error)

    async def _take_added(self, live: Live, seen: set[str]) -> None:
        # What was refused the file still names a second later.
        fresh = [s for s in self._wanted.of(live.source) if s not in live.feeds and s not in seen]
        seen.update(fresh)
        await _know_hours(fresh)
        live.take(fresh)
        if taken := [symbol for symbol in fresh if symbol in live.feeds]:
            self._told(f"{live.source.name}: {', '.join(taken)} as well")


async def _know_hours(symbols: Iterable[str]) -> None:
    for exchange in {exchange_of(symbol) for symbol in symbols}:
        # In a thread: computing a calendar takes seconds, and other sources already run.
        await asyncio.to_thread(calendar, exchange)


def _innermost(error: BaseException) -> BaseException:
    """The first error of a group of tasks: the others were ended because of it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
