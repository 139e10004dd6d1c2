"""Which provider keys work and what their plans allow, by the cheap requests that each source names (`probes`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sparktrends.errors import BadSetting, SparkTrendsError
from sparktrends.net import Http, Secret
from sparktrends.net.quota import in_words
from sparktrends.ops.feeding import key_of
from sparktrends.ops.settings import Settings
from sparktrends.sources.base import Probe, Source
from sparktrends.sources.transport import call


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe found: ``ok`` when the answer was data, else ``problem`` says what the provider said.

    ``plan`` is how much the answer says may be asked.
    """

    provider: str
    capability: str
    ok: bool
    problem: str = ""
    plan: str = ""

    def __str__(self) -> str:
        return f"{self.provider}, {self.capability}: {self.problem or 'well'}" + (f"; {self.plan}" if self.plan else "")


def probe_all(
    settings: Settings, sources: Iterable[Source], http: Http, told: Callable[[Finding], None] = lambda _: None
) -> list[Finding]:
    """Try every source's probes, one after the other; ``told`` hears each finding at once.

    A source whose key is not set is left out: nobody asked for it.
    """
    found = []
    for source in sources:
        try:
            key = key_of(settings, source)
        except BadSetting:
            continue
        for probe in source.probes():
            finding = _try(source, probe, key, http)
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


def _try(source: Source, probe: Probe, key: Secret | None, http: Http) -> Finding:
    try:
        reply = call(http, source, probe.request, key)
        source.parse_rest(probe.request, reply)
    except SparkTrendsError as error:
        return Finding(source.provider, probe.capability, False, str(error))
    limits = [f"{said.limit} units in {in_words(said.window)}" for said in source.usage(reply) if said.limit]
    return Finding(source.provider, probe.capability, True, plan=", ".join(limits))
