"""How long records of the log have waited to be stored, told by offsets alone.

The ledger's own times cannot say it: they stand still with a stream that is dead, and an idle partition's are old.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

Offsets = Mapping[tuple[str, int], int]
"""Next offset by topic and partition."""
_KEPT = 2_000
"""Looks that are remembered of a partition: some hours. What waits for longer is said to wait for so long."""


@dataclass(slots=True)
class Backlog:
    """Remembers at which look each partition ended where: whatever was there then and is not stored has waited since.

    >>> backlog = Backlog()
    >>> backlog.look({("t", 0): 5}, {("t", 0): 9}, now=100), backlog.look({("t", 0): 8}, {("t", 0): 20}, now=130)
    ({'t': 0}, {'t': 30})
    >>> backlog.look({("t", 0): 9}, {("t", 0): 20}, now=150)
    {'t': 20}
    """

    _seen: dict[tuple[str, int], deque[tuple[int, int]]] = field(default_factory=dict)

    def look(self, stored: Offsets, ends: Offsets, now: int) -> dict[str, int]:
        """Topic → how long (µs) its oldest record that is not ``stored`` has been seen to wait at ``now``, for topics
        of which some do. A log that ends before what is stored is another log: that waits for a person."""
        waits: dict[str, int] = {}
        for place, end in ends.items():
            seen = self._seen.setdefault(place, deque(maxlen=_KEPT))
            begun = _waiting_since(seen, stored.get(place, 0), end, now)
            if begun is not None:
                waits[place[0]] = max(now - begun, waits.get(place[0], 0))
        return waits


def _waiting_since(seen: deque[tuple[int, int]], stored: int, end: int, now: int) -> int | None:
    wanted = end if end >= stored else stored + 1
    # It ended further on than it does now: it was another log, or the loss was accepted.
    if seen and seen[-1][1] > wanted:
        seen.clear()
    while seen and seen[0][1] <= stored:
        seen.popleft()
    if wanted > stored and (not seen or seen[-1][1] < wanted):
        seen.append((now, wanted))
    return seen[0][0] if seen else None
