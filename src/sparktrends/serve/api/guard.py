"""Who may ask, for what, and how often. One process serves the API, so its counts are the whole truth."""

from __future__ import annotations

import hmac
import ipaddress
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from flask import Request

from sparktrends.errors import Retryable
from sparktrends.model import SECOND
from sparktrends.serve.api.config import ApiConfig, is_loopback
from sparktrends.serve.api.problems import Problem
from sparktrends.store.api_keys import ApiKey, digest, usable_keys
from sparktrends.store.sessions import Sessions
from sparktrends.telemetry import Clock

_KEYS_FOR = 5 * SECOND
# Bounded: addresses are free for whoever wants to fill a memory.
_CALLERS = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may ask: the name of the key, or ``local`` on this machine."""

    name: str
    scopes: tuple[str, ...]


LOCAL = Caller("local", ("read", "admin"))


@dataclass(slots=True)
class Buckets:
    """A token bucket for each caller: ``rate`` a second, ``burst`` at once. The longest unseen are forgotten."""

    rate: float
    burst: float
    clock: Clock
    _left: OrderedDict[str, tuple[float, int]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, who: str) -> float:
        """Take one; 0.0 when there was one, else the seconds until there will be."""
        now = self.clock()
        with self._lock:
            left, seen = self._left.pop(who, (self.burst, now))
            left = min(self.burst, left + max(0, now - seen) / SECOND * self.rate)
            taken = left >= 1.0
            self._left[who] = (left - 1.0 if taken else left, now)
            if len(self._left) > _CALLERS:
                self._left.popitem(last=False)
        return 0.0 if taken else (1.0 - left) / self.rate


class Keys:
    """The usable keys, read anew every five seconds; while the database is away those read last hold."""

    def __init__(self, owner: Sessions, clock: Clock) -> None:
        self._owner = owner
        self._clock = clock
        self._known: list[ApiKey] = []
        self._read_at: int | None = None

    def find(self, key: str) -> ApiKey | None:
        """The usable key with this text; raises Retryable before the first reading succeeded."""
        hashed = digest(key)
        # All are compared, each in constant time: how long it takes says nothing about any of them.
        matching = [known for known in self._current() if hmac.compare_digest(known.digest, hashed)]
        return matching[0] if matching else None

    def _current(self) -> list[ApiKey]:
        now = self._clock()
        # Also when the clock was set back: else a key that is revoked would be good for as long as that.
        if self._read_at is None or not 0 <= now - self._read_at <= _KEYS_FOR:
            try:
                self._known = self._owner.read(lambda cursor: usable_keys(cursor.connection))
            except Retryable:
                if self._read_at is None:
                    raise
            # Also after a failure: a database that is away is not asked for every request.
            self._read_at = now
        return self._known


class Guard:
    """Checks each request before anything else is done for it."""

    def __init__(self, config: ApiConfig, keys: Keys, clock: Clock) -> None:
        self._config = config
        self._keys = keys
        self._buckets = Buckets(config.rate, config.burst, clock)

    def admit(self, request: Request) -> Caller:
        """Who asks; raises Problem: 403 foreign Host, 401 no or wrong key, 429 too often."""
        self._check_host(request)
        address = request.remote_addr or ""
        try:
            caller = self._authenticated(request)
        except Problem:
            # Guessing costs the one who guesses.
            self._count(f"address {address}")
            raise
        self._count(f"address {address}" if caller is LOCAL else f"key {caller.name}")
        return caller

    def _check_host(self, request: Request) -> None:
        """On loopback only names of this machine: a page that had its own name point here reads nothing."""
        if self._config.loopback and not is_loopback(_host_of(request)):
            raise Problem(403, "this API answers to localhost and 127.0.0.1 only")

    def _authenticated(self, request: Request) -> Caller:
        header = request.headers.get("Authorization", "")
        # A key that is given is checked here too: a wrong one should not seem to work.
        if not header and self._config.loopback:
            return LOCAL
        scheme, _, key = header.partition(" ")
        found = self._keys.find(key.strip()) if scheme.lower() == "bearer" and key else None
        if found is None:
            why = "this key is not known" if header else "this needs a key: Authorization: Bearer KEY"
            raise Problem(401, why, headers={"WWW-Authenticate": 'Bearer realm="sparktrends"'})
        return Caller(found.name, found.scopes)

    def _count(self, who: str) -> None:
        wait = self._buckets.take(who)
        if wait:
            # The header knows whole seconds only.
            seconds = str(max(1, round(wait)))
            raise Problem(429, f"more than {self._config.rate:g} requests a second", headers={"Retry-After": seconds})


def require(caller: Caller, scope: str) -> None:
    """Raises Problem 403 when the caller's key lacks the scope (``admin`` includes ``read``)."""
    if scope not in caller.scopes and "admin" not in caller.scopes:
        raise Problem(403, f"this key lacks the scope {scope}")


def _host_of(request: Request) -> str:
    host = request.headers.get("Host", "")
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    return host
