"""Records of the log that repeat an id, and all records of the minutes that they are in."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sparktrends.bars import RAW_TRADES, Limits, judge
from sparktrends.bars.judge import Accepted, Judged, PriceUpdate
from sparktrends.batch.told import told_by
from sparktrends.bus.log import LogRecord
from sparktrends.model import MINUTE, Coordinates, LateTrade
from sparktrends.store.repair_rows import Place

SeriesKey = tuple[str, str]
Kept = tuple[bytes, Coordinates]


class Range(NamedTuple):
    """Records [start, end) of a partition of raw.trades."""

    partition: int
    start: int
    end: int


Read = Callable[[str, int, int, int], Iterator[LogRecord]]
"""Topic, partition, start, end: `bus.reader.Reader.range`."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A record that repeats an id: where it lies, its series, its minute, and whether a bar may hold it."""

    place: Place
    key: SeriesKey
    minute: int
    sized: bool


def find_repeats(read: Read, ranges: Collection[Range], limits: Limits) -> list[Repeat]:
    """Every record after the first of an id, in the order of the ranges. Reads the log twice at most."""
    # First by a hash of 64 bits, at 8 bytes an id; what collides is then looked at itself.
    hashes = array("q", (hash(name) for _, _, name in _named(read, ranges)))
    ordered = np.sort(np.frombuffer(hashes, np.int64))
    twice = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    seen: set[tuple[str, ...]] = set()
    found: list[Repeat] = []
    for partition, record, name in _named(read, ranges) if twice else ():
        if hash(name) in twice:
            at = Coordinates(RAW_TRADES, partition, record.offset, record.appended)
            repeat = _repeat(judge(record.value, at, limits), at, seen)
            found += [repeat] if repeat else []
    return found


def records_of(
    read: Read, ranges: Collection[Range], wanted: Mapping[SeriesKey, Collection[int]]
) -> list[tuple[SeriesKey, Kept]]:
    """All records of the wanted minutes of series, in the order of the ranges."""
    found = []
    for partition, record in records(read, ranges):
        told = told_by(record.value)
        if not told:
            continue
        key = (told["source"], told["symbol"])
        if told["ts"] - told["ts"] % MINUTE in wanted.get(key, ()):
            at = Coordinates(RAW_TRADES, partition, record.offset, record.appended)
            found.append((key, (record.value or b"", at)))
    return found


def records(read: Read, ranges: Collection[Range]) -> Iterator[tuple[int, LogRecord]]:
    """(partition, record) of everything in the ranges."""
    for partition, start, end in ranges:
        for record in read(RAW_TRADES, partition, start, end):
            yield partition, record


def _named(read: Read, ranges: Collection[Range]) -> Iterator[tuple[int, LogRecord, tuple[str, str, str]]]:
    """Records with an id, and whose it seems to be."""
    for partition, record in records(read, ranges):
        told = told_by(record.value)
        if told.get("id") not in (None, ""):
            yield partition, record, (told["source"], told["symbol"], str(told["id"]))


def _repeat(verdict: Judged, at: Coordinates, seen: set[tuple[str, ...]]) -> Repeat | None:
    if not isinstance(verdict, Accepted | PriceUpdate | LateTrade) or not verdict.trade.id:
        return None
    trade = verdict.trade
    name = (trade.source, trade.symbol, trade.id)
    if name not in seen:
        seen.add(name)
        return None
    place = (at.topic, at.partition, at.offset)
    return Repeat(place, name[:2], trade.ts - trade.ts % MINUTE, not isinstance(verdict, PriceUpdate))
