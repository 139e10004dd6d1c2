"""What `up` runs beside the stream: payloads and refused records stored as they come, markets judged minute by minute,
and the daily work once a day."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta

from sparktrends.batch.load import Loader
from sparktrends.batch.market import MarketStep
from sparktrends.batch.plan import day_of
from sparktrends.batch.refused import RefusedLoader
from sparktrends.batch.schedule import Tried, due
from sparktrends.bus.reader import Reader
from sparktrends.bus.topics import QUARANTINE, RAW_PAYLOADS
from sparktrends.errors import Fenced, Retryable, Terminal
from sparktrends.ingest.kept import Kept
from sparktrends.model import SECOND
from sparktrends.net import JsonFile
from sparktrends.ops.endpoints import Endpoints
from sparktrends.ops.home import Home
from sparktrends.ops.supervise import tied
from sparktrends.store.session import Session
from sparktrends.telemetry import Clock

_log = logging.getLogger(__name__)
LOADERS = {RAW_PAYLOADS: Loader, QUARANTINE: RefusedLoader}
_LOOK_S = 2.0
_STATEMENT_S = 60.0
_WEEK = 7
SETTLE_S = 60.0
"""A stack that has just begun is left alone for so long: Spark would take the cores from the live stream's start."""


@dataclass
class Follower:
    """Loads, and runs retention and (with ``arguments``) ``batch daily`` in processes of their own, so that Spark and
    memory go when they are done, and nothing here waits for them.

    ``arguments`` are those of ``batch daily`` beside the date; None means that nobody is asked. After each commit it
    judges the minutes that changed across all symbols: ``channels`` hear of a market that moves as one.
    """

    where: Endpoints
    home: Home
    clock: Clock
    stopping: threading.Event
    arguments: Sequence[str] | None = None
    channels: Sequence[str] = ("console",)
    _ends: dict[str, dict[int, int]] = field(default_factory=dict)
    _child: subprocess.Popen[bytes] | None = None
    _retention: subprocess.Popen[bytes] | None = None
    _day: date | None = None
    _tried: Kept = field(init=False)
    _retained: Kept = field(init=False)

    def __post_init__(self) -> None:
        """Whoever follows outlives a full disk: what was begun is known here until it can be written down."""
        self._tried, self._retained = (
            Kept(JsonFile(self.home.run / f"{name}.json")) for name in ("daily", "retention")
        )

    def run(self) -> None:
        """Until stopped."""
        ready = self.clock() + int(SETTLE_S * SECOND)
        with (
            Reader(self.where.kafka) as reader,
            closing(Session(self.where.owner_dsn, "market", _STATEMENT_S)) as session,
        ):
            market = MarketStep(session, self.clock, self.channels)
            while not self.stopping.wait(_LOOK_S):
                # First: alerts of single symbols wait for it, half a minute at most (decision 0102).
                self._judge(market)
                self._load(reader)
                self._retain()
                if self.arguments is not None and self.clock() > ready:
                    self._tend(self.arguments)
        for child in (self._child, self._retention):
            if child is not None and child.poll() is None:
                child.terminate()
                child.wait()

    def _judge(self, market: MarketStep) -> None:
        """Judge what was committed since the last time. The database may be away for a while."""
        try:
            market.run()
        except Retryable as error:
            _log.info("the market is judged later: %s", error)

    def _retain(self) -> None:
        """Archive what is over its limit, a week after the first start or the last time."""
        self._retained.again()
        if self._retention is not None:
            if self._retention.poll() is None:
                return
            if self._retention.returncode != 0:
                _log.error("old months stay where they are: batch retention ended with %s", self._retention.returncode)
                # Tomorrow, and not in a week: a restore that ran just then is over by then.
                self._retained.save({"day": (day_of(self.clock()) - timedelta(days=_WEEK - 1)).isoformat()})
            self._retention = None
        today = day_of(self.clock())
        before = date.fromisoformat((self._retained.load() or {}).get("day", "0001-01-01"))
        # A day that has not come was written down by a clock that was ahead.
        if 0 <= (today - before).days < _WEEK:
            return
        # Before it is done: what kills us is not done again at every look.
        self._retained.save({"day": today.isoformat()})
        if before != date.min:
            self._retention = self._start("retention")

    def _tend(self, arguments: Sequence[str]) -> None:
        """Write down how a run ended; begin one that is due."""
        self._tried.again()
        if self._child is None:
            self._day = due(self.clock(), Tried.read(self._tried.load()))
            if self._day:
                _log.info("the daily work of %s begins", self._day)
                self._child = self._start("daily", "--date", self._day.isoformat(), *arguments)
        elif self._day and self._child.poll() is not None:
            complete = self._child.returncode == 0
            self._tried.save(Tried(self._day, self.clock(), complete).state())
            _log.info("the daily work of %s %s", self._day, "is done" if complete else "is not complete")
            self._child = None

    def _load(self, reader: Reader) -> None:
        """Load what is new. Broker and database may be away for a while, and a person may be loading by hand."""
        for topic, kind in LOADERS.items():
            ends: dict[int, int] = {}
            try:
                ends = {p: reader.watermarks(topic, p)[1] for p in reader.partitions(topic)}
                if ends == self._ends.get(topic):
                    continue
                with kind(self.where.kafka, self.where.owner_dsn) as loader:
                    loader.run()
            except (Retryable, Fenced) as error:
                _log.info("%s is loaded later: %s", topic, error)
                continue
            except Terminal as error:
                # Said once for each new record: only a person can mend it.
                _log.error("%s cannot be loaded: %s", topic, error)
            self._ends[topic] = ends

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        """``sparktrends batch …`` over the same home."""
        command = [sys.executable, "-m", "sparktrends.ops.cli", "--home", str(self.home.path), "batch", *words]
        return subprocess.Popen(tied(command), stdin=subprocess.DEVNULL)
