"""What only the log shows of a series' records: repeats, disorder, unknown and missing fields; counted in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparktrends.model import MINUTE

Place = tuple[str, str, int]
"""Source, symbol, beginning of a minute (µs UTC)."""
KNOWN = frozenset({"source", "symbol", "ts", "price", "size", "id", "received", "conditions", "fill", "kind", "status"})
"""The fields of `raw.trades`."""
_REMEMBERED = 100_000


@dataclass(slots=True)
class Counts:
    """Trades of one minute of one series, and how many of them are at fault; ``impossible`` ones are not among them."""

    records: int = 0
    repeated: int = 0
    disordered: int = 0
    odd_fields: int = 0
    late: int = 0
    folded: int = 0
    """Of the late ones, those that repair has put into their bar since."""
    impossible: int = 0


class Tally:
    """Counts records of `raw.trades` in the order of their partition; memory is bounded by the number of series.

    >>> tally = Tally()
    >>> for ts, id_ in ((5, "a"), (3, "b"), (6, "a")):
    ...     tally.add(0, {"source": "x", "symbol": "A", "ts": ts, "id": id_, "received": 9, "price": "1", "size": 1})
    >>> tally.minutes["x", "A", 0]
    Counts(records=3, repeated=1, disordered=1, odd_fields=0, late=0, impossible=0)
    """

    def __init__(self) -> None:
        self.minutes: dict[Place, Counts] = {}
        self._newest: dict[tuple[str, str, int], int] = {}
        self._young: dict[tuple[str, str], set[str]] = {}
        self._old: dict[tuple[str, str], set[str]] = {}

    def at(self, source: str, symbol: str, ts: int) -> Counts:
        """The counts of the minute that holds ``ts``."""
        return self.minutes.setdefault((source, symbol, ts - ts % MINUTE), Counts())

    def add(self, partition: int, row: Mapping[str, Any]) -> None:
        """Count a decoded trade; what is none (a heartbeat, a price, a record nobody can place) is passed over.

        What the stream refused must not come here: it is `Counts.impossible`, and no trade is older than its time.
        """
        source, symbol, ts = row.get("source"), row.get("symbol"), row.get("ts")
        if not (isinstance(source, str) and isinstance(symbol, str) and type(ts) is int and ts >= 0):
            return
        # As the judge has it: null is absent, and of size 0 it is a price.
        if row.get("kind") not in (None, "trade") or _is_zero(row.get("size")):
            return
        counts = self.at(source, symbol, ts)
        counts.records += 1
        counts.odd_fields += "received" not in row or not KNOWN.issuperset(row)
        counts.repeated += self._known((source, symbol), str(row.get("id") or ""))
        newest = self._newest.get((source, symbol, partition), ts)
        # What is fetched afterwards is older than what came meanwhile, and said so.
        counts.disordered += ts < newest and row.get("fill") is not True
        self._newest[source, symbol, partition] = max(ts, newest)

    def _known(self, series: tuple[str, str], id_: str) -> bool:
        if not id_:
            return False
        young = self._young.setdefault(series, set())
        if id_ in young or id_ in self._old.get(series, ()):
            return True
        # Two generations: if all were forgotten at once, a repeat of the record just before would pass.
        young.add(id_)
        if len(young) >= _REMEMBERED:
            self._old[series], self._young[series] = young, set()
        return False


def _is_zero(size: object) -> bool:
    try:
        return isinstance(size, int | float | str) and float(size) == 0
    # Digits for which a float has no room.
    except (ValueError, OverflowError):
        return False
