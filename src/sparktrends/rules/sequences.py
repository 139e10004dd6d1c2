"""Event sequences: one condition, then another within some bars, then …, and something that did not happen before.

A sequence has k steps. Step 1 holds at some bar; step i at a later bar, at most ``within[i - 1]`` bars after the one
of step i − 1. Where a sequence forbids something, step 1 counts only if that held neither at its bar nor at a bar up
to ``quiet`` before it, in event time. A match ends at the bar of step k and uses up everything until then: the next
match begins after it.

Whether a match ends at a bar depends only on when each step was last reached: a later bar for step i allows whatever an
earlier one does. So the memory is fixed however long the series and however many half-done sequences there are:
O(k²) floats, with the bars of the steps, so that a signal can say what it saw. Bars are bars with trades: live, at any
replay speed and over history it is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from sparktrends.detectors.compiling import MASK, READ_TIMES, TABLE, compile_kept
from sparktrends.errors import IntegrityError

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Masks = NDArray[np.bool_]

NUMBER, REACHED = 0, 1
"""Memory: bars seen; then for each step the number of the bar that reached it last, the starts of the bars of its
steps, and for each thing forbidden the start of the bar where it held last. NaN: never."""
MASKS = types.Array(types.boolean, 2, "C", readonly=True)


@dataclass(frozen=True)
class EventSequence:
    """``within``: bars allowed from each step to the next, so k − 1 of them; ``quiet``: for each thing forbidden, how
    long before step 1 it may not have held (µs)."""

    within: tuple[int, ...]
    quiet: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.within or min(self.within) < 1 or min(self.quiet, default=0) < 0:
            raise IntegrityError("a sequence has two steps or more, each at least one bar after the one before")

    @property
    def steps(self) -> int:
        """k."""
        return len(self.within) + 1

    @property
    def size(self) -> int:
        """Floats of memory per series."""
        return REACHED + self.steps + self.steps**2 + len(self.quiet)

    def new(self, n: int) -> Floats:
        """Memory of ``n`` series that have seen nothing."""
        memory = np.full((n, self.size), np.nan)
        memory[:, NUMBER] = 0.0
        return memory

    def step(self, memory: Floats, starts: Times, holds: Masks, forbidden: Masks) -> tuple[Masks, Floats]:
        """One final bar for each of n series: at which a match ends, ``bool[n]``, and the starts of the bars of its
        steps, ``float[n, k]``, NaN without one. Memory changes in place.

        ``starts`` int64[n] µs; ``holds`` bool[n, k]: which steps hold at the bar; ``forbidden`` bool[n, len(quiet)].
        """
        return self.follow(memory, np.arange(len(starts)), starts, holds, forbidden)

    def run(self, memory: Floats, starts: Times, holds: Masks, forbidden: Masks) -> tuple[Masks, Floats]:
        """m bars of one series in order, ``memory`` being its row: the same as m calls of `step`."""
        return self.follow(memory[None, :], np.zeros(len(starts), dtype=np.int64), starts, holds, forbidden)

    def follow(
        self, memory: Floats, rows: Times, starts: Times, holds: Masks, forbidden: Masks, at: int = 0
    ) -> tuple[Masks, Floats]:
        """Bars in order, bar j of the series ``rows[j]`` of ``memory``, whose floats for this begin at ``at``: what
        `step` returns."""
        shapes = (holds.shape, forbidden.shape)
        if shapes != ((len(starts), self.steps), (len(starts), len(self.quiet))) or memory.shape[1] < at + self.size:
            raise IntegrityError(f"a sequence of {self.steps} steps cannot take rows of {shapes}")
        ended, seen = np.zeros(len(starts), dtype=bool), np.full((len(starts), self.steps), np.nan)
        masks = (np.ascontiguousarray(mask, dtype=bool) for mask in (holds, forbidden))
        times = (_times(starts), *masks, _times(self.within), _times(self.quiet))
        compiled_follow()(memory, at, rows, *times, ended, seen)
        return ended, seen


def _times(values: Sequence[int] | Times) -> Times:
    return np.ascontiguousarray(values, dtype=np.int64)


@cache
def compiled_follow() -> Callable[..., None]:
    """`follow`, compiled."""
    times = (READ_TIMES, READ_TIMES)
    return compile_kept(follow, TABLE, types.int64, *times, MASKS, MASKS, *times, MASK, TABLE)


def follow(
    memory: Any,
    at: int,
    rows: Any,
    starts: Any,
    holds: Any,
    forbidden: Any,
    within: Any,
    quiet: Any,
    ended: Any,
    seen: Any,
) -> None:
    """Row j is a bar of the series ``rows[j]`` of ``memory``; writes ``ended[j]`` and ``seen[j]``."""
    k = len(within) + 1
    chains, last = REACHED + k, REACHED + k + k * k
    for j in range(len(rows)):
        own = memory[rows[j], at : at + last + len(quiet)]
        own[NUMBER] += 1.0
        free = True
        for i in range(len(quiet)):
            if forbidden[j, i]:
                own[last + i] = starts[j]
            # Comparisons with NaN, never held, are false.
            if starts[j] - own[last + i] <= quiet[i]:
                free = False
        # The last step first: what a bar reaches must not count as the bar before it.
        for i in range(k - 1, -1, -1):
            follows = free if i == 0 else own[NUMBER] - own[REACHED + i - 1] <= within[i - 1]
            if holds[j, i] and follows:
                own[REACHED + i] = own[NUMBER]
                for s in range(i):
                    own[chains + i * k + s] = own[chains + (i - 1) * k + s]
                own[chains + i * k + i] = starts[j]
        ended[j] = own[REACHED + k - 1] == own[NUMBER]
        if ended[j]:
            seen[j, :] = own[chains + (k - 1) * k : chains + k * k]
            own[REACHED:last] = np.nan
