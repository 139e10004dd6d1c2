"""The limits of law 2 as the settings and the sources' declarations have them; stream and audit are told the same."""

from __future__ import annotations

from sparktrends.audit import Laws
from sparktrends.bars import Limits
from sparktrends.model import SECOND
from sparktrends.ops.settings import Settings, seconds
from sparktrends.sources import PROVIDERS
from sparktrends.store.limits import Times, agree

_TIMES = ("grace", "settle", "future")


def limits_of(settings: Settings) -> Limits:
    """``[limits]`` in seconds (``grace``, ``settle``, ``future``), and each source's own grace and conditions."""
    asked, usual = settings.only("limits", *_TIMES), Limits()
    told = {name: int(seconds(f"[limits] {name}", value) * SECOND) for name, value in asked.items()}
    grace, settle, future = (told.get(name, getattr(usual, name)) for name in _TIMES)
    graces = tuple(
        (name + suffix, source.grace)
        for name, source in PROVIDERS.items()
        for suffix in ("", "~sim")
        if source.grace != usual.grace
    )
    conditions = tuple((name, source.volume_only) for name, source in PROVIDERS.items() if source.volume_only)
    return Limits(grace, settle, future, graces, volume_only=usual.volume_only + conditions)


def agreed_limits(settings: Settings, conninfo: str) -> Limits:
    """`limits_of` for whoever looks at the log again; raises BadSetting where its records were judged by others."""
    limits = limits_of(settings)
    agree(conninfo, Times(limits.grace, limits.settle, limits.future))
    return limits


def laws_of(limits: Limits) -> Laws:
    """The same limits for the audit."""
    return Laws(limits.grace, limits.settle, limits.future, dict(limits.graces), dict(limits.volume_only))
