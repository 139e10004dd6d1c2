"""How wild each part of a session usually is: a market's open is wild and its noon calm, the same move is rare at noon.

A session is cut into `SLOTS` slots of `SLOT_BARS` bars, counted from its first one; the last slot takes what is
beyond. Of minutes they are half hours, and fill a day of a market that never closes. Bars with trades are counted:
detectors are told no time, so the slots of a series that rarely trades are longer than half an hour.

Per slot the mean size of a move is learned, over twenty sessions or so, and compared with that of whole sessions,
learned alike: where a session is one slot, as of daily bars, there is no shape. During the first session the answer is
1, and after n of them n / (n + 2) of what was learned is believed, as a logarithm.
"""

from __future__ import annotations

import math

from sparktrends.detectors.base import Row, compiled

WITHIN, SESSIONS, LEVEL, SUM, SLOT_SUM, SLOT = range(6)
"""Its floats, counted from where they begin in the state: the number of the last bar in its session, sessions that are
over, the mean move of a session, the sums of this session and of this slot so far, and from `SLOT` on the mean move of
each slot (0: never seen)."""
SLOTS, SLOT_BARS = 48, 30.0
SHAPE = SLOT + SLOTS

MEMORY = 20.0
"""Sessions that a mean remembers."""
DOUBT = 2.0
MOST = 3.0
"""No slot is believed to be more than so much wilder or calmer than the whole."""


@compiled
def place(state: Row, at: int, same: bool) -> float:
    """The number of the next bar in its session, from 0; ``same``: it is of the session of the last one."""
    return state[at + WITHIN] + 1.0 if same else 0.0


@compiled
def slot_of(number: float) -> float:
    """The slot of a bar, from 0."""
    return min(number // SLOT_BARS, SLOTS - 1.0)


@compiled
def factor(state: Row, at: int, same: bool) -> float:
    """How much larger than usual moves are in the slot of the next bar: 1 while that is not known."""
    own = state[at + SLOT + int(slot_of(place(state, at, same)))]
    if state[at + SESSIONS] == 0 or not own > 0 or not state[at + LEVEL] > 0:
        return 1.0
    belief = state[at + SESSIONS] / (state[at + SESSIONS] + DOUBT)
    return min(max(math.exp(belief * math.log(own / state[at + LEVEL])), 1.0 / MOST), MOST)


@compiled
def absorb(state: Row, at: int, count: float, size: float, same: bool) -> None:
    """Learn the ``size`` of a bar's move (winsorised by the caller); ``count`` bars were learned before."""
    number = place(state, at, same)
    if count > 0:
        last = state[at + WITHIN]
        slot = slot_of(last)
        if not same or slot_of(number) != slot:
            fold(state, at, SLOT + int(slot), state[at + SLOT_SUM] / (last - slot * SLOT_BARS + 1.0))
            state[at + SLOT_SUM] = 0.0
        if not same:
            fold(state, at, LEVEL, state[at + SUM] / (last + 1.0))
            state[at + SUM] = 0.0
            state[at + SESSIONS] += 1.0
    state[at + WITHIN] = number
    state[at + SLOT_SUM] += size
    state[at + SUM] += size


@compiled
def fold(state: Row, at: int, of: int, mean: float) -> None:
    """Take the mean of one session, or of one of its slots, into what is remembered of them."""
    weight = 1.0 / min(state[at + SESSIONS] + 1.0, MEMORY) if state[at + of] > 0 else 1.0
    state[at + of] += weight * (mean - state[at + of])
