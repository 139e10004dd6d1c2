"""Raises operational alerts about taking in: Kafka takes nothing, or a feed is dead while its market trades."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sparktrends.errors import Retryable, SparkTrendsError
from sparktrends.ingest.trouble import ALARMING, Trouble
from sparktrends.model import SECOND
from sparktrends.store.conditions import Condition, Conditions
from sparktrends.telemetry import Clock

_log = logging.getLogger(__name__)
WAITS, FEED = "ops.ingest_waits", "ops.feed"
_EVERY_S = 2.0
# Longer than the restart of a killed broker takes (4.3 s, measured).
_PATIENCE = 5 * SECOND
# Reconnects take seconds: an alert of each would teach people to look away.
_FEED_PATIENCE = 60 * SECOND
Found = Mapping[tuple[str, str], Condition]


def conditions_of(
    now: int, away_since: int | None, waiting: int, troubles: Iterable[Trouble]
) -> dict[tuple[str, str], Condition]:
    """What fires at ``now``, by rule and subject: ``away_since`` (µs) is since when Kafka takes nothing.

    >>> [c.title for c in conditions_of(9_000_000, 1, 1200, []).values()]
    ['Kafka takes nothing: 1,200 records wait on the disk of ingest']
    """
    found = {}
    if away_since is not None and now - away_since > _PATIENCE:
        title = f"Kafka takes nothing: {waiting:,} records wait on the disk of ingest"
        found[WAITS, "ingest"] = Condition(WAITS, "ingest", title, away_since, "critical")
    for trouble in troubles:
        if trouble.kind in ALARMING and now - trouble.since > _FEED_PATIENCE:
            values = {"symbols": list(trouble.symbols)}
            found[FEED, trouble.source] = Condition(FEED, trouble.source, trouble.words, trouble.since, values=values)
    return found


@dataclass(eq=False)
class Alarm:
    """Follows what ``look`` finds in a thread of its own: the database may be slow or away too.

    One alert from the beginning of a condition to its end; ``subjects`` (rule, subject) are all that this process may
    raise, so that what an earlier run left firing ends.
    """

    conditions: Callable[[], Conditions]
    clock: Clock
    look: Callable[[int], Found]
    subjects: Sequence[tuple[str, str]]
    channels: Sequence[str] = ("console",)
    _fires: dict[tuple[str, str], bool] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look, every two seconds."""
        self._thread = threading.Thread(target=self._run, name="alarm", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; what fires goes on firing until the next start finds that it is over."""
        self._over.set()
        if self._thread:
            self._thread.join(timeout=10.0)

    def _run(self) -> None:
        store = self.conditions()
        while not self._over.wait(_EVERY_S):
            try:
                self.step(store)
            # The next look tries again, and nothing of the way of the data waits for it.
            except Retryable as error:
                _log.info("an alert about taking in waits for the database: %s", error)
            # The database may take it later all the same: one that fails over is read-only for a while. A feed that
            # fires silences alerts of its symbols, so nobody may stop looking whether it is over.
            except SparkTrendsError as error:
                _log.warning("an alert about taking in cannot be written, and is tried again: %s", error)
        store.close()

    def step(self, store: Conditions) -> None:
        """Look once; raises errors of the database, and then the next look does what this one did not."""
        now = self.clock()
        found = self.look(now)
        for key in self.subjects:
            condition = found.get(key)
            if condition is not None and not self._fires.get(key):
                store.fire(condition, self.channels, now)
            # Not known counts too: an alert that an earlier run left firing must end.
            elif condition is None and self._fires.get(key) is not False:
                store.resolve(*key, now)
            self._fires[key] = condition is not None
