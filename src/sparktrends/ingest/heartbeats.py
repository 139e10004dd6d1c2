"""What a source says of each symbol every few seconds: a quiet market, a dead feed, a closed exchange differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sparktrends.model import MINUTE, Status

# A quiet stream closes its bars by heartbeats (law 3): so much later, at most, than one with trades.
EVERY_S = 5.0


@dataclass(slots=True)
class Feed:
    """What is known of one symbol's feed. Times in µs; ``up`` while a connection (or poll) that carries it is alive.

    ``down_since`` is when it stopped, ``partial_until`` the end of the first minute of which trades may be missing.
    While ``arriving`` the symbol's past is fetched and nothing is said of it; ``past_until`` is where that past ends.
    """

    up: bool = False
    down_since: int = 0
    partial_until: int = 0
    throttled: bool = False
    last_data: int = 0
    arriving: bool = False
    past_until: int = 0


def status_of(feed: Feed, now: int, tape: bool, trading: Callable[[], bool], patience: int = 0) -> Status | None:
    """The status to send now; None: say nothing yet.

    ``patience`` (µs) is how long a feed whose gaps are filled by id may be away before it counts as stale: until then
    silence is better, for the minute will be whole. A feed that is no ``tape`` carries prices, not trades: it never
    says ``ok``, because its minutes are never known to be whole.
    """
    # Nothing of it lies in the log before its past does (decision 0060).
    if feed.arriving:
        return None
    # Before the connection is looked at: a closed exchange explains any silence.
    if not trading():
        return Status.CLOSED
    if not feed.up:
        if feed.throttled:
            return Status.THROTTLED
        return Status.STALE if now - feed.down_since >= patience else None
    if now < feed.partial_until or not tape:
        return Status.THROTTLED if feed.throttled else Status.START
    return Status.OK


def minute_end(ts: int) -> int:
    """The end of the minute that holds ``ts``.

    >>> minute_end(61_000_000) // MINUTE
    2
    """
    return ts - ts % MINUTE + MINUTE
