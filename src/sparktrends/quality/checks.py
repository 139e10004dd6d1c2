"""The named checks: what each finds in one minute, as a share of it, and how much of the score the whole minute is.

A share is between 0 and 1: the part of the minute's records, or of its volume, that is at fault; a fault of the minute
as such is 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from sparktrends.quality.tally import Counts


class Check(NamedTuple):
    """``weight``: points of a hundred that a minute loses when the share is 1, divided by a hundred."""

    weight: float
    words: str


CHECKS: dict[str, Check] = {
    "missing_feed_stale": Check(1.0, "nothing is known of the minute: the feed was silent"),
    "missing_throttled": Check(1.0, "nothing is known of the minute: the provider let no call through"),
    "missing_partial_start": Check(1.0, "nothing is known of the minute: the feed began or broke in it"),
    "missing_hole": Check(1.0, "nothing is known of the minute: nobody was listening"),
    "partial": Check(0.5, "trades are there, but not all of them"),
    "filled": Check(0.1, "the provider's bar stands in for trades"),
    "late": Check(0.5, "trades that came too late for their bar"),
    "repeated": Check(0.5, "records whose id had come before"),
    "out_of_order": Check(0.25, "records older than one that came before them"),
    "impossible": Check(1.0, "records with impossible values, in quarantine"),
    "contradiction": Check(0.5, "high or low contradict the provider's own bar"),
    "jump": Check(0.5, "a price that jumped and came back at once"),
    "uncorroborated": Check(0.25, "a move that no other source of the symbol saw"),
    "coverage": Check(
        0.5, "volume that the provider's own bar has, or another source as a rule would show, and the trades have not"
    ),
    "fields": Check(0.1, "records with unknown or missing fields"),
}
"""Every check by its name, in the order in which people read them."""

WHOLE = ("", "no_trade")
"""Reasons of minutes that lack nothing."""
_TOLERANCE = 0.0005  # 5 basis points: feeds of one exchange round and sample differently
_UNCOVERED = 0.01


@dataclass(frozen=True, slots=True)
class Prices:
    """A bar's prices and volume, in floats: good enough to compare."""

    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class Minute:
    """What is stored of one open minute (``start`` in µs UTC) of one series.

    ``reason`` as law 6 has it, ``hole`` where there is no row. ``own`` is the bar of our trades, ``provider`` the
    provider's closed bar; ``trades`` are in our bar, ``counts`` is what the log and the ledgers say of the minute's
    records.
    """

    start: int
    reason: str = ""
    own: Prices | None = None
    provider: Prices | None = None
    counts: Counts = field(default_factory=Counts)
    trades: int = 0

    @property
    def shown(self) -> Prices | None:
        """The bar that people see."""
        return self.provider if self.filled else self.own

    @property
    def filled(self) -> bool:
        """Whether the provider's bar is seen in the place of trades: they are not whole, or none is there."""
        whole = self.reason == "no_trade" or (not self.reason and self.own is not None)
        return self.provider is not None and not whole

    def is_partial(self, *, tape: bool) -> bool:
        """Whether people see trades that are not all of the minute's; ``tape`` as in `faults`."""
        # Of prices that stand in for trades nobody ever knows whether they are all: that is no fault of the minute.
        known = tape or self.reason != "partial_start"
        return self.own is not None and not self.filled and self.reason not in WHOLE and known


def faults(minute: Minute, *, tape: bool = True) -> Iterator[tuple[str, float]]:
    """(check, share) of everything the minute by itself shows.

    ``tape`` is false for a source without trades: its provider's bars stand in for nothing.

    >>> dict(faults(Minute(0, "feed_stale")))
    {'missing_feed_stale': 1.0}
    """
    yield from _presence(minute, tape=tape)
    yield from _records(minute.counts, minute.trades)
    if minute.reason in WHOLE and minute.provider is not None:
        yield from _against(minute, minute.provider, tape=tape)


def _against(minute: Minute, provider: Prices, *, tape: bool) -> Iterator[tuple[str, float]]:
    """What the provider's bar says against a minute that is whole by its own account."""
    own = minute.own
    if own is not None and contradicts(own, provider):
        yield "contradiction", 1.0
    # Without trades and without a word that there were none, the provider's bar is `filled`.
    judged = own is not None or (tape and minute.reason == "no_trade")
    lacking = 1 - (own.volume if own else 0.0) / provider.volume if judged and provider.volume > 0 else 0.0
    if lacking > _UNCOVERED:
        yield "coverage", lacking


def contradicts(own: Prices, provider: Prices) -> bool:
    """Whether our bar holds a price that the provider's excludes.

    >>> flat = Prices(1, 1, 1, 1, 1)
    >>> contradicts(Prices(1, 1.0004, 1, 1, 1), flat), contradicts(Prices(1, 1.0006, 1, 1, 1), flat)
    (False, True)
    """
    return own.high > provider.high * (1 + _TOLERANCE) or own.low < provider.low * (1 - _TOLERANCE)


def _presence(minute: Minute, *, tape: bool) -> Iterator[tuple[str, float]]:
    if minute.filled:
        if tape:
            yield "filled", 1.0
    elif minute.is_partial(tape=tape):
        yield "partial", 1.0
    elif minute.own is None and minute.reason not in WHOLE:
        yield f"missing_{minute.reason}", 1.0


def _records(counts: Counts, trades: int) -> Iterator[tuple[str, float]]:
    # The log may be trimmed, or too long to be read, where the ledgers still count: then the bar tells how many came.
    everything = max(counts.records, trades + counts.late - counts.folded) + counts.impossible
    shares = {
        "late": counts.late,
        "repeated": counts.repeated,
        "out_of_order": counts.disordered,
        "impossible": counts.impossible,
        "fields": counts.odd_fields,
    }
    for name, number in shares.items():
        if number:
            yield name, number / max(everything, number)
