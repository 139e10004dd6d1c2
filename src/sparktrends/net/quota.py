"""The quota planner: never more than a provider allows, over restarts too, and how long a lot of calls would take.

Windows roll: at most N units in *any* W seconds, which keeps within the provider's count wherever its own windows
begin. What a provider says (headers, a 429) overrules our count.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
from bisect import insort
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sparktrends.errors import LONGEST_BAN_S, BadSetting, DiskFull, RateLimited
from sparktrends.net.http import Limits
from sparktrends.telemetry import Clock

_SECOND = 1_000_000
_LONGEST_BAN = int(LONGEST_BAN_S * _SECOND)
# As long as a call may take: an answer says what was spent when it began, and is read at its end.
_IN_FLIGHT = int(Limits().total * _SECOND)
_log = logging.getLogger(__name__)


class Window(Protocol):
    """At most ``units`` in ``window`` seconds (`sources.base.Allowance` is one)."""

    @property
    def units(self) -> int: ...
    @property
    def window(self) -> int: ...


class Said(Protocol):
    """What a provider said of the window of that many seconds (`sources.base.Usage` is one)."""

    @property
    def window(self) -> int: ...
    @property
    def used(self) -> int | None: ...
    @property
    def limit(self) -> int | None: ...
    @property
    def blocked(self) -> float | None: ...


class Store(Protocol):
    """Where a planner's state outlives the process."""

    def load(self) -> Mapping[str, Any] | None:
        """The state last saved; None when there is none."""

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state, whole or not at all; DiskFull when it cannot be written."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the state against every other process for the block; DiskFull when it cannot be held."""


@dataclass(frozen=True)
class JsonFile:
    """A state in one JSON file, replaced by renaming: a kill at any moment leaves the old or the new one.

    Processes that change it after reading it do so in `exclusive`; a lock ends with its process.
    """

    path: Path

    def load(self) -> Mapping[str, Any] | None:
        """The state; None when there is no file, or (with a warning) when it cannot be read."""
        try:
            state = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError):
            state = None
        if not isinstance(state, dict):
            _log.warning("the state %s cannot be read: it begins anew", self.path.name)
            return None
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Write beside, then rename; DiskFull, and nothing beside, when it cannot be written."""
        # By process: two that write at once must not share a file before the rename.
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        text = json.dumps(state)
        with self._writing():
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                beside.write_text(text, "utf-8")
                beside.replace(self.path)
            except OSError:
                with suppress(OSError):
                    beside.unlink(missing_ok=True)
                raise

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Wait for the lock of the file beside; DiskFull when there cannot be one."""
        with self._writing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # A file of its own: the state itself is replaced, and a lock on it would be on a file that is gone.
            lock = self.path.with_suffix(".lock").open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DiskFull(f"{self.path} cannot be written ({error.strerror or error})") from error


class _Count:
    """One window: when units were spent (microseconds), and what the provider said."""

    def __init__(self, units: int, seconds: int) -> None:
        self.seconds = seconds
        self.declared = self.limit = units
        self.blocked_until = 0
        self.spent: deque[tuple[int, int]] = deque()
        # Requests travel: two that leave a window apart may arrive closer together.
        self.length = seconds * _SECOND + min(2 * _SECOND, seconds * _SECOND // 10)

    def forget(self, now: int) -> None:
        # The clock was set back: nothing was spent in the future, and such a time would hold the quota until then.
        if self.spent and self.spent[-1][0] > now:
            self.spent = deque((min(at, now), n) for at, n in self.spent)
        while self.spent and self.spent[0][0] <= now - self.length:
            self.spent.popleft()

    def wait(self, units: int, now: int) -> int:
        """Microseconds until ``units`` fit; does not change the count."""
        if units > self.limit:
            raise BadSetting(f"one request of {units} units never fits into {self.limit} per {self.seconds} s")
        self.forget(now)
        over = sum(n for _, n in self.spent) + units - self.limit
        ready = self.blocked_until
        for at, n in self.spent:
            if over <= 0:
                break
            over -= n
            ready = max(ready, at + self.length)
        return max(0, ready - now)

    def left(self, now: int) -> int:
        """Units that fit now."""
        self.forget(now)
        return 0 if now < self.blocked_until else max(0, self.limit - sum(n for _, n in self.spent))

    def observe(self, said: Said, now: int) -> None:
        self.forget(now)
        # A limit of 0 would make every request one that never fits.
        if said.limit is not None and said.limit > 0:
            self.limit = said.limit
        self.block(said.blocked or 0, now)
        if said.used is not None and said.used >= 0:
            # A refusal says when the provider counts anew, so nothing that it counted now holds for longer.
            self._correct(said.used, now, self.blocked_until - self.length if said.blocked else now)

    def block(self, seconds: float, now: int) -> None:
        """Let nothing go for so long. Never shortened: of two refusals the longer one holds."""
        if seconds > 0:
            self.blocked_until = max(self.blocked_until, now + min(_LONGEST_BAN, int(seconds * _SECOND)))

    def _correct(self, used: int, now: int, since: int) -> None:
        surplus = sum(n for _, n in self.spent) - used
        # Somebody else spends the same key; when is not known, so it counts from the latest that it can be.
        if surplus < 0:
            insort(self.spent, (min(since, now), -surplus))
        # What was spent in the last seconds may still be on its way: the provider has not counted it yet.
        while surplus > 0 and self.spent and self.spent[0][0] < now - _IN_FLIGHT:
            at, n = self.spent.popleft()
            if n > surplus:
                self.spent.appendleft((at, n - surplus))
            surplus -= n

    def state(self) -> dict[str, Any]:
        return {
            "declared": self.declared,
            "limit": self.limit,
            "blocked_until": self.blocked_until,
            "spent": list(self.spent),
        }

    def restore(self, state: Mapping[str, Any], now: int) -> bool:
        """Take over a stored state; whether times of it were corrected, because they had not come yet."""
        limit, blocked_until = int(state["limit"]), int(state["blocked_until"])
        # What the provider said of the limit holds until a person says otherwise.
        if state.get("declared") == self.declared:
            self.limit = limit
        # A clock that was set back must not lock us out for as long as it was wrong.
        self.blocked_until = min(blocked_until, now + _LONGEST_BAN)
        # Nothing was spent in the future: such a time would hold the quota until then.
        self.spent = deque((min(int(at), now), int(n)) for at, n in state["spent"])
        return self.blocked_until < blocked_until or any(int(at) > now for at, _ in state["spent"])


class Planner:
    """Spends the units of one key (or address) of one provider. Safe to use from several threads.

    With a ``store`` also from several processes: live sources and the daily run share one quota.

    >>> from types import SimpleNamespace
    >>> planner = Planner([SimpleNamespace(units=8, window=60)], clock=lambda: 0)
    >>> for _ in range(8):
    ...     planner.spend(1)
    >>> planner.wait(1)
    62.0
    """

    def __init__(self, windows: Iterable[Window], clock: Clock, store: Store | None = None) -> None:
        self._counts = [_Count(window.units, window.window) for window in windows]
        self._clock = clock
        self._store = store
        self._lock = threading.Lock()
        self._restore()

    def wait(self, units: int = 1) -> float:
        """Seconds until that many units may be spent; 0.0 now. BadSetting when they never may."""
        with self._lock:
            # What other processes have spent since. Times that were corrected are kept at once: corrected again at each
            # question they would move along with it. On a full disk they do, and nothing is spent.
            if self._restore():
                with suppress(DiskFull), self._alone():
                    self._save()
            return self._wait(units, self._clock()) / _SECOND

    def left(self) -> int:
        """Units that could be spent at once now, over all windows."""
        with self._lock:
            return min((count.left(self._clock()) for count in self._counts), default=0)

    def take(self, units: int = 1) -> float:
        """Count the units of a request about to be sent and return 0.0; else count nothing, and the seconds to wait.

        One question under the lock: between one that waits and one that spends another process may be quicker.
        The count is stored before the request goes out: a kill in between costs a call, never exceeds the quota. So
        DiskFull, and no request, when it cannot be stored.
        """
        with self._lock, self._alone():
            now = self._clock()
            wait = self._wait(units, now)
            if not wait:
                for count in self._counts:
                    count.spent.append((now, units))
            try:
                # Where nothing was spent, for the times that were corrected: see `wait`.
                self._save()
            except DiskFull:
                # No request goes out, so nothing was spent: without a file to read anew it would stay counted.
                for count in self._counts if not wait else ():
                    count.spent.pop()
                raise
            return wait / _SECOND

    def spend(self, units: int = 1) -> None:
        """As `take`; RateLimited with the wait when the request may not be sent yet."""
        if wait := self.take(units):
            raise RateLimited("the quota is spent for now", delay=wait)

    def observe(self, said: Iterable[Said]) -> None:
        """Take over what a provider's answer said."""
        with self._lock, self._alone():
            now = self._clock()
            known = {count.seconds: count for count in self._counts}
            heard = [*said]
            for what in heard:
                if what.window in known:
                    known[what.window].observe(what, now)
                # A limit that a person said there is none of: to be refused all the same is no reason to go on asking.
                elif known and what.blocked:
                    known[max(known)].block(what.blocked, now)
            if heard:
                self._save()

    def estimate(self, requests: Sequence[int]) -> float:
        """Seconds until the last of these requests (their units) could be sent, from where the quota stands now."""
        with self._lock:
            self._restore()
            start = now = self._clock()
            # Copies are spent, the quota itself is not.
            copies = [_copy(count, now) for count in self._counts]
        for units in requests:
            now += max((count.wait(units, now) for count in copies), default=0)
            for count in copies:
                count.spent.append((now, units))
        return (now - start) / _SECOND

    def _wait(self, units: int, now: int) -> int:
        return max((count.wait(units, now) for count in self._counts), default=0)

    def _save(self) -> None:
        if self._store:
            self._store.save({str(count.seconds): count.state() for count in self._counts})

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """What another process has spent meanwhile is known, and none spends within the block."""
        with self._store.exclusive() if self._store else nullcontext():
            self._restore()
            yield

    def _restore(self) -> bool:
        """Know what is stored; whether times of it were corrected."""
        state = self._store.load() if self._store else None
        corrected = False
        for count in self._counts:
            try:
                if state and str(count.seconds) in state:
                    corrected |= count.restore(state[str(count.seconds)], self._clock())
            except (KeyError, TypeError, ValueError):
                _log.warning("the stored quota of %s s cannot be read: counting starts anew", count.seconds)
        return corrected


def _copy(count: _Count, now: int) -> _Count:
    twin = _Count(count.limit, count.seconds)
    twin.restore(count.state(), now)
    return twin


def in_words(seconds: float) -> str:
    """A duration as people say it, rounded up to its largest unit.

    >>> in_words(0), in_words(130), in_words(90_000)
    ('no time', '3 minutes', '2 days')
    """
    for name, length in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds > length or (name == "second" and seconds > 0):
            count = -int(-seconds // length)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "no time"
