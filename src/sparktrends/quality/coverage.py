"""How much of a second source's volume a source has, and the hours in which that is far less than usual.

Feeds differ in what they cover (one exchange, the whole market), so a share by itself is no fault: what falls far below
the series' own usual share of the day is. An hour without a trade is one too, however usual that became that day, where
the other trades all the time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from statistics import median

from sparktrends.model import HOUR
from sparktrends.quality.checks import WHOLE, Minute

_TOLERATED = 0.3
"""So much less than usual is how shares vary by themselves."""
_ENOUGH = 4
"""Hours that tell what is usual."""
_BUSY = 0.75
"""Where a market trades in so many of its minutes, who sees only a small part of it sees something within the hour …"""
_LONG = 20
"""… and so many such minutes tell that it was not traded: fewer may be chance."""
Volumes = Mapping[int, float]
"""Volume by the start of the minute, of minutes that are whole."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """``share`` is the day's volume as a part of what ``against``, the largest other source, has in the same minutes;
    ``lacking`` is the part that each minute of a poor hour has lost. A source that is alone has neither."""

    share: float | None = None
    against: str = ""
    lacking: Mapping[int, float] = field(default_factory=dict)


def coverage(sources: Mapping[str, Sequence[Minute]], tapeless: Collection[str] = ()) -> dict[str, Coverage]:
    """Compare the sources of one market; of the ``tapeless``, which carry no trades, the bars that people see."""
    volumes = {source: _volumes(minutes, tape=source not in tapeless) for source, minutes in sources.items()}
    found = {}
    for source, minutes in sources.items():
        others = {other: of for other, of in volumes.items() if other != source}
        found[source] = _of(volumes[source], _silent(minutes), others)
    return found


def _volumes(minutes: Sequence[Minute], *, tape: bool) -> Volumes:
    if not tape:
        return {m.start: m.shown.volume for m in minutes if m.shown and not m.is_partial(tape=False)}
    # A minute that lacks trades has a fault of its own; one in which nobody traded is whole, and empty. The provider's
    # bar in the place of trades may hold the whole market, of which the feed is a small part.
    known = [m for m in minutes if m.reason in WHOLE and not m.filled]
    return {m.start: m.own.volume if m.own else 0.0 for m in known}


def _silent(minutes: Sequence[Minute]) -> Set[int]:
    """The minutes of which the source says that nobody traded; one with a price and no volume is none of them."""
    return {m.start for m in minutes if m.shown is None and m.reason in WHOLE}


def _of(own: Volumes, silent: Set[int], others: Mapping[str, Volumes]) -> Coverage:
    sums = {name: sum(other[start] for start in own.keys() & other.keys()) for name, other in others.items()}
    compared = {name: total for name, total in sums.items() if total > 0}
    # Who has prices and never a volume knows of none.
    if not compared or not (sum(own.values()) or own.keys() <= silent):
        return Coverage()
    largest = max(compared, key=lambda name: compared[name])
    ours = sum(own[start] for start in own.keys() & others[largest].keys())
    found = [_lacking(own, silent, others[name]) for name in compared]
    # Who lacks volume lacks it against each of the others: else it may be the other who counts too much.
    common = set.intersection(*(set(one) for one in found))
    lacking = {start: min(one[start] for one in found) for start in sorted(common)}
    return Coverage(ours / compared[largest], largest, lacking)


def _lacking(own: Volumes, silent: Set[int], other: Volumes) -> dict[int, float]:
    """By minute, the part of the usual share of another source that the hour lacks, where that is much; all of it where
    the hour is silent and the other's is busy."""
    hours: dict[int, list[int]] = defaultdict(list)
    for start in own.keys() & other.keys():
        hours[start // HOUR].append(start)
    shares, poor = {}, {}
    for hour, starts in hours.items():
        theirs = sum(other[start] for start in starts)
        if theirs > 0:
            shares[hour] = sum(own[start] for start in starts) / theirs
        busy = sum(other[start] > 0 for start in starts)
        if set(starts) <= silent and busy >= max(_LONG, _BUSY * len(starts)):
            poor[hour] = 1.0
    usual = median(shares.values()) if len(shares) >= _ENOUGH else 0.0
    poor |= {hour: 1 - share / usual for hour, share in shares.items() if share < (1 - _TOLERATED) * usual}
    return {start: lack for hour, lack in poor.items() for start in hours[hour]}
