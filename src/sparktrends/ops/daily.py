"""The daily run put together from the settings: which providers with which keys, quotas and questions."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from sparktrends.batch.fetch import Fetcher, Provider
from sparktrends.batch.fetch_run import Job
from sparktrends.batch.plan import day_of
from sparktrends.errors import BadSetting
from sparktrends.net import AddressGuard, Backoff, Http, JsonFile, Planner
from sparktrends.ops import feeding
from sparktrends.ops.home import Home
from sparktrends.ops.ports import LOOPBACK
from sparktrends.ops.settings import Settings
from sparktrends.sources import PROVIDERS
from sparktrends.sources.base import Ask
from sparktrends.sources.calls import daily_calls
from sparktrends.telemetry import Clock


def job(
    settings: Settings,
    clock: Clock,
    day: date,
    sources: Sequence[str] = (),
    symbols: Sequence[str] | None = None,
    sandbox_port: int = 0,
) -> Job:
    """What to ask for a day; raises BadSetting for a day that has not begun, or an unknown source.

    Without ``sources`` those that can be asked: all of the sandbox, else those without a key or whose key is set.
    """
    today = day_of(clock())
    if day > today:
        raise BadSetting(f"{day} has not begun", hint="a day can be fetched when it is over, or while it lasts")
    home = Home.open(settings.home)
    names = list(sources) or usable(settings, sandbox=bool(sandbox_port))
    providers = [provider(settings, clock, name, home.run, sandbox_port) for name in names]
    return Job([(p, questions(settings, p)) for p in providers], day, today, symbols)


def usable(settings: Settings, *, sandbox: bool) -> list[str]:
    """The providers that can be asked as things are."""
    real = [n for n, kind in PROVIDERS.items() if kind.auth is None or settings.get(feeding.key_name(n))]
    return list(PROVIDERS) if sandbox else real


def provider(settings: Settings, clock: Clock, name: str, run: Path, sandbox_port: int = 0) -> Provider:
    """One source with its key and the quota that it shares with the live stream."""
    source = feeding.source_of(name, settings, sandbox_port)
    key = feeding.key_of(settings, source, sandbox_port) if source.auth else None
    who = key.fingerprint() if key else "ip"
    planner = Planner(source.allowances, clock, JsonFile(run / f"quota-{source.name}-{who}.json"))
    return Provider(source, planner, key)


def questions(settings: Settings, asked: Provider) -> list[Ask]:
    """The questions of the day, from ``[daily] calls`` (a folder) or the files that are shipped."""
    folder = settings.only("daily", "calls").get("calls")
    return daily_calls(asked.source, Path(str(folder)) if folder else None)


def http(settings: Settings, clock: Clock, sandbox_port: int = 0) -> Http:
    """The client of the daily run; on this machine it calls the sandbox, and what ``[net] allow`` names."""
    return Http(clock, AddressGuard((*feeding.allowed_hosts(settings), *((LOOPBACK,) if sandbox_port else ()))))


def fetcher(client: Http) -> Fetcher:
    """Asks with patience."""
    return Fetcher(client, Backoff(random.Random(), time.sleep))
