"""Alerts about our own operation, by the wall clock: lag, stale feeds, full disks, dead letters, services away, readers
that do not follow, poor data, daily work that is overdue (whoever should do it: Airflow, `up`, a person).

They take the road of all alerts, as rules named ``ops.<name>``, and fire once until resolved. One case is different:
while the database is away nothing can be stored, so people are told past the outbox. A service that refuses us (another
password, a certificate that is over) is away too: who tells people of it must not end of it.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sparktrends.alerts.backlog import Backlog, Offsets
from sparktrends.alerts.channels import Item, Message
from sparktrends.errors import AccessDenied, Retryable, SparkTrendsError
from sparktrends.model import DAY, MINUTE, SECOND
from sparktrends.store.conditions import Condition, Conditions
from sparktrends.store.followers import READ_FOR
from sparktrends.telemetry import Clock

_log = logging.getLogger(__name__)
_WATCHED = (
    *("ops.lag", "ops.stale_feed", "ops.disk", "ops.dead_letters", "ops.away", "ops.quality", "ops.daily"),
    "ops.readers",
)
_DAILY_EVERY = 5 * MINUTE
_CATCHES_UP = 10 * MINUTE
_POOR_NEWS = 2 * DAY
_POOR_FOR = 14 * DAY
"""No exchange rests for longer: a series of which no day was judged since then has been given up."""
Key = tuple[str, str]
Usage = Callable[[str], tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When an operational alert fires.

    ``stale_after_s``: how old the clock of a series may be, by source; sources that are not named are not watched.
    ``lag_s``: how long a record may wait to be stored. ``disk_free``: share of a disk that must stay free.
    ``away_s``: how long broker or database may fail to answer. ``quality``: the score that a series' newest judged
    day must have. A condition that fires ends at half the lag, or one and a half times the free share, so that it does
    not flap about its threshold.
    """

    stale_after_s: Mapping[str, float] = field(default_factory=dict)
    lag_s: float = 60.0
    disk_free: float = 0.05
    away_s: float = 30.0
    quality: float = 80.0
    every_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at beside the database: folders whose disks matter, and the ends of the log by topic and
    partition; what that call raises is why the broker cannot be used.
    """

    disks: Sequence[str] = ()
    ends: Callable[[], Offsets] = dict
    usage: Usage = shutil.disk_usage


class Monitor:
    """Finds conditions, raises what is new, ends what is over. ``broadcast`` sends past the outbox
    (`Dispatcher.broadcast`); ``channels`` are the names of the channels that are told."""

    def __init__(
        self,
        conditions: Conditions,
        clock: Clock,
        channels: Sequence[str],
        broadcast: Callable[[Message, Sequence[str]], list[str]],
        thresholds: Thresholds | None = None,
        watched: Watched | None = None,
    ) -> None:
        self._conditions = conditions
        self._clock = clock
        self._channels = list(channels)
        self._thresholds = thresholds or Thresholds()
        self._watched = watched or Watched()
        self._away_since: int | None = None
        self._backlog = Backlog()
        self._overdue: tuple[int, list[str]] | None = None
        self._behind_since: dict[Key, int] = {}
        self._outage = Outage(broadcast, channels, self._thresholds.away_s)

    def run(self, stop: threading.Event) -> None:
        """Look every few seconds until stopped; raises Terminal errors of the store, but for AccessDenied."""
        while not stop.is_set():
            self.step()
            stop.wait(self._thresholds.every_s)
        self._conditions.close()

    def step(self) -> None:
        """Look once."""
        now = self._clock()
        try:
            firing = self._conditions.firing()
            if over := self._outage.answered(now):
                # For the record, and to no channel: people were told past the outbox.
                self._conditions.fire(over, (), over.since)
                self._conditions.resolve(over.rule, over.subject, now)
            self._reconcile({(c.rule, c.subject): c for c in self._look(now, firing)}, firing, now)
        except (Retryable, AccessDenied) as error:
            _log.warning("the database is away: %s", error)
            self._outage.silent(now, error)

    def _reconcile(self, found: Mapping[Key, Condition], firing: set[Key], now: int) -> None:
        for key, condition in found.items():
            if key not in firing:
                self._conditions.fire(condition, self._channels, now)
        for rule, subject in firing - found.keys():
            # Others raise conditions too (a failed batch job); those are theirs to end.
            if rule in _WATCHED:
                self._conditions.resolve(rule, subject, now)

    def _look(self, now: int, firing: set[Key]) -> Iterator[Condition]:
        yield from self._stale(now)
        yield from self._broker(now, firing)
        yield from self._full(now, firing)
        yield from self._poor(now, firing)
        yield from self._late_work(now)
        yield from self._behind(now)
        for channel, number in self._conditions.dead_letters(now - DAY):
            title = f"{number} alerts of the last day were given up on channel {channel}"
            yield Condition("ops.dead_letters", channel, title, now, values={"alerts": number})

    def _stale(self, now: int) -> Iterator[Condition]:
        limits = {s: now - int(age * SECOND) for s, age in self._thresholds.stale_after_s.items()}
        for source, symbol, clock in self._conditions.stale_series(limits):
            title = f"{symbol}: nothing from {source} for {(now - clock) // SECOND} s"
            values = {"age_s": (now - clock) // SECOND, "allowed_s": self._thresholds.stale_after_s[source]}
            yield Condition(
                "ops.stale_feed", f"{source} {symbol}", title, clock, source=source, symbol=symbol, values=values
            )

    def _broker(self, now: int, firing: set[Key]) -> Iterator[Condition]:
        """What it says of records that wait, or why it says nothing."""
        # In this order: what is stored meanwhile then looks like waiting for a moment, and not like a lost log.
        stored = self._conditions.next_offsets()
        try:
            ends = self._watched.ends()
        except SparkTrendsError as error:
            # Nobody knows: what waited before still does.
            yield from (Condition(rule, topic, "", now) for rule, topic in firing if rule == "ops.lag")
            yield from self._away(error, now, firing)
        else:
            self._away_since = None
            yield from self._lag(self._backlog.look(stored, ends, now), now, firing)

    def _lag(self, waits: Mapping[str, int], now: int, firing: set[Key]) -> Iterator[Condition]:
        for topic, waited in waits.items():
            limit = self._thresholds.lag_s * (0.5 if ("ops.lag", topic) in firing else 1.0)
            if waited > limit * SECOND:
                title = f"{topic}: records have waited for {waited // SECOND} s and are not stored"
                values = {"lag_s": waited / SECOND, "allowed_s": self._thresholds.lag_s}
                yield Condition("ops.lag", topic, title, now, values=values)

    def _away(self, error: SparkTrendsError, now: int, firing: set[Key]) -> Iterator[Condition]:
        if self._away_since is None:
            self._away_since = now
            _log.warning("the broker is away: %s", error)
        if ("ops.away", "broker") in firing or now - self._away_since >= self._thresholds.away_s * SECOND:
            title = f"broker {_state(error)}: {error}"
            yield Condition("ops.away", "broker", title, self._away_since, "critical")

    def _full(self, now: int, firing: set[Key]) -> Iterator[Condition]:
        for folder in self._watched.disks:
            fires = ("ops.disk", folder) in firing
            try:
                total, _, free = self._watched.usage(folder)
            except OSError:
                # No such folder yet, or a disk that is away. Nobody knows: what was full before still is.
                if fires:
                    yield Condition("ops.disk", folder, "", now)
                continue
            if free < self._thresholds.disk_free * (1.5 if fires else 1.0) * total:
                title = f"{folder}: {free / 2**30:.1f} GiB free of {total / 2**30:.1f}"
                values = {"free_share": free / total, "needed_share": self._thresholds.disk_free}
                yield Condition("ops.disk", folder, title, now, "critical", values=values)

    def _poor(self, now: int, firing: set[Key]) -> Iterator[Condition]:
        for day in self._conditions.poor_quality(self._thresholds.quality, now - _POOR_FOR):
            subject = f"{day.source} {day.symbol}"
            # No news any more, unless people were told: that no later day was judged makes the data no better.
            if day.judged <= now - _POOR_NEWS and ("ops.quality", subject) not in firing:
                continue
            worst = max(day.points, key=day.points.__getitem__).replace("_", " ")
            title = f"{day.symbol}: the data of {day.source} score {day.score:.1f} of 100, mostly for {worst}"
            where = {"source": day.source, "symbol": day.symbol}
            values = {"score": day.score, **day.points}
            # Since it was judged, not since the day began: a day that is judged again, and poor again, is told again.
            yield Condition("ops.quality", subject, title, day.judged, values=values, **where)

    def _late_work(self, now: int) -> Iterator[Condition]:
        # Asked less often than the rest: it looks through all payloads and stories.
        if self._overdue is None or now - self._overdue[0] >= _DAILY_EVERY:
            self._overdue = now, self._conditions.daily_work(now).problems
        since, problems = self._overdue
        if problems:
            yield Condition("ops.daily", "daily work", "; ".join(problems), since)

    def _behind(self, now: int) -> Iterator[Condition]:
        found = {(one.reader, one.shard): one for one in self._conditions.readers_away(now - READ_FOR)}
        # After a night with everything stopped each of them is behind for a moment.
        self._behind_since = {key: self._behind_since.get(key, now) for key in found}
        for key, reader in found.items():
            if now - self._behind_since[key] >= _CATCHES_UP:
                title = f"{reader.words(now)}: start it again, or see docs/howto/monitoring.md"
                yield Condition("ops.readers", " ".join(key), title, reader.since, values={"commits": reader.commits})


class Outage:
    """The database is away: tell every channel once, past the outbox, and tell it again when that is over."""

    def __init__(
        self, broadcast: Callable[[Message, Sequence[str]], list[str]], channels: Sequence[str], away_s: float
    ) -> None:
        self._broadcast = broadcast
        self._channels = list(channels)
        self._away_s = away_s
        self._since: int | None = None
        self._title = ""
        self._untold = list(channels)

    def silent(self, now: int, error: SparkTrendsError) -> None:
        """It did not answer, or let nobody in; channels that could not be told are tried again each time."""
        self._since = now if self._since is None else self._since
        self._title = f"the database {_state(error)}: nothing new is stored, the log keeps it until then ({error})"
        if now - self._since >= self._away_s * SECOND and self._untold:
            self._untold = self._broadcast(self._message(self._since, "alert"), self._untold)

    def answered(self, now: int) -> Condition | None:
        """It answered; the outage that is over, if people were told of one."""
        since, told = self._since, [name for name in self._channels if name not in self._untold]
        self._since, self._untold = None, list(self._channels)
        if since is None or not told:
            return None
        self._broadcast(self._message(since, "resolution"), told)
        return self._outage(since, {"away_s": (now - since) / SECOND})

    def _message(self, since: int, kind: str) -> Message:
        alert = self._outage(since, {}).alert(())
        return Message(
            (Item(alert.id, kind, alert.rule, "", alert.symbol, "", alert.start, alert.severity, alert.title),)
        )

    def _outage(self, since: int, values: Mapping[str, float]) -> Condition:
        return Condition("ops.away", "database", self._title, since, "critical", values=values)


def _state(error: SparkTrendsError) -> str:
    return "does not answer" if isinstance(error, Retryable) else "cannot be used"
