"""Which provider keys work and what their plans allow, by the cheap requests that each source names (`probes`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sparktrends.batch.fetch import Provider
from sparktrends.errors import BadSetting, RateLimited, SparkTrendsError
from sparktrends.net import Http, Planner
from sparktrends.net.quota import in_words
from sparktrends.ops.daily import provider
from sparktrends.ops.feeding import key_name, key_of
from sparktrends.ops.settings import Settings
from sparktrends.sources import PROVIDERS
from sparktrends.sources.base import Probe, Source
from sparktrends.sources.transport import call
from sparktrends.telemetry import Clock

_PATIENCE_S = 65.0
"""Longest wait for a quota: a minute's. What would have to wait longer is told, and not asked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe found: ``ok`` when the answer was data, else ``problem`` says what the provider said.

    ``plan`` is how much the answer says may be asked. Without ``asked`` the quota had no room, by our
    count or by the provider's words, and nothing is known.
    """

    provider: str
    capability: str
    ok: bool
    problem: str = ""
    plan: str = ""
    asked: bool = True

    def __str__(self) -> str:
        return f"{self.provider}, {self.capability}: {self.problem or 'well'}" + (f"; {self.plan}" if self.plan else "")


def askable(settings: Settings, clock: Clock, names: Iterable[str], run: Path) -> list[Provider]:
    """The providers whose key is set or who want none: nobody asked for the others. Quotas lie in ``run``."""
    found = []
    for name in names:
        try:
            found.append(provider(settings, clock, name, run))
        except BadSetting:
            if not settings.get(key_name(name)) and PROVIDERS[name].auth:
                continue
            raise
    return found


def probe_all(
    providers: Iterable[Provider],
    http: Http,
    told: Callable[[Finding], None] = lambda _: None,
    wait: Callable[[float], object] = time.sleep,
) -> list[Finding]:
    """Try every provider's probes, one after the other and within its quota; ``told`` hears each finding at once."""
    found = []
    for asked in providers:
        for probe in asked.source.probes():
            finding = _try(asked, probe, http, wait)
            told(finding)
            found.append(finding)
    return found


def unset(settings: Settings, sources: Iterable[Source]) -> Iterator[str]:
    """A sentence for each source that wants a key of which none is set."""
    for source in sources:
        try:
            key_of(settings, source)
        except BadSetting as error:
            yield str(error)


def _try(asked: Provider, probe: Probe, http: Http, wait: Callable[[float], object]) -> Finding:
    source = asked.source
    if held := _held(asked.planner, probe.request.weight, wait):
        words = f"not asked, its quota is spent for {in_words(held)}"
        return Finding(source.provider, probe.capability, False, words, asked=False)
    try:
        reply = call(http, source, probe.request, asked.key)
        said = source.usage(reply)
        asked.planner.observe(said)
        source.parse_rest(probe.request, reply)
    except RateLimited as error:
        # Somebody else spent the quota: that tells nothing of the key.
        return Finding(source.provider, probe.capability, False, str(error), asked=False)
    except SparkTrendsError as error:
        return Finding(source.provider, probe.capability, False, str(error))
    limits = [f"{usage.limit} units in {in_words(usage.window)}" for usage in said if usage.limit]
    return Finding(source.provider, probe.capability, True, plan=", ".join(limits))


def _held(planner: Planner, weight: int, wait: Callable[[float], object]) -> float:
    """Spend what a probe costs, and 0; or how long the quota would hold it back."""
    while held := planner.take(weight):
        if held > _PATIENCE_S:
            return held
        wait(held)
    return 0.0
