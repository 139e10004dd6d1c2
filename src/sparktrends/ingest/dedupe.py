"""Deduplication at the door: each (source, symbol, id) is published once, across restarts too.

The log itself is the memory. A live source remembers recent ids (`Door`) and learns them from the tail of its
partitions at start (`recall`). A recording or simulator numbers its trades in order, so the last one of each series
in the log says where to go on (`last_seen`), or, where the log was trimmed since, a small file (`places`).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from sparktrends.bus.codec import decode
from sparktrends.bus.kafka import Reader, Record
from sparktrends.errors import BadRecord
from sparktrends.ingest.seam import FARTHEST
from sparktrends.sources.recording import LastSeen, Series

Own = Callable[[Series, Mapping[str, Any], int], bool]
"""Whether a record of a series, appended then (µs), may be of its source: anyone may write under its name."""

# A part of the log that is read backwards: larger ones read more than is needed, smaller ones ask more often.
_CHUNK = 50_000
_LEAST = 500
FOREVER = 2**63 - 1


class Door:
    """Lets each id of a series through once; records without an id always pass.

    It remembers about ``capacity`` ids in all (some 100 bytes each), shared evenly among the series, and of each
    series always at least the last 500: older ones are forgotten, and would pass again.
    """

    def __init__(self, capacity: int = 500_000) -> None:
        self._capacity = capacity
        self._share = capacity
        self._young: dict[Series, set[str]] = {}
        self._old: dict[Series, set[str]] = {}

    def admit(self, source: str, symbol: str, id_: str) -> bool:
        """Whether this id is new; from now on it is known."""
        if not id_:
            return True
        series = (source, symbol)
        young = self._young.get(series)
        if young is None:
            young = self._young[series] = set()
            # For each series: with one queue for all, a busy symbol would push out the ids of a quiet one.
            self._share = max(_LEAST, self._capacity // (2 * len(self._young)))
        if id_ in young or id_ in self._old.get(series, ()):
            return False
        young.add(id_)
        # Two generations: forgetting is one assignment, not a queue beside the set.
        if len(young) >= self._share:
            self._old[series], self._young[series] = young, set()
        return True

    def forget(self, source: str, symbol: str, id_: str) -> None:
        """Undo `admit`: the record could not be sent after all."""
        # It may have changed generations since.
        self._young.get((source, symbol), set()).discard(id_)
        self._old.get((source, symbol), set()).discard(id_)


def settle(reader: Reader, topic: str) -> None:
    """Wait until what a killed run sent to the topic is written: only then does the log say where it stood.

    As `Reader.wait_still`, and not at all where nobody ever wrote.
    """
    if any(reader.watermarks(topic, partition)[1] for partition in reader.partitions(topic)):
        reader.wait_still(topic)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the log holds of some series, and the end of each (topic, partition) when that was looked up."""

    series: Mapping[Series, LastSeen] = field(default_factory=dict)
    ends: Mapping[tuple[str, int], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """The numbers of one series in the log: all ``ids`` in order, the ``first`` from which on none of its own is
    unknown, None where that cannot be said, and its ``holes``, each [first, end)."""

    ids: Sequence[int] = ()
    first: int | None = None
    holes: Sequence[tuple[int, int]] = ()


class Numbers:
    """Which ids of ``sources`` that count their trades are published: what the log's tail and the spool hold.

    A kill loses what Kafka had not acknowledged, wherever it was in a gap: only the log knows what is missing.
    """

    def __init__(self, sources: Collection[str]) -> None:
        self._sources = sources
        # Ids, times and whether it came live, in the log's order. In arrays: after an outage these are a million.
        self._known: dict[Series, tuple[array[int], array[int], array[int]]] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one decoded record; what is no trade of these sources is passed over."""
        if row.get("source") not in self._sources or row.get("kind", "trade") != "trade":
            return
        id_, ts = number_of(row.get("id")), row.get("ts")
        if id_ is None or not isinstance(ts, int) or abs(ts) >= 2**63:
            return
        known = self._known.get(series := (row["source"], row["symbol"]))
        if known is None:
            known = self._known[series] = (array("q"), array("q"), array("b"))
        known[0].append(id_)
        known[1].append(ts)
        known[2].append(not row.get("fill"))

    def of(self, series: Series, since: int) -> Known:
        """What is known of a series; of its holes those behind a trade of after ``since`` (µs).

        Neighbours of a run are at most `FARTHEST` apart: what somebody else wrote lies elsewhere. The longest run is
        the series' own, and it is whole from the first live trade of the tail on, since these are in order. What was
        fetched may be much older: between it and the tail lie trades that are in the log, before its tail.

        >>> numbers = Numbers(["x"])
        >>> for id_ in (7, 11, 8):
        ...     numbers.add({"source": "x", "symbol": "A", "id": str(id_), "ts": 5})
        >>> numbers.of(("x", "A"), since=0)
        Known(ids=[7, 8, 11], first=7, holes=[(9, 11)])
        """
        if series not in self._known:
            return Known()
        told, moments, live = (np.asarray(column) for column in self._known[series])
        order = np.lexsort((moments, told))
        ids, times = told[order], moments[order]
        breaks = np.flatnonzero(np.diff(ids) > FARTHEST) + 1
        first, end = max(pairwise([0, *breaks.tolist(), len(ids)]), key=lambda run: run[1] - run[0])
        own = told[(told >= ids[first]) & (told <= ids[end - 1]) & (live != 0)]
        if not len(own):
            return Known(ids.tolist())
        first = int(np.searchsorted(ids, own[0]))
        run = ids[first:end]
        holes = np.flatnonzero((np.diff(run) > 1) & (times[first:end][:-1] > since))
        return Known(ids.tolist(), int(run[0]), [(int(run[n]) + 1, int(run[n + 1])) for n in holes])


def number_of(id_: object) -> int | None:
    """The number that an id is, if it is one that a provider can have given: anyone may write to the log.

    >>> number_of("7"), number_of("x1"), number_of("²"), number_of("9" * 20), number_of(7)
    (7, None, None, None, None)
    """
    if not (isinstance(id_, str) and id_.isascii() and id_.isdecimal() and len(id_) < 20):
        return None
    return number if (number := int(id_)) < 2**63 else None


@dataclass(frozen=True, slots=True)
class Recalled:
    """How many ids were learnt from the last ``depth`` records of each partition, and where series ended there."""

    learnt: int
    depth: int
    found: Mapping[Series, LastSeen]


def recall(
    door: Door,
    reader: Reader,
    topic: str,
    count: int = 100_000,
    wanted: Collection[Series] = (),
    tell: Callable[[Mapping[str, Any]], None] = lambda _: None,
    now: int = FOREVER,
) -> Recalled:
    """Teach the door the ids in the last ``count`` records of every partition, and note where ``wanted`` series ended.

    ``tell`` hears every decoded record. What came after ``now`` (µs) ends no series: anyone may write to the log.
    """
    learnt, found = 0, dict[Series, LastSeen]()
    for partition in reader.partitions(topic):
        latest: dict[Series, LastSeen] = {}
        # The tail is enough: what is sent again after a kill was sent shortly before it.
        for row, _ in _rows(reader.tail(topic, partition, count), ()):
            series = (row["source"], row["symbol"])
            tell(row)
            learnt += bool(row.get("id")) and door.admit(*series, str(row["id"]))
            if series in wanted:
                _note(latest, series, row, now)
        _merge(found, latest)
    return Recalled(learnt, count, found)


def last_seen(
    reader: Reader,
    topic: str,
    wanted: Collection[Series],
    report: Callable[[str], None] = lambda _: None,
    deepest: int | None = None,
    unnumbered: Collection[str] = (),
    recalled: Recalled | None = None,
    now: int = FOREVER,
    own: Own = lambda *_: True,
) -> Seen:
    """The end of each wanted series in the log, read backwards from its end until all are found.

    A series that was never published makes it read the whole log (half a million records a second); ``report`` is
    told how far it is. With ``deepest`` no partition is read further back than that many records. Of ``unnumbered``
    sources any record will do: they never go on by id, and some never give one. What was ``recalled`` of this topic is
    not read again. What came after ``now`` (µs), or is not its ``own``, ends no series.
    """
    ends = {p: reader.watermarks(topic, p) for p in reader.partitions(topic)}
    found = dict(recalled.found) if recalled else {}
    # Else a source that never gives an id would have the whole log read at every start.
    free = {series for series in wanted if topic == "raw.bars" or series[0] in unnumbered}
    depth = recalled.depth if recalled else 0
    while any(high - depth > low for low, high in ends.values()) and (missing := _missing(found, wanted, free)):
        if deepest is not None and depth >= deepest:
            break
        markers = tuple({f'"{source}"'.encode() for source, _ in missing})
        for partition, (low, high) in ends.items():
            chunk = reader.range(topic, partition, max(low, high - depth - _CHUNK), max(low, high - depth))
            _merge(found, _latest(_rows(chunk, markers), frozenset(wanted), now, own))
        depth += _CHUNK
        report(f"looking in {topic} for where the last run stopped: {depth:,} records back")
    return Seen(found, {(topic, partition): high for partition, (_, high) in ends.items()})


def _missing(found: Mapping[Series, LastSeen], wanted: Collection[Series], free: Collection[Series]) -> list[Series]:
    return [s for s in wanted if s not in found or not (s in free or found[s].id)]


def _rows(records: Iterator[Record], markers: tuple[bytes, ...]) -> Iterator[tuple[dict[str, Any], int]]:
    """The records that name a source and a symbol, each with when it was appended (µs): anything may lie there."""
    for record in records:
        value = record.value or b""
        # A look for the bytes of the name costs a tenth of parsing.
        if markers and not any(marker in value for marker in markers):
            continue
        try:
            row = decode(value)
        except BadRecord:
            continue
        if isinstance(row.get("source"), str) and isinstance(row.get("symbol"), str):
            yield row, record.appended


def _latest(
    rows: Iterator[tuple[dict[str, Any], int]], wanted: frozenset[Series], now: int, own: Own
) -> dict[Series, LastSeen]:
    """The end of each wanted series in rows that are in the order of the log."""
    latest: dict[Series, LastSeen] = {}
    for row, appended in rows:
        series = (row["source"], row["symbol"])
        if series in wanted and own(series, row, appended):
            _note(latest, series, row, now)
    return latest


def _note(latest: dict[Series, LastSeen], series: Series, row: Mapping[str, Any], now: int) -> None:
    received = row.get("received")
    if not isinstance(received, int) or not 0 <= received <= now:
        return
    if row.get("id"):
        latest[series] = LastSeen(str(row["id"]), str(row.get("price", "")), received)
    else:
        before = latest.get(series)
        latest[series] = before._replace(received=received) if before else LastSeen("", "", received)


def _merge(found: dict[Series, LastSeen], older: Mapping[Series, LastSeen]) -> None:
    """Complete what is known with what an older part of the log, or another partition, says."""
    for series, last in older.items():
        known = found.get(series)
        # Of two partitions the later record is the end: a topic that grew may hold a series in both.
        if known is None or (last.id and last.received > known.received):
            found[series] = last
        elif not known.id:
            found[series] = last._replace(received=known.received)
