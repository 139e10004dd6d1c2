"""Our bars against the bars a provider made of the same minutes: how far prices are apart, how much of the volume we
have, and which minutes we have not, with the cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from sparktrends.quality.checks import WHOLE, Minute, Prices, contradicts

_BASIS_POINT = 1e-4


@dataclass(frozen=True, slots=True)
class Truth:
    """A day of one series.

    ``minutes`` are those in which the market was open, ``compared`` those of them of which we have all trades and the
    provider has a bar. Errors are in basis points of the provider's price, over open, high, low and close of these;
    ``contradictions`` are compared minutes in which one of ours lies outside the provider's high and low by more than
    five. ``coverage`` is our share of the provider's volume, in all minutes it has; None when it has none. ``missing``
    and ``partial`` count minutes by cause, as in `market.bars.reason`, ``hole`` where there is no row; ``no_trade`` is
    missing only where the provider had trades.
    """

    minutes: int = 0
    compared: int = 0
    equal: int = 0
    error_bp: float | None = None
    worst_bp: float | None = None
    worst_at: int | None = None
    contradictions: int = 0
    coverage: float | None = None
    missing: Mapping[str, int] = field(default_factory=dict)
    partial: Mapping[str, int] = field(default_factory=dict)


def truth_of(minutes: Sequence[Minute]) -> Truth:
    """Compare the minutes of one series' day.

    >>> ours, theirs = Prices(100, 101, 99, 100.01, 5), Prices(100, 101, 99, 100, 10)
    >>> found = truth_of([Minute(0, own=ours, provider=theirs), Minute(60_000_000, "feed_stale", provider=theirs)])
    >>> found.worst_bp, found.coverage, found.missing
    (1.0, 0.25, {'feed_stale': 1})
    """
    pairs = [(m.start, m.own, m.provider) for m in minutes if m.own and m.provider and m.reason in WHOLE]
    errors = [(max(_errors(own, theirs)), start) for start, own, theirs in pairs]
    worst = max(errors, key=lambda error: error[0], default=None)
    theirs = sum(m.provider.volume for m in minutes if m.provider)
    ours = sum(m.own.volume for m in minutes if m.own and m.provider)
    return Truth(
        minutes=len(minutes),
        compared=len(pairs),
        equal=sum(own == provider for _, own, provider in pairs),
        error_bp=round(fmean(e for _, own, p in pairs for e in _errors(own, p)), 4) if pairs else None,
        worst_bp=round(worst[0], 4) if worst else None,
        worst_at=worst[1] if worst and worst[0] > 0 else None,
        contradictions=sum(contradicts(own, provider) for _, own, provider in pairs),
        coverage=round(ours / theirs, 6) if theirs > 0 else None,
        missing=dict(Counter(_missing(minutes))),
        partial=dict(Counter(m.reason for m in minutes if m.own and m.reason not in WHOLE)),
    )


def _missing(minutes: Sequence[Minute]) -> Iterator[str]:
    for minute in minutes:
        if minute.own is not None:
            continue
        # A minute in which all was well and nothing traded is no loss, unless the provider saw trades.
        if minute.reason not in WHOLE or (minute.provider is not None and minute.provider.volume > 0):
            yield minute.reason or "hole"


def _errors(own: Prices, provider: Prices) -> tuple[float, ...]:
    pairs = ((own.open, provider.open), (own.high, provider.high), (own.low, provider.low), (own.close, provider.close))
    return tuple(abs(mine - theirs) / theirs / _BASIS_POINT for mine, theirs in pairs)
