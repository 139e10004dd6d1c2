"""What a stored bar says of itself: state, and reason (law 6). Pure functions of a partial bar and a clock."""

from __future__ import annotations

from sparktrends.model import State, Statuses

# From bad to worse, as law 6 lists them; the last one that is set gives the reason.
# Plain integers: `&` of a Flag costs a microsecond, and this is asked for every bar.
_REASONS = (
    (int(Statuses.STALE), "feed_stale"),
    (int(Statuses.THROTTLED), "throttled"),
    (int(Statuses.START), "partial_start"),
)
_OK = int(Statuses.OK)


def state_of(end: int, clock: int, settle: int, after_final: int = 0) -> State:
    """The state of a bar that ends at ``end``: final as soon as its series' clock is past end + settle.

    >>> state_of(60, 65, 5), state_of(60, 66, 5), state_of(60, 66, 5, after_final=2)
    (<State.FORMING: 'forming'>, <State.FINAL: 'final'>, <State.REVISED: 'revised'>)
    """
    # Strictly past, as law 2 has it: the audit draws the line at the same microsecond.
    if clock <= end + settle:
        return State.FORMING
    return State.REVISED if after_final else State.FINAL


def reason_of(statuses: int, trades: int) -> str | None:
    """Why a minute is empty or incomplete, the worst of its heartbeats; None for a bar that is what it seems.

    >>> reason_of(Statuses.OK, 0), reason_of(0, 0), reason_of(0, 5), reason_of(Statuses.OK | Statuses.THROTTLED, 5)
    ('no_trade', 'feed_stale', None, 'throttled')
    """
    worst = None
    for status, reason in _REASONS:
        if statuses & status:
            worst = reason
    # A minute with trades and no heartbeat is whole as far as anybody knows: not every producer sends heartbeats.
    if worst is None and not trades:
        return "no_trade" if statuses & _OK else "feed_stale"
    return worst
