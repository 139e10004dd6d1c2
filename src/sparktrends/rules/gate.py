"""From "the condition holds at this bar" to "the alert fires now, and is over then": for N bars, once, not too often.

Per rule and series three floats are kept: for how many bars in a row the condition held, whether it has fired and
not been re-armed since, and the start of the bar at which it last fired (event time; NaN: never).

At each bar, in this order:

1. The condition holds: one bar more in the row. It does not, or is not known: the row is broken.
2. The rule is re-armed when ``until`` holds; without ``until``, when the condition does not hold or is not known.
3. It fires when it is armed, the row is at least N bars long, and the last firing is at least the cool-down ago.
   So a condition that stays true fires once; one that comes back during the cool-down and is still true when the
   cool-down has passed fires then.

Its alert lasts until the rule is re-armed: that bar ends it, and no memory beyond the above is needed to know which
alert that is: the one of the last firing.

All of it counts bars with trades and event time: a replay at any speed, and history, give the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from numba import types

from sparktrends.detectors.compiling import MASK, READ_TIMES, TABLE, compile_kept

HELD, FIRED, LAST = range(3)
GATE = 3
TIMES = types.Array(types.int64, 1, "C")


@cache
def compiled_gate() -> Callable[..., None]:
    """`gate`, compiled."""
    numbers = (types.int64, types.int64)
    return compile_kept(gate, TABLE, types.int64, READ_TIMES, READ_TIMES, MASK, MASK, *numbers, MASK, TIMES)


def gate(
    memory: Any,
    at: int,
    rows: Any,
    starts: Any,
    yes: Any,
    rearm: Any,
    held: int,
    cooldown: int,
    fired: Any,
    ended: Any,
) -> None:
    """Row j belongs to the series ``rows[j]`` of ``memory``, which changes in place. Writes ``fired[j]``, and where an
    alert ends, into ``ended[j]`` the start of the bar at which it fired."""
    for j in range(len(rows)):
        own = memory[rows[j], at : at + GATE]
        own[HELD] = own[HELD] + 1.0 if yes[j] else 0.0
        if rearm[j]:
            if own[FIRED] == 1.0:
                ended[j] = int(own[LAST])
            own[FIRED] = 0.0
        # starts stay whole numbers in a float: they are below 2**53 until the year 2255.
        rested = math.isnan(own[LAST]) or starts[j] - own[LAST] >= cooldown
        fired[j] = own[HELD] >= held and own[FIRED] == 0.0 and rested
        if fired[j]:
            own[FIRED] = 1.0
            own[LAST] = starts[j]
