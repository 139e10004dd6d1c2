"""Where live trades and fetched ones meet: by contiguous ids, each once and in order, with no gap and no overlap. Pure.

A trade that does not follow the one before it opens a gap. It and what comes after wait until the missing ones are
there (a little late on the socket, or fetched), or until somebody gives the gap up.

The first live trade says where in its ids a provider is; what the log holds below it, whoever wrote it, is what was
published. Of ids far from it, or beyond it, nothing follows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from sparktrends.errors import BadRecord
from sparktrends.model import Trade

# Bounds the memory of one symbol while its gap cannot be filled.
MOST_HELD = 20_000
FARTHEST = 50_000_000
"""So many ids the busiest market does not use in a day: a trade farther ahead has a wrong id."""


@dataclass(slots=True)
class _Line:
    """One symbol: the id that comes next, and what waits for it, since when, and when it last went on (µs)."""

    next: int
    held: dict[int, Trade] = field(default_factory=dict)
    since: int = 0
    moved: int = 0


class Seam:
    """The ids of one source's symbols.

    >>> from decimal import Decimal
    >>> def trade(id_): return Trade("x", "A", 0, Decimal(1), Decimal(1), id_)
    >>> seam = Seam()
    >>> [[t.id for t in seam.take(trade(id_), now=0)] for id_ in ("7", "8", "10", "11", "9")]
    [['7'], ['8'], [], [], ['9', '10', '11']]
    """

    def __init__(self, most_held: int = MOST_HELD) -> None:
        self._lines: dict[str, _Line] = {}
        self._known: dict[str, Sequence[int]] = {}
        self._most = most_held

    def begin(self, symbol: str, known: Sequence[int]) -> None:
        """Go on behind the last trade of an earlier run: the ids that the log holds, in order."""
        self._known[symbol] = known

    def begun(self, symbol: str) -> bool:
        """Whether it is still to be found out which trade was the last of an earlier run."""
        return symbol in self._known

    def place(self, symbol: str, id_: int) -> bool:
        """Begin with the first live trade, behind the last known one below it; whether there is one."""
        known = self._known.pop(symbol, ())
        below = bisect_left(known, id_)
        found = below > 0 and id_ - known[below - 1] <= FARTHEST
        self._lines[symbol] = _Line(known[below - 1] + 1 if found else id_)
        return found

    def next_id(self, symbol: str) -> str:
        """The id that is wanted next; empty before the first trade."""
        line = self._lines.get(symbol)
        return str(line.next) if line else ""

    def take(self, trade: Trade, now: int) -> list[Trade]:
        """What may be published now, in order. An older trade passes: the door knows whether it is a repeat.

        Raises BadRecord ``bad_id`` for one that is too far ahead: it would open a gap that nothing ever closes.
        """
        id_ = int(trade.id)
        line = self._lines.get(trade.symbol)
        if line is None:
            # What an earlier run owed may be fetched before anything comes live.
            if trade.fill:
                return [trade]
            self.place(trade.symbol, id_)
            line = self._lines[trade.symbol]
        # The usual case, first: no dictionary is touched.
        if id_ == line.next and not line.held:
            line.next += 1
            return [trade]
        # An id that was given up, or a repeat after a reconnect: both go to the door, in whatever order.
        if id_ < line.next:
            return [trade]
        if id_ - line.next > FARTHEST:
            raise BadRecord("bad_id", f"{id_} follows {line.next - 1}")
        if not line.held:
            line.since = line.moved = now
        # The first one stays: socket and REST may bring the same trade, and only one of them says `fill`.
        line.held.setdefault(id_, trade)
        return _drain(line, now)

    def gap(self, symbol: str) -> tuple[int, int] | None:
        """[first missing id, newest held id) of a symbol that waits, further gaps within; None of one that does not."""
        line = self._lines.get(symbol)
        # To the newest, not to the next held: holes behind this one are asked for in the same call.
        return (line.next, max(line.held)) if line and line.held else None

    def waiting(self, before: int) -> list[str]:
        """Symbols whose first held trade came at that time (µs) or before."""
        return [symbol for symbol, line in self._lines.items() if line.held and line.since <= before]

    def stuck(self, before: int) -> list[str]:
        """Symbols that have not gone on since that time (µs), or for which very much waits."""
        lines = self._lines.items()
        return [s for s, line in lines if line.held and (line.moved <= before or len(line.held) >= self._most)]

    def give_up(self, symbol: str, now: int) -> list[Trade]:
        """Leave the first gap open and go on behind it: what may be published now. What comes for it later passes."""
        line = self._lines.get(symbol)
        if line is None:
            return []  # a debt of an earlier run, and nothing has come yet
        # Only to the nearest: what waits behind a further gap has not waited long enough yet.
        if line.held:
            line.next = min(line.held)
        return _drain(line, now)


def _drain(line: _Line, now: int) -> list[Trade]:
    ready = []
    while (trade := line.held.pop(line.next, None)) is not None:
        ready.append(trade)
        line.next += 1
    if ready:
        line.moved = now
        if line.held:  # the next gap is as old as the first trade behind it
            line.since = line.held[min(line.held)].received or now
    return ready
