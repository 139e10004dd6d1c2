"""What goes wrong, and when: a schedule from a file, or one drawn from a seed. Times are seconds since the start.

A file is TOML (``[[fault]]`` tables) or JSON (``{"fault": [...]}``)::

    [[fault]]
    kind = "disconnect"     # see KINDS
    provider = "binance"    # or "*"
    at = 10                 # first time
    every = 30              # again and again; 0 = once
    lasts = 2               # for kinds that have a duration
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from random import Random
from typing import Any

from sparktrends.errors import BadFile

KINDS: Mapping[str, str] = {
    "status": "REST answers with `status`, with Retry-After when `retry_after` is set",
    "words": "REST answers 200 with an error in its body (the provider's rate limit)",
    "slow": "REST answers after `seconds`",
    "redirect": "REST answers 302 to `location`",
    "half_answer": "REST answers end in the middle",
    "wrong_answer": "REST answers have text where numbers should be",
    "huge_answer": "REST answers are `size` bytes of blanks",
    "refuse": "handshakes are refused with `status`",
    "disconnect": "sockets are closed with `code`; 1006 ends in the middle of a frame",
    "shutdown": "sockets are told of the shutdown and closed ten seconds later (Binance)",
    "silence": "sockets answer pings and say nothing",
    "gap": "a `share` of the frames with trades is not sent",
    "half_frame": "a `share` of the frames is cut in the middle",
    "duplicate": "a `share` of the frames is sent twice",
    "newest_first": "rows and frames come newest first",
    "out_of_order": "frames are shuffled",
    "wrong_types": "a `share` of the frames is sent a first time with a wrong type in it",
    "huge": "a frame of `size` bytes comes before the others",
}
"""Every kind of fault and what it does."""

INSTANT = frozenset({"disconnect", "shutdown"})
"""Kinds that happen at a moment; the others last."""
PERIOD = 10.0
"""A random schedule is drawn for this many seconds at a time."""
MILD = 120.0
"""A random schedule has no bans, no refused keys and no waits of unknown length in its first seconds, this many."""
_METADATA = "http://169.254.169.254/latest/meta-data/"


@dataclass(frozen=True, slots=True)
class Fault:
    """One planned failure; see `KINDS` for which field means something."""

    kind: str
    provider: str = "*"
    at: float = 0.0
    every: float = 0.0
    lasts: float = 5.0
    share: float = 0.2
    status: int = 429
    retry_after: float | None = None
    seconds: float = 5.0
    code: int = 1006
    location: str = _METADATA
    size: int = 2_000_000

    def active(self, t: float) -> bool:
        """Whether it is happening at ``t``."""
        since = t - self.at
        if since < 0:
            return False
        return (since % self.every if self.every else since) < self.lasts

    def fires(self, t0: float, t1: float) -> bool:
        """Whether a moment of it lies in (t0, t1]."""
        if t1 < self.at:
            return False
        if not self.every:
            return t0 < self.at
        return (t1 - self.at) // self.every > (t0 - self.at) // self.every


@dataclass(slots=True)
class Plan:
    """The faults of a run: a fixed schedule, and random ones when there is a ``seed``."""

    scheduled: tuple[Fault, ...] = ()
    seed: int | None = None
    providers: tuple[str, ...] = ()
    _period: int = field(default=-1, init=False)
    _drawn: tuple[Fault, ...] = field(default=(), init=False)

    def active(self, provider: str, t: float) -> list[Fault]:
        """The faults with a duration that hold for a provider at ``t``."""
        return [f for f in self._at(t) if f.kind not in INSTANT and f.provider in ("*", provider) and f.active(t)]

    def fired(self, provider: str, t0: float, t1: float) -> list[Fault]:
        """The moments of faults that lie in (t0, t1]."""
        return [f for f in self._at(t1) if f.kind in INSTANT and f.provider in ("*", provider) and f.fires(t0, t1)]

    def _at(self, t: float) -> tuple[Fault, ...]:
        if self.seed is None or t < 0:
            return self.scheduled
        period = int(t // PERIOD)
        if period != self._period:
            self._period = period
            self._drawn = tuple(f for p in self.providers for f in _draw(self.seed, period, p))
        return self.scheduled + self._drawn


# How often a kind is drawn, and what it is drawn with. Silences are longer than any idle time would forgive.
_WEIGHTS = {
    "disconnect": 4, "gap": 4, "duplicate": 4, "out_of_order": 3, "newest_first": 3, "half_frame": 3, "wrong_types": 3,
    "status": 4, "words": 2, "slow": 2, "half_answer": 2, "wrong_answer": 1, "redirect": 1, "refuse": 2, "silence": 1,
    "shutdown": 1, "huge": 1, "huge_answer": 1,
}  # fmt: skip


def _draw(seed: int, period: int, provider: str) -> list[Fault]:
    random = Random(f"{seed}:{period}:{provider}")
    kinds = random.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=random.randrange(3))
    return [_random_fault(random, kind, provider, period * PERIOD) for kind in kinds]


def _random_fault(random: Random, kind: str, provider: str, begin: float) -> Fault:
    lasts = random.uniform(0.2, 3.0)
    refusing = kind == "refuse"
    # What makes a good client stay away for minutes, or for ever, is not for the runs of seconds.
    severe = begin >= MILD and random.randrange(4) == 0
    return Fault(
        kind,
        provider,
        at=begin + random.uniform(0.1, PERIOD - lasts - 0.1),
        lasts=lasts,
        share=random.uniform(0.02, 0.3),
        status=random.choice((429, 503) if refusing else (401, 403, 418, 451) if severe else (429, 429, 500, 503)),
        retry_after=None if severe else random.choice((1.0, 2.0)),
        seconds=random.uniform(0.2, 2.0),
        code=random.choice((1006, 1006, 1011, 1013, 1001)),
        location=random.choice((_METADATA, "https://example.com/", "/elsewhere")),
        size=random.randrange(100_000, 4_000_000),
    )


def load(path: Path) -> tuple[Fault, ...]:
    """The schedule of a file; BadFile naming the entry that cannot be used."""
    try:
        text = path.read_text("utf-8")
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise BadFile(f"{path} cannot be read: {error}") from None
    rows = document.get("fault") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise BadFile(f"{path} has no list of faults", hint="write [[fault]] tables, or random or none")
    return tuple(_fault(row, f"{path}, fault {number}") for number, row in enumerate(rows, start=1))


def _fault(row: Any, where: str) -> Fault:
    allowed = {f.name: f.type for f in fields(Fault)}
    if not isinstance(row, dict) or not set(row) <= set(allowed):
        raise BadFile(f"{where} has other fields than {', '.join(allowed)}")
    if row.get("kind") not in KINDS:
        raise BadFile(f"{where}: no kind {row.get('kind')!r}", hint=f"allowed: {', '.join(KINDS)}")
    for name, value in row.items():
        text = name in ("kind", "provider", "location")
        usable = isinstance(value, str) if text else type(value) in (int, float) and value >= 0
        if not usable:
            raise BadFile(f"{where}: {name} cannot be {value!r}")
    return Fault(**row)
